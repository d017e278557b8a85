"""Which problem a recorded completion answers.

Tried in this order, and only where it says one problem and no other:
1. the problem's own id;
2. its prompt, after Unicode NFKC and with runs of white space as one space;
3. its id in its set, as written, or as HumanEval/7, Mbpp/7, mbpp_7_volume and 7 all name number 7, unless the prompt speaks
   for another problem by the next rule;
4. its prompt inside the recorded one (after examples or instructions; the last there decides), or the recorded one inside
   its prompt (which adds instructions);
5. for a column `idx` or `index` and a record without a prompt: its place in the set, from 0.

Cannot be caught: ids of another numbering where the record has no prompt, or one that no problem of the set has.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable

import pyarrow as pa

from lib import records
from lib.recordings.layouts import Recording

FIRST_WORDS = 8
"""Words of a prompt by which it is looked for inside a longer one; a shorter prompt is not."""
SHORTEST = 24
"""Characters of a recorded prompt that may be looked for inside those of the set."""

_ID = re.compile(r"(?:[A-Za-z][A-Za-z0-9]*[/_ -])?([0-9]+)(?:[_/ -].*)?", re.DOTALL)


class Finder:
    """The problems of one set, by everything that a record may name them by."""

    def __init__(self, problems: pa.Table) -> None:
        ids = problems["problem_id"].to_pylist()
        texts = ["\n".join(message["content"] for message in records.chat(prompt)) for prompt in problems["prompt"].to_pylist()]
        prompts = [normal(text) for text in texts]
        sources = problems["source_id"].to_pylist()
        self._ids = ids
        self._prompt_of = dict(zip(ids, prompts, strict=True))
        self._prompts = _unique(zip(prompts, ids, strict=True))
        self._sources = _unique((source, i) for source, i in zip(sources, ids, strict=True) if source is not None)
        self._numbers = _unique((_number(source), i) for source, i in zip(sources, ids, strict=True) if source is not None)
        self._openings: dict[tuple[str, ...], list[tuple[list[str], str]]] = {}
        for prompt, problem_id in zip(prompts, ids, strict=True):
            words = prompt.split(" ")
            if len(words) >= FIRST_WORDS:
                self._openings.setdefault(tuple(words[:FIRST_WORDS]), []).append((words, problem_id))
        self._joined = "\n".join(prompts)
        self._starts = _starts(prompts)

    def is_same_prompt(self, recording: Recording, problem_id: str) -> bool:
        """Whether the record was asked in the problem's own words."""
        return recording.prompt is not None and normal(recording.prompt) == self._prompt_of[problem_id]

    def find(self, recording: Recording) -> str | None:
        """The problem's id, or None."""
        source = recording.source_id
        if source in self._prompt_of:
            return source
        prompt = normal(recording.prompt) if recording.prompt is not None else None
        if prompt in self._prompts:
            return self._prompts[prompt]
        named = self._by_id(source, recording) if source is not None else None
        if prompt is None or (named is not None and (self._prompt_of[named] in prompt or prompt in self._prompt_of[named])):
            return named
        return self._inside(prompt) or self._around(prompt) or named

    def _by_id(self, source: str, recording: Recording) -> str | None:
        if recording.is_position:
            return self._at(source) if recording.prompt is None else None
        return self._sources.get(source) or self._numbers.get(_number(source) or "")

    def _inside(self, prompt: str) -> str | None:
        """The problem whose prompt stands last in a longer one; of two that end there, the longer."""
        words = prompt.split(" ")
        best: dict[tuple[int, int], set[str]] = {}
        for start in range(len(words) - FIRST_WORDS + 1):
            for theirs, problem_id in self._openings.get(tuple(words[start : start + FIRST_WORDS]), ()):
                if words[start : start + len(theirs)] == theirs:
                    best.setdefault((start + len(theirs), len(theirs)), set()).add(problem_id)
        found = best[max(best)] if best else set()
        return found.pop() if len(found) == 1 else None

    def _around(self, prompt: str) -> str | None:
        """The one problem whose prompt contains this one."""
        first = self._joined.find(prompt) if len(prompt) >= SHORTEST else -1
        if first < 0:
            return None
        place = bisect_right(self._starts, first) - 1
        end = self._starts[place + 1] if place + 1 < len(self._starts) else len(self._joined)
        return self._ids[place] if self._joined.find(prompt, end) < 0 else None

    def _at(self, source: str) -> str | None:
        if source in self._sources:
            return self._sources[source]
        return self._ids[int(source)] if source.isdecimal() and int(source) < len(self._ids) and not self._sources else None


def normal(text: str) -> str:
    """A prompt as prompts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _number(source: str) -> str | None:
    match = _ID.fullmatch(source)
    return str(int(match[1][:18])) if match else None


def _unique(pairs: Iterable[tuple[str | None, str]]) -> dict[str, str]:
    """Name → problem, names that several have left out."""
    found: dict[str, str] = {}
    several: set[str] = set()
    for name, problem_id in pairs:
        if name is None or found.setdefault(name, problem_id) != problem_id:
            several.add(name or "")
    return {name: problem_id for name, problem_id in found.items() if name not in several}


def _starts(prompts: list[str]) -> list[int]:
    starts, at = [], 0
    for prompt in prompts:
        starts.append(at)
        at += len(prompt) + 1
    return starts
