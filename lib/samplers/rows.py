"""Rows of records.COMPLETIONS: asking a model, and writing down what it answered, alike for every sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pyarrow as pa

from lib import records, seeds
from lib.errors import UnknownName
from lib.prompts import refuse_too_long, rendered
from lib.protocols import Engine, Report, Request, Sampled, Tables
from lib.samplers.standing import by_stream, joined, shortened


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


def sampled(asks: Sequence[Ask], tables: Tables, engines: Mapping[str, Engine], law: Law, seed: int, report: Report) -> pa.Table:
    """`law.n` completions of each ask, in order; what stands of an earlier run is taken, and only the rest is drawn.

    Sample i of a problem draws from the stream (seed, problem, i): it depends neither on the other problems nor on n.
    """
    engine = engine_of(engines, law.role)
    prompts = [rendered(engine.render, ask.problem_id, ask.messages) for ask in asks]
    refuse_too_long([ask.problem_id for ask in asks], prompts, law.max_new_tokens, getattr(engine, "positions", None))
    requests = [
        Request(prompt, tuple(seeds.seed_of(seed, ask.problem_id, i) for i in range(law.n)))
        for ask, prompt in zip(asks, prompts, strict=True)
    ]
    answers = _Answers(tables, engine, law).to(asks, requests, report)
    rows: list[dict[str, Any]] = []
    for number, (ask, request) in enumerate(zip(asks, requests, strict=True)):
        group_id = seeds.short_id(seed, ask.problem_id, engine.model_id, law.role)
        for index in range(law.n):
            rows.append(_sampled_row(ask, engine, law, request, index, answers[number, index]) | {"group_id": group_id})
    return records.COMPLETIONS.table(rows)


Place = tuple[int, int]
"""Which ask, and which of its samples."""


class _Answers:
    """What an engine answered earlier, and what it is still to be asked."""

    def __init__(self, tables: Tables, engine: Engine, law: Law) -> None:
        self._stands, self._begun = by_stream(tables.earlier), by_stream(tables.begun)
        self._engine, self._law = engine, law

    def to(self, asks: Sequence[Ask], requests: Sequence[Request], report: Report) -> dict[Place, Sampled]:
        """A completion for every place: one call of the engine for what is missing, and one for each length begun."""
        answers: dict[Place, Sampled] = {}
        begun: dict[Place, Sampled] = {}
        for number, (ask, request) in enumerate(zip(asks, requests, strict=True)):
            for index, seed in enumerate(request.seeds):
                stream = (ask.problem_id, ask.turn, ask.parent_id, seed)
                if stream in self._stands:
                    answers[number, index] = shortened(self._stands[stream], self._law.max_new_tokens)
                elif stream in self._begun:
                    begun[number, index] = self._begun[stream]
        owed, done = sum(len(request.seeds) for request in requests) - len(answers), 0
        for start in sorted({len(one.ids) for one in begun.values()}, reverse=True):
            places = [place for place, one in begun.items() if len(one.ids) == start]
            onward = [_onward(requests[number], index, begun[number, index]) for number, index in places]
            more = self._asked(onward, start, report, done, owed)
            answers |= {place: joined(begun[place], one, self._engine) for place, (one,) in zip(places, more, strict=True)}
            done += len(places)
        missing = [[index for index in range(len(r.seeds)) if (number, index) not in answers] for number, r in enumerate(requests)]
        rest = [replace(request, seeds=tuple(request.seeds[i] for i in its)) for request, its in zip(requests, missing, strict=True)]
        for number, (its, samples) in enumerate(zip(missing, self._asked(rest, 0, report, done, owed), strict=True)):
            answers |= {(number, index): one for index, one in zip(its, samples, strict=True)}
        return answers

    def _asked(self, requests: Sequence[Request], start: int, report: Report, before: int, owed: int) -> list[list[Sampled]]:
        law, count = self._law, sum(len(request.seeds) for request in requests)

        def told(done: int, total: int) -> None:
            report(before + count * done // max(total, 1), owed)

        limit = law.max_new_tokens - start
        return self._engine.sample(requests, temperature=law.temperature, top_p=law.top_p, max_new_tokens=limit, report=told)


def _onward(request: Request, index: int, begun: Sampled) -> Request:
    return Request([*request.prompt_ids, *begun.ids], (request.seeds[index],), len(begun.ids))


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
