"""Keep by what verifiers say: a band of scores, or any predicate of SQL (F.keep)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import model_validator

from lib.errors import UserError
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

# What a predicate may name. The left joins cost nothing where it names none of their columns' tables.
_VIEW = """
SELECT c.completion_id, c.problem_id, c.group_id, c.role, c.turn, c.step, c.sample_index, c.finish_reason, c.text,
    len(c.completion_ids) AS n_tokens, j.outcome, j.score, rated.pass_rate, rated.decided, p.category, p.difficulty,
    parent.outcome AS parent_outcome, parent.score AS parent_score
FROM completions AS c
JOIN judged($verifier) AS j USING (completion_id)
LEFT JOIN pass_rates($verifier) AS rated USING (problem_id)
LEFT JOIN (SELECT problem_id, category, difficulty FROM problems) AS p USING (problem_id)
LEFT JOIN said($verifier) AS parent ON parent.completion_id = c.parent_id
"""

_BAND = """
SELECT completion_id, CASE WHEN outcome IN ('undecided', 'no verdict') THEN outcome
    WHEN score < $lowest THEN 'score too low' WHEN score > $highest THEN 'score too high' END AS reason
FROM judged($verifier)
"""


class Keep(Strategy):
    """Keeps a completion whose score is in a band and for which a predicate holds; KeepCorrect keeps by outcome alone.

    Where a band is set: `undecided`, `no verdict`, `score too low`, `score too high`. Where a predicate is: `predicate` if it
    is false or null. Examples: `score > parent_score` (RISE, better), `turn > 1 AND outcome = 'correct'`.

    The predicate is one boolean expression over completion_id, problem_id, group_id, role, turn, step, sample_index,
    finish_reason, text, n_tokens, outcome, score, pass_rate, decided (completions of the problem), category, difficulty,
    parent_outcome and parent_score. Subqueries, and functions that do not give the same each time, are refused.
    """

    min_score: float | None = None
    """The lowest score that stays."""
    max_score: float | None = None
    """The highest score that stays."""
    where: str | None = None
    """A predicate, as above."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    @model_validator(mode="after")
    def _says_something(self) -> Keep:
        if self.min_score is None and self.max_score is None and self.where is None:
            raise UserError("Keep without a condition keeps everything; set min_score, max_score or where, or use KeepCorrect")
        return self

    def filter(self, rows: Rows) -> Relation:
        verifier = rows.known_verifier(self.verifier)
        banded = self.min_score is not None or self.max_score is not None
        lowest = float("-inf") if self.min_score is None else self.min_score
        highest = float("inf") if self.max_score is None else self.max_score
        if banded:
            rows.hold("_banded", _BAND, verifier=verifier, lowest=lowest, highest=highest)
        if self.where is None:
            return rows.sql("SELECT * FROM _banded")
        rows.hold_predicate("_held_true", _VIEW, self.where, verifier=verifier)
        objection = "CASE WHEN coalesce(holds, false) THEN NULL ELSE 'predicate' END"
        if not banded:
            return rows.sql(f"SELECT completion_id, {objection} AS reason FROM _held_true")
        return rows.sql(f"SELECT completion_id, coalesce(reason, {objection}) AS reason FROM _banded JOIN _held_true USING (completion_id)")
