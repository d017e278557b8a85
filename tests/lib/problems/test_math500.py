import json

import pytest

from lib.errors import BadProblems
from lib.problems.math500 import Math500
from lib.verifiers.answer import Answer


def source(tmp_path, *rows):
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Math500(path=str(file))


def test_a_row_of_math_500_is_read(tmp_path):
    row = {
        "problem": "What is $1+1$?",
        "answer": "2",
        "subject": "Algebra",
        "level": 3,
        "unique_id": "test/algebra/1.json",
        "solution": "…",
    }
    [read] = source(tmp_path, row).every().to_pylist()
    assert (read["task"], read["answer"], read["category"], read["difficulty"]) == ("math500", "2", "Algebra", 3.0)
    assert read["source_id"] == "test/algebra/1.json"


def test_a_row_of_math_has_its_answer_in_the_last_box_of_its_solution(tmp_path):
    row = {"problem": "?", "solution": "so $\\boxed{1}$, no: $\\boxed{\\frac{1}{2}}$", "level": "Level 5", "type": "Geometry"}
    [read] = source(tmp_path, row).every().to_pylist()
    assert (read["answer"], read["category"], read["difficulty"]) == ("\\frac{1}{2}", "Geometry", 5.0)


def test_a_bad_row_is_reported_with_its_field(tmp_path):
    good = {"problem": "a", "answer": "1", "level": "Level ?"}
    rows = [good, {"problem": "b", "solution": "no box"}, {"problem": "c", "answer": " . "}, {"answer": "1"}, {"problem": "d"}]
    pool = source(tmp_path, *rows).pool()
    assert [(fault.where, fault.field) for fault in pool.faults] == [
        ("test.jsonl line 2", "solution"),
        ("test.jsonl line 3", "answer"),
        ("test.jsonl line 4", "problem"),
        ("test.jsonl line 5", "solution"),
    ]
    assert pool.rows["all"][0]["difficulty"] is None
    with pytest.raises(BadProblems, match="no usable problem"):
        source(tmp_path, {"problem": "b"}).every()


def test_the_answer_verifier_judges_it(tmp_path):
    assert Math500(path="x").verifiers() == (Answer(),)
