"""The sampling temperature, and the threshold of a reward, that balance variety against precision (K.grid).

Zeng et al., "B-STaR: Monitoring and Balancing Exploration and Exploitation in Self-Taught Reasoners", 2024: at each point of
a grid, a problem q of the probe has n_q answers that would be kept, n_q+ of them correct, and

    bs_q = min(n_q+ / n*, 1) · n_q+ / n_q      (0 where nothing is kept)

The point with the highest mean over the problems is chosen. Answers count once however often they were given: texts that
are equal but for white space are one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from pydantic import Field, model_validator

from lib.deciding import Decided, Seen
from lib.errors import UserError
from lib.outcomes import outcomes
from lib.protocols import Tables
from lib.strategy import Strategy


class Balance(Strategy):
    """Decides by the highest balance score; of equal ones, the first of the grid.

    Without a scorer the reward is being correct: what is kept is correct, so the second factor is 1 and the score is how
    many different correct answers there are, up to n*. Left out of the published code: the cap that grows until the
    training set has its size, and the gold answer added to every problem's answers.
    """

    temperatures: tuple[float, ...] = Field((0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2), min_length=1)
    """The grid; the published one goes in steps of 0.05."""
    temperature_setting: str = "sampler.temperature"
    """The setting of the phase that gets the temperature."""
    n: int = Field(16, ge=1)
    """Samples of each problem at each temperature; published: 64."""
    n_setting: str = "sampler.n"
    """The setting that the probes take n by."""
    probe_problems: int | None = Field(100, ge=1)
    """How many problems are probed; None: all of the round's."""
    n_star: int = Field(8, ge=1)
    """How many different correct answers are enough."""
    scorer: str = ""
    """The verifier whose score is the reward; empty: the outcome is."""
    thresholds: tuple[float, ...] = ()
    """The grid of least scores for an answer to be kept; only with a scorer. Published: -1 to 1 in steps of 0.01."""
    threshold_setting: str = ""
    """The setting of the phase that gets the threshold, such as `filters.0.lowest`."""
    cap: int | None = Field(None, ge=1)
    """The most answers of a problem that would be kept, by their sample index; None: all."""

    @model_validator(mode="after")
    def _thresholds_have_a_scorer(self) -> Balance:
        if not (bool(self.scorer) == bool(self.thresholds) == bool(self.threshold_setting)):
            raise UserError("Balance: scorer, thresholds and threshold_setting go together; set all three or none")
        return self

    @property
    def probes(self) -> tuple[dict[str, Any], ...]:
        """One for each temperature."""
        return tuple({self.temperature_setting: temperature, self.n_setting: self.n} for temperature in self.temperatures)

    @property
    def decides(self) -> tuple[dict[str, Any], ...]:
        return (self._settings(self.temperatures[0], self.thresholds[0]),) if self.thresholds else ()

    def decide(self, seen: Seen) -> Decided:
        """State: the temperature, the threshold if there is a scorer, and `score`, T or T/threshold → balance score."""
        scores: dict[tuple[float, float | None], float] = {}
        for temperature, probe in zip(self.temperatures, seen.probes, strict=True):
            answers = _answers(probe, self.scorer)
            for threshold in self.thresholds or (None,):
                scores[temperature, threshold] = self._score(answers, threshold, probe.problems.num_rows)
        best = max(scores, key=scores.__getitem__)  # the first of equal ones
        named = {f"{t:g}" if threshold is None else f"{t:g}/{threshold:g}": score for (t, threshold), score in scores.items()}
        state: dict[str, Any] = {"temperature": best[0], "balance_score": scores[best], "score": named}
        return Decided({**state, **({} if best[1] is None else {"threshold": best[1]})}, self._settings(*best))

    def _settings(self, temperature: float, threshold: float | None) -> dict[str, Any]:
        return {self.temperature_setting: temperature, **({} if threshold is None else {self.threshold_setting: threshold})}

    def _score(self, answers: dict[str, list[tuple[bool, float]]], threshold: float | None, problems: int) -> float:
        """BS, the mean of bs_q over all problems probed."""
        found = []
        for rows in answers.values():
            kept = [correct for correct, score in rows if (correct if threshold is None else score >= threshold)][: self.cap]
            found.append(min(sum(kept) / self.n_star, 1.0) * sum(kept) / len(kept) if kept else 0.0)
        return math.fsum(found) / problems


def _answers(probe: Tables, scorer: str) -> dict[str, list[tuple[bool, float]]]:
    """Problem → (correct, score) of its different decided answers, by sample index; an answer without a score has -inf."""
    came_out = outcomes(probe)
    columns = ("completion_id", "verifier", "score", "step", "rival_id")
    verdicts = zip(*(probe.verdicts[c].to_pylist() for c in columns), strict=True)
    scores = {name: score for name, by, score, step, rival in verdicts if by == scorer and step is None and rival is None}
    found: dict[str, dict[str, tuple[bool, float]]] = defaultdict(dict)
    rows = probe.completions.select(["problem_id", "sample_index", "completion_id", "text"]).sort_by(
        [("problem_id", "ascending"), ("sample_index", "ascending"), ("completion_id", "ascending")]
    )
    for problem, name, text in zip(*(rows[c].to_pylist() for c in ("problem_id", "completion_id", "text")), strict=True):
        if came_out[name] != "undecided":
            score = scores.get(name)
            found[problem].setdefault(" ".join(text.split()), (came_out[name] == "correct", -math.inf if score is None else score))
    return {problem: list(texts.values()) for problem, texts in found.items()}
