"""A bandit over categories of problems, paid in learning progress (K.bandit).

Chen et al., "Self-Evolving Curriculum for LLM Reasoning", 2025. Each arm is a category c with a value Q_c, 0 at first. The
advantages A of the last round's completions pay it, and arms are drawn by their values:

    g_c = mean |A| over the completions of category c        Q_c ← (1 - a) Q_c + a g_c        P(c) = exp(Q_c / T) / Σ exp(Q / T)

With rewards 0 and 1 the payment is 2 sqrt(p (1 - p)) on average, highest where half of the answers are right.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa
from pydantic import Field, field_validator

from lib import seeds
from lib.deciding import Decided, Seen
from lib.errors import UserError
from lib.strategy import Strategy

OTHER = "other"
"""The arm of problems that have no category, or whose gold answer the pattern does not match."""


class Bandit(Strategy):
    """Draws `count` of the round's problems: an arm by its value, then one of its problems uniformly, none twice.

    An arm whose problems are all drawn is out for the rest of the round. Completions of a group whose rewards are all equal
    have advantage 0 and pay so, though no example holds them; undecided ones do not count. One payment a round, where the
    paper has one a training step.
    """

    needs: ClassVar[tuple[str, ...]] = ("problems", "completions", "dropped", "examples_group")

    count: int = Field(ge=1)
    """Problems that the phase works at; all of them where there are no more."""
    reads: tuple[str, ...] = Field(("main/filter",), min_length=1)
    """The filter stages whose examples pay."""
    arm: str = ""
    """A pattern searched in the gold answer, whose first group names the arm; empty: the problem's category does."""
    rate: float = Field(0.5, gt=0, le=1)
    """a, how fast a value follows what was paid."""
    temperature: float = Field(0.4, gt=0)
    """T: the lower, the more the best arms are drawn. Published: 0.2, 0.4 and 1, by task."""
    decay: bool = True
    """Whether an arm that was not drawn is paid 0, as in the published code; in the paper's text it keeps its value."""

    @field_validator("arm")
    @classmethod
    def _is_a_pattern(cls, arm: str) -> str:
        try:
            re.compile(arm)
        except re.error as error:
            raise UserError(f"Bandit: arm={arm!r} is no pattern: {error}") from None
        return arm

    def decide(self, seen: Seen) -> Decided:
        """State: `value`, arm → Q; `chance`, arm → P; `drawn`, arm → how many problems were."""
        here = self._arms(seen.problems)
        paid = self._paid(seen.before)
        known: Mapping[str, float] = seen.state.get("value", {})
        values = {arm: known.get(arm, 0.0) for arm in sorted({*known, *paid, *here.values()})}
        if seen.before:
            values = {arm: self._moved(value, paid.get(arm)) for arm, value in values.items()}
        by_arm: dict[str, list[str]] = defaultdict(list)
        for problem in sorted(here, key=lambda name: seeds.digest([seen.seed, name])):
            by_arm[here[problem]].append(problem)
        chances = self._chances({arm: values[arm] for arm in sorted(by_arm)})
        chosen = self._drawn(by_arm, values, seen.seed)
        drawn = {arm: sum(here[problem] == arm for problem in chosen) for arm in sorted(by_arm)}
        return Decided({"value": values, "chance": chances, "drawn": drawn}, problems=chosen)

    def _arms(self, problems: pa.Table) -> dict[str, str]:
        """Problem → arm."""
        if not self.arm:
            pairs = zip(problems["problem_id"].to_pylist(), problems["category"].to_pylist(), strict=True)
            return {problem: category or OTHER for problem, category in pairs}
        pairs = zip(problems["problem_id"].to_pylist(), problems["answer"].to_pylist(), strict=True)
        found = {problem: re.search(self.arm, answer or "") for problem, answer in pairs}
        return {problem: (match[1] if match.re.groups else match[0]) or OTHER if match else OTHER for problem, match in found.items()}

    def _paid(self, before: Mapping[str, Mapping[str, pa.Table]]) -> dict[str, float]:
        """Arm → mean |A| over its completions of the round before."""
        payments: dict[str, list[float]] = defaultdict(list)
        for tables in before.values():
            arms = self._arms(tables["problems"])
            of = dict(zip(tables["completions"]["completion_id"].to_pylist(), tables["completions"]["problem_id"].to_pylist(), strict=True))
            examples = tables["examples_group"]
            for problem, advantage in zip(examples["problem_id"].to_pylist(), examples["advantage"].to_pylist(), strict=True):
                if problem in arms:  # else it was forgotten since
                    payments[arms[problem]].append(abs(advantage))
            for name, reason in zip(tables["dropped"]["id"].to_pylist(), tables["dropped"]["reason"].to_pylist(), strict=True):
                if reason == "zero variance" and of.get(name) in arms:
                    payments[arms[of[name]]].append(0.0)
        return {arm: math.fsum(sorted(found)) / len(found) for arm, found in payments.items()}

    def _moved(self, value: float, paid: float | None) -> float:
        if paid is None and not self.decay:
            return value
        return (1 - self.rate) * value + self.rate * (paid or 0.0)

    def _chances(self, values: Mapping[str, float]) -> dict[str, float]:
        """P of each arm."""
        highest = max(values.values())
        weights = {arm: math.exp((value - highest) / self.temperature) for arm, value in values.items()}
        return {arm: weight / math.fsum(weights.values()) for arm, weight in weights.items()}

    def _drawn(self, by_arm: Mapping[str, list[str]], values: Mapping[str, float], seed: int) -> list[str]:
        """The problems chosen; those of an arm stand in random order already."""
        waiting = {arm: list(reversed(problems)) for arm, problems in sorted(by_arm.items())}
        total = min(self.count, sum(map(len, waiting.values())))
        chosen = []
        for draw in seeds.uniforms([seed], 0, total)[0].tolist():
            chances = self._chances({arm: values[arm] for arm, problems in waiting.items() if problems})
            reached = 0.0
            arm = ""
            for arm, chance in chances.items():  # noqa: B007 - the last arm takes what rounding leaves
                reached += chance
                if draw < reached:
                    break
            chosen.append(waiting[arm].pop())
        return chosen
