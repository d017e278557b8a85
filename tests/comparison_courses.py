"""A comparison's courses with figures that were thought up: no campaign is run for them."""

from __future__ import annotations

import random

from lib.comparison import Standing
from lib.comparison_settings import Comparison
from lib.course import Course
from lib.loop_tokens import Tokens

PROBLEMS = [f"p{number}" for number in range(60)]


def comparison(**more: object) -> Comparison:
    return Comparison(**{"name": "x", "recipes": ("good", "poor"), "seeds": (0, 1), "rounds": 2, **more})


def standing(name: str, recipe: str, number: int, skill: float, seed: int, state: str = "accepted") -> Standing:
    """A model that solves each problem with a chance of its own; easy problems are easy for all."""
    draw = random.Random(f"{recipe} {number} {seed}")
    shares = {problem: sum(draw.random() < skill * (1.5 - at / 60) for _ in range(8)) / 8 for at, problem in enumerate(PROBLEMS)}
    items = {"pass_at_1": shares, "pass_at_8": {problem: float(share > 0) for problem, share in shares.items()}}
    metrics = {metric: (sum(values.values()) / len(values), 0.05) for metric, values in items.items()}
    return Standing(name, recipe, number, state, metrics, items)


SKILLS = {"good": (0.3, 0.45, 0.6), "poor": (0.3, 0.3, 0.3)}


def courses(asked: Comparison, cost: int = 1000) -> list[Course]:
    """`good` gets better round by round and `poor` stays; each round takes `cost` tokens, `good` trains on ten times as many."""
    found = []
    for member in asked.members():
        skills = SKILLS.get(member.recipe, SKILLS["poor"])[: asked.rounds + 1]
        trained = cost * 10 if member.recipe == "good" else cost
        split = {
            kind: [
                standing(member.campaign, "base" if not n else member.recipe, n, skill, member.seed + 100 * (kind == "test"))
                for n, skill in enumerate(skills)
            ]
            for kind in ("validation", "test")
        }
        tokens = {number: Tokens(number * cost, number * trained) for number in range(len(skills))}
        start = {"models": {"policy": f"m{member.seed}"}, "problems": ["countdown"]}
        found.append(Course(member, tokens, split["validation"], split["test"], start))
    return found
