"""Files that are whole or not there."""

import errno
import os
from pathlib import Path

import pytest

from lib import files
from lib.errors import UserError


def test_a_write_that_fails_leaves_the_old_text_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files.write_atomically(tmp_path / "a", "old")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="is full; free some space and run the same command again"):
        files.write_atomically(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_read_only_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(_handle: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(UserError, match="Read-only file system; set ROUNDHOUSE_HOME"):
        files.write_atomically(tmp_path / "a", "x")


def test_json_comes_back_in_the_order_it_was_given(tmp_path: Path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": {"d": 2, "c": 3}})
    assert list(files.read_json(tmp_path / "a.json")) == ["b", "a"]


def test_a_lock_is_held_by_one(tmp_path: Path):
    with files.locked(tmp_path / "l") as held, files.locked(tmp_path / "l", wait=False) as other:
        assert held
        assert not other
    with files.locked(tmp_path / "l", wait=False) as again:
        assert again
