"""How the report writes numbers and what models wrote. Model text is hostile: it is shown, never obeyed."""

from __future__ import annotations

import unicodedata

SHOWN = 2_000
"""Characters of a completion that are shown."""

_KEPT = {"\n", "\t"}


def visible(text: str, most: int = SHOWN) -> str:
    """A text with whatever would steer a screen (controls, directions, lone surrogates) written out, cut to a length."""
    cut = text[:most]
    shown = "".join(c if c in _KEPT or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _named(c) for c in cut)
    left = len(text) - len(cut)
    return shown + (f" … ({left:,} more characters)" if left else "")


def _named(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def tight(text: str) -> str:
    """A text in which no line ends between a number and its per cent sign."""
    return text.replace(" %", "\u00a0%")


def signed(value: float, places: int = 3) -> str:
    """A difference with its sign; the minus is a minus."""
    return f"{value:+.{places}f}".replace("-", "−")


def amount(value: float) -> str:
    """Seconds or tokens: whole from ten on, with a comma a thousand."""
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"


def spoken(metric: str) -> str:
    """`pass_at_1` as people write it."""
    names = {"nll_correct": "loss of correct answers", "nll_wrong": "loss of wrong answers", "greedy_accuracy": "greedy accuracy"}
    return names.get(metric, metric.replace("_at_", "@").replace("_", " "))


def count(number: int, noun: str) -> str:
    """1 round, 3 rounds, 2,500 problems."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(parts: list[str]) -> str:
    """a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
