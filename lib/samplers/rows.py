"""Rows of records.COMPLETIONS: asking a model, and writing down what it answered, alike for every sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pyarrow as pa

from lib import casting, records, seeds
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
    first: int = 0
    """The index of its first completion among those of its problem and stream."""
    stream: tuple[Any, ...] = ()
    """What tells its random streams and its group from those of the problem's other asks."""
    quotes: bool = False
    """Whether its prompt shows what a model wrote: where that makes it too long, it is not asked, and the others still are."""
    answerable: bool = True
    """Whether it is asked at all; not where what it follows was not sampled."""
    prompt_ids: Sequence[int] | None = None
    """Its prompt in tokens, where these are known already; the messages are not read then."""
    episode_id: str | None = None


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


def sampled(
    asks: Sequence[Ask],
    tables: Tables,
    engines: Mapping[str, Engine],
    law: Law,
    seed: int,
    report: Report,
    *,
    model: str = casting.USUAL,
    written_as: str = "",
) -> pa.Table:
    """`law.n` completions of each ask, in order; what stands of an earlier run is taken, and only the rest is drawn.

    Sample i of a problem draws from the stream (seed, problem, the ask's own, i): it depends neither on the other problems
    nor on n. What could not be asked, for what it quotes is too long, is an error without tokens. `model` is the reference of
    the role's model, `written_as` the role that rows get; its own where empty.
    """
    engine = casting.engine_of(engines, law.role, model)
    requests = requested(asks, engine, law, seed)
    answers = answered(asks, requests, tables, engine, law, report)
    return records.COMPLETIONS.table(rows(asks, requests, answers, engine, law, seed, written_as))


def requested(asks: Sequence[Ask], engine: Engine, law: Law, seed: int) -> list[Request]:
    """The request of each ask, without seeds where it is not to be asked. Raises BadProblems where a problem itself is too long."""
    prompts = [
        list(ask.prompt_ids) if ask.prompt_ids is not None else rendered(engine.render, ask.problem_id, ask.messages) for ask in asks
    ]
    positions = getattr(engine, "positions", None)
    given = [(ask.problem_id, prompt) for ask, prompt in zip(asks, prompts, strict=True) if not ask.quotes]
    refuse_too_long([problem for problem, _ in given], [prompt for _, prompt in given], law.max_new_tokens, positions)
    asked = [
        ask.answerable and (positions is None or len(prompt) + law.max_new_tokens <= positions)
        for ask, prompt in zip(asks, prompts, strict=True)
    ]
    return [
        Request(prompt, tuple(_seed(seed, ask, i) for i in range(law.n)) if it_is else ())
        for ask, prompt, it_is in zip(asks, prompts, asked, strict=True)
    ]


def _seed(seed: int, ask: Ask, index: int) -> int:
    return seeds.seed_of(seed, ask.problem_id, *ask.stream, ask.first + index)


Place = tuple[int, int]
"""Which ask, and which of its samples."""


def answered(
    asks: Sequence[Ask],
    requests: Sequence[Request],
    tables: Tables,
    engine: Engine,
    law: Law,
    report: Report,
    begun: Mapping[Place, Sampled] | None = None,
) -> dict[Place, Sampled]:
    """What the engine answers to every seed of the requests: what stands is taken, what was begun is continued."""
    return _Answers(tables, engine, law, begun or {}).to(asks, requests, report)


def continued(
    requests: Sequence[Request], begun: Mapping[Place, Sampled], engine: Engine, law: Law, report: Report
) -> dict[Place, Sampled]:
    """Each completion begun with what continues it in its own stream: one call of the engine for each length."""
    answers = {place: replace(one, finish_reason="length") for place, one in begun.items() if len(one.ids) >= law.max_new_tokens}
    for start in sorted({len(one.ids) for place, one in begun.items() if place not in answers}, reverse=True):
        places = [place for place, one in begun.items() if len(one.ids) == start]
        onward = [_onward(requests[number], index, begun[number, index]) for number, index in places]
        limit = law.max_new_tokens - start
        more = engine.sample(onward, temperature=law.temperature, top_p=law.top_p, max_new_tokens=limit, report=report)
        answers |= {place: joined(begun[place], one, engine) for place, (one,) in zip(places, more, strict=True)}
    return answers


