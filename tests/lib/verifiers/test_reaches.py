"""A beginning is right if it can still become a solution."""

import pytest

from lib import records
from lib.protocols import Tables
from lib.verifiers.reaches import Reaches
from tests.filter_stage import completion, problem


def said(text, prompt="1,5,8>45:", **fields):
    tables = Tables(records.PROBLEMS.table([problem("p", prompt)]), records.COMPLETIONS.table([completion("c", text=text, **fields)]))
    (row,) = Reaches().verify(tables, {}).to_pylist()
    return row["outcome"], row["reason"]


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("8+1=9;", "correct", "5, 9 can make 45"),
        ("8+1=9", "correct", "5, 9 can make 45"),
        ("8+1=9;9*5=45", "correct", "45 can make 45"),
        ("8*5=40;", "wrong", "1, 40 cannot make 45"),
        ("8+1=10;", "wrong", "step 1: 8+1 is 9, not 10"),
        ("8+2=10;", "wrong", "step 1: 2 is not available"),
        ("8+1=9;;", "wrong", "not of the form a+b=c;…"),
        ("", "wrong", "not of the form a+b=c;…"),
    ],
)
def test_a_beginning_is_right_if_it_leads_to_the_target(text, outcome, reason):
    assert said(text) == (outcome, reason)


@pytest.mark.parametrize(("prompt", "fields"), [("What is 2+3?", {}), ("1,1,1,1,1,1,1>7:", {}), ("1,5,8>45:", {"finish_reason": "error"})])
def test_what_cannot_be_searched_is_undecided(prompt, fields):
    assert said("8+1=9;", prompt, **fields)[0] == "undecided"
