"""Rows of records.COMPLETIONS: asking a model, and writing down what it answered, alike for every sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from lib import records, seeds
from lib.errors import UnknownName
from lib.protocols import Engine, Report, Request, Sampled


@dataclass(frozen=True, slots=True)
class Ask:
    """One problem as a model is shown it, and the attempt that it follows."""

    problem_id: str
    messages: list[dict[str, str]]
    turn: int = 0
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """How one completion was drawn."""

    seed: int
    sample_index: int
    temperature: float
    top_p: float


class Law(Protocol):
    """How completions are drawn: the settings that samplers of independent completions share."""

    @property
    def n(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def max_new_tokens(self) -> int: ...
    @property
    def role(self) -> str: ...


def engine_of(engines: Mapping[str, Engine], role: str) -> Engine:
    """The engine that plays a role. Raises UnknownName if no model does."""
    if role not in engines:
        raise UnknownName("model for role", role, engines, "in this stage")
    return engines[role]


def sampled(asks: Sequence[Ask], engines: Mapping[str, Engine], law: Law, seed: int, report: Report) -> pa.Table:
    """`law.n` completions of each ask, in order, from one call of the engine.

    Sample i of a problem draws from the stream (seed, problem, i): it depends neither on the other problems nor on n.
    """
    engine = engine_of(engines, law.role)
    requests = [Request(engine.render(ask.messages), tuple(seeds.seed_of(seed, ask.problem_id, i) for i in range(law.n))) for ask in asks]
    answers = engine.sample(requests, temperature=law.temperature, top_p=law.top_p, max_new_tokens=law.max_new_tokens, report=report)
    rows: list[dict[str, Any]] = []
    for ask, request, samples in zip(asks, requests, answers, strict=True):
        group_id = seeds.short_id(seed, ask.problem_id, engine.model_id, law.role)
        for index, sample in enumerate(samples):
            rows.append(_sampled_row(ask, engine, law, request, index, sample) | {"group_id": group_id})
    return records.COMPLETIONS.table(rows)


def _sampled_row(ask: Ask, engine: Engine, law: Law, request: Request, index: int, sample: Sampled) -> dict[str, Any]:
    drawn = Drawn(request.seeds[index], index, law.temperature, law.top_p)
    written = {} if sample.text is None else {"text": sample.text}
    return named(ask, engine, law.role, drawn, request.prompt_ids, sample.ids, sample.finish_reason) | {
        **written,
        "ids_source": sample.ids_source,
        "logprobs": sample.logprobs,
        "logprobs_at_1": sample.logprobs_at_1,
        "entropy_mean": sample.entropy_mean,
    }


def named(
    ask: Ask, engine: Engine, role: str, drawn: Drawn, prompt_ids: Sequence[int], completion_ids: Sequence[int], finish_reason: str
) -> dict[str, Any]:
    """The part of a row that its completion_id is made of, with that id and the text."""
    identity = {
        "problem_id": ask.problem_id,
        "model_id": engine.model_id,
        "role": role,
        "turn": ask.turn,
        "parent_id": ask.parent_id,
        "seed": drawn.seed,
        "sample_index": drawn.sample_index,
        "temperature": drawn.temperature,
        "top_p": drawn.top_p,
        "prompt_ids": list(prompt_ids),
        "completion_ids": list(completion_ids),
        "finish_reason": finish_reason,
    }
    return {"completion_id": seeds.short_id(identity), "step": 0, "text": engine.decode(completion_ids), **identity}
