"""Adapting to each problem before answering it: a few steps on what the model itself finds best, on a copy of its weights.

For each problem: draw attempts, let verifiers that see no gold answer pick among them, train a copy of the model on what was
picked, sample from the copy, and let it go, so that no problem learns from another (test-time training; TT-SI of Acikgoz et al.
2025 trains on variants of the problem that the model writes, which is left out here, as TTRL's policy gradient is). Answer and
tests of a problem are taken out before anything sees it, so its golds cannot reach a copy; what judges the answers afterwards
is not this sampler's. Every copy is written to the disk and read again, a problem at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator

from lib import casting, records, seeds
from lib.engine_kinds import Adaptable
from lib.errors import UserError
from lib.protocols import Engine, Report, Tables, silent
from lib.samplers.independent import Independent
from lib.samplers.rows import Ask, engine_of, sampled
from lib.strategy import AnyStrategy, Strategy

GOLDS = ("answer", "tests", "answer_share")
"""Columns of a problem that say, or come of knowing, what is right."""


class Adapted(Strategy):
    """n completions of each problem by a copy of the model that was adapted to it alone.

    Where the verifiers pick nothing, or there is no trainer, the model itself answers: so a sampler without a trainer is the
    control of one with it, on the same problems and seeds.
    """

    trainer: AnyStrategy | None = None
    """What adapts the copy: one that learns sft examples, for a few steps. Its start_from is not heeded. None adapts nothing."""
    verifiers: tuple[AnyStrategy, ...] = ()
    """What picks among the attempts that came to their end, none of them knowing a gold answer: those that all call correct, or
    else the one of the highest score."""
    attempts: Independent = Independent(n=16)
    """How the attempts are drawn."""
    problems: int | None = Field(None, ge=1)
    """The most problems of a shard, chosen by their ids; the others get no completion. None: all of them."""
    n: int = Field(8, ge=1)
    """Completions of each problem, drawn from the adapted copy."""
    temperature: float = Field(1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(24, ge=1)
    """Where a completion is cut off; the end-of-text token counts."""
    role: str = "policy"
    """Whose model answers."""

    @model_validator(mode="after")
    def _fits(self) -> Adapted:
        for verifier in self.verifiers:
            if casting.knows_gold(verifier):
                raise UserError(
                    f"Adapted: {type(verifier).__name__} looks at gold answers, which a test has not; pick by Majority or Likelihood"
                )
        if self.trainer is not None and getattr(self.trainer, "learns_from", "") != "sft":
            raise UserError(f"Adapted: {type(self.trainer).__name__} does not learn sft examples; give one that does, such as Sft")
        if (self.trainer is None) != (not self.verifiers):
            raise UserError("Adapted needs both a trainer and verifiers that pick what it learns, or neither; give the other too")
        if self.trainer is not None and getattr(self.trainer, "replay", None):
            raise UserError("Adapted: nothing is replayed to a copy that is adapted; leave the trainer's replay empty")
        return self

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        chosen = _without_golds(self._chosen(tables.problems))
        made = [records.COMPLETIONS.empty()]
        for place in range(chosen.num_rows):
            made.append(self._answered(chosen.slice(place, 1), engines, seed))
            report(place + 1, chosen.num_rows)
        return pa.concat_tables(made)

    def owes(self, tables: Tables) -> int:
        return self._chosen(tables.problems).num_rows * self.n

    def _chosen(self, problems: pa.Table) -> pa.Table:
        if self.problems is None or self.problems >= problems.num_rows:
            return problems
        names = problems["problem_id"].to_pylist()
        places = sorted(range(len(names)), key=lambda place: seeds.digest(["adapted", names[place]]))
        return problems.take(sorted(places[: self.problems]))

    def _answered(self, problem: pa.Table, engines: Mapping[str, Engine], seed: int) -> pa.Table:
        """One problem's completions."""
        engine = engine_of(engines, self.role)
        examples = self._examples(problem, engines, seed)
        if self.trainer is None or not examples.num_rows:
            return self._from(engine, problem, engines, seed)
        if not isinstance(engine, Adaptable):
            raise UserError(
                f"Adapted trains a copy of the model, and {type(engine).__name__} cannot; give it an engine such as Huggingface()"
            )
        name = problem["problem_id"][0].as_py()
        trainer: Any = self.trainer
        with engine.trained(trainer, examples, seeds.seed_of(seed, "adapted", name)) as copy:
            return self._from(copy, problem, engines, seed)

    def _from(self, engine: Engine, problem: pa.Table, engines: Mapping[str, Engine], seed: int) -> pa.Table:
        (row,) = problem.select(["problem_id", "prompt"]).to_pylist()
        ask = Ask(row["problem_id"], records.chat(row["prompt"]))
        return sampled([ask], Tables(problem), {**engines, self.role: engine}, self, seed, silent)

    def _examples(self, problem: pa.Table, engines: Mapping[str, Engine], seed: int) -> pa.Table:
        """What is learned of a problem: its picked attempts, token for token, each weighing the same."""
        if self.trainer is None:
            return records.SFT.empty()
        attempts = self.attempts.sample(Tables(problem), engines, seeds.seed_of(seed, "attempts"), silent)
        given = Tables(problem, attempts, seed=seed)
        said = [verifier.verify(given, engines).to_pylist() for verifier in _verifying(self.verifiers)]
        ended = {row["completion_id"]: row for row in attempts.to_pylist() if row["finish_reason"] == "stop"}
        picked = _picked([row for rows in said for row in rows if row["completion_id"] in ended])
        return records.SFT.table([_example(row) for name, row in ended.items() if name in picked])


def _verifying(verifiers: Sequence[Strategy]) -> Sequence[Any]:
    return verifiers


def _without_golds(problems: pa.Table) -> pa.Table:
    for name in GOLDS:
        field = problems.schema.field(name)
        problems = problems.set_column(problems.schema.get_field_index(name), field, pa.nulls(problems.num_rows, field.type))
    return problems


def _picked(verdicts: Sequence[dict[str, Any]]) -> set[str]:
    """The completions that every verifier with an outcome calls correct; where none has one, that of the highest mean score."""
    told = [row for row in verdicts if row["outcome"] is not None and row["outcome"] != "undecided"]
    wrong = {row["completion_id"] for row in verdicts if row["outcome"] in ("wrong", "undecided")}
    if told:
        return {row["completion_id"] for row in told} - wrong
    scores: dict[str, list[float]] = {}
    for row in verdicts:
        if row["score"] is not None:
            scores.setdefault(row["completion_id"], []).append(row["score"])
    means = {name: sum(found) / len(found) for name, found in scores.items()}
    return {min(means, key=lambda name: (-means[name], name))} if means else set()


def _example(row: dict[str, Any]) -> dict[str, object]:
    ids = [*row["prompt_ids"], *row["completion_ids"]]
    labels = [records.IGNORED] * len(row["prompt_ids"]) + list(row["completion_ids"])
    name = seeds.short_id("adapted", row["completion_id"])
    return {"example_id": name, "problem_id": row["problem_id"], "input_ids": ids, "labels": labels, "weight": 1.0}
