"""IFEval as a problem set: one problem a prompt, with its instructions as tests."""

from __future__ import annotations

import json

import pytest

from lib.problems.ifeval import Ifeval
from lib.verifiers.instructions import instructions_of

ROW = {"key": 7, "prompt": "Say yes.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}


def source(tmp_path, *rows):
    (tmp_path / "input_data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Ifeval(path=str(tmp_path))


def test_a_row_becomes_a_problem_with_its_instructions_as_tests(tmp_path):
    row = {**ROW, "instruction_id_list": ["keywords:frequency"], "kwargs": [{"keyword": "yes", "frequency": 2, "relation": "at least"}]}
    [problem] = source(tmp_path, row).every().to_pylist()
    assert problem["source_id"] == "7"
    assert problem["category"] == "keywords"
    assert problem["answer"] is None
    assert json.loads(problem["tests"]) == [{"id": "keywords:frequency", "kwargs": row["kwargs"][0]}]


def test_null_arguments_and_the_prefix_of_english_are_left_out(tmp_path):
    row = {**ROW, "instruction_id_list": ["en:punctuation:no_comma"], "kwargs": [{"num_words": None}]}
    assert source(tmp_path, row).every()["tests"].to_pylist() == source(tmp_path, ROW).every()["tests"].to_pylist()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"instruction_id_list": ["keywords:rhyme"]}, "instruction_id_list"),
        ({"instruction_id_list": [5]}, "instruction_id_list"),
        ({"instruction_id_list": []}, "instruction_id_list"),
        ({"instruction_id_list": "punctuation:no_comma"}, "instruction_id_list"),
        ({"kwargs": [{"num_words": 3}]}, "instruction_id_list"),
        ({"kwargs": [None]}, "instruction_id_list"),
        ({"kwargs": []}, "kwargs"),
        ({"kwargs": None}, "kwargs"),
        ({"prompt": " "}, "prompt"),
    ],
)
def test_a_row_that_cannot_be_judged_is_named_and_the_others_survive(tmp_path, change, field):
    pool = source(tmp_path, {**ROW, **change}, {**ROW, "prompt": "Say no."}).pool()
    assert [row["prompt"][0]["parts"][0]["text"] for row in pool.rows["all"]] == ["Say no."]
    assert [(fault.where, fault.field) for fault in pool.faults] == [("input_data.jsonl line 1", field)]


def test_both_modes_judge_the_set(tmp_path):
    assert [verifier.mode for verifier in source(tmp_path, ROW).verifiers()] == ["strict", "loose"]


def test_all_published_prompts_and_instructions_are_read(data):
    pool = Ifeval(path=str(data / "ifeval/input_data.jsonl")).pool()
    assert (len(pool.rows["all"]), pool.faults, pool.duplicates) == (541, (), ())
    assert sum(len(instructions_of(row["tests"])) for row in pool.rows["all"]) == 834
