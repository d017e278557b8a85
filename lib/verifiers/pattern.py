r"""A regular expression that a text must match, in the syntax of the package `regex`, with a time limit.

Accepts `call 555-0199 now` for `\d{3}-\d{4}`. Rejects `call now`. The pattern is a setting, or each problem's `tests` is one.
With `is_whole` it must match from the first character to the last, outer white space left aside. Flags go inside: `(?i)`.
Does not catch anything beyond the pattern. A pattern that backtracks past the limit leaves the text undecided, as one that
cannot be read does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pydantic import Field, field_validator

from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.texts import Text, judge_each
from lib.verifiers.verdicts import Judgement

LONGEST = 100_000
"""Characters of a text that are read; a longer one is wrong."""


class Pattern(Strategy):
    """One verdict per completion; undecided where it was not sampled, without a readable pattern, and past the time limit."""

    name: str = "pattern"
    """The name of its verdicts."""
    pattern: str | None = None
    """The regular expression; None where each problem's `tests` is one."""
    is_whole: bool = False
    """Whether the whole text must match, and not only a part of it."""
    seconds: float = Field(default=1.0, gt=0, le=60)
    """How long one match may take."""

    @field_validator("pattern")
    @classmethod
    def _readable(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            fault = _compiled(pattern)[1]
            if fault:
                raise UserError(f"the pattern '{pattern[:80]}' is no regular expression: {fault}")
        return pattern

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        return judge_each(tables, self.name, self._judge)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _judge(self, text: Text) -> Judgement:
        pattern = self.pattern if self.pattern is not None else text.tests
        compiled, fault = _compiled(pattern) if pattern is not None else (None, "there is none")
        if compiled is None:
            return Judgement("undecided", f"unreadable pattern: {fault}")
        if len(text.text) > LONGEST:
            return Judgement("wrong", f"longer than {LONGEST} characters")
        try:
            found = (
                compiled.fullmatch(text.text.strip(), timeout=self.seconds)
                if self.is_whole
                else compiled.search(text.text, timeout=self.seconds)
            )
        except TimeoutError:
            return Judgement("undecided", "time limit")
        return Judgement("correct", "matches") if found else Judgement("wrong", "does not match")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> tuple[Any, str]:
    """A pattern ready to match, or None and what is wrong with it."""
    import regex

    try:
        return regex.compile(pattern), ""
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        return None, " ".join(str(error).split())[:200]
