"""MBPP (Austin et al. 2021): a task in one sentence with three asserts; the prompt shows the asserts, as the authors' does.

The prompt is the authors' own form without its worked examples: "You are an expert Python programmer, and here is your task: …
Your code should pass these tests:" and the asserts. The names that a program must define are those that the asserts use and
the reference solution defines. Of a file as published, task ids 11 to 510 are the authors' test split (1 to 10 their examples,
511 to 600 validation, 601 to 974 training); here the splits are made as for every set in one file.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.strategy import Strategy
from lib.verifiers.code import Code


class Mbpp(FileProblems):
    """`mbpp.jsonl` as published at google-research, or the sanitized file: text (or prompt), code, test_list, task_id."""

    task: ClassVar[str] = "mbpp"
    test_files: ClassVar[tuple[str, ...]] = ()
    train_files: ClassVar[tuple[str, ...]] = ("mbpp.jsonl*",)

    def problem(self, raw: Raw) -> dict[str, Any]:
        text = raw.text("text" if "text" in raw.values else "prompt").strip()
        asserts = [str(line).strip() for line in raw.items("test_list")]
        if not asserts:
            raise BadRow("test_list", "is empty")
        setup = _setup(raw)
        tests = {"test_list": asserts, "test_setup_code": setup, "entry_points": _entry_points(raw.text("code"), setup, asserts)}
        shown = "\n".join(asserts)
        return {
            "prompt": records.user_message(
                f"You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:\n\n{shown}\n"
            ),
            "tests": json.dumps(tests),
            "source_id": raw.text("task_id"),
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Code(),)


def _setup(raw: Raw) -> str:
    """The code before the asserts: one text in the published file, a list of imports in the sanitized one."""
    imports = raw.values.get("test_imports") or []
    lines = [str(raw.values.get("test_setup_code") or ""), *map(str, imports)]
    return "\n".join(line.replace("\r\n", "\n") for line in lines if line.strip())


def _entry_points(code: str, setup: str, asserts: Sequence[str]) -> list[str]:
    """The functions and classes of the reference solution that the tests name. Raises BadRow for what is not Python."""
    try:
        defined = {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    except (SyntaxError, ValueError) as error:
        raise BadRow("code", f"is not Python ({error})") from None
    try:
        used = {node.id for node in ast.walk(ast.parse("\n".join([setup, *asserts]))) if isinstance(node, ast.Name)}
    except (SyntaxError, ValueError) as error:
        raise BadRow("test_list", f"is not Python ({error})") from None
    return sorted(defined & used)
