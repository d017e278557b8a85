"""What a run that ended badly leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib import ending
from lib.errors import StageFailed


def test_a_failure_leaves_its_class_and_first_line_and_is_raised_on(tmp_path: Path):
    with pytest.raises(StageFailed), ending.noted(tmp_path):
        raise StageFailed("one x r1 main/train: no such thing\nand more of it")
    found = ending.read(tmp_path)
    assert found is not None
    assert (found.state, found.error, found.reason) == ("failed", "StageFailed", "one x r1 main/train: no such thing")


def test_an_error_that_is_not_ours_says_its_class():
    assert ending.one_line(ValueError("odd")) == "ValueError: odd"
    assert ending.one_line(ValueError()) == "ValueError"


def test_an_interrupt_is_no_failure(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), ending.noted(tmp_path):
        raise KeyboardInterrupt
    found = ending.read(tmp_path)
    assert found is not None
    assert (found.state, found.reason) == ("stopped", "it was interrupted")


def test_the_next_run_takes_the_note_away(tmp_path: Path):
    with pytest.raises(StageFailed), ending.noted(tmp_path):
        raise StageFailed("once")
    with ending.noted(tmp_path):
        assert ending.read(tmp_path) is None
    assert ending.read(tmp_path) is None


def test_a_note_that_cannot_be_written_hides_no_error(tmp_path: Path):
    with pytest.raises(StageFailed), ending.noted(tmp_path / "one"):
        (tmp_path / "one").write_text("in the way")
        raise StageFailed("the error itself")
