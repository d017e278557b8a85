"""What the draws of a search tree say of its steps: targets for a model of partial answers (V.step).

`inferred` is ReST-MCTS*'s (Zhang et al. 2024). With m_k the least number of further steps from step k to a correct end, and for a
step from which none was found the m of its deepest ancestor that has one; h_k = 1 on the way to a correct end, else -1:

    v_0 = 0,   w_k = h_k (1 - v_{k-1}) / (m_k + 1),   v_k = max(v_{k-1} + w_k, 0)

so that v_k = k / K along K steps that are all right. This is the code (THUDM/ReST-MCTS); the paper writes h_k as 1 - 2 r_k.

`soft` and `hard` are Math-Shepherd's (Wang et al. 2024), over the draws that continue a step, its own and those of its
children: the share of correct ones, and whether there is one. What lies deeper went on where the search liked it, and is no
sample of the policy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["inferred", "soft", "hard"]


@dataclass(frozen=True, slots=True)
class Draw:
    """One completion of a tree and the step that it made."""

    id: str
    parent: str | None
    key: str
    """The step with all that leads to it: draws with one key have made one step."""
    depth: int
    more: int
    """How many steps of the draw follow the step."""
    outcome: str


@dataclass(slots=True)
class _Step:
    """A step, its own draws, and what is known of those below it."""

    above: str | None
    depth: int
    outcomes: list[str] = field(default_factory=list)
    continued: list[str] = field(default_factory=list)
    """Outcomes of the draws of its children."""
    further: int | None = None
    """m: the least number of further steps to a correct end that was found."""
    all_wrong: bool = True
    value: float | None = None
    span: int = 1
    """m + 1, its own or that of its deepest ancestor on the way to a correct end."""


def step_values(draws: Sequence[Draw], kind: Kind) -> dict[str, float | None]:
    """Key of a step → its target; None where what was found below it decides nothing, or its parent is not given."""
    steps = _steps(draws)
    if kind == "inferred":
        _infer(steps)
        return {key: step.value for key, step in steps.items()}
    return {key: _share(step, kind) for key, step in steps.items()}


def _steps(draws: Sequence[Draw]) -> dict[str, _Step]:
    keys = {draw.id: draw.key for draw in draws}
    steps: dict[str, _Step] = {}
    for draw in sorted(draws, key=lambda draw: (-draw.depth, draw.id)):
        above = None if draw.parent is None else keys.get(draw.parent, "")  # no step has an empty key
        step = steps.setdefault(draw.key, _Step(above, draw.depth))
        step.outcomes.append(draw.outcome)
        step.all_wrong &= draw.outcome == "wrong"
        if draw.outcome == "correct":
            step.further = _least(step.further, draw.more)
    for step in steps.values():  # the deepest first
        if parent := steps.get(step.above or ""):
            parent.continued += step.outcomes
            parent.all_wrong &= step.all_wrong
            if step.further is not None:
                parent.further = _least(parent.further, step.further + 1)
    return steps


def _least(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _infer(steps: Mapping[str, _Step]) -> None:
    """Fill in the values, from the first steps down."""
    for step in reversed(list(steps.values())):
        parent = steps.get(step.above or "")
        if step.above is not None and (parent is None or parent.value is None):
            continue
        before = 0.0 if parent is None else parent.value or 0.0
        step.span = step.further + 1 if step.further is not None else parent.span if parent else 1  # from v = 0 any span leads to 0
        if step.further is not None or step.all_wrong:
            gain = (1 - before) / step.span
            step.value = max(before + (gain if step.further is not None else -gain), 0.0)


def _share(step: _Step, kind: Kind) -> float | None:
    decided = [outcome == "correct" for outcome in (*step.outcomes, *step.continued) if outcome in ("correct", "wrong")]
    if not decided:
        return None
    return float(any(decided)) if kind == "hard" else sum(decided) / len(decided)
