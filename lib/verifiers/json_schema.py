"""Whether a text is JSON that fits a JSON Schema (package jsonschema; draft 2020-12 unless the schema's `$schema` says another).

Accepts `{"age": 4}` for `{"type": "object", "required": ["age"]}`. Rejects `{}`, and what is no JSON (`lib.verifiers.json_text`).
The schema is a setting, or each problem's `tests` is one. `format` is not enforced, as the standard has it by default. A `$ref`
reaches inside the schema and the published metaschemas alone: nothing is ever fetched.
Does not catch what the schema does not say. Undecided: a schema that cannot be read, refers outside itself or refers to
itself without end, and a text whose validation takes longer than the limit; all of it runs in a process that is then killed.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from pydantic import Field, field_validator

from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import json_schema_child
from lib.verifiers.json_text import read
from lib.verifiers.killable import Killable
from lib.verifiers.texts import Text, judge_each
from lib.verifiers.verdicts import Judgement


class JsonSchema(Strategy):
    """One verdict per completion; undecided where it was not sampled, without a readable schema, and past the time limit."""

    name: str = "json_schema"
    """The name of its verdicts."""
    document: str | None = None
    """The schema as JSON text; None where each problem's `tests` is one."""
    seconds: float = Field(default=2.0, gt=0, le=60)
    """How long one validation may take."""

    @field_validator("document")
    @classmethod
    def _readable(cls, document: str | None) -> str | None:
        fault = None if document is None else json_schema_child.fault_of(document)
        if fault:
            raise UserError(f"the JSON Schema in 'document' cannot be used: {fault}")
        return document

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        with Killable(json_schema_child.__name__) as child:
            return judge_each(tables, self.name, lambda text: self._judge(text, child))

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _judge(self, text: Text, child: Killable) -> Judgement:
        schema = self.document if self.document is not None else text.tests
        if schema is None:
            return Judgement("undecided", "no schema")
        fault = read(text.text).fault
        if fault:
            return Judgement("wrong", "cut off by the length limit" if text.is_cut_off else fault)
        try:
            said = child.ask({"schema": schema, "text": text.text}, self.seconds)
        except TimeoutError:
            return Judgement("undecided", "time limit")
        except EOFError:
            return Judgement("undecided", "the validator's process ended")
        return Judgement(said["outcome"], said["reason"])
