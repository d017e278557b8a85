"""Your own problems: a file of JSONL, JSON, CSV, TSV or Parquet, or a dataset on the hub, with its columns named."""

from __future__ import annotations

from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.strategy import AnyStrategy, Strategy
from lib.verifiers.answer import Answer


class Table(FileProblems):
    """One problem a row: the prompt's column, and where the set has them the answer's and others."""

    task: ClassVar[str] = "table"

    prompt: str = "prompt"
    """Column of the text that the model is asked."""
    answer: str | None = "answer"
    """Column of the gold answer; None where there is none."""
    tests: str | None = None
    """Column of what a verifier such as Code, Sql or Instructions runs: text or JSON."""
    id: str | None = None
    """Column of the row's own id."""
    category: str | None = None
    """Column of a category, by which figures are split."""
    difficulty: str | None = None
    """Column of a number, larger for harder."""
    template: str = "{prompt}"
    """What the model is asked; `{prompt}` is the row's text."""
    judge: tuple[AnyStrategy, ...] = (Answer(),)
    """The verifiers of this set."""

    def problem(self, raw: Raw) -> dict[str, Any]:
        for column in (self.answer, self.tests, self.id, self.category, self.difficulty):
            if column is not None and column not in raw.values:
                raise BadRow(column, f"is missing (there are: {', '.join(sorted(map(str, raw.values)))})")
        return {
            "prompt": records.user_message(self.template.replace("{prompt}", raw.text(self.prompt))),
            "answer": raw.text(self.answer) if self.answer else None,
            "tests": _json(raw.values[self.tests]) if self.tests else None,
            "source_id": str(raw.values[self.id]) if self.id else None,
            "category": str(raw.values[self.category]) if self.category else None,
            "difficulty": _number(raw, self.difficulty) if self.difficulty else None,
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return self.judge


def _json(value: Any) -> str:
    from lib.seeds import canonical

    return value if isinstance(value, str) else canonical(value)


def _number(raw: Raw, column: str) -> float:
    try:
        return float(raw.text(column))
    except ValueError:
        raise BadRow(column, f"is not a number ({raw.values[column]!r})") from None
