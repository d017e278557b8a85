"""GSM8K (Cobbe et al. 2021): grade-school mathematics in words; the gold answer is what follows `####` in the solution."""

from __future__ import annotations

from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.strategy import Strategy
from lib.verifiers.answer import Answer


class Gsm8k(FileProblems):
    """`train.jsonl` and `test.jsonl` with the fields question and answer, as published at openai/grade-school-math."""

    task: ClassVar[str] = "gsm8k"

    def problem(self, raw: Raw) -> dict[str, Any]:
        question, solution = raw.text("question"), raw.text("answer")
        _, mark, final = solution.rpartition("####")
        if not mark or not final.strip():
            raise BadRow("answer", "has no '#### NUMBER' at its end")
        return {"prompt": records.user_message(question), "answer": final.strip()}

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Answer(),)
