"""What an engine may do besides writing: score given tokens, read answers, keep what is done, sample from a copy that was trained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from lib.protocols import Engine, Report, Trainer


@runtime_checkable
class Adaptable(Engine, Protocol):
    """An engine whose model can be copied, trained, and sampled from in its new form."""

    def trained(self, trainer: Trainer, examples: pa.Table, seed: int) -> AbstractContextManager[Engine]:
        """For the length of a block, an engine over a copy that has learned these examples; the model itself stays as it is."""
        ...


Pair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a prompt and of its completion."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One completion under a bare model (temperature 1, top_p 1), with one float per completion id in each list."""

    logprobs: list[float]
    entropies: list[float]
    """Nats of the distribution that the token was drawn from."""
    margins: list[float]
    """Probability of its most likely token less that of the second."""


@runtime_checkable
class Scorer(Engine, Protocol):
    """An engine that can also say how likely given tokens are."""

    @property
    def positions(self) -> int | None:
        """Tokens that the model can hold, prompt and completion together; None where nothing limits them."""
        ...

    def score(self, pairs: Sequence[Pair], report: Report) -> list[Scored]:
        """For each pair, in order, the figures of its completion's tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a classification model is shown: a conversation whose last turn is an answer, in parts that join to its text."""

    messages: list[dict[str, str]]
    parts: list[str]


@runtime_checkable
class Reader(Protocol):
    """An engine over a classification model."""

    model_id: str

    def read(self, readings: Sequence[Reading], report: Report) -> list[list[list[float]] | None]:
        """For each reading, the class logits at the end of each of its parts; None where it passes the model's positions."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """An engine that keeps what is finished of its work in a folder, so that the same work begun again need not ask again."""

    def keep_in(self, folder: Path | None) -> None: ...
