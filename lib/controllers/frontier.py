"""Problems that the model solves sometimes: neither too easy nor too hard (K.frontier).

A probe gives each problem its pass rate p, the share of correct among its decided answers. Published bands: 0.3 to 0.8
(Xia et al., "Agent0", 2025) and 0.3 to 0.7 (the default of R-Zero, Huang et al., 2025).
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from lib import seeds
from lib.deciding import Decided, Seen
from lib.errors import UserError
from lib.outcomes import outcomes
from lib.protocols import Tables
from lib.strategy import Strategy


class Frontier(Strategy):
    """Keeps the problems whose pass rate is in a band, or draws them by the weight p (1 - p), none twice.

    The weighted draw takes the highest u^(1 / w), u uniform (Efraimidis and Spirakis 2006). A problem that was not probed,
    or of which no answer was decided, is not chosen. The pass rates that choose are not those of the answers learned:
    the phase samples the chosen problems anew.
    """

    by: Literal["band", "weight"] = "band"
    """How problems are chosen."""
    low: float = Field(0.3, ge=0, le=1)
    """The least pass rate of the band."""
    high: float = Field(0.8, ge=0, le=1)
    """The highest."""
    count: int | None = Field(None, ge=1)
    """The most problems that are chosen; None: all that qualify."""
    n: int = Field(8, ge=1)
    """Samples of each problem."""
    n_setting: str = "sampler.n"
    """The setting of the phase that the probe takes n by."""
    probe_problems: int | None = Field(None, ge=1)
    """How many problems are probed; None: all of the round's."""

    @model_validator(mode="after")
    def _is_a_band(self) -> Frontier:
        if self.low > self.high:
            raise UserError(f"Frontier: low={self.low} is above high={self.high}; exchange them")
        return self

    @property
    def probes(self) -> tuple[dict[str, Any], ...]:
        return ({self.n_setting: self.n},)

    def decide(self, seen: Seen) -> Decided:
        """State: how many problems were too easy, too hard and chosen. Raises UserError where none qualifies."""
        rates = pass_rates(seen.probes[0])
        weights = {problem: self._weight(rate) for problem, rate in rates.items()}
        fitting = [problem for problem, weight in weights.items() if weight]
        if not fitting:
            band = f"a pass rate between {self.low:g} and {self.high:g}" if self.by == "band" else "both right and wrong answers"
            raise UserError(f"Frontier: of {len(rates)} problems probed none has {band}; widen the band, or raise n")
        draws = {problem: self._draw(seen.seed, problem, weights[problem]) for problem in fitting}
        chosen = sorted(fitting, key=draws.__getitem__)[: self.count]
        low, high = (self.low, self.high) if self.by == "band" else (0.0, 1.0)
        easy, hard = (sum(outside(rate) for rate in rates.values()) for outside in (lambda p: p > high, lambda p: p < low))
        return Decided({"too_easy": easy, "too_hard": hard, "chosen": len(chosen)}, problems=sorted(chosen))

    def _weight(self, rate: float) -> float:
        return rate * (1 - rate) if self.by == "weight" else float(self.low <= rate <= self.high)

    def _draw(self, seed: int, problem: str, weight: float) -> float:
        """Less for what is chosen first: -log u / w, which falls as u^(1/w) rises."""
        return -math.log1p(-float(seeds.uniforms([seeds.seed_of(seed, problem)], 0, 1)[0, 0])) / weight


def pass_rates(probe: Tables) -> dict[str, float]:
    """Problem → share of correct among its decided completions, of those that have any."""
    came_out = outcomes(probe)
    found: dict[str, list[bool]] = {}
    for name, problem in zip(*(probe.completions[c].to_pylist() for c in ("completion_id", "problem_id")), strict=True):
        if came_out[name] != "undecided":
            found.setdefault(problem, []).append(came_out[name] == "correct")
    return {problem: sum(rows) / len(rows) for problem, rows in sorted(found.items())}
