"""Problems in shards and windows."""

from pathlib import Path

import pytest

from lib import records, tables
from lib.errors import BadProblems
from lib.problems.countdown import Countdown
from lib.protocols import Machine, Work
from lib.stages import problems as stage


def drawn(tmp_path: Path, count: int, window: int = 1, split: str = "train", source: dict | None = None) -> list[list[str]]:
    """The problem ids of every shard."""
    out = tmp_path / f"{split}-{count}-{window}"
    out.mkdir()
    settings = {"source": source or Countdown().model_dump(mode="json"), "split": split, "count": count, "window": window}
    stage.run(Work(settings, {}, {}, 0, Machine()), out)
    return [tables.read(p, records.PROBLEMS)["problem_id"].to_pylist() for p in sorted(out.rglob("problems.parquet"))]


def test_a_shard_holds_the_problems_of_one_prefix(tmp_path: Path):
    shards = drawn(tmp_path, 1200)
    assert len(shards) == 4
    assert sum(map(len, shards)) == 1200
    for place, ids in enumerate(shards):
        assert {int(i[:8], 16) >> 30 for i in ids} == {place}


def test_a_born_problem_disturbs_one_shard(tmp_path: Path):
    before, after = drawn(tmp_path, 1200), drawn(tmp_path, 1201)
    assert [a == b for a, b in zip(before, after, strict=True)].count(False) == 1


def test_windows_follow_each_other_and_go_round(tmp_path: Path):
    have = Countdown().available("validation")
    sizes = [{i for ids in drawn(tmp_path, 400, window, "validation") for i in ids} for window in (1, 2, 3)]
    assert [len(ids) for ids in sizes] == [400, 400, 400]
    assert not sizes[0] & sizes[1]
    assert len(sizes[0] & sizes[2]) == 1200 - have  # the third window ends where the first began


def test_more_than_there_are_in_one_window_is_refused(tmp_path: Path):
    with pytest.raises(BadProblems, match=r"Countdown has 919 problems .* 2000 were asked for"):
        drawn(tmp_path, 2000, split="validation")


def test_four_numbers_have_windows_without_end(tmp_path: Path):
    source = Countdown(numbers=4).model_dump(mode="json")
    first, ninth = ({i for ids in drawn(tmp_path, 50, w, source=source) for i in ids} for w in (1, 9))
    assert len(first) == len(ninth) == 50
    assert not first & ninth
