"""Putting questions to a judge: how many votes, from which random streams, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lib import seeds
from lib.protocols import Engine, Request, Tables


class Question(NamedTuple):
    """What the judge is asked, and what its random streams are named by."""

    text: str
    about: tuple[str, ...]


class Law(NamedTuple):
    """How the judge replies."""

    name: str
    votes: int
    temperature: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Votes:
    """The judge's replies to one question, the words that could be read in them, and their tokens."""

    raw: str = ""
    words: tuple[str, ...] = ()
    tokens: int = 0
    fault: str = "could not be asked"
    """Why there is no word; empty where there is one."""


def ask(questions: Sequence[Question | None], engine: Engine, law: Law, read: Callable[[str], str | None], tables: Tables) -> list[Votes]:
    """The votes on every question, from one call of the engine.

    A vote depends on the stage's seed and on what is judged, not on what else is asked beside it.
    """
    room = getattr(engine, "positions", None)  # an engine over a server need not know
    requests: dict[int, Request] = {}
    for place, question in enumerate(questions):
        if question is not None:
            ids = engine.render([{"role": "user", "content": question.text}])
            streams = tuple(seeds.seed_of(tables.seed, law.name, *question.about, vote) for vote in range(law.votes))
            if room is None or len(ids) + law.max_new_tokens <= room:
                requests[place] = Request(ids, streams)
    answers = engine.sample(
        list(requests.values()), temperature=law.temperature, top_p=1.0, max_new_tokens=law.max_new_tokens, report=tables.report
    )
    found = [Votes() for _ in questions]
    for place, samples in zip(requests, answers, strict=True):
        texts = [engine.decode(sample.ids) if sample.text is None else sample.text for sample in samples]
        words = tuple(word for text in texts if (word := read(text)) is not None)
        tokens = sum(len(sample.ids) for sample in samples)
        found[place] = Votes("\n---\n".join(texts), words, tokens, "" if words else "no readable vote")
    return found
