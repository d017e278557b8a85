"""Judging around a completion that breaks its verifier: found by halving, it stays undecided, by name; the others keep their verdicts.

Only for verifiers that ask no model and judge each completion, or each group of one problem's completions, by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from lib.errors import RoundhouseError, StageFailed
from lib.protocols import Tables, Verifier
from lib.verifiers.verdicts import Judgement, verdicts_of

MOST = 8
"""Units of a shard that may break a verifier; past that it is the verifier that is broken."""

Judge = Callable[[Tables], pa.Table]


def judged_apart(verifier: Verifier, given: Tables, judge: Judge, *, again: bool) -> pa.Table:
    """Verdicts on every completion. `again` where all of them have failed before.

    Raises StageFailed, naming the first completion, if the verifier breaks on more than MOST units, or on all there are.
    """
    broken: list[tuple[str, Exception]] = []
    verdicts = _judged(verifier, given, judge, broken)
    if broken and not again and len(broken) == len(_units(verifier, given.completions)):
        raise _refusal(verifier, broken)
    return verdicts


def _judged(verifier: Verifier, part: Tables, judge: Judge, broken: list[tuple[str, Exception]]) -> pa.Table:
    try:
        return judge(part)
    except (RoundhouseError, OSError, MemoryError, ImportError):
        raise  # no fault of a row
    except Exception as error:  # a verifier may be anybody's code, and raise anything at what a model wrote
        units = _units(verifier, part.completions)
        if len(units) > 1:
            halves = (units[: len(units) // 2], units[len(units) // 2 :])
            completions = (_of_units(verifier, part.completions, half) for half in halves)
            return pa.concat_tables([_judged(verifier, replace(part, completions=its), judge, broken) for its in completions])
        if not units:  # it breaks at nothing at all
            raise
        broken.append((part.completions["completion_id"][0].as_py(), error))
        if len(broken) > MOST or verifier.owes(part) != part.completions.num_rows:
            raise _refusal(verifier, broken) from error
        undecided = Judgement("undecided", f"the verifier raised {_said(error)}")
        return verdicts_of(part.completions, str(getattr(verifier, "name", "")), [undecided] * part.completions.num_rows)


def _column(verifier: Verifier) -> str:
    return "group_id" if getattr(verifier, "unit", "completion") == "group" else "completion_id"


def _units(verifier: Verifier, completions: pa.Table) -> list[str]:
    return pc.unique(completions[_column(verifier)]).to_pylist()


def _of_units(verifier: Verifier, completions: pa.Table, units: Sequence[str]) -> pa.Table:
    return completions.filter(pc.is_in(completions[_column(verifier)], pa.array(units, pa.string())))


def _refusal(verifier: Verifier, broken: Sequence[tuple[str, Exception]]) -> StageFailed:
    (first, error), *more = broken
    others = f", and at {len(more)} more" if more else ""
    return StageFailed(f"verifier {type(verifier).__name__} breaks at completion {first}{others} ({_said(error)}); mend the verifier")


def _said(error: Exception) -> str:
    """An exception in a line without what differs from run to run."""
    line = " ".join(str(error).split())[:200]
    return re.sub(r"0x[0-9a-f]+", "0x…", f"{type(error).__name__}: {line}")
