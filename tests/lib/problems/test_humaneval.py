import json

import pytest

from lib.problems.humaneval import Humaneval
from lib.verifiers.code import Code
from tests.sandboxing import needs_walls

ROW = {"task_id": "HumanEval/0", "prompt": "def f(x):\n", "entry_point": "f", "test": "def check(c):\n    assert c(1) == 2\n"}


def test_a_row_becomes_a_problem_that_its_verifier_can_judge(tmp_path):
    (tmp_path / "mine.jsonl").write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "prompt": "def g(x):\n", "test": ""}) + "\n")
    found = Humaneval(path=str(tmp_path / "mine.jsonl"))
    (row,) = found.every().to_pylist()
    assert row["prompt"][0]["parts"][0]["text"] == ROW["prompt"]
    assert (row["task"], row["source_id"]) == ("humaneval", "HumanEval/0")
    assert json.loads(row["tests"]) == {name: ROW[name] for name in ("prompt", "test", "entry_point")}
    assert [(fault.field, fault.where) for fault in found.pool().faults] == [("test", "mine.jsonl line 2")]
    assert [type(verifier) for verifier in found.verifiers()] == [Code]


def test_the_published_file_is_whole_and_all_test_in_its_folder(data):
    pool = Humaneval(path=str(data / "humaneval")).pool()
    assert (len(pool.rows["test"]), len(pool.rows["all"]), pool.faults, pool.duplicates) == (164, 164, (), ())
    assert {row["source_id"] for row in pool.rows["all"]} == {f"HumanEval/{number}" for number in range(164)}


@needs_walls
@pytest.mark.slow
def test_every_reference_solution_passes(data):
    import gzip

    with gzip.open(data / "humaneval" / "HumanEval.jsonl.gz", "rt") as file:
        solutions = {row["task_id"]: row["canonical_solution"] for row in map(json.loads, file)}
    rows = Humaneval(path=str(data / "humaneval" / "HumanEval.jsonl.gz")).pool().rows["all"]
    made = Code().judge([(solutions[row["source_id"]], row["tests"], "stop") for row in rows])
    assert [judgement.outcome for judgement in made] == ["correct"] * 164
