"""Keep completions of a moderate length (F.keep)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from lib.errors import UserError
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows

_LENGTH = {"tokens": "len(completion_ids)", "characters": "len(text)"}


class LengthBand(Strategy):
    """Keeps completions of at least `least` and at most `most` tokens or characters: `too short`, `too long`.

    Tokens are those sampled, the end of text among them; characters are Unicode code points of the text.
    """

    least: int = Field(0, ge=0)
    """The shortest that stays."""
    most: int | None = Field(None, ge=1)
    """The longest that stays; None: any."""
    unit: Literal["tokens", "characters"] = "tokens"
    """What is counted."""

    @model_validator(mode="after")
    def _is_a_band(self) -> LengthBand:
        if self.most is not None and self.least > self.most:
            raise UserError(f"LengthBand: least {self.least} is above most {self.most}; exchange them")
        return self

    def filter(self, rows: Rows) -> Relation:
        return rows.sql(
            f"""
            SELECT completion_id, CASE WHEN length < $least THEN 'too short' WHEN length > $most THEN 'too long' END AS reason
            FROM (SELECT completion_id, {_LENGTH[self.unit]} AS length FROM completions)
            """,
            least=self.least,
            most=self.most,
        )
