"""A reward for being right in fewer tokens than the other right completions of the group.

    r = 1[correct] (1 + w (L_max - L) / (L_max - L_min))

with L the tokens of a completion, and L_max and L_min those of the longest and shortest correct one of its group; where they
are equal, as for a lone correct one, nothing is added. After self-guided efficiency training (Zhao et al., "Exploring and
Exploiting the Inherent Efficiency within Large Reasoning Models", 2025), whose exact form is not settled here: w is a setting.

Accepts and rejects what the verifiers within do, and catches what they catch. Cannot catch a right answer that leaves out what
a reader needs. Undecided: what they leave undecided; it counts for no length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from lib.protocols import Engine, Tables
from lib.strategy import AnyStrategy, Strategy
from lib.verifiers import scores
from lib.verifiers.members import together


class Brevity(Strategy):
    """One verdict per completion: the outcome of the verifiers within, and the reward above as its score."""

    unit: ClassVar[str] = "group"
    takes_own_verifiers: ClassVar[str] = "of"

    name: str = "brevity"
    """The name of its verdicts."""
    of: tuple[AnyStrategy, ...] = ()
    """The verifiers that say what is correct; none takes the problem set's own."""
    weight: float = Field(0.5, ge=0)
    """What the shortest correct completion of a group earns beside its 1."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        said = together(self.of, tables, engines)
        rows = scores.rows_of(tables, "completion_ids")
        lengths = [len(row["completion_ids"]) for row in rows]
        rewards: dict[int, float] = {}
        for group in scores.groups_of(rows):
            right = [place for place in group if said[rows[place]["completion_id"]].outcome == "correct"]
            longest, shortest = (pick((lengths[place] for place in right), default=0) for pick in (max, min))
            for place in right:
                rewards[place] = 1 + (self.weight * (longest - lengths[place]) / (longest - shortest) if longest > shortest else 0)
        made = []
        for place, row in enumerate(rows):
            one = said[row["completion_id"]]
            decided = one.outcome in ("correct", "wrong") and row["finish_reason"] != "error"
            score = rewards.get(place, 0.0) if decided else None
            reason = f"{lengths[place]} tokens; {one.reason}"
            outcome = one.outcome if decided else "undecided"
            made.append(scores.verdict(row, self.name, score, reason, outcome=outcome, n_tokens=lengths[place]))
        return scores.table(made)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows
