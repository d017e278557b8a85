"""Beginnings of what was not right: cut after each step, with the tokens that were sampled."""

import pytest

from lib import records
from lib.protocols import Tables
from lib.samplers.prefixes import Prefixes
from tests.filter_stage import completion, problem, verdict


class Letters:
    """Reads one token as one or more characters."""

    model_id = "m"

    def __init__(self, words):
        self.words = words

    def decode(self, ids):
        return "".join(self.words[i] for i in ids)


def cut(text, words=None, outcome="wrong", **fields):
    words = words or list(text)
    row = completion("c", text=text, completion_ids=list(range(len(words))), **fields)
    said = records.VERDICTS.table([verdict("c", outcome)])
    tables = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table([row]), said)
    made = Prefixes().sample(tables, {"policy": Letters(words)}, 0, lambda done, total: None).to_pylist()
    assert len(made) == Prefixes().owes(tables)
    return made


def test_a_wrong_answer_is_cut_after_each_step_but_the_last():
    rows = cut("1+1=2;2+2=4;4+4=9")
    assert [row["text"] for row in rows] == ["1+1=2;", "1+1=2;2+2=4;"]
    assert [row["completion_ids"] for row in rows] == [list(range(6)), list(range(12))]
    assert [len(row["logprobs"]) for row in rows] == [6, 12]
    assert {(row["parent_id"], row["finish_reason"]) for row in rows} == {("c", "length")}
    assert [row["step"] for row in rows] == [1, 2]
    assert len({row["completion_id"] for row in rows}) == 2


@pytest.mark.parametrize(("text", "fields"), [("1+1=2", {}), ("1+1=2;", {}), ("1+1=2;2+2=4", {"finish_reason": "error"}), ("", {})])
def test_what_has_no_step_to_cut_gives_nothing(text, fields):
    assert cut(text, **fields) == []


def test_a_right_answer_is_left_alone():
    assert cut("1+1=2;2+2=4", outcome="correct") == []


def test_a_token_that_goes_over_the_cut_is_left_out():
    (row,) = cut("1+1=2;2+2=4", ["1+", "1=", "2;2", "+2=4"])
    assert (row["completion_ids"], row["text"]) == ([0, 1], "1+1=")


def test_at_most_so_many_beginnings():
    row = completion("c", text="a;b;c;d", completion_ids=list(range(7)))
    tables = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table([row]))
    sampler = Prefixes(most=2)
    made = sampler.sample(tables, {"policy": Letters(list("a;b;c;d"))}, 0, lambda done, total: None)
    assert made["text"].to_pylist() == ["a;", "a;b;"]
    assert sampler.owes(tables) == 2
