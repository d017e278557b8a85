"""How far verifiers disagree, with the worked numbers of the BALD bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lib import records
from lib.errors import UserError
from lib.protocols import Tables
from lib.strategy import Strategy
from lib.verifiers import scores
from lib.verifiers.answer import Answer
from lib.verifiers.uncertainty import Uncertainty
from tests.filter_stage import completion, problem


class Says(Strategy):
    """The same of every completion: a chance, or an outcome; nothing of any where it is None."""

    name: str
    says: float | str | None

    def verify(self, tables: Tables, engines: Any) -> Any:
        told = {"outcome": self.says} if isinstance(self.says, str) else {"outcome": None}
        score = self.says if isinstance(self.says, float) else None
        rows = scores.rows_of(tables) if self.says is not None else []
        return scores.table([{**scores.verdict(row, self.name, score, "as told"), **told} for row in rows])


def verdict(*says: float | str | None, **settings: Any) -> dict[str, Any]:
    verifier = Uncertainty(of=tuple(Says(name=f"m{i}", says=one) for i, one in enumerate(says)), **settings)
    given = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table([completion("c")]))
    made = verifier.verify(given, {})
    assert made.num_rows == verifier.owes(given) == 1
    row: dict[str, Any] = made.to_pylist()[0]
    return row


@pytest.mark.parametrize(
    ("chances", "bald", "spread"),
    [
        ((0.9, 0.1), 0.3680642, 0.16),  # ln 2 - h(0.9) = 0.6931472 - 0.3250830
        ((0.7, 0.7), 0.0, 0.0),
        ((0.5, 0.5, 0.5), 0.0, 0.0),
        ((1.0, 0.0), math.log(2), 0.25),
        (("correct", "wrong"), math.log(2), 0.25),
        ((1.0, 1.0, 0.0, 0.0), math.log(2), 0.25),
    ],
)
def test_members_that_are_sure_and_disagree_are_uncertain_and_members_that_are_unsure_alike_are_not(chances, bald, spread):
    found = verdict(*chances)
    assert (found["outcome"], found["verifier"]) == (None, "uncertainty")
    assert found["score"] == pytest.approx(bald, abs=1e-7)
    assert verdict(*chances, measure="variance")["score"] == pytest.approx(spread, abs=1e-12)


def test_it_lies_between_nothing_and_ln_2():
    for tenths in range(11):
        for other in range(11):
            assert 0 <= verdict(tenths / 10, other / 10)["score"] <= math.log(2) + 1e-12


def test_what_a_member_leaves_open_is_undecided():
    assert (verdict(0.5, "undecided")["outcome"], verdict(0.5, "undecided")["reason"]) == ("undecided", "m1 is undecided: as told")
    assert verdict(None, 0.5)["reason"] == "m0 says nothing"


def test_a_score_that_is_no_chance_and_a_verifier_alone_are_refused():
    with pytest.raises(UserError, match=r"a score of 1\.5 is no chance; give it verifiers whose scores lie in"):
        verdict(0.5, 1.5)
    with pytest.raises(UserError, match="1 verifier cannot disagree; give two or more"):
        Uncertainty(of=(Answer(),))
