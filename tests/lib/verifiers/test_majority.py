"""The vote of a group: equal answers are one class, and a tie goes to the class that came first."""

import json

import pytest

from lib import records
from lib.protocols import Tables
from lib.verifiers.majority import Majority
from tests.filter_stage import completion, problem


def group(texts, name="g", **fields):
    made = [completion(f"{name}{i}", "p", group_id=name, text=text, sample_index=i, **fields) for i, text in enumerate(texts)]
    return Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(made))


def votes(tables, **settings):
    made = Majority(**settings).verify(tables, {})
    assert made.num_rows == Majority(**settings).owes(tables)
    return [(row["outcome"], row["score"]) for row in made.to_pylist()]


def test_equal_answers_are_one_vote_however_they_are_written():
    said = votes(group([r"so \boxed{\frac{1}{2}}", "#### 0.5", "the answer is 1/2.", "#### 3"]))
    assert said == [("correct", 0.75)] * 3 + [("wrong", 0.25)]


def test_of_two_largest_classes_the_first_by_sample_index_wins():
    assert votes(group(["#### 1", "#### 2", "#### 2", "#### 1"])) == [("correct", 0.5), ("wrong", 0.5), ("wrong", 0.5), ("correct", 0.5)]
    rows = group(["#### 1", "#### 2", "#### 2", "#### 1"])
    backwards = Tables(rows.problems, rows.completions.take([3, 2, 1, 0]))
    assert votes(backwards)[::-1] == votes(rows)


def test_an_unreadable_answer_is_no_vote_and_is_wrong():
    assert votes(group(["no idea", "#### 4", "none", "also none"])) == [("wrong", 0), ("correct", 0.25), ("wrong", 0), ("wrong", 0)]


@pytest.mark.parametrize("texts", [["#### 1"], ["no idea", "nor I"]])
def test_one_alone_and_a_group_without_answers_are_undecided(texts):
    assert votes(group(texts)) == [("undecided", None)] * len(texts)


def test_what_was_not_sampled_neither_votes_nor_counts():
    rows = group(["#### 1", "#### 2", "#### 2"])
    missing = completion("x", "p", group_id="g", text="#### 1", sample_index=3, finish_reason="error")
    both = Tables(rows.problems, records.COMPLETIONS.table([*rows.completions.to_pylist(), missing]))
    assert votes(both) == [("wrong", 1 / 3), ("correct", 2 / 3), ("correct", 2 / 3), ("undecided", None)]


def test_a_number_in_a_thought_that_was_cut_off_is_no_vote():
    rows = group(["thus 3 and then 7"] * 2, finish_reason="length").completions.to_pylist()
    rows += group(["thus 9"], name="h").completions.to_pylist()
    made = [dict(row, group_id="g") for row in rows]
    assert votes(Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(made))) == [("wrong", 0)] * 2 + [
        ("correct", 1 / 3)
    ]


def test_a_vote_on_texts_tells_ways_to_one_value_apart():
    tables = group(["8+1=9;9*5=45", "9*5=45", "9*5=45 ", "8*5=40;40+5=45"])
    assert votes(tables, by="text") == [("wrong", 0.25), ("correct", 0.5), ("correct", 0.5), ("wrong", 0.25)]
    assert votes(tables) == [("correct", 1.0)] * 4


def test_by_text_an_empty_one_and_one_cut_off_are_no_votes():
    rows = group(["", "1+1=2"]).completions.to_pylist()
    rows += [dict(row, completion_id="cut") for row in group(["1+1=2"], finish_reason="length").completions.to_pylist()]
    tables = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(rows))
    assert votes(tables, by="text") == [("wrong", 0), ("correct", 1 / 3), ("wrong", 0)]


def test_groups_do_not_mix():
    rows = [*group(["#### 1", "#### 1"]).completions.to_pylist(), *group(["#### 2", "#### 2"], name="h").completions.to_pylist()]
    assert votes(Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(rows))) == [("correct", 1.0)] * 4


@pytest.mark.parametrize("text", ["", "\0", "\\boxed{" * 3000, "9**9**9 " * 500, "\u202e(((" * 900, "#### " + "9" * 50_000])
def test_nasty_texts_are_voted_on_without_an_error(text):
    said = votes(group([text, "#### 1", "#### 1"]))
    assert said[1:] == [("correct", pytest.approx(2 / 3))] * 2
    assert said[0][0] == "wrong"


def test_eight_votes_a_problem_on_recorded_mathematics(data):
    rows = [json.loads(line) for line in (data / "qwen_math_rm100" / "math_cot_100.jsonl").read_text().splitlines()]
    made = [
        completion(f"{row['idx']:03d}-{i}", f"p{row['idx']}", text=text, sample_index=i)
        for row in rows
        for i, text in enumerate(row["code"])
    ]
    tables = Tables(records.PROBLEMS.table([problem(f"p{row['idx']}") for row in rows]), records.COMPLETIONS.table(made))
    labels = {f"{row['idx']:03d}-{i}": label for row in rows for i, label in enumerate(row["score"])}
    winners: dict[str, str] = {}
    for verdict in Majority().verify(tables, {}).to_pylist():
        if verdict["outcome"] == "correct":
            winners.setdefault(verdict["completion_id"][:3], verdict["completion_id"])
    assert len(winners) == 100
    assert sum(labels[name] for name in winners.values()) == 93
