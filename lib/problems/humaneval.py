"""HumanEval (Chen et al. 2021): a function's head and docstring; a completion continues it or gives the whole program, tests judge it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import Raw
from lib.strategy import Strategy
from lib.verifiers.code import Code


class Humaneval(FileProblems):
    """`HumanEval.jsonl.gz` as published at openai/human-eval, or rows with the same fields: prompt, entry_point, test, task_id."""

    task: ClassVar[str] = "humaneval"
    test_files: ClassVar[tuple[str, ...]] = ("HumanEval.*",)
    train_files: ClassVar[tuple[str, ...]] = ()

    def problem(self, raw: Raw) -> dict[str, Any]:
        tests = {name: raw.text(name) for name in ("prompt", "test", "entry_point")}
        source_id = raw.values.get("task_id")
        return {
            "prompt": records.user_message(tests["prompt"]),
            "tests": json.dumps(tests),
            "source_id": None if source_id is None else str(source_id),
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Code(),)
