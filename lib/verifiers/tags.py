"""XML-like tags around the parts of a text: each exactly once, in order, nothing but white space outside.

Accepts `<think>2 + 2</think> <answer>4</answer>`. Rejects a tag missing, twice, nested or out of order, text before, between or
after the parts, and an empty part. Tags are exact: no attributes, no other case, no space inside.
Where the prompt already ends with the first tag (as the chat templates of reasoning models do), set `is_first_open`.
Does not catch: what stands inside the parts; other tags inside them, which are text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa
from pydantic import Field, field_validator

from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.texts import Text, judge_each
from lib.verifiers.verdicts import Judgement

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,99}")


class Tags(Strategy):
    """One verdict per completion; undecided where it was not sampled."""

    name: str = "tags"
    """The name of its verdicts."""
    names: tuple[str, ...] = Field(default=("think", "answer"), min_length=1)
    """The tags in the order in which they must come."""
    is_first_open: bool = False
    """Whether the prompt ends with the first opening tag, so that the text begins inside it."""

    @field_validator("names")
    @classmethod
    def _readable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _NAME.fullmatch(name) or names.count(name) > 1:
                raise UserError(f"'{name}' cannot be a tag's name here; give different names of letters, digits, '_', '-' and '.'")
        return names

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        marks = re.compile("(</?(?:" + "|".join(map(re.escape, self.names)) + ")>)")
        return judge_each(tables, self.name, lambda text: self._judge(text, marks))

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _judge(self, text: Text, marks: re.Pattern[str]) -> Judgement:
        fault = self._fault(marks.split((f"<{self.names[0]}>" if self.is_first_open else "") + text.text))
        if fault is None:
            return Judgement("correct", "tagged as wanted")
        return Judgement("wrong", "cut off by the length limit" if text.is_cut_off else fault)

    def _fault(self, parts: list[str]) -> str | None:
        """The first thing wrong with a text cut at its tags (text, tag, text, tag, …, text), or None."""
        wanted = [tag for name in self.names for tag in (f"<{name}>", f"</{name}>")]
        found, texts = parts[1::2], parts[0::2]
        for place, tag in enumerate(wanted):
            if place >= len(found):
                return f"{tag} is missing"
            if found[place] != tag:
                return f"{found[place]} where {tag} should be"
            is_inside = place % 2 == 1
            if is_inside != bool(texts[place].strip()):
                return f"nothing before {tag}" if is_inside else f"text before {tag}"
        if len(found) > len(wanted):
            return f"{found[len(wanted)]} after the last part"
        return "text after the last part" if texts[-1].strip() else None
