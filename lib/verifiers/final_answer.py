"""Reading the final answer out of a text, in one order of preference and in time linear in the text.

The order: the last balanced `\\boxed{…}`; the rest of the line after the last `####`; the rest of the last line that says
`A:`, `Answer:` or `the answer is`; the last number. The first of these that the text has decides, so that an empty box is
no answer, even where a number stands elsewhere.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

LONGEST_TEXT = 20_000
"""Characters that are read, counted from the end, where final answers stand."""
LONGEST_SPAN = 200
"""Characters that a final answer may have."""

_BRACES = re.compile(r"\\boxed ?\{|\\.|[{}]", re.DOTALL)
_PHRASE = re.compile(r"(?:^[ \t]*(?:A|Answer)[ \t]?:|\bthe (?:final )?answer is\b:?)([^\n]*)", re.IGNORECASE | re.MULTILINE)
_IN_TEXT = re.compile(
    r"(?:(?<![\w.)])[-\u2212])?\$?"  # a minus after a word or a parenthesis subtracts
    r"(?:(?<![A-Za-z_])(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![\w.])\.[0-9]+)"
    r"(?:/[0-9]+|e[-+]?[0-9]{1,2})?"
)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]{1,2})?|[-+]?[0-9]+/[0-9]*[1-9][0-9]*", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<![0-9,.])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_WITH_UNIT = re.compile(r"(\S+)((?: [^\W\d_]+){1,5})")


class Span(NamedTuple):
    """A final answer as it stands in the text."""

    text: str
    has_unit: bool
    """Whether words may follow the number, as in `#### 18 km`; inside a box they may not."""


def marked(text: str) -> Span | None:
    """The answer that a box, `####` or a phrase points out, or None where the text has none of these."""
    text = text[-LONGEST_TEXT:]
    box = _last_box(text)
    if box is not None:
        return Span(box, has_unit=False)
    _, hashes, rest = text.rpartition("####")
    if hashes:
        return Span(rest.partition("\n")[0], has_unit=True)
    phrases = _PHRASE.findall(text)
    return Span(phrases[-1], has_unit=True) if phrases else None


def last_number(text: str) -> Span | None:
    """The last number of a text, or None; a minus counts where nothing that could be subtracted from stands before it."""
    numbers = _IN_TEXT.findall(text[-LONGEST_TEXT:])
    return Span(numbers[-1], has_unit=False) if numbers else None


def normalised(span: str) -> str | None:
    """A span without `$`, `%`, thousands commas, a closing period and needless space, case-folded; None if nothing is left
    or it is longer than LONGEST_SPAN. `50%` becomes `50` (not 0.5)."""
    if len(span) > LONGEST_SPAN:
        return None
    for sign, instead in (("\\$", ""), ("$", ""), ("\\%", "%"), ("%", ""), ("\u2212", "-")):
        span = span.replace(sign, instead)
    span = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), span)
    return " ".join(span.split()).removesuffix(".").strip().casefold() or None


def number(text: str) -> Fraction | None:
    """A normalised span as an exact number (`3/4`, `0.75`, `-2`, `1e3`), or None."""
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def number_with_unit(text: str) -> Fraction | None:
    """The number of a normalised span such as `18 km` or `42 red apples`, or None."""
    match = _WITH_UNIT.fullmatch(text)
    return number(match[1]) if match else None


def _last_box(text: str) -> str | None:
    r"""What the `\boxed{` that opens last among the closed ones holds; one pass with a stack."""
    found: tuple[int, int] | None = None
    open_braces: list[tuple[bool, int]] = []
    for match in _BRACES.finditer(text):
        token = match[0]
        if token.endswith("{") and token != "\\{":
            open_braces.append((len(token) > 1, match.end()))
        elif token == "}" and open_braces:
            is_box, start = open_braces.pop()
            if is_box and (found is None or start > found[0]):
                found = start, match.start()
    return text[found[0] : found[1]] if found else None
