from __future__ import annotations

import math

import pytest

from lib.errors import BudgetSpent
from lib.round_record import RoundRecord
from tasks.outcome import failure_told, figures


def row(metric: str, value: float | None, slice: str = "all", evaluator: str = "PassAtK") -> dict[str, object]:
    return {"split": "gate", "evaluator": evaluator, "metric": metric, "slice": slice, "value": value, "stderr": None}


def test_figures_are_numbers_over_all_problems_and_the_first_evaluator_s_where_two_have_one():
    rows = [row("a", 0.5), row("a", 0.25, evaluator="Other"), row("a", 0.1, slice="difficulty=3"), row("b", math.nan), row("c", None)]
    assert figures(RoundRecord("demo", 1, 1, metrics=rows)) == {"gate/a": 0.5}


@pytest.mark.parametrize("error", [ValueError("broken"), BudgetSpent("it is spent"), KeyboardInterrupt()])
def test_what_is_told_goes_on_as_it_was(error: BaseException):
    with pytest.raises(type(error)) as raised, failure_told("demo", 1, 1):
        raise error
    assert raised.value is error