class _Answers:
    """What an engine answered earlier, and what it is still to be asked."""

    def __init__(self, tables: Tables, engine: Engine, law: Law, begun: Mapping[Place, Sampled]) -> None:
        self._stands, self._begun, self._given = by_stream(tables.earlier), by_stream(tables.begun), begun
        self._engine, self._law = engine, law

    def to(self, asks: Sequence[Ask], requests: Sequence[Request], report: Report) -> dict[Place, Sampled]:
        """A completion for every place: one call of the engine for what is missing, and one for each length begun."""
        answers: dict[Place, Sampled] = {}
        begun: dict[Place, Sampled] = dict(self._given)
        for number, (ask, request) in enumerate(zip(asks, requests, strict=True)):
            for index, seed in enumerate(request.seeds):
                stream = (ask.problem_id, ask.turn, ask.parent_id, seed)
                if stream in self._stands:
                    answers[number, index] = shortened(self._stands[stream], self._law.max_new_tokens)
                elif stream in self._begun:
                    begun[number, index] = self._begun[stream]
        owed, done = sum(len(request.seeds) for request in requests) - len(answers), len(begun)
        answers |= continued(requests, begun, self._engine, self._law, _part_of(report, 0, done, owed))
        missing = [[index for index in range(len(r.seeds)) if (number, index) not in answers] for number, r in enumerate(requests)]
        rest = [replace(request, seeds=tuple(request.seeds[i] for i in its)) for request, its in zip(requests, missing, strict=True)]
        for number, (its, samples) in enumerate(zip(missing, self._asked(rest, report, done, owed), strict=True)):
            answers |= {(number, index): one for index, one in zip(its, samples, strict=True)}
        return answers

    def _asked(self, requests: Sequence[Request], report: Report, before: int, owed: int) -> list[list[Sampled]]:
        law, count = self._law, sum(len(request.seeds) for request in requests)
        told = _part_of(report, before, count, owed)
        return self._engine.sample(requests, temperature=law.temperature, top_p=law.top_p, max_new_tokens=law.max_new_tokens, report=told)


def _part_of(report: Report, before: int, count: int, owed: int) -> Report:
    """A report of `count` completions among those owed, `before` of which are done."""

    def told(done: int, total: int) -> None:
        report(before + count * done // max(total, 1), owed)

    return told


def _onward(request: Request, index: int, begun: Sampled) -> Request:
    return Request([*request.prompt_ids, *begun.ids], (request.seeds[index],), len(begun.ids))


UNASKED = Sampled([], [], None, None, "error")
"""The answer to what could not be asked."""


def rows(
    asks: Sequence[Ask],
    requests: Sequence[Request],
    answers: Mapping[Place, Sampled],
    engine: Engine,
    law: Law,
    seed: int,
    written_as: str = "",
) -> list[dict[str, Any]]:
    """`law.n` rows of each ask, in order."""
    role = written_as or law.role
    found: list[dict[str, Any]] = []
    for number, (ask, request) in enumerate(zip(asks, requests, strict=True)):
        own = {"group_id": seeds.short_id(seed, ask.problem_id, engine.model_id, role, *ask.stream), "episode_id": ask.episode_id}
        for index in range(law.n):
            drawn = Drawn(_seed(seed, ask, index), ask.first + index, law.temperature, law.top_p)
            found.append(_sampled_row(ask, engine, role, drawn, request.prompt_ids, answers.get((number, index), UNASKED)) | own)
    return found


def _sampled_row(ask: Ask, engine: Engine, role: str, drawn: Drawn, prompt_ids: Sequence[int], sample: Sampled) -> dict[str, Any]:
    written = {} if sample.text is None else {"text": sample.text}
    return named(ask, engine, role, drawn, prompt_ids, sample.ids, sample.finish_reason) | {
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
