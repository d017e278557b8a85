"""A calculator: behind `a+b=` stands the exact result.

Whole numbers of up to 12 digits with + - * /, joined without spaces. A quotient that is not whole, and one by zero, is not
computed: what the model writes there stays.
"""

from __future__ import annotations

import re

from lib.strategy import Strategy
from lib.tools.protocol import Called

_ASKED = re.compile(r"(?<![0-9])([0-9]{1,12})([-+*/])([0-9]{1,12})=(?=(-?[0-9]*))")


class Calculator(Strategy):
    """Completes the first sum whose result belongs at a place in the text or after; a result may be the next sum's first number."""

    def call(self, text: str, start: int) -> Called | None:
        for match in _ASKED.finditer(text):
            value = _value(int(match[1]), match[2], int(match[3])) if match.end() >= start else None
            if value is not None:
                return Called(match.start(4), match.end(4), str(value))
        return None


def _value(left: int, operation: str, right: int) -> int | None:
    if operation == "/":
        return left // right if right and left % right == 0 else None
    return {"+": left + right, "-": left - right, "*": left * right}[operation]
