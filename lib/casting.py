"""Which model plays which part in a stage: a strategy names a role and, where it can be another than the last, a reference.

    Judge(role="judge", model="external:PATH")      Likelihood(model="base")      RewardModel()

A part is a role and a reference. Its name among a stage's engines is the role alone for `previous`, the usual reference,
and `role@reference` for any other, so that two strategies of one stage may ask the same role for different models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lib.engine_kinds import Reader, Scorer
from lib.errors import UnknownName, UserError
from lib.protocols import Engine
from lib.strategy import Strategy

USUAL = "previous"
"""The reference of a strategy that names a role and no model."""

MEASURED = "measured"
"""Within an evaluator: the model that is being measured."""


class Part(NamedTuple):
    """A role, and the reference to the model that plays it."""

    role: str
    model: str = USUAL

    @property
    def name(self) -> str:
        """What stages call it."""
        return self.role if self.model == USUAL else f"{self.role}@{self.model}"


def role_of(part_name: str) -> str:
    """The role in a part's name."""
    return part_name.partition("@")[0]


def nested(strategies: Iterable[Strategy]) -> Iterator[Strategy]:
    """Strategies and those in their settings, however deep."""
    for strategy in strategies:
        yield strategy
        yield from nested(within(strategy))


def within(strategy: Strategy) -> Iterator[Strategy]:
    """The strategies that are settings of a strategy, or members of one."""
    for name in type(strategy).model_fields:
        value = getattr(strategy, name)
        yield from (member for member in (value if isinstance(value, tuple) else (value,)) if isinstance(member, Strategy))


def knows_gold(strategy: Strategy) -> bool:
    """Whether it looks at gold answers: as it says itself, or else as any strategy within it does."""
    said = getattr(strategy, "knows_gold", None)
    return any(knows_gold(inner) for inner in within(strategy)) if said is None else bool(said)


def parts(strategies: Iterable[Strategy]) -> list[Part]:
    """The parts that strategies and those within them need played, each once."""
    roles = ((getattr(strategy, "role", ""), getattr(strategy, "model", USUAL)) for strategy in nested(strategies))
    return list(dict.fromkeys(Part(role, model) for role, model in roles if role))


def engine_of(engines: Mapping[str, Engine], role: str, model: str = USUAL) -> Engine:
    """The engine that plays a part. Raises UnknownName where nothing does."""
    part = Part(role, model)
    if part.name not in engines:
        raise UnknownName("model for role", part.name, engines, "in this stage")
    return engines[part.name]


def sampler_of(engines: Mapping[str, Engine], role: str, model: str = USUAL) -> Engine:
    """The engine that plays a part and writes text. Raises UserError where it only reads."""
    engine: object = engine_of(engines, role, model)
    if not isinstance(engine, Engine):
        raise UserError(f"{_named(role, engine)}, which writes nothing; give the role an engine that samples, such as Huggingface()")
    return engine


def scorer_of(engines: Mapping[str, Engine], role: str, model: str = USUAL) -> Scorer:
    """The engine that plays a part and can score given tokens. Raises UserError where it cannot."""
    engine: object = engine_of(engines, role, model)
    if not isinstance(engine, Scorer):
        raise UserError(f"{_named(role, engine)}, which cannot score given tokens; give the recipe engines={{'{role}': Huggingface()}}")
    return engine


def reader_of(engines: Mapping[str, Engine], role: str, model: str = USUAL) -> Reader:
    """The engine that plays a part and reads answers with a classification model. Raises UserError where it is none."""
    engine: object = engine_of(engines, role, model)
    if not isinstance(engine, Reader):
        raise UserError(f"{_named(role, engine)}, which has no classes; give the recipe engines={{'{role}': Classifier()}}")
    return engine


def _named(role: str, engine: object) -> str:
    return f"the role '{role}' is played by {type(engine).__name__}"
