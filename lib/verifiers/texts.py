"""Completions one by one, for rules that look at one text and at most at its problem's `tests`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa

from lib.protocols import Tables
from lib.verifiers.verdicts import Judgement, verdicts_of


class Text(NamedTuple):
    """A completion that was sampled, and what its problem has for tests."""

    text: str
    ids: tuple[int, ...]
    """Its token ids; the end-of-text token is one of them."""
    is_cut_off: bool
    """Whether the length limit ended it."""
    tests: str | None


def judge_each(tables: Tables, verifier: str, judge: Callable[[Text], Judgement]) -> pa.Table:
    """One verdict per completion; one that was not sampled is undecided."""
    tests = dict(zip(tables.problems["problem_id"].to_pylist(), tables.problems["tests"].to_pylist(), strict=True))
    columns = (tables.completions[name].to_pylist() for name in ("problem_id", "text", "completion_ids", "finish_reason"))
    judgements: list[Judgement] = []
    for problem, text, ids, finish in zip(*columns, strict=True):
        tables.report(len(judgements), tables.completions.num_rows)
        one = Text(text, tuple(ids), finish == "length", tests.get(problem))
        judgements.append(Judgement("undecided", "not sampled") if finish == "error" else judge(one))
    return verdicts_of(tables.completions, verifier, judgements)
