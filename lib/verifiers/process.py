"""Scores for every step of an answer, from a classification model, and their aggregate for the whole.

The steps are the pieces between separators that are not blank. A token model gives its score at each step's last token
(separator included, as TRL's PRMTrainer labels them), a sequence model after reading the answer up to there. A step's score is the
probability of class `label`, or σ of a single logit. The whole is their min, product, mean or last (B-STaR takes min;
Lightman et al. 2023 the product).

Accepts a chain whose every step the model believes. Rejects, under min and product, one with a single doubtful step.
Cannot catch: errors that the model was not trained to see, and steps left out. Undecided: what was not sampled, has no
step or more than MOST_STEPS, or passes the model's positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa

from lib import casting
from lib.engine_kinds import Reading
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores
from lib.verifiers.steps import MOST_STEPS, steps_of


class Process(Strategy):
    """One score per step, with the step's number from 1, and one for the whole completion; no outcome."""

    name: str = "process"
    """The name of its verdicts."""
    aggregate: Literal["min", "product", "mean", "last"] = "min"
    """The whole's score from the steps'."""
    separator: str = "\n"
    """What stands between steps; pieces of white space alone are none."""
    ending: str | None = None
    """What is read after the last step of an answer that stopped by itself, such as `<eos>` for a model trained on whole
    answers with their end; None: the separator, as after every other step."""
    role: str = "process"
    """Whose engine reads; it needs one over a classification model: engines={"process": Classifier()}."""
    model: str = "previous"
    """Its checkpoint: external:PATH, base, previous, champion, round:N; in an evaluator `measured`."""
    label: int = 1
    """The class of a right step, where the model has several."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        rows = scores.rows_of(tables, "completion_ids")
        asked = scores.problems_of(tables)
        steps = [self._steps(row) for row in rows]
        readings = [
            Reading(asked[row["problem_id"]]["messages"], self._parts(row, found)) for row, found in zip(rows, steps, strict=True) if found
        ]
        read = iter(casting.reader_of(engines, self.role, self.model).read(readings, tables.report))
        made: list[scores.Row] = []
        for row, found in zip(rows, steps, strict=True):
            logits = next(read) if found else None
            made += self._verdicts(row, found, [] if logits is None else [self._score(values) for values in logits])
        return scores.table(made)

    def owes(self, tables: Tables) -> int:
        rows = scores.rows_of(tables)
        return len(rows) + sum(len(self._steps(row)) for row in rows)

    def _steps(self, row: scores.Row) -> list[str]:
        """The steps that are judged; none of an answer that was not sampled or has too many."""
        if row["finish_reason"] == "error":
            return []
        found = steps_of(scores.shown(row["text"]), self.separator)
        return found if len(found) <= MOST_STEPS else []

    def _parts(self, row: scores.Row, steps: Sequence[str]) -> list[str]:
        """The steps as they are read, each with what follows it."""
        *before, last = steps
        stopped = row["finish_reason"] == "stop" and not row["text"].endswith(self.separator)
        after = self.ending if self.ending is not None and stopped else self.separator
        return [*(step + self.separator for step in before), last + after]

    def _score(self, logits: Sequence[float]) -> float:
        if len(logits) == 1:
            return scores.logistic(logits[0])
        return scores.class_score(logits, self.label, of=self.name)

    def _verdicts(self, row: scores.Row, steps: Sequence[str], found: Sequence[float]) -> list[scores.Row]:
        tokens = {"n_tokens": len(row["completion_ids"])}
        if not found:
            why = "longer than the model's positions" if steps else f"not sampled, without a step or with more than {MOST_STEPS}"
            made = [scores.verdict(row, self.name, None, why, step=number, outcome=None) for number in range(1, len(steps) + 1)]
            return [scores.verdict(row, self.name, None, why, **tokens), *made]
        made = [scores.verdict(row, self.name, score, "the model's belief in it", step=number) for number, score in enumerate(found, 1)]
        whole = scores.verdict(row, self.name, self._aggregated(found), f"{self.aggregate} of {len(found)} steps", **tokens)
        return [whole, *made]

    def _aggregated(self, found: Sequence[float]) -> float:
        if self.aggregate == "mean":
            return math.fsum(found) / len(found)
        return {"min": min(found), "product": math.prod(found), "last": found[-1]}[self.aggregate]
