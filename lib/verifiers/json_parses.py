"""Whether a text is JSON.

Accepts `{"a": [1, 2]}`, and the same in a code fence marked `json` with prose around it. Rejects `{'a': 1}`, `{"a": 1,}`,
`{"a": 1, "a": 2}`, `NaN`, and JSON with prose around it outside a fence. What counts as JSON stands in `lib.verifiers.json_text`.
Does not catch JSON of the wrong shape, for which there is `JsonSchema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.json_text import read
from lib.verifiers.texts import Text, judge_each
from lib.verifiers.verdicts import Judgement


class JsonParses(Strategy):
    """One verdict per completion; undecided where it was not sampled."""

    name: ClassVar[str] = "json_parses"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        return judge_each(tables, self.name, _judge)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows


def _judge(text: Text) -> Judgement:
    fault = read(text.text).fault
    if fault is None:
        return Judgement("correct", "is JSON")
    return Judgement("wrong", "cut off by the length limit" if text.is_cut_off else fault)
