"""A model as the checker of Countdown attempts, in the built-in model's small language (lib.countdown_roles).

It is asked `1,5,8>45:8*5=40;40+5=45#:`, to which the reply is the number of the first wrong step, or 0 for a right attempt.
The score is P(right) = p("0") / Σ_d p(d), over the digits d from 0 to the number of the attempt's steps, by teacher forcing:
nothing is drawn. Gives a high score to what the model believes right, which is the reward of self-rewarding recipes.

Cannot catch what the model does not know, and a policy that learns from its own checks learns what they overlook. A score
and no outcome. Undecided: what was not sampled, a problem that is not of the form `1,5,8>45:`, and a question longer than
the model's positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import pyarrow as pa

from lib import casting, countdown_roles
from lib.countdown_steps import question
from lib.engine_kinds import Pair, Scorer
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores


class RoleCheck(Strategy):
    """One score per completion."""

    needs: ClassVar[tuple[str, ...]] = ("judge",)

    name: str = "check"
    """The name of its verdicts."""
    role: str = "policy"
    """Whose engine checks."""
    model: str = "previous"
    """Its checkpoint: previous (the policy checks itself), base, champion, round:N, external:PATH; in an evaluator `measured`."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        engine = casting.scorer_of(engines, self.role, self.model)
        problems = scores.problems_of(tables)
        rows = scores.rows_of(tables)
        asked = [_asked(row, problems[row["problem_id"]]["text"], engine) for row in rows]
        pairs = [pair for replies in asked if not isinstance(replies, str) for pair in replies]
        sums = iter([math.fsum(scored.logprobs) for scored in engine.score(pairs, tables.report)])
        return scores.table([self._verdict(row, replies, sums) for row, replies in zip(rows, asked, strict=True)])

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _verdict(self, row: scores.Row, replies: Sequence[Pair] | str, sums: Iterator[float]) -> scores.Row:
        if isinstance(replies, str):
            return scores.verdict(row, self.name, None, replies)
        found = [next(sums) for _ in replies]
        highest = max(found)
        powers = [math.exp(value - highest) for value in found]
        says = found.index(highest)
        reason = f"says that step {says} is wrong" if says else "says that it is right"
        return scores.verdict(row, self.name, powers[0] / math.fsum(powers), reason)


def _asked(row: scores.Row, prompt: str, engine: Scorer) -> list[Pair] | str:
    """The question about a completion with each reply that it may have, or why it cannot be asked."""
    if row["finish_reason"] == "error":
        return "not sampled"
    if question(prompt) is None:
        return "unreadable problem"
    ids = engine.render([{"role": "user", "content": countdown_roles.check_prompt(prompt, row["text"])}])
    steps = min(9, 1 + row["text"].count(";"))
    pairs: list[Pair] = [(ids, engine.encode(str(digit))[:-1]) for digit in range(steps + 1)]
    longest = max(len(ids) + len(reply) for _, reply in pairs)
    if engine.positions is not None and longest > engine.positions:
        return f"{longest} tokens pass the model's {engine.positions} positions"
    return pairs
