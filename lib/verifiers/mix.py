"""Several verifiers as one: gates, then a weighted sum, a product or the least of their scores.

    sum       r = Σ_j w_j s_j            product   r = Π_j s_j            min   r = min_j s_j

s_j is member j's score for the whole completion, or 1 if it says correct and 0 if it says wrong where it has no score. Every
gate must say correct, or r is `gated` whatever the rest; so B-STaR's reward 1[correct] + min_k PRM_k / 5 is
Mix(of=(Answer(), Process()), weights=(1, 0.2)). The outcome is correct from `threshold` on and wrong below; or it is that of
the member or gate that `outcome_of` names, whatever r is; with neither the mix is a score alone.

Accepts and rejects what its members do, and catches what they catch together. Cannot catch what all of them miss; scores on
different scales need weights that fit. Undecided: where any gate or member is undecided or says nothing of the completion,
unless a gate is wrong already. Members' verdicts on steps and against rivals are not read, nor kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa
from pydantic import Field, model_validator

from lib.errors import UnknownName, UserError
from lib.protocols import Engine, Tables
from lib.strategy import AnyStrategy, Strategy
from lib.verifiers import scores
from lib.verifiers.members import left_open, member_name, score_of, unit_of, whole


class Mix(Strategy):
    """One verdict per completion, from those of other verifiers."""

    name: str = "mix"
    """The name of its verdicts."""
    of: tuple[AnyStrategy, ...] = Field((), validate_default=True)
    """The verifiers whose scores count."""
    weights: tuple[float, ...] = ()
    """One weight for each of them, for a sum; 1 each unless given."""
    how: Literal["sum", "product", "min"] = "sum"
    """How the scores become one."""
    gates: tuple[AnyStrategy, ...] = ()
    """Verifiers that must all say correct."""
    gated: float = 0.0
    """The score where one of them says wrong."""
    threshold: float | None = None
    """The least score that is correct; None gives no outcome by score."""
    outcome_of: str = ""
    """The member or gate whose outcome is the mix's."""

    @model_validator(mode="after")
    def _fits(self) -> Mix:
        members = [*self.of, *self.gates]
        if not self.of:
            raise UserError(f"{self.name} mixes nothing; give it verifiers: Mix(of=(Answer(), …))")
        for member in members:
            if not hasattr(member, "verify"):
                raise UserError(f"{self.name}: {type(member).__name__} cannot verify; give verifiers of lib/verifiers")
        if self.weights and (self.how != "sum" or len(self.weights) != len(self.of)):
            raise UserError(f"{self.name}: {len(self.weights)} weights for the {self.how} of {len(self.of)}; give a sum one weight each")
        names = [member_name(member) for member in members]
        if len(set(names)) < len(names):
            raise UserError(f"{self.name}: two of {', '.join(names)} have one name, so they could not be told apart; name one otherwise")
        if self.outcome_of and self.outcome_of not in names:
            raise UnknownName("member", self.outcome_of, names, f"of {self.name}")
        if self.outcome_of and self.threshold is not None:
            raise UserError(f"{self.name}: threshold and outcome_of both decide the outcome; leave one out")
        return self

    @property
    def unit(self) -> str:
        """What is judged together."""
        return unit_of((*self.of, *self.gates))

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        gates, members = ([whole(member, tables, engines) for member in group] for group in (self.gates, self.of))
        rows = scores.rows_of(tables)
        ids = [row["completion_id"] for row in rows]
        return scores.table(
            [self._mixed(row, [gate.get(i) for gate in gates], [m.get(i) for m in members]) for i, row in zip(ids, rows, strict=True)]
        )

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _mixed(self, row: scores.Row, gates: Sequence[scores.Row | None], members: Sequence[scores.Row | None]) -> scores.Row:
        named = dict(zip(map(member_name, self.gates), gates, strict=True)) | dict(zip(map(member_name, self.of), members, strict=True))
        shut = [
            name for name, gate in zip(map(member_name, self.gates), gates, strict=True) if gate is not None and gate["outcome"] == "wrong"
        ]
        if shut:
            return self._verdict(row, self.gated, f"{shut[0]} is wrong", named)
        for name, said in named.items():
            if why := left_open(said):
                return scores.verdict(row, self.name, None, f"{name} {why}")
        found = [score_of(said) for said in members if said is not None]
        weights = self.weights or (1.0,) * len(found)
        terms = [f"{name} {value:.6g}" for name, value in zip(map(member_name, self.of), found, strict=True)]
        total = math.fsum(weight * value for weight, value in zip(weights, found, strict=True))
        score = {"sum": total, "product": math.prod(found), "min": min(found)}[self.how]
        return self._verdict(row, score, f"{self.how} of {', '.join(terms)}", named)

    def _verdict(self, row: scores.Row, score: float, reason: str, named: Mapping[str, scores.Row | None]) -> scores.Row:
        made = scores.verdict(row, self.name, score, reason)
        if made["outcome"] is not None:
            return made
        if self.outcome_of:
            said = named[self.outcome_of]
            return {**made, "outcome": said["outcome"] if said else "undecided"}
        if self.threshold is not None:
            return {**made, "outcome": "correct" if score >= self.threshold else "wrong"}
        return made
