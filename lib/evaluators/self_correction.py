"""What further attempts make of the first: accuracy by attempt, and how much of it is keeping what was right and mending what was wrong.

Problem i has pairs of an attempt and the next one. With a_i = P(right before), b_i = P(right after | right before) and
d_i = P(right after | wrong before), 0 where undefined:

    Acc = mean a     Acc' = mean(a b + (1 - a) d) = Acc CL + (1 - Acc) CS
    CL = Σ a_i b_i / Σ a_i      confidence level: right answers that stay       CS = Σ (1 - a_i) d_i / Σ (1 - a_i)   critique score
    RSS = (Acc' - Acc²) / (2 Acc (1 - Acc))     0 at the lower bound Acc², 1 at the upper bound 2 Acc - Acc²
    delta = Acc' - Acc = wrong_to_right - right_to_wrong     (1 - Acc) CS and Acc (1 - CL)     (SCoRe, Kumar et al. 2024)

CL, CS and RSS as in the public code of SelfCorrectDecompose (Zhe-Young/SelfCorrectDecompose, analysis_sampling.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from lib.evaluators.figures import Figures
from lib.evaluators.judged import Judged, judged
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables
from lib.roles import measured_role
from lib.statistics import standard_error

Pair = tuple[Judged, Judged]


class SelfCorrection(Measuring):
    """`acc_t` for every attempt t from 1, and for each later one what became of the attempt before it (`cl_2`, `delta_2`, …).

    An attempt follows the completion that it has as parent, or that one's nearest ancestor of the sampler's own role, so a
    critique between two attempts is none itself. `acc_t` is over all decided completions, the rest over pairs that are decided
    at both ends; `edit_rate_t` is the share of these whose texts differ, white space apart.
    """

    turns: int = Field(2, ge=2)
    """Attempts that are looked at, the first one counted."""

    def evaluate(self, tables: Tables) -> Evaluated:
        rows = judged(tables)
        attempts = {problem: _attempts(drawn, measured_role(self)) for problem, drawn in rows.items()}
        figures = Figures(self)
        for turn in range(1, self.turns + 1):
            at = {problem: [row for row, number, _ in found if number == turn and row.is_decided] for problem, found in attempts.items()}
            figures.mean(f"acc_{turn}", {problem: _share(found) for problem, found in at.items() if found})
            if turn > 1:
                pairs = {
                    problem: [(before, row) for row, number, before in found if number == turn and before and _both(before, row)]
                    for problem, found in attempts.items()
                }
                _decomposed(figures, {problem: found for problem, found in pairs.items() if found}, turn)
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        later = ("acc", "delta", "right_to_wrong", "wrong_to_right", "edit_rate")
        return ("acc_1", *(f"{metric}_{turn}" for turn in range(2, self.turns + 1) for metric in later))


def _attempts(rows: Sequence[Judged], role: str) -> list[tuple[Judged, int, Judged | None]]:
    """Every completion of the role, which attempt it is, and the attempt before it."""
    by_id = {row.completion_id: row for row in rows}
    found = []
    for row in rows:
        chain = [one for one in _line(row, by_id) if one.role == role]
        if row.role == role:
            found.append((row, len(chain), chain[1] if len(chain) > 1 else None))
    return found


def _line(row: Judged, by_id: Mapping[str, Judged]) -> list[Judged]:
    """A completion and its ancestors, each once."""
    line = [row]
    while (parent := by_id.get(line[-1].parent_id or "")) is not None and parent not in line:
        line.append(parent)
    return line


def _both(before: Judged, after: Judged) -> bool:
    return before.is_decided and after.is_decided


def _share(rows: Sequence[Judged]) -> float:
    return sum(row.is_correct for row in rows) / len(rows)


def _decomposed(figures: Figures, pairs: Mapping[str, Sequence[Pair]], turn: int) -> None:
    """The figures of one attempt and the one before it."""
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for problem, found in pairs.items():
        m = len(found)
        shares["before"][problem] = sum(a.is_correct for a, _ in found) / m
        shares["kept"][problem] = sum(a.is_correct and b.is_correct for a, b in found) / m
        shares["mended"][problem] = sum(not a.is_correct and b.is_correct for a, b in found) / m
        shares["edited"][problem] = sum(a.plain != b.plain for a, b in found) / m
    before, kept, mended = shares["before"], shares["kept"], shares["mended"]
    figures.ratio(f"cl_{turn}", {problem: (kept[problem], before[problem]) for problem in pairs})
    figures.ratio(f"cs_{turn}", {problem: (mended[problem], 1 - before[problem]) for problem in pairs})
    after = {problem: kept[problem] + mended[problem] for problem in pairs}
    _recovered(figures, before, after, turn)
    figures.mean(f"delta_{turn}", {problem: after[problem] - before[problem] for problem in pairs})
    figures.mean(f"right_to_wrong_{turn}", {problem: before[problem] - kept[problem] for problem in pairs})
    figures.mean(f"wrong_to_right_{turn}", mended)
    figures.mean(f"edit_rate_{turn}", shares["edited"])


def _recovered(figures: Figures, before: Mapping[str, float], after: Mapping[str, float], turn: int) -> None:
    """RSS, with the standard error of its linear part in the two accuracies; none where the first is 0 or 1."""
    n = len(before)
    first, second = (sum(values.values()) / n if n else 0.0 for values in (before, after))
    if not 0 < first < 1:
        return
    width = 2 * first * (1 - first)
    rss = (second - first**2) / width
    by_first, by_second = (-2 * first - rss * 2 * (1 - 2 * first)) / width, 1 / width
    linear = [by_first * before[problem] + by_second * after[problem] for problem in before]
    figures.figure(f"rss_{turn}", rss, n, standard_error(linear))
