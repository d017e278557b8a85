"""Rejection sampling: keep the completions whose verdicts are all correct (F.keep with tau = 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class KeepCorrect(Strategy):
    """Keeps a completion if every outcome verdict on it is `correct`.

    Reasons: `undecided` if any verdict is, else `wrong` if any is, and `no verdict` where there is none.
    """

    verifier: str | None = None
    """Whose verdicts count; None: every verifier's."""

    def filter(self, rows: Rows) -> Relation:
        return rows.sql(
            "SELECT completion_id, nullif(outcome, 'correct') AS reason FROM judged($verifier)",
            verifier=rows.known_verifier(self.verifier),
        )
