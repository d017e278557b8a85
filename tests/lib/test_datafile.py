"""A data file counts by its content: its path may change, one byte of it may not."""

from __future__ import annotations

import pytest

from lib.datafile import by_content
from lib.errors import UserError
from lib.problems.gsm8k import Gsm8k
from lib.problems.table import Table

ROW = '{"question": "1 + 1?", "answer": "#### 2"}\n'


def settings(path, **more):
    return {"source": Gsm8k(path=str(path), **more).model_dump(mode="json"), "count": 3}


@pytest.fixture
def folders(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text(ROW)
    return tmp_path / "one", tmp_path / "two"


def test_equal_content_at_two_places_counts_as_the_same(folders):
    assert by_content(settings(folders[0])) == by_content(settings(folders[1]))
    assert by_content(settings(folders[0] / "train.jsonl")) == by_content(settings(folders[1] / "train.jsonl"))


@pytest.mark.parametrize("change", [lambda f: f.write_text(ROW.replace("2", "3")), lambda f: f.rename(f.with_name("test.jsonl"))])
def test_another_byte_or_another_name_in_the_folder_counts(folders, change):
    before = by_content(settings(folders[0]))
    change(folders[0] / "train.jsonl")
    assert by_content(settings(folders[0])) != before


def test_no_path_is_left_and_other_settings_stay(folders):
    given = {"members": [Table(path=str(folders[0]), prompt="question").model_dump(mode="json")], "count": 3}
    found = by_content(given)
    assert str(folders[0]) not in repr(found)
    assert found["members"][0] == {**given["members"][0], "path": found["members"][0]["path"]}
    assert found["count"] == 3


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no file or folder '.*gone.jsonl'; give the path"):
        by_content(settings(tmp_path / "gone.jsonl"))
