"""How often a completion would win against the others of its group, by the scores of other verifiers (SPPO, Wu et al. 2024).

    P(i beats j) = 1/2 + (s_i - s_j) / 2        score_i = (1/k) Σ_j P(i beats j), j = i included with 1/2

with s in [0, 1] the mean score of the verifiers within, 1 and 0 where they say correct and wrong. The paper asks a preference
model for P; where answers can be checked this takes its place: right beats wrong for certain, and of two alike either may win.

Gives the right one of a right and a wrong completion 3/4 and the other 1/4. Has no outcome, so it rejects nothing. Cannot
catch what the verifiers within miss, nor tell two right answers apart. Undecided: what they leave undecided; it is in no mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import AnyStrategy, Strategy
from lib.verifiers import scores
from lib.verifiers.members import together


class WinRates(Strategy):
    """One score per completion, between 1/(2k) and 1 - 1/(2k) in a group of k."""

    unit: ClassVar[str] = "group"
    takes_own_verifiers: ClassVar[str] = "of"

    name: str = "win_rates"
    """The name of its verdicts."""
    of: tuple[AnyStrategy, ...] = ()
    """The verifiers whose scores decide who wins; none takes the problem set's own."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        said = together(self.of, tables, engines)
        rows = scores.rows_of(tables, "completion_ids")
        points = [None if row["finish_reason"] == "error" else self._in_range(said[row["completion_id"]].score) for row in rows]
        made = []
        rates: dict[int, float] = {}
        for group in scores.groups_of(rows):
            decided = [place for place in group if points[place] is not None]
            wins = {(i, j): 0.5 + ((points[i] or 0.0) - (points[j] or 0.0)) / 2 for i in decided for j in decided if i != j}
            rates |= scores.win_rates(wins, decided)
        for place, row in enumerate(rows):
            reason = "mean chance to win" if place in rates else said[row["completion_id"]].reason
            made.append(scores.verdict(row, self.name, rates.get(place), reason, n_tokens=len(row["completion_ids"])))
        return scores.table(made)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _in_range(self, score: float | None) -> float | None:
        if score is not None and not 0 <= score <= 1:
            raise UserError(f"{self.name}: a score of {score:g} makes no chance to win; give it verifiers whose scores lie in [0, 1]")
        return score
