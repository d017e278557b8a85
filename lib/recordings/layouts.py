"""Recorded completions out of rows of any of these layouts, told apart by what the columns hold, never by a file's name:

flat       one completion a row: `{"task_id": "HumanEval/0", "completion": "…", "passed": true}`, also in CSV and Parquet;
           a list beside one text has one entry for each part of it: `{"key": 1, "response": "…", "strict": [true, false]}`
lists      many completions a row: `{"question": "…", "response": ["…", "…"], "score": [true, false]}`; a list of that length
           has one entry for each, and anything else holds for all
wide       several models a row, each an object: `{"question": "…", "small": {"solution": "…", "is_correct": true}, "large": …}`;
           the column's name is the model's
nested     a list of objects: `{"question": "…", "samples": [{"text": "…", "correct": true}, …]}`

End-of-text markers that a server left at a text's end (`<|eot_id|>`, `</s>`) are taken off, as an engine leaves special
tokens out. A lone surrogate, which no UTF-8 file can hold, becomes U+FFFD. What is not there is not guessed: a completion
without a finish reason counts as one that stopped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lib.raw_rows import BadRow, Fault, Raw
from lib.recordings.columns import Layout, boolean, number

_MARKERS = re.compile(r"(?:<\|[A-Za-z_]{1,40}\|>|</s>|<eos>|<end_of_turn>|<pad>)\s*\Z")
_FINISHES = {
    **dict.fromkeys(("length", "max_tokens", "max_length", "max_new_tokens"), "length"),
    **dict.fromkeys(("error", "content_filter", "abort"), "error"),
}


class Told(NamedTuple):
    """A label: one for the whole completion, or one for each of its parts."""

    whole: bool
    parts: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """One completion as a file has it."""

    where: str
    text: str
    prompt: str | None
    source_id: str | None
    is_position: bool
    """Whether `source_id` counts the problems of a set from 0 instead of naming one."""
    answer: str | None
    tests: str | None
    """The unit tests that it was judged by, as a problem's `tests` holds them."""
    model: str | None
    sample_index: int | None
    finish_reason: str
    labels: Mapping[str, Told]
    scores: Mapping[str, float]


def recordings_of(raw: Raw, layout: Layout) -> Iterator[Recording | Fault]:
    """Every completion of a row, and a fault in the place of each that cannot be read."""
    yield from _opened(raw.where, raw.values, layout, {})


def _opened(where: str, values: Mapping[str, Any], layout: Layout, outside: Mapping[str, Any]) -> Iterator[Recording | Fault]:
    common = {**outside, **{name: values.get(column) for name, column in _columns(layout).items() if values.get(column) is not None}}
    for column, inner in layout.inner.items():
        value = values.get(column)
        if isinstance(value, dict):
            yield from _opened(f"{where}, {column}", value, inner, {"model": column, **common})
        for place, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, dict):
                yield from _opened(f"{where}, {column} {place}", item, inner, {"sample": place, **common})
    if layout.text is not None:
        yield from _read(where, values, layout, common)


def _columns(layout: Layout) -> dict[str, str]:
    named = {name: getattr(layout, name) for name in ("prompt", "id", "answer", "sample", "model", "finish")}
    found = {name: column for name, column in named.items() if column is not None}
    found |= {"test": "test", "entry_point": "entry_point"} if layout.brings_tests else {}
    return found | {"is_position": layout.id} if layout.id in ("idx", "index") and layout.id else found


def _read(where: str, values: Mapping[str, Any], layout: Layout, common: Mapping[str, Any]) -> Iterator[Recording | Fault]:
    text = values.get(str(layout.text))
    judged = {name: values.get(name) for name in (*layout.labels, *layout.scores)}
    if not isinstance(text, list):
        yield _one(where, text, layout, common, judged)
        return
    for place in range(len(text)):
        at = f"{where}, sample {place}"
        if unequal := [(name, len(value)) for name, value in judged.items() if isinstance(value, list) and len(value) != len(text)]:
            yield Fault(at, unequal[0][0], f"has {unequal[0][1]} entries for {len(text)} completions")
            continue
        mine = {name: value[place] if isinstance(value, list) else value for name, value in judged.items()}
        yield _one(at, text[place], layout, {"sample": place, **_each(common, place, len(text))}, mine)


def _each(common: Mapping[str, Any], place: int, count: int) -> dict[str, Any]:
    """What is said of one of several samples: its own entry of a list, or what holds for all."""
    lists = {name for name in ("sample", "model", "finish") if isinstance(common.get(name), list) and len(common[name]) == count}
    return {name: value[place] if name in lists else value for name, value in common.items()}


def _one(where: str, text: Any, layout: Layout, common: Mapping[str, Any], judged: Mapping[str, Any]) -> Recording | Fault:
    try:
        if not isinstance(text, str):
            raise BadRow(str(layout.text), "is missing" if text is None else f"is {type(text).__name__}, not text")
        return Recording(
            where=where,
            text=_unmarked(clean(text)),
            prompt=clean(common["prompt"]) if isinstance(common.get("prompt"), str) else None,
            source_id=_name(common.get("id")),
            is_position="is_position" in common,
            answer=_gold(common.get("answer")),
            tests=_tests(common),
            model=_name(common.get("model")),
            sample_index=_place(common.get("sample"), str(layout.sample)),
            finish_reason=_FINISHES.get(str(common.get("finish")).casefold(), "stop"),
            labels={name: _label(judged[name], name) for name in layout.labels if judged[name] is not None},
            scores={name: _score(judged[name], name) for name in layout.scores if judged[name] is not None},
        )
    except BadRow as bad:
        return Fault(where, bad.field, bad.why)


def clean(text: str) -> str:
    """The text without lone surrogates."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unmarked(text: str) -> str:
    end = len(text)
    while match := _MARKERS.search(text, max(0, end - 60), end):
        end = match.start()
    return text[:end]


def _name(value: Any) -> str | None:
    return clean(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _gold(value: Any) -> str | None:
    """A gold answer as text; what is no text and no number is written as JSON."""
    if value is None or isinstance(value, str | int | float):
        return _name(value)
    return clean(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str))


def _tests(common: Mapping[str, Any]) -> str | None:
    parts = {name: common.get(name) for name in ("prompt", "test", "entry_point")}
    return clean(json.dumps(parts, ensure_ascii=False)) if all(isinstance(part, str) for part in parts.values()) else None


def _place(value: Any, column: str) -> int | None:
    if value is None:
        return None
    found = number(value)
    if found is None or not 0 <= found < 2**31 or found != int(found):
        raise BadRow(column, f"is no whole number from 0 ({value!r:.40})")
    return int(found)


def _label(value: Any, column: str) -> Told:
    found = [boolean(part) for part in (value if isinstance(value, list) else [value])]
    if not found or None in found:
        raise BadRow(column, f"is neither true nor false ({value!r:.40})")
    parts = tuple(bool(part) for part in found)
    return Told(all(parts), parts if isinstance(value, list) else ())


def _score(value: Any, column: str) -> float:
    found = number(value)
    if found is None or not math.isfinite(found):
        raise BadRow(column, f"is no number ({value!r:.40})")
    return found
