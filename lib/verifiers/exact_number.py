r"""Numbers as people and models write them, read as exact rationals, with the unit that may follow.

Reads `-3`, `0.75`, `.5`, `1e3`, `3/4`, `\frac{3}{4}`, `\frac34`, `1 1/2`, `12\frac{3}{5}`, `2.5\times 10^{3}` and each of these
with words behind it, such as `18 km` or `100 square units`; and lists of them, with brackets or without: `(3,4]`, `\{1,2\}`,
`1, 2`. Does not read roots, `\pi` or sums. A word that mathematics uses (`pi`, `log`) and two letters that are no common
abbreviation (`5 xy`) are no unit.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

_WHOLE = re.compile(r"-?[0-9]+")
_DECIMAL = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_FORMS = re.compile(
    rf"(?P<sign>[-+]?)(?:"
    rf"(?:(?P<whole>[0-9]+) ?)?\\frac ?(?:\{{(?P<a>[0-9]+)\}}|(?P<a1>[0-9])) ?(?:\{{(?P<b>[0-9]+)\}}|(?P<b1>[0-9]))"
    r"|(?:(?P<whole2>[0-9]+) )?(?P<a2>[0-9]+)/(?P<b2>[0-9]+)"
    rf"|(?:(?P<mantissa>{_DECIMAL}) ?(?:\\times|\\cdot|×|\*) ?)?10\^(?:\{{(?P<power>-?[0-9]{{1,2}})\}}|(?P<power1>[0-9])(?![0-9]))"
    rf"|(?P<decimal>{_DECIMAL})(?:e(?P<power2>[-+]?[0-9]{{1,2}}))?"
    r")(?P<unit>.*)",
    re.IGNORECASE,
)
_LIST = re.compile(r"(?P<open>\\\{|[(\[]|)(?P<items>[^()\[\]{}]*(?:\\frac\{[0-9]+\}\{[0-9]+\}[^()\[\]{}]*)*?)(?P<close>\\\}|[)\]]|)")
_UNIT = re.compile(r"[^\W\d_]+(?:[ /.][^\W\d_]+){0,4}\.?(?:\^(?:[23]|\{[23]\}))?")
_SHORT = frozenset(re.findall(r"\w+", "m g s l h km cm mm nm kg mg lb ft in oz hr ml mi yd sq kw hz am pm of us"))
_NO_UNITS = frozenset(re.findall(r"\w+", "and sqrt sin cos tan cot sec csc log exp arcsin arccos arctan mod plus minus times over"))


class Exact(NamedTuple):
    """A number, whether it was written with a decimal point, and its unit or nothing."""

    value: Fraction
    is_decimal: bool
    unit: str


@lru_cache(maxsize=65_536)
def exact(text: str) -> Exact | None:
    """A normalised span as a number, or None. `4/0` is none."""
    if _WHOLE.fullmatch(text):
        return Exact(Fraction(int(text)), False, "")
    match = _FORMS.fullmatch(text)
    unit = _unit(match["unit"], after_brace=text[: match.start("unit")].endswith("}")) if match else None
    if match is None or unit is None:
        return None
    below = match["b"] or match["b1"] or match["b2"]
    if below is not None:
        if int(below) == 0:
            return None
        above = match["a"] or match["a1"] or match["a2"]
        value = int(match["whole"] or match["whole2"] or 0) + Fraction(int(above), int(below))
    elif match["decimal"]:
        value = Fraction(match["decimal"])
        if match["power2"]:
            value *= Fraction(10) ** int(match["power2"])
    else:
        value = Fraction(match["mantissa"] or 1) * Fraction(10) ** int(match["power"] or match["power1"])
    is_decimal = "." in (match["decimal"] or match["mantissa"] or "")
    return Exact(-value if match["sign"] == "-" else value, is_decimal, unit)


class ExactList(NamedTuple):
    """Two numbers or more, and what stands around them."""

    brackets: str
    items: tuple[Exact, ...]


@lru_cache(maxsize=65_536)
def exact_list(text: str) -> ExactList | None:
    """A normalised span as a list of bare numbers, or None."""
    match = _LIST.fullmatch(text)
    if match is None or "," not in match["items"] or bool(match["open"]) != bool(match["close"]):
        return None
    items = tuple(exact(part.strip()) for part in match["items"].split(","))
    bare = tuple(item for item in items if item is not None and not item.unit)
    return ExactList(match["open"] + match["close"], bare) if len(bare) == len(items) else None


def settled(wanted: str, found: str, decimals: int) -> bool | None:
    """Whether two normalised spans are equal, where both are numbers or lists of numbers in the same brackets; otherwise None.

    The order counts in brackets, but not in braces or without brackets, where `2, 1` equals `1, 2`.
    """
    left, right = exact(wanted), exact(found)
    if left and right:
        return equal(left, right, decimals)
    many, others = exact_list(wanted), exact_list(found)
    if many is None or others is None or many.brackets != others.brackets:
        return None
    ones, twos = many.items, others.items
    if many.brackets in ("", "\\{\\}"):
        ones, twos = (tuple(sorted({item.value: item for item in items}.values())) for items in (ones, twos))
    return len(ones) == len(twos) and all(equal(a, b, decimals) for a, b in zip(ones, twos, strict=True))


def equal(left: Exact, right: Exact, decimals: int) -> bool:
    """Whether two numbers are the same, in units that do not contradict each other.

    Where one was written with a decimal point they may differ after that many decimals, as `0.3333333` and `1/3` do;
    a number that rounds to zero is never equal to another.
    """
    if left.unit and right.unit and not (_abbreviates(left.unit, right.unit) or _abbreviates(right.unit, left.unit)):
        return False
    if left.value == right.value:
        return True
    if not (left.is_decimal or right.is_decimal):
        return False
    rounded = round(left.value, decimals)
    return rounded != 0 and rounded == round(right.value, decimals)


def _unit(text: str, *, after_brace: bool) -> str | None:
    """The unit that a number's rest is, empty for no rest, None where it is something else."""
    if not text:
        return ""
    if text[0] != " " and not after_brace:
        return None
    unit = text.strip().casefold()
    words = re.split(r"[ /.^]+", unit)
    plain = _UNIT.fullmatch(unit) and all(_is_unit(word) for word in words if word.strip("{}").isalpha())
    return unit if plain else None


def _is_unit(word: str) -> bool:
    return word in _SHORT or (len(word) > 2 and word not in _NO_UNITS)


def _abbreviates(short: str, long: str) -> bool:
    """Whether the letters of one unit stand in this order in the other and both begin alike: cm, centimeters."""
    letters = iter(long)
    return short[0] == long[0] and all(letter in letters for letter in short.rstrip("."))
