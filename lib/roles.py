"""Which roles a round's models are measured and decided upon in: each role has a champion of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lib.strategy import Strategy

POLICY = "policy"
"""The role that a recipe trains unless it names another."""


def measured_role(evaluator: Strategy) -> str:
    """The role whose models an evaluator measures: the one that its sampler draws from."""
    return str(getattr(getattr(evaluator, "sampler", None), "role", POLICY))


def judges_of(evaluator: Any) -> tuple[Strategy, ...]:
    """The verifiers that feed an evaluator: those that say what is correct, and its scorer where it has one."""
    scorer = getattr(evaluator, "scorer", None)
    return (*getattr(evaluator, "verifiers", ()), *((scorer,) if scorer is not None else ()))


def scorer_name(evaluator: Any) -> str:
    """The name of the verdicts of an evaluator's scorer; empty where it has none."""
    return str(getattr(getattr(evaluator, "scorer", None), "name", ""))


def judged_roles(evaluators: Iterable[Strategy], made: Iterable[str]) -> list[str]:
    """The policy, then those of the roles `made` that an evaluator measures."""
    measured = {measured_role(evaluator) for evaluator in evaluators}
    return [POLICY, *sorted({*made} & measured - {POLICY})]
