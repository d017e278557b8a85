"""Preference pairs of the completion of a problem that wins most against the one that wins least, with their chances (SPPO).

The pair is that of BestWorstPairs by win rates, as SPPO takes it (Wu et al. 2024): argmax against argmin. What SPPO's loss needs
beside it are the chances to win against the group, which the pair holds as chosen_win and rejected_win.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lib.filters.best_worst_pairs import BestWorstPairs
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows


class WinPairs(Strategy):
    """One pair a problem at most; where all win alike there is none. Reasons are those of BestWorstPairs."""

    makes: ClassVar[str] = "pair"

    verifier: str = "win_rates"
    """Whose scores are the chances to win: WinRates, or a pairwise reward model or judge."""

    def build(self, rows: Rows) -> Built:
        pairs = BestWorstPairs(verifier=self.verifier).build(rows)
        pairs.examples.create_view("unmarked_pairs")
        wins = "chosen_score AS chosen_win, rejected_score AS rejected_win"
        return pairs._replace(examples=rows.sql(f"SELECT * REPLACE ('win_rates' AS strategy), {wins} FROM unmarked_pairs"))
