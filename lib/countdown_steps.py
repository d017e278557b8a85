"""Countdown's rules in exact arithmetic: what a prompt `1,5,8>45:` asks, and what is wrong with steps `8+1=9;9*5=45`.

Steps are `a+b=c` with + - * / joined by `;`, without spaces or leading zeros. Each operand must be a given number or an
earlier result, each used once; every result is a positive whole number; the last is the target, and nothing is left over.
"""

from __future__ import annotations

import re

from lib.countdown_reach import can_reach

LONGEST = 400
"""Characters of a solution that are read; a longer one is wrong."""
SEARCHED = 4
"""So many numbers left, or fewer, are searched for a way to the target: all that a problem of five leaves after one step."""

_NUMBER = r"(?:0|[1-9][0-9]{0,11})"
_STEP = re.compile(rf"({_NUMBER})([-+*/])({_NUMBER})=({_NUMBER})")
_STEPS = re.compile(rf"{_STEP.pattern}(?:;{_STEP.pattern})*")
_PROMPT = re.compile(r"([1-9][0-9]{0,3}(?:,[1-9][0-9]{0,3}){1,9})>([1-9][0-9]{0,5}):")


def question(prompt: str) -> tuple[tuple[int, ...], int] | None:
    """The numbers and the target of `1,5,8>45:`, or None where the prompt is not of that form."""
    match = _PROMPT.fullmatch(prompt)
    return (tuple(map(int, match[1].split(","))), int(match[2])) if match else None


def fault(text: str, numbers: tuple[int, ...], target: int) -> str | None:
    """The first thing wrong with a solution, in words, or None if it solves the problem. Never raises."""
    left = left_after(text, numbers)
    if isinstance(left, str):
        return left
    if left[-1] != target:
        return f"ends at {left[-1]}, not {target}"
    unused = len(left) - 1
    return f"{unused} number{'s' if unused > 1 else ''} unused" if unused else None


def left_after(text: str, numbers: tuple[int, ...]) -> tuple[int, ...] | str:
    """The numbers that a text's steps leave, the last result at the end, or the first thing wrong with it, in words."""
    if len(text) > LONGEST:
        return f"longer than {LONGEST} characters"
    if not _STEPS.fullmatch(text):
        return "not of the form a+b=c;…"
    available = list(numbers)
    for place, (left, operation, right, claimed) in enumerate(_STEP.findall(text), start=1):
        wrong = _step_fault(int(left), operation, int(right), int(claimed), available)
        if wrong:
            return f"step {place}: {wrong}"
    return tuple(available)


def first_wrong(text: str, numbers: tuple[int, ...], target: int) -> int:
    """The number, from 1, of a solution's first wrong step, or 0 if it solves the problem; 0 exactly where `fault` is None.

    A step is wrong if it is not of the form, takes what is not there, computes wrongly, or leaves numbers from which the
    target cannot be reached any more (Uesato et al. 2022, "Solving math word problems with process- and outcome-based feedback");
    more numbers than SEARCHED are not searched. Where no step is wrong so far, and yet they do not solve the problem, the last
    one is. An empty text has one step. Nine stands for any later one.
    """
    available = list(numbers)
    steps = text[:LONGEST].split(";")
    for place, step in enumerate(steps, start=1):
        match = _STEP.fullmatch(step)
        if match is None or _step_fault(int(match[1]), match[2], int(match[3]), int(match[4]), available):
            return min(place, 9)
        if len(available) <= SEARCHED and not can_reach(available, target):
            return min(place, 9)
    return 0 if available == [target] and len(text) <= LONGEST else min(len(steps), 9)


def computed(left: int, operation: str, right: int) -> int | None:
    """The result of a step on positive whole numbers, which may be zero or less; None where a quotient is not whole."""
    if operation == "/":
        return None if left % right else left // right
    return {"+": left + right, "-": left - right, "*": left * right}[operation]


def _step_fault(left: int, operation: str, right: int, claimed: int, available: list[int]) -> str | None:
    """What is wrong with one step, or None; takes its operands from `available` and puts the result at the end."""
    for operand in (left, right):
        if operand not in available:
            return f"{operand} is not available"
        available.remove(operand)
    result = computed(left, operation, right)
    if result is None:
        return f"{left}/{right} is not whole"
    if result < 1:
        return f"{left}{operation}{right} is {result}, not positive"
    if result != claimed:
        return f"{left}{operation}{right} is {result}, not {claimed}"
    available.append(result)
    return None
