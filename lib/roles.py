"""Which roles a round's models are measured and decided upon in: each role has a champion of its own."""

from __future__ import annotations

from collections.abc import Iterable

from lib.strategy import Strategy

POLICY = "policy"
"""The role that a recipe trains unless it names another."""


def measured_role(evaluator: Strategy) -> str:
    """The role whose models an evaluator measures: the one that its sampler draws from."""
    return str(getattr(getattr(evaluator, "sampler", None), "role", POLICY))


def judged_roles(evaluators: Iterable[Strategy], made: Iterable[str]) -> list[str]:
    """The policy, then those of the roles `made` that an evaluator measures."""
    measured = {measured_role(evaluator) for evaluator in evaluators}
    return [POLICY, *sorted({*made} & measured - {POLICY})]
