r"""Arithmetic puzzles answered by one expression: each given number once, and exactly the target, in rational arithmetic.

An expression has whole numerals, `+ - * /` (also `×`, `÷`, `\times`, `\cdot`, `\div`), parentheses and signs; powers, decimals
and products without a sign are none. What stands behind an equals sign is no evidence and is not read. Time and memory are
bounded by the length of the expression.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from fractions import Fraction
from typing import NamedTuple

from lib.verifiers.final_answer import LONGEST_TEXT, before_stop, marked
from lib.verifiers.verdicts import Judgement

LONGEST = 400
"""Characters that an expression may have."""

_SIGNS = (("\u2212", "-"), ("\\times", "*"), ("\\cdot", "*"), ("\u00d7", "*"), ("\\div", "/"), ("\u00f7", "/"))
_FRAME = re.compile(r"\\[()\[\]]|\\(?:left|right)(?![A-Za-z])|\$")
_TOKEN = re.compile(r" *([0-9]{1,12}(?![0-9.])|[-+*/()])")
_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3}


class Puzzle(NamedTuple):
    """What a puzzle asks for."""

    numbers: tuple[int, ...]
    target: int

    def as_tests(self) -> str:
        """The puzzle as the `tests` column of a problem holds it."""
        return json.dumps({"numbers": list(self.numbers), "target": self.target})


class NoValue(Exception):
    """Why an expression has no value, in words."""


def puzzle(tests: str | None) -> Puzzle | None:
    """The puzzle of a `tests` cell, or None where it holds none."""
    try:
        found = json.loads(tests or "null")
        return Puzzle(tuple(int(number) for number in found["numbers"]), int(found["target"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def expression(text: str) -> str:
    """The expression that a text ends with: in the last box, behind `Answer:`, or else its last line; up to `=`."""
    span = marked(text)
    if span is not None:
        found = span.text
    else:
        lines = (before_stop(line).strip() for line in reversed(text[-LONGEST_TEXT:].split("\n")))
        found = next((line for line in lines if line), "")
    for sign, plain in _SIGNS:
        found = found.replace(sign, plain)
    return " ".join(_FRAME.sub("", found).partition("=")[0].split()).rstrip(".")


def judged(text: str, finish_reason: str, asked: Puzzle | None) -> Judgement:
    """The verdict on a text that answers a puzzle by one expression."""
    if finish_reason == "error":
        return Judgement("undecided", "not sampled")
    if asked is None:
        return Judgement("undecided", "unreadable problem")
    wrong = fault(text, asked)
    if wrong is None:
        return Judgement("correct", "solved")
    return Judgement("wrong", "cut off by the length limit" if finish_reason == "length" else wrong)


def fault(text: str, asked: Puzzle) -> str | None:
    """What is wrong with the expression that a text ends with, or None if it solves the puzzle. Never raises."""
    try:
        value, numerals = evaluated(expression(text))
    except NoValue as why:
        return str(why)
    given, used = Counter(asked.numbers), Counter(numerals)
    foreign = sorted((used - given).elements())
    if foreign:
        return f"{foreign[0]} is not given" if foreign[0] not in given else f"{foreign[0]} is used more often than given"
    unused = sorted((given - used).elements())
    if unused:
        return f"{unused[0]} is not used"
    return None if value == asked.target else f"makes {value if len(str(value)) < 40 else 'another number'}, not {asked.target}"


def evaluated(text: str) -> tuple[Fraction, list[int]]:
    """The value of an expression and its numerals in order. Raises NoValue."""
    if len(text) > LONGEST:
        raise NoValue(f"longer than {LONGEST} characters")
    values: list[Fraction] = []
    waiting: list[str] = []
    numerals: list[int] = []
    wants_operand = True
    for token in _tokens(text):
        if token.isdigit() == wants_operand and token not in "()":
            if wants_operand:
                numerals.append(int(token))
                values.append(Fraction(numerals[-1]))
            else:
                _reduce(values, waiting, _BINDS[token])
                waiting.append(token)
            wants_operand = not wants_operand
        elif wants_operand and token in "+-(":
            waiting.extend({"+": [], "-": ["neg"], "(": ["("]}[token])
        elif not wants_operand and token == ")":
            _reduce(values, waiting, 0)
            if not waiting:
                raise NoValue("not an expression: a parenthesis is not open")
            waiting.pop()
        else:
            raise NoValue(f"not an expression: {token} is out of place")
    if wants_operand:
        raise NoValue("not an expression: it ends too early" if numerals else "no expression")
    _reduce(values, waiting, 0)
    if waiting:
        raise NoValue("not an expression: a parenthesis is not closed")
    return values[0], numerals


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise NoValue(f"not an expression: {text[place:].strip()[:1]!r} cannot be read")
        tokens.append(match[1])
        place = match.end()
    return tokens


def _reduce(values: list[Fraction], waiting: list[str], binds: int) -> None:
    """Apply the waiting operations that bind at least as tightly, back to an open parenthesis."""
    while waiting and waiting[-1] != "(" and _BINDS[waiting[-1]] >= binds:
        operation = waiting.pop()
        right = values.pop()
        if operation == "neg":
            values.append(-right)
            continue
        left = values.pop()
        if operation == "/" and right == 0:
            raise NoValue("divides by zero")
        results = {"+": left + right, "-": left - right, "*": left * right}
        values.append(left / right if operation == "/" else results[operation])
