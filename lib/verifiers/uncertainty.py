"""How far several verifiers disagree about a completion, as one who asks several times takes it: V.mcd's epistemic uncertainty.

    bald       u = h(p̄) - (1/T) Σ_t h(p_t),  h(p) = -p ln p - (1-p) ln(1-p),  p̄ = (1/T) Σ_t p_t      (Houlsby et al. 2011)
    variance   u = (1/T) Σ_t (p_t - p̄)²

p_t in [0, 1] is member t's score: its chance that the completion is right, or 1 and 0 where it says correct and wrong. `bald` is
what one member's word tells of which member was asked, in nats: 0 where all say the same, however unsure each is, and at most
ln 2. The members are an ensemble (judges, value models, one role at several checkpoints); passes of one model with its dropout
on are left out, for the models here are asked without.

Has no outcome, so it rejects nothing; a filter can drop by the score (`Keep`). Cannot catch what all members get wrong
together. Undecided: where any member is undecided or says nothing of the completion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa
from pydantic import model_validator

from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import AnyStrategy, Strategy
from lib.verifiers import scores
from lib.verifiers.members import left_open, member_name, score_of, unit_of, whole


class Uncertainty(Strategy):
    """One score per completion: 0 where its members agree."""

    name: str = "uncertainty"
    """The name of its verdicts."""
    of: tuple[AnyStrategy, ...]
    """The verifiers that are asked; two or more."""
    measure: Literal["bald", "variance"] = "bald"
    """Which measure of their disagreement."""

    @model_validator(mode="after")
    def _has_members(self) -> Uncertainty:
        if len(self.of) < 2:
            raise UserError(f"{self.name}: {len(self.of)} verifier cannot disagree; give two or more: Uncertainty(of=(Judge(), …))")
        return self

    @property
    def unit(self) -> str:
        """What is judged together."""
        return unit_of(self.of)

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        """Raises UserError where a member's score is no chance."""
        members = [whole(member, tables, engines) for member in self.of]
        rows = scores.rows_of(tables)
        return scores.table([self._verdict(row, [member.get(row["completion_id"]) for member in members]) for row in rows])

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _verdict(self, row: scores.Row, members: Sequence[scores.Row | None]) -> scores.Row:
        chances = []
        for member, said in zip(self.of, members, strict=True):
            if said is None or left_open(said):
                return scores.verdict(row, self.name, None, f"{member_name(member)} {left_open(said)}")
            chances.append(score_of(said))
        if outside := [chance for chance in chances if not 0 <= chance <= 1]:
            raise UserError(f"{self.name}: a score of {outside[0]:g} is no chance; give it verifiers whose scores lie in [0, 1]")
        value = bald(chances) if self.measure == "bald" else variance(chances)
        return scores.verdict(row, self.name, value, f"{self.measure} of {', '.join(f'{chance:.6g}' for chance in chances)}")


def bald(chances: Sequence[float]) -> float:
    """What asking one of them tells of which it was, in nats, within [0, ln 2]."""
    return max(0.0, entropy(math.fsum(chances) / len(chances)) - math.fsum(map(entropy, chances)) / len(chances))


def variance(chances: Sequence[float]) -> float:
    """Their variance, over T and not T - 1, within [0, 1/4]."""
    mean = math.fsum(chances) / len(chances)
    return math.fsum((chance - mean) ** 2 for chance in chances) / len(chances)


def entropy(chance: float) -> float:
    """Of a coin with this chance, in nats."""
    return -math.fsum(p * math.log(p) for p in (chance, 1 - chance) if p > 0)
