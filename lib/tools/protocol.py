"""What a tool must offer to a sampler that lets it write into completions."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class Called(NamedTuple):
    """What a tool says of a text: its output belongs where characters `start` to `end` stand."""

    start: int
    end: int
    output: str


@runtime_checkable
class Tool(Protocol):
    """Writes into a completion while it is sampled."""

    def call(self, text: str, start: int) -> Called | None:
        """The first call whose output belongs at character `start` or after; None where nothing calls it."""
        ...
