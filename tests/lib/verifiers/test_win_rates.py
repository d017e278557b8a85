"""Chances to win are means over the group with oneself as a half, whatever verifier gives the scores."""

import pytest
from pydantic import Field

from lib import records
from lib.errors import UserError
from lib.protocols import Tables
from lib.strategy import Strategy
from lib.verifiers.win_rates import WinRates
from tests.filter_stage import completion, problem, verdict


class Given(Strategy):
    """Says what it is told to, by completion."""

    name: str = "given"
    says: dict[str, float | str] = Field(default_factory=dict)

    def verify(self, tables, engines):
        told = [(name, self.says[name]) for name in tables.completions["completion_id"].to_pylist() if name in self.says]
        made = [{"outcome": value} if isinstance(value, str) else {"outcome": None, "score": value} for _, value in told]
        return records.VERDICTS.table([verdict(name, verifier=self.name, **row) for (name, _), row in zip(told, made, strict=True)])


def rates(says, rows=None):
    rows = rows or [completion(name) for name in says]
    tables = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(rows))
    verifier = WinRates(of=(Given(says=says),))
    made = verifier.verify(tables, {})
    assert made.num_rows == verifier.owes(tables)
    return {row["completion_id"]: row["score"] for row in made.to_pylist()}


def test_rates_are_means_of_chances_with_oneself_as_a_half():
    # chances 1/2 + (s_i - s_j)/2: rows (.5 .7 .9), (.3 .5 .7), (.1 .3 .5)
    found = rates({"a": 1.0, "b": 0.6, "c": 0.2})
    assert found == pytest.approx({"a": 0.7, "b": 0.5, "c": 0.3})
    assert sum(found.values()) == pytest.approx(1.5)


def test_one_right_of_four_wins_against_all_and_the_others_among_themselves():
    assert rates({"a": "correct", "b": "wrong", "c": "wrong", "d": "wrong"}) == {"a": 0.875, "b": 0.375, "c": 0.375, "d": 0.375}


def test_all_alike_win_half_and_so_does_one_alone():
    assert rates({"a": "correct", "b": "correct"}) == {"a": 0.5, "b": 0.5}
    assert rates({"a": "wrong"}) == {"a": 0.5}


def test_what_is_undecided_or_was_not_sampled_is_in_no_mean():
    rows = [completion(name) for name in "abc"] + [completion("d", finish_reason="error")]
    assert rates({"a": "correct", "b": "wrong", "c": "undecided", "d": "correct"}, rows) == {"a": 0.75, "b": 0.25, "c": None, "d": None}


def test_groups_do_not_meet():
    rows = [completion("a", group_id="g"), completion("b", group_id="g"), completion("c", group_id="h")]
    assert rates({"a": "correct", "b": "wrong", "c": "wrong"}, rows) == {"a": 0.75, "b": 0.25, "c": 0.5}


def test_a_score_that_is_no_share_is_refused():
    with pytest.raises(UserError, match=r"a score of 1.5 makes no chance to win"):
        rates({"a": 1.5, "b": 0.0})
