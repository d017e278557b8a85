"""How far judges agree: verifiers with each other, and with labels that the authors of recorded completions gave.

A label is a verdict too, by the verifier `label` (or `label NAME` where a file has several), so one function sets any two
judges against each other. Only verdicts on a whole completion count: those with an outcome and neither step nor rival.

Precision and recall are those of one judge with another taken as the truth, `correct` being what is looked for:
precision = (both say correct) / (it says correct, and the truth is decided), recall = (both say correct) / (the truth says
correct); an undecided judge found nothing, an undecided truth is left out. Their intervals are Wilson's (Wilson 1927,
"Probable inference, the law of succession, and statistical inference"): with z the normal quantile, p the share and n the
number, (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lib.statistics import Interval

OUTCOMES = ("correct", "wrong", "undecided")


class Share(NamedTuple):
    """A share of so many, with its 95 % interval; the share of none is unknown."""

    found: int
    of: int
    value: float | None
    interval: Interval


class Quality(NamedTuple):
    """How well one judge finds what another calls correct."""

    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each outcome of one judge met each of another, over the completions that both judged."""

    first: str
    second: str
    counts: Mapping[tuple[str, str], int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def agreed(self) -> int:
        """Completions of which both say the same; two that are undecided do not agree."""
        return self.counts.get(("correct", "correct"), 0) + self.counts.get(("wrong", "wrong"), 0)

    @property
    def quality(self) -> Quality:
        """Of the second judge, with the first as the truth."""
        both = self.counts.get(("correct", "correct"), 0)
        said = both + self.counts.get(("wrong", "correct"), 0)
        true = sum(self.counts.get(("correct", outcome), 0) for outcome in OUTCOMES)
        return Quality(share(both, said), share(both, true))

    def rows(self) -> list[dict[str, object]]:
        """The matrix: a row for each outcome of the first judge, a column for each of the second."""
        return [{self.first: a, **{b: self.counts.get((a, b), 0) for b in OUTCOMES}} for a in OUTCOMES if self._has(a)]

    def _has(self, outcome: str) -> bool:
        return any(self.counts.get((outcome, other)) for other in OUTCOMES)


def whole(verdicts: pa.Table) -> pa.Table:
    """The verdicts on whole completions that say an outcome; scorers, steps and comparisons are left out."""
    keep = pc.and_(pc.is_valid(verdicts["outcome"]), pc.and_(pc.is_null(verdicts["step"]), pc.is_null(verdicts["rival_id"])))
    return verdicts.filter(keep)


def judges(verdicts: pa.Table) -> list[str]:
    """Every verifier among these verdicts, in alphabetical order."""
    return sorted(set(verdicts["verifier"].to_pylist()))


def outcomes(verdicts: pa.Table) -> dict[str, Counter[str]]:
    """Verifier → how often it said which outcome."""
    said = whole(verdicts)
    found: dict[str, Counter[str]] = {judge: Counter() for judge in judges(said)}
    for verifier, outcome in zip(said["verifier"].to_pylist(), said["outcome"].to_pylist(), strict=True):
        found[verifier][outcome] += 1
    return found


def undecided_share(verdicts: pa.Table) -> dict[str, float]:
    """Verifier → the share of its outcomes that are undecided."""
    return {judge: counts["undecided"] / counts.total() for judge, counts in outcomes(verdicts).items()}


def confusion(verdicts: pa.Table, first: str, second: str) -> Confusion:
    """Two judges over the completions that both judged."""
    return _confusion(by_judge(verdicts), first, second)


def pairwise(verdicts: pa.Table) -> list[Confusion]:
    """Every two judges of a verdicts table, in alphabetical order; none where there is one judge."""
    said = by_judge(verdicts)
    return [_confusion(said, first, second) for first, second in combinations(said, 2)]


def by_judge(verdicts: pa.Table) -> dict[str, dict[str, str]]:
    """Verifier → completion → outcome, verifiers in alphabetical order."""
    said = whole(verdicts)
    found: dict[str, dict[str, str]] = {judge: {} for judge in judges(said)}
    for row in zip(*(said[name].to_pylist() for name in ("verifier", "completion_id", "outcome")), strict=True):
        found[row[0]][row[1]] = row[2]
    return found


def share(found: int, of: int, confidence: float = 0.95) -> Share:
    """A share with its Wilson interval; of none it is unknown, from 0 to 1."""
    if not of:
        return Share(0, 0, None, Interval(0.0, 1.0))
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = found / of
    middle, reach = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = (middle - reach) / (1 + z * z / of), (middle + reach) / (1 + z * z / of)
    return Share(found, of, p, Interval(max(0.0, low), min(1.0, high)))


def _confusion(said: Mapping[str, Mapping[str, str]], first: str, second: str) -> Confusion:
    one, other = said.get(first, {}), said.get(second, {})
    return Confusion(first, second, Counter((one[completion], other[completion]) for completion in one if completion in other))
