import json

import pytest

from lib.problems.mbpp import Mbpp
from lib.verifiers.code import Code
from tests.sandboxing import needs_walls

ROW = {
    "text": "Write a function to add one.",
    "code": "def helper(x):\r\n    return x\r\ndef f(x):\r\n    return helper(x) + 1",
    "task_id": 7,
    "test_setup_code": "",
    "test_list": ["assert f(1) == 2", "assert f(2) == 3"],
    "challenge_test_list": [],
}


def read(tmp_path, *rows):
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Mbpp(path=str(tmp_path / "mine.jsonl"))


def test_a_row_becomes_a_problem_with_its_asserts_shown_and_its_names_found(tmp_path):
    (row,) = read(tmp_path, ROW).every().to_pylist()
    text = row["prompt"][0]["parts"][0]["text"]
    assert text.startswith("You are an expert Python programmer, and here is your task: Write a function to add one.")
    assert "assert f(1) == 2\nassert f(2) == 3" in text
    assert json.loads(row["tests"]) == {"test_list": ROW["test_list"], "test_setup_code": "", "entry_points": ["f"]}
    assert (row["task"], row["source_id"]) == ("mbpp", "7")


def test_the_sanitized_file_has_other_names_for_the_same(tmp_path):
    row = {
        "prompt": ROW["text"],
        "code": ROW["code"],
        "task_id": 7,
        "test_imports": ["import math"],
        "test_list": ["assert f(1) == math.ceil(1.5)"],
    }
    (made,) = read(tmp_path, row).every().to_pylist()
    assert json.loads(made["tests"])["test_setup_code"] == "import math"
    assert json.loads(made["tests"])["entry_points"] == ["f"]


def test_a_row_that_cannot_be_used_names_its_field(tmp_path):
    rows = [{**ROW, "code": "def ("}, {**ROW, "test_list": []}, {**ROW, "test_list": ["assert ("]}, {**ROW, "text": ""}, ROW]
    assert [(fault.where, fault.field) for fault in read(tmp_path, *rows).pool().faults] == [
        ("mine.jsonl line 1", "code"),
        ("mine.jsonl line 2", "test_list"),
        ("mine.jsonl line 3", "test_list"),
        ("mine.jsonl line 4", "text"),
    ]


def test_the_published_file_is_whole_in_its_folder(data):
    pool = Mbpp(path=str(data / "mbpp")).pool()
    assert (len(pool.rows["all"]), pool.faults, pool.duplicates) == (974, (), ())
    tests = {row["source_id"]: json.loads(row["tests"])["entry_points"] for row in pool.rows["all"]}
    assert all(tests.values())
    assert {number for number, names in tests.items() if len(names) > 1} == {"367", "601", "927"}  # those with a class of their own


def references(data):
    rows = [json.loads(line) for line in (data / "mbpp" / "mbpp.jsonl").read_text(encoding="utf-8").splitlines()]
    solutions = {str(row["task_id"]): row["code"] for row in rows}
    return [(solutions[row["source_id"]], row["tests"], "stop") for row in Mbpp(path=str(data / "mbpp" / "mbpp.jsonl")).pool().rows["all"]]


@needs_walls
def test_reference_solutions_of_every_odd_kind_pass(data):
    """A class of their own (367, 601), a function named as a builtin (126) or `check` (56), a type handed over (533)."""
    given = references(data)
    odd = [given[number - 1] for number in (56, 126, 367, 533, 601)]
    assert [judgement.outcome for judgement in Code().judge(odd)] == ["correct"] * 5


@needs_walls
@pytest.mark.slow
def test_every_reference_solution_passes(data):
    patient = Code(cpu_seconds=60, wall_seconds=120)  # this is about the judge, not about how fast the machine is
    assert [judgement.reason for judgement in patient.judge(references(data))] == ["passed"] * 974
