"""Questions for a model server, asked through the engine: what tests of it share."""

from __future__ import annotations

from pathlib import Path

from lib.engines.openai_server import OpenaiServer
from lib.protocols import Engine, Machine, Request, Sampled
from lib.seeds import seed_of
from tests.model_server import Running

NAME = "d" * 64
"""The digest of the model that is served."""

QUESTIONS = [[{"role": "user", "content": text}] for text in ("1,5,8>45:", "2,3>6:", "4,4>8:", "9,9>81:", "7>7:")]


def opened(at: Running, folder: Path, **settings: object) -> Engine:
    """The engine over a running server; impatient unless told otherwise."""
    given = {"base_url": at.base_url, "pause_seconds": 0.01, "attempts": 4, **settings}
    return OpenaiServer(**given).open(folder, NAME, Machine())


def asked(engine: Engine, n: int = 3) -> list[Request]:
    return [Request(engine.render(question), tuple(seed_of(place, i) for i in range(n))) for place, question in enumerate(QUESTIONS)]


def sample(engine: Engine, n: int = 3, **changes: object) -> list[list[Sampled]]:
    law = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 12, "report": lambda done, total: None, **changes}
    return engine.sample(asked(engine, n), **law)


def finishes(results: list[list[Sampled]]) -> list[list[str]]:
    return [[answer.finish_reason for answer in group] for group in results]
