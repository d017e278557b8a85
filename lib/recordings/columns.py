"""Which columns of a file of recorded completions hold what; found by their names and values unless they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import field_validator

from lib.errors import UserError
from lib.strategy import Settings

TEXT = (
    "completion",
    "completions",
    "response",
    "responses",
    "generation",
    "generations",
    "generated_text",
    "model_output",
    "output",
    "outputs",
    "ys",
    "samples",
    "prediction",
    "predictions",
    "solution",
    "solutions",
    "implementation",
    "text",
    "code",
)
PROMPT = ("prompt", "question", "problem", "query", "instruction", "input")
IDENTITY = ("problem_id", "task_id", "question_id", "source_id", "unique_id", "key", "id", "qid", "name", "idx", "index")
ANSWER = ("gold", "gt", "ground_truth", "gold_answer", "reference_answer", "expected_answer", "reference", "target", "answer")
SAMPLE = ("sample_index", "sample_idx", "sample_id", "sample")
MODEL = ("model", "model_name", "model_id")
FINISH = ("finish_reason", "stop_reason")
LABELS = (
    "is_correct",
    "correct",
    "is_solved",
    "solved",
    "passed",
    "is_passed",
    "label",
    "labels",
    "acc",
    "accs",
    "accuracy",
    "exact_match",
    "strict",
    "loose",
    "verdict",
    "expected",
    "score",
    "scores",
)
SCORES = ("pred_score", "pred_scores", "rm_score", "rm_scores", "reward", "rewards", "score", "scores")

_TRUE = {"true", "1", "1.0", "correct", "passed", "pass", "yes"}
_FALSE = {"false", "0", "0.0", "incorrect", "wrong", "failed", "fail", "no"}


class Columns(Settings):
    """Names of columns that were given; the rest are found."""

    text: str | None = None
    """What the model wrote: text, or a list of texts."""
    prompt: str | None = None
    """What it was asked."""
    id: str | None = None
    """The problem's id in the set that it came from."""
    answer: str | None = None
    """The gold answer, for a file that brings its own problems."""
    label: tuple[str, ...] = ()
    """Whether it was right: true or false, 1 or 0, `correct` or `wrong`; or a list of these, one a sample or a part."""
    score: tuple[str, ...] = ()
    """Numbers that somebody gave it."""
    model: str | None = None
    """Who wrote it."""
    sample: str | None = None
    """Which of the problem's completions it is, from 0."""
    finish: str | None = None
    """Why it ended: stop, length or error, or what servers call these."""

    @field_validator("label", "score", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a row keeps what; `inner` are the columns whose objects are recordings of their own."""

    text: str | None
    prompt: str | None
    id: str | None
    answer: str | None
    sample: str | None
    model: str | None
    finish: str | None
    labels: tuple[str, ...]
    scores: tuple[str, ...]
    brings_tests: bool
    """Whether it has the columns `test` and `entry_point`, as HumanEval's rows have."""
    inner: Mapping[str, Layout] = field(default_factory=dict)


def layout_of(rows: Sequence[Mapping[str, Any]], given: Columns, path: str) -> Layout:
    """How these rows are laid out. Raises UserError where no column holds completions or a given one is not there."""
    found = _layout(rows, given)
    known = list(dict.fromkeys(name for row in rows for name in row))
    inside = {name for layout in found.inner.values() for name in (layout.text, *layout.labels, *layout.scores)}
    named = [given.text, given.prompt, given.id, given.answer, given.model, given.sample, given.finish, *given.label, *given.score]
    for name in named:
        if name is not None and name not in known and name not in inside:
            raise UserError(f"{path} has no column '{name}' (have: {', '.join(map(str, known))})")
    if found.text is None and not found.inner:
        raise UserError(f"{path} has no column of completions (have: {', '.join(map(str, known))}); name it: --column text=COLUMN")
    return found


def boolean(value: Any) -> bool | None:
    """True or false as people write it; None for anything else."""
    word = str(value).strip().casefold() if isinstance(value, bool | int | float | str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def number(value: Any) -> float | None:
    """A number, or the one number of a list, or its text; None for anything else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _layout(rows: Sequence[Mapping[str, Any]], given: Columns) -> Layout:
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    text = given.text if given.text in values else next((name for name in TEXT if _holds_text(values.get(name))), None)
    inner = {} if text else {name: layout for name in values if (layout := _inner(values[name], given))}
    labels = given.label or tuple(name for name in LABELS if name in values and _is_label(values[name]))
    if not labels:
        labels = tuple(name for name, found in values.items() if found and all(isinstance(value, bool) for value in _flat(found)))
    free = (name for name in SCORES if name in values and name not in labels)
    scores = given.score or tuple(name for name in free if _is_score(values[name]))

    def first(names: Iterable[str]) -> str | None:
        return next((name for name in names if name in values and name != text and name not in labels), None)

    return Layout(
        text=text,
        prompt=given.prompt or first(name for name in PROMPT if _holds_text(values.get(name))),
        id=given.id or first(IDENTITY),
        answer=given.answer or first(ANSWER),
        sample=given.sample or first(SAMPLE),
        model=given.model or first(MODEL),
        finish=given.finish or first(FINISH),
        labels=tuple(name for name in labels if name in values),
        scores=tuple(name for name in scores if name in values),
        brings_tests={"test", "entry_point"} <= values.keys(),
        inner=inner,
    )


def _inner(values: list[Any], given: Columns) -> Layout | None:
    """The layout of a column of objects, or of lists of objects, that hold completions."""
    objects = [item for value in values for item in (value if isinstance(value, list) else [value])]
    if not objects or not all(isinstance(item, dict) for item in objects):
        return None
    found = _layout(objects, given)
    return found if found.text else None


def _flat(values: list[Any]) -> list[Any]:
    """The values with every list opened, however deep."""
    found: list[Any] = []
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        elif value is not None:
            found.append(value)
    return found


def _holds_text(values: list[Any] | None) -> bool:
    return any(isinstance(value, str) for value in _flat(values or []))


def _is_label(values: list[Any]) -> bool:
    """Most values are true or false, and no number is anything but 0 and 1."""
    found = _flat(values)
    known = [boolean(value) is not None for value in found]
    return sum(known) * 2 > len(found) and not any(
        number(value) is not None for value, is_known in zip(found, known, strict=True) if not is_known
    )


def _is_score(values: list[Any]) -> bool:
    found = _flat(values)
    return bool(found) and all(number(value) is not None for value in found)
