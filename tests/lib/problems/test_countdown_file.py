import json

import pytest

from lib.problems.countdown_file import CountdownFile
from lib.verifiers.arithmetic import Puzzle, puzzle
from lib.verifiers.countdown import Countdown, question


def source(tmp_path, *rows, **settings):
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return CountdownFile(path=str(file), **settings)


def text(row):
    return row["prompt"][0]["parts"][0]["text"]


@pytest.mark.parametrize(
    "row",
    [
        {"input": "30,100,93", "output": "23"},
        {"nums": [30, 100, 93], "target": 23},
        {"numbers": [30, 100, 93], "target": 23},
        {"question": "Numbers: [30, 100, 93]\nTarget: 23", "generations": "…"},
    ],
)
def test_every_layout_gives_the_same_problem(tmp_path, row):
    [read] = source(tmp_path, row).every().to_pylist()
    assert text(read) == "Numbers: [30, 100, 93]\nTarget: 23"
    assert puzzle(read["tests"]) == Puzzle((30, 100, 93), 23)
    assert (read["task"], read["source_id"], read["difficulty"]) == ("countdown", "30,100,93>23", 3.0)


def test_asked_in_steps_it_reads_like_the_generated_set(tmp_path):
    [read] = source(tmp_path, {"input": "30,100,93", "output": "23"}, asked="steps").every().to_pylist()
    assert text(read) == "30,93,100>23:"
    assert question(text(read)) == ((30, 93, 100), 23)
    assert read["tests"] is None


def test_a_bad_row_is_reported_with_its_field(tmp_path):
    rows = [
        {"input": "1,2,3", "output": "6"},
        {"input": "1,-2,3", "output": "6"},
        {"input": "1,2", "output": "six"},
        {"nums": "1,2", "target": 3},
        {"nums": [1, 2]},
        {"question": "What is 1+2?"},
        {"nums": [], "target": 1},
    ]
    pool = source(tmp_path, *rows).pool()
    assert len(pool.rows["all"]) == 1
    assert [fault.field for fault in pool.faults] == ["input", "output", "nums", "target", "question", "nums"]


def test_its_verifier_is_countdown():
    assert CountdownFile(path="x").verifiers() == (Countdown(),)


def test_the_public_tasks_and_the_recorded_outputs_are_the_same_256(data):
    sets = [CountdownFile(path=str(data / "d1_llada" / name)) for name in ("countdown_cd3_test.jsonl", "countdown_256.jsonl")]
    pools = [one.pool() for one in sets]
    assert [(pool.faults, pool.duplicates) for pool in pools] == [((), ())] * 2
    ids = [{row["problem_id"] for row in pool.rows["all"]} for pool in pools]
    assert len(ids[0]) == 256
    assert ids[0] == ids[1]
