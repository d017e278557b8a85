"""Python: a fenced block of it is run in the sandbox, and what it prints stands behind it.

A program that fails shows the last line of what it wrote to standard error. Nothing of one block is there for the next.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from lib.strategy import Strategy
from lib.tools.protocol import Called

_BLOCK = re.compile(r"```python\n((?:(?!```)[^\n]*\n){0,400})```(?![^\s])")


class Python(Strategy):
    """Runs the first block that ends at a place in the text or after."""

    longest: int = Field(default=500, ge=1)
    """Characters of the output that are shown; what comes after gives way to `…`."""

    fence: ClassVar[str] = "\n```output\n{}\n```\n"

    def call(self, text: str, start: int) -> Called | None:
        match = next((found for found in _BLOCK.finditer(text) if found.end() >= start), None)
        if match is None:
            return None
        output = self.fence.format(self._printed(match[1]))
        place = match.end()
        return Called(place, place + len(output) if text.startswith(output, place) else place, output)

    def _printed(self, source: str) -> str:
        from lib.sandbox import Program, Sandbox

        outcome = Sandbox().run(Program((source,)))
        printed = outcome.stdout.strip()
        if outcome.status != "passed":
            lines = outcome.stderr.strip().splitlines()
            printed = f"{printed}\n{lines[-1] if lines else outcome.reason}".strip()
        printed = printed.replace("```", "'''")
        return printed if len(printed) <= self.longest else f"{printed[: self.longest]}…"
