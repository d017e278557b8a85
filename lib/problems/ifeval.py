"""IFEval (Zhou et al. 2023): prompts with instructions that a rule can verify, as published at google-research and google/IFEval.

The fields are prompt, key, instruction_id_list and kwargs, one object of arguments for each instruction; a null argument is none.
M-IFEval's English file is read too (`en:` before each type). The category is the family of the first instruction.
A row is left out with its reason where an instruction is none of the 25 types or its arguments do not fit.
"""

from __future__ import annotations

from typing import Any, ClassVar

from lib import records
from lib.problems.files import FileProblems
from lib.raw_rows import BadRow, Raw
from lib.seeds import canonical
from lib.strategy import Strategy
from lib.verifiers.instruction_types import BadInstruction, instruction
from lib.verifiers.instructions import Instructions


class Ifeval(FileProblems):
    """`input_data.jsonl`, or a folder that holds it."""

    task: ClassVar[str] = "ifeval"
    train_files: ClassVar[tuple[str, ...]] = ("*input_data.jsonl",)

    def problem(self, raw: Raw) -> dict[str, Any]:
        names, arguments = raw.items("instruction_id_list"), raw.items("kwargs")
        if not names:
            raise BadRow("instruction_id_list", "is empty")
        if len(names) != len(arguments):
            raise BadRow("kwargs", f"has {len(arguments)} entries for {len(names)} instructions")
        listed = [_checked(name, given) for name, given in zip(names, arguments, strict=True)]
        return {
            "prompt": records.user_message(raw.text("prompt")),
            "tests": canonical(listed),
            "source_id": raw.text("key") if "key" in raw.values else None,
            "category": listed[0]["id"].partition(":")[0],
        }

    def verifiers(self) -> tuple[Strategy, ...]:
        return (Instructions(mode="strict"), Instructions(mode="loose"))


def _checked(name: object, given: object) -> dict[str, Any]:
    """One instruction as `tests` holds it."""
    kwargs = {field: value for field, value in given.items() if value is not None} if isinstance(given, dict) else given
    try:
        one = instruction(name.removeprefix("en:") if isinstance(name, str) else name, kwargs)
    except BadInstruction as bad:
        raise BadRow("instruction_id_list", f"has an instruction that cannot be judged: {bad}") from None
    return {"id": one.id, "kwargs": dict(one.arguments)}
