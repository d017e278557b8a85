"""What a proposed problem is worth to those who are to learn from it: the proposer's reward, by how often it is solved.

With p the share of right among a problem's decided answers, by exact verdicts or by the vote of a group (Majority):

    r_zero    1 - 2 |p - 1/2|                               R-Zero, Huang et al. 2025
    agent0    min(p, 1 - p) + 0.05 min(tool calls, 4)       Agent0, Xia et al. 2025, by its code; its paper has the row above
    spell     exp(-(p - 1/2)² / (2 (1/6)²)), 0 at 0 and 1   SPELL, Yang et al. 2025
    azr       1 - p, 0 at p = 0                             Absolute Zero, Zhao et al. 2025

less `repetition` times the share of the proposals that have the same text. A proposal that became no problem gets `unreadable`.

Accepts a proposal that is solved half the time. Rejects one that is always or never solved. Cannot catch: a problem that is hard
because it is ill posed, and by a vote one that all solve wrongly alike. Undecided: what was not sampled, and a problem without a
decided answer. Tool calls are the runs of masked tokens, their mean over a problem's answers. Left out: clusters of proposals that are
alike by BLEU (Agent0); here alike is equal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores


class ProposalReward(Strategy):
    """One score per proposal; no outcome."""

    name: str = "proposal_reward"
    """The name of its verdicts."""
    form: Literal["r_zero", "agent0", "spell", "azr"] = "r_zero"
    """The formula, as above."""
    repetition: float = Field(default=0.0, ge=0)
    """What the share of equal proposals counts; Agent0 takes 1."""
    unreadable: float = -1.0
    """The reward of a proposal that became no problem, whether it cannot be read, is known already or is held out."""
    proposer: str = "proposer"
    """The role whose completions are proposals."""
    verifier: str | None = None
    """Whose verdicts on the answers count; None: every verifier's with an outcome."""

    looks_back: ClassVar[bool] = True

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        proposals = self._proposals(tables)
        texts = Counter(row["text"] for row in proposals)
        born = _born(tables)
        rates, calls = self._rates(tables), _calls(tables)
        made = []
        for row in proposals:
            problem = born.get(row["completion_id"])
            if row["finish_reason"] == "error":
                made.append(scores.verdict(row, self.name, None, "not sampled"))
            elif problem is None:
                made.append(scores.verdict(row, self.name, self.unreadable, "became no problem"))
            elif problem not in rates:
                made.append(scores.verdict(row, self.name, None, "no answer to it is decided"))
            else:
                p, share = rates[problem], texts[row["text"]] / len(proposals)
                reward = self._reward(p, calls.get(problem, 0.0)) - self.repetition * share
                made.append(scores.verdict(row, self.name, reward, f"{p:.6g} of its answers are right"))
        return scores.table(made)

    def owes(self, tables: Tables) -> int:
        return len(self._proposals(tables))

    def _proposals(self, tables: Tables) -> list[scores.Row]:
        return [row for row in scores.rows_of(tables, "role") if row["role"] == self.proposer]

    def _rates(self, tables: Tables) -> dict[str, float]:
        """problem_id → the share of right among its decided answers."""
        said: dict[str, set[str]] = {}
        for row in tables.verdicts.select(["completion_id", "verifier", "outcome", "step", "rival_id"]).to_pylist():
            whole = row["step"] is None and row["rival_id"] is None and row["outcome"] is not None
            if whole and self.verifier in (None, row["verifier"]):
                said.setdefault(row["completion_id"], set()).add(row["outcome"])
        answers: dict[str, list[bool]] = {}
        for row in scores.rows_of(tables, "role"):
            outcomes = said.get(row["completion_id"], {"undecided"})
            if row["role"] != self.proposer and "undecided" not in outcomes:
                answers.setdefault(row["problem_id"], []).append(outcomes == {"correct"})
        return {problem: sum(found) / len(found) for problem, found in answers.items()}

    def _reward(self, p: float, calls: float) -> float:
        if self.form == "r_zero":
            return 1 - 2 * abs(p - 0.5)
        if self.form == "agent0":
            return min(p, 1 - p) + 0.05 * min(calls, 4)
        if self.form == "spell":
            return math.exp(-((p - 0.5) ** 2) * 18) if 0 < p < 1 else 0.0
        return 1 - p if p else 0.0


def _born(tables: Tables) -> dict[str, str]:
    """completion_id of a proposal → the problem that it became, alone or with others."""
    rows = tables.problems.select(["problem_id", "source", "parent_ids"]).to_pylist()
    return {parent: row["problem_id"] for row in rows if row["source"] == "proposed" for parent in row["parent_ids"] or ()}


def _calls(tables: Tables) -> dict[str, float]:
    """problem_id → how often its answers call a tool, in the mean."""
    found: dict[str, list[int]] = {}
    for row in tables.completions.select(["problem_id", "loss_mask"]).to_pylist():
        found.setdefault(row["problem_id"], []).append(_runs(row["loss_mask"] or ()))
    return {problem: sum(counts) / len(counts) for problem, counts in found.items()}


def _runs(mask: Sequence[int]) -> int:
    return sum(not loss for loss, _ in groupby(mask))
