"""A reward model's opinion: any sequence classification model, as it is or as the chance to beat the others of the group.

    reward      R(x, y): the single logit, or with several classes the probability of class `label`
    win_rate    P_i = (1/k) Σ_j P(y_i > y_j) over the group, j = i included with 1/2 (SPPO, Wu et al. 2024), where
                P(y > y') = σ(R(x, y) - R(x, y')) (Bradley and Terry 1952)
    pairwise    the same, and a row for every P(y_i > y_j) with the rival named

Gives a high score to what its training data preferred. Cannot catch: what those data did not know, and texts that please
the model and nobody else; rewards of two models have no common scale. Undecided: what was not sampled or passes the
model's positions. A completion without rivals has a win rate of 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import pyarrow as pa

from lib import casting
from lib.engine_kinds import Reading
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores


class RewardModel(Strategy):
    """One score per completion; with `pairwise` also one per completion and rival of its group."""

    name: str = "reward_model"
    """The name of its verdicts."""
    measure: Literal["reward", "win_rate", "pairwise"] = "reward"
    """What the score is."""
    role: str = "reward_model"
    """Whose engine reads; it needs one over a classification model: engines={"reward_model": Classifier()}."""
    model: str = "previous"
    """Its checkpoint: external:PATH, base, previous, champion, round:N; in an evaluator `measured`."""
    label: int = 1
    """The class whose probability is the reward, where the model has several."""

    unit: ClassVar[str] = "group"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        rows = scores.rows_of(tables, "completion_ids")
        rewards = self._rewards(rows, tables, engines)
        if self.measure == "reward":
            return scores.table([self._whole(row, reward, reward) for row, reward in zip(rows, rewards, strict=True)])
        rates: dict[int, float] = {}
        wins: dict[tuple[int, int], float | None] = {}
        for members in scores.groups_of(rows):
            wins |= {(a, b): _wins(rewards[a], rewards[b]) for a in members for b in members if a != b}
            rates |= scores.win_rates(wins, [place for place in members if rewards[place] is not None])
        whole = [self._whole(row, rates.get(place), rewards[place]) for place, row in enumerate(rows)]
        return scores.table([*whole, *(self._pairs(rows, wins) if self.measure == "pairwise" else ())])

    def owes(self, tables: Tables) -> int:
        rows = scores.rows_of(tables)
        pairs = sum(len(group) * (len(group) - 1) for group in scores.groups_of(rows))
        return len(rows) + (pairs if self.measure == "pairwise" else 0)

    def _rewards(self, rows: Sequence[scores.Row], tables: Tables, engines: Mapping[str, Engine]) -> list[float | None]:
        asked = scores.problems_of(tables)
        sampled = [row["finish_reason"] != "error" for row in rows]
        readings = [
            Reading(asked[row["problem_id"]]["messages"], [scores.shown(row["text"])])
            for row, there in zip(rows, sampled, strict=True)
            if there
        ]
        read = iter(casting.reader_of(engines, self.role, self.model).read(readings, tables.report))
        logits = [next(read) if there else None for there in sampled]
        return [None if found is None else scores.class_score(found[0], self.label, of=self.name) for found in logits]

    def _whole(self, row: scores.Row, score: float | None, reward: float | None) -> scores.Row:
        reason = f"reward {reward:.6g}" if reward is not None else _missing(row)
        return scores.verdict(row, self.name, score, reason, n_tokens=len(row["completion_ids"]))

    def _pairs(self, rows: Sequence[scores.Row], wins: Mapping[tuple[int, int], float | None]) -> list[scores.Row]:
        return [
            scores.verdict(rows[a], self.name, chance, "chance to be preferred", rival_id=rows[b]["completion_id"])
            for (a, b), chance in wins.items()
        ]


def _wins(mine: float | None, its: float | None) -> float | None:
    """Bradley and Terry's chance that the first is preferred."""
    if mine is None or its is None:
        return None
    return scores.logistic(mine - its)


def _missing(row: scores.Row) -> str:
    return "not sampled" if row["finish_reason"] == "error" else "longer than the model's positions"
