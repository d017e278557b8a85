"""The length of a text in characters, words or tokens, between two bounds that both belong to it.

Accepts three words for `least=1, most=3`. Rejects four. Characters are Unicode code points, line breaks and outer space among
them; words are runs without white space, so that a sentence of Chinese is one; tokens are those sampled, the end-of-text
token among them.
Does not catch a text of the right length that says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa
from pydantic import Field, model_validator

from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.texts import Text, judge_each
from lib.verifiers.verdicts import Judgement

Unit = Literal["characters", "words", "tokens"]


class Length(Strategy):
    """One verdict per completion; undecided where it was not sampled."""

    name: str = "length"
    """The name of its verdicts."""
    unit: Unit = "words"
    """What is counted: characters, words or tokens."""
    least: int = Field(default=1, ge=0)
    """The smallest length that is right."""
    most: int | None = Field(default=None, ge=0)
    """The largest; None for any."""

    @model_validator(mode="after")
    def _some_length_fits(self) -> Length:
        if self.most is not None and self.most < self.least:
            raise UserError(f"no length is at least {self.least} and at most {self.most}; raise most")
        return self

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        return judge_each(tables, self.name, self._judge)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _judge(self, text: Text) -> Judgement:
        count = len(pieces(text, self.unit))
        fits = count >= self.least and (self.most is None or count <= self.most)
        bound = "" if fits else f", fewer than {self.least}" if count < self.least else f", more than {self.most}"
        return Judgement("correct" if fits else "wrong", f"{count} {self.unit}{bound}")


def pieces(text: Text, unit: Unit) -> str | list[str] | tuple[int, ...]:
    """A text as the sequence of its characters, words or tokens."""
    return text.text if unit == "characters" else text.text.split() if unit == "words" else text.ids
