"""How often a model checks, goes back, sets itself subgoals and reasons backwards, by the phrases that give it away.

The behaviours are those of Gandhi et al. 2025 ("Cognitive behaviors that enable self-improving reasoners"), who had a
model look for them; the phrases are ours, for English, and miss what is said in other words.

    NAME_rate           share of completions with at least one match, mean over problems
    reflection_count    matches of the pattern `reflection` in a completion, mean over problems

A text's last 20,000 characters are read. One on which a pattern takes longer than a second is left out of that figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pydantic import Field, field_validator

from lib.errors import UserError
from lib.evaluators.figures import Figures
from lib.evaluators.judged import judged
from lib.evaluators.measuring import Measuring
from lib.protocols import Evaluated, Tables
from lib.samplers.independent import Independent
from lib.strategy import AnyStrategy

LONGEST = 20_000
"""Characters of a text that are read, counted from the end."""

SECONDS = 1.0
"""How long one pattern may take on one text."""

REFLECTION = "reflection"
"""The pattern whose matches are counted too."""

PHRASES = {
    "verification": r"(?i)\b(?:let(?: me|'s) (?:check|verify|double[- ]check)|to (?:check|verify)|double[- ]check|checking)\b",
    "backtracking": r"(?i)\b(?:wait|this (?:is wrong|doesn't work|does not work|won't work)|that's not right"
    r"|let(?: me|'s) (?:try again|start over|go back)|try (?:a different|another) (?:approach|way))\b",
    "subgoal_setting": r"(?i)\b(?:first,? (?:i|we|let)|next step|step [0-9]+|(?:i|we) need to first"
    r"|let's break|break (?:it|this) down)\b",
    "backward_chaining": r"(?i)\b(?:work(?:ing)? backwards?|start(?:ing)? (?:from|with) the (?:target|goal|answer)"
    r"|to (?:get|reach) [0-9]+,? (?:i|we))\b",
    "reflection": r"(?i)\b(?:wait|hmm+|actually|on second thought|let me (?:think|reconsider|rethink)"
    r"|i should reconsider|i made a mistake)\b",
}
"""Behaviour → its phrases. None of them repeats a part that could match in two ways, so that reading is linear."""


class Behaviours(Measuring):
    """The rate of each behaviour over completions, whatever their outcome."""

    sampler: AnyStrategy = Independent(n=8, temperature=1.0)
    """Where the completions come from."""
    patterns: dict[str, str] = Field(default_factory=lambda: dict(PHRASES))
    """Behaviour → a regular expression in the syntax of the package `regex`."""

    @field_validator("patterns")
    @classmethod
    def _readable(cls, patterns: dict[str, str]) -> dict[str, str]:
        import regex

        for name, pattern in patterns.items():
            if not regex.fullmatch(r"[A-Za-z0-9_]+", name):
                raise UserError(f"Behaviours: '{name}' cannot be a behaviour's name; give letters, digits and underscores")
            try:
                regex.compile(pattern)
            except (regex.error, ValueError, OverflowError, RecursionError) as error:
                raise UserError(f"Behaviours: the pattern of '{name}' is no regular expression: {' '.join(str(error).split())}") from None
        return patterns

    def evaluate(self, tables: Tables) -> Evaluated:
        texts = {problem: [row.text[-LONGEST:] for row in rows] for problem, rows in judged(tables).items()}
        figures = Figures(self)
        for name, pattern in self.patterns.items():
            counts = {problem: [n for text in own if (n := _matches(pattern, text)) is not None] for problem, own in texts.items()}
            counts = {problem: own for problem, own in counts.items() if own}
            figures.mean(f"{name}_rate", {problem: sum(n > 0 for n in own) / len(own) for problem, own in counts.items()})
            if name == REFLECTION:
                figures.mean(f"{REFLECTION}_count", {problem: sum(own) / len(own) for problem, own in counts.items()})
        return figures.evaluated()

    def _per_problem(self) -> Iterable[str]:
        counted = (f"{REFLECTION}_count",) if REFLECTION in self.patterns else ()
        return (*(f"{name}_rate" for name in self.patterns), *counted)


def _matches(pattern: str, text: str) -> int | None:
    """How often a pattern matches, or None past the time limit."""
    try:
        return sum(1 for _ in _compiled(pattern).finditer(text, timeout=SECONDS))
    except TimeoutError:
        return None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import regex

    return regex.compile(pattern)
