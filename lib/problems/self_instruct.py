"""Seed tasks of Self-Instruct (Wang et al. 2023): an instruction, and instances of an input and an output.

A task becomes one problem with its first instance; the further instances of the published seeds are of the same kind. No
rule can tell whether an answer in free text is right: the verifiers here see only that there is one and that it does not
run in circles. The gold answer is there for a judge or for the likelihood.
"""

from __future__ import annotations

from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.strategy import Strategy
from lib.verifiers.length import Length
from lib.verifiers.repetition import Repetition


class SelfInstruct(FileProblems):
    """`seed_tasks.jsonl` as published at yizhongw/self-instruct: id, instruction, instances, is_classification."""

    task: ClassVar[str] = "self_instruct"

    def problem(self, raw: Raw) -> dict[str, Any]:
        instruction = raw.text("instruction")
        instances = raw.items("instances")
        if not instances or not isinstance(instances[0], dict):
            raise BadRow("instances", "has no object with an input and an output")
        first = Raw(raw.where, instances[0])
        asked = instances[0].get("input")
        is_classification = raw.values.get("is_classification")
        return {
            "prompt": records.user_message(f"{instruction}\n\n{asked}" if isinstance(asked, str) and asked.strip() else instruction),
            "answer": first.text("output"),
            "category": None if is_classification is None else "classification" if is_classification else "generation",
            "source_id": raw.text("id") if "id" in raw.values else None,
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Length(unit="words", least=1), Repetition())
