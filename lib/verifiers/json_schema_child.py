"""The child process of the verifier `JsonSchema`: `{"schema", "text"}` is answered with `{"outcome", "reason"}`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lib.verifiers import json_text
from lib.verifiers.killable import serve

MEMORY_BYTES = 1 << 30
"""Address space beyond what imports take."""
LONGEST_REASON = 200


def fault_of(schema: str) -> str | None:
    """Why a schema cannot be used, or None."""
    return _validator(schema)[1]


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The verdict on one text that is JSON."""
    import referencing.exceptions

    validator, fault = _validator(question["schema"])
    if validator is None:
        return {"outcome": "undecided", "reason": f"unreadable schema: {fault}"}
    try:
        wrong = next(validator.iter_errors(json_text.read(question["text"]).value), None)
    except referencing.exceptions.Unresolvable as error:
        return {"outcome": "undecided", "reason": _line(f"unreadable schema: $ref to {error.ref}")}
    except RecursionError:
        return {"outcome": "undecided", "reason": "unreadable schema: refers to itself without end"}
    except OverflowError:  # a whole number that no float holds, under multipleOf
        return {"outcome": "undecided", "reason": "a number too large to check"}
    if wrong is None:
        return {"outcome": "correct", "reason": "fits the schema"}
    return {"outcome": "wrong", "reason": _line(f"{wrong.json_path}: {wrong.message}")}


@lru_cache(maxsize=64)
def _validator(schema: str) -> tuple[Any, str | None]:
    """A validator that fetches nothing, or None and why there is none."""
    import jsonschema
    from jsonschema_specifications import REGISTRY

    value, fault = json_text.read(schema)
    if fault or not isinstance(value, dict | bool):
        return None, fault or "neither an object nor true or false"
    kind = jsonschema.validators.validator_for(value, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(value)
    except jsonschema.SchemaError as error:
        return None, _line(error.message)
    return kind(value, registry=REGISTRY), None


def _line(message: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in message[:LONGEST_REASON])


if __name__ == "__main__":
    import jsonschema  # noqa: F401  before the memory limit counts

    serve(answer, MEMORY_BYTES)
