"""What a person types for a problem set."""

from __future__ import annotations

import pytest

from lib.errors import UnknownName, UserError
from lib.problems.countdown import Countdown
from lib.problems.named import named, names, whole


def test_a_name_with_a_path_is_that_set_and_a_file_is_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named("countdown", {"numbers": "4"}) == Countdown(numbers=4)
    gsm8k = named("gsm8k:here")
    assert (type(gsm8k).__name__, gsm8k.path) == ("Gsm8k", str(tmp_path / "here"))
    table = named("mine.csv", {"prompt": "question", "answer": "null"})
    assert (type(table).__name__, table.path, table.prompt, table.answer) == ("Table", str(tmp_path / "mine.csv"), "question", None)
    assert named("hf:a/b@c").path == "hf:a/b@c"
    assert named("gsm8k:hf:a/b@c").path == "hf:a/b@c"


def test_a_whole_spec_means_the_same_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = whole("gsm8k:here")
    monkeypatch.chdir("/")
    assert named(spec).path == str(tmp_path / "here")
    assert whole(spec) == spec
    assert whole("countdown") == "countdown"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("gsm9k:here", "no problem set 'gsm9k'.*did you mean 'gsm8k'"),
        ("gsm8k", "needs its data; give a file or folder: gsm8k:PATH"),
        ("countdown:here", "is generated and reads no file"),
        ("files:here", "no problem set 'files'"),
        ("os.path:here", "no problem set 'os.path'"),
    ],
)
def test_a_mistake_is_one_line_with_the_remedy(spec, said):
    with pytest.raises(UserError, match=said):
        named(spec)


def test_a_file_of_another_kind_is_told_which_there_are(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("text")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"README.md is no file of problems: these end in .jsonl, .*convert it"):
        named("README.md")


def test_an_unknown_setting_names_the_near_miss():
    with pytest.raises(UnknownName, match="did you mean 'prompt'"):
        named("mine.csv", {"promt": "q"})


def test_every_set_is_listed_and_no_helper():
    assert {"countdown", "gsm8k", "table"} <= set(names())
    assert not {"files", "reading", "named"} & set(names())
