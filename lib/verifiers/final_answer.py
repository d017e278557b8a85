"""Reading the final answer out of a text, in one order of preference and in time linear in the text.

The order: the last balanced `\\boxed{…}`; the rest of the line after the last `####`; the rest of the last line that says
`A:`, `Answer:` or `the answer is`, up to the end of its first sentence; the last number. The first of these that the text
has decides, so that an empty box is no answer, even where a number stands elsewhere.

A span is then normalised: unicode minus and thin spaces, `$`, `%`, degrees, thousands separators (`1,234`, `1{,}234`,
`1 234`), `\\text{…}` and other wrappers, `\\left`, `\\dfrac`, needless space and a closing period; words are case-folded, what
looks like mathematics is not. Normalising twice changes nothing more.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

LONGEST_TEXT = 20_000
"""Characters that are read, counted from the end, where final answers stand."""
LONGEST_SPAN = 200
"""Characters that a final answer may have."""

_BRACES = re.compile(r"\\boxed ?\{|\\.|[{}]", re.DOTALL)
_PHRASE = re.compile(r"(?:^[ \t]*\*{0,2}(?:A|Answer)\*{0,2}[ \t]?:|\bthe (?:final )?answer is\b:?)([^\n]*)", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<!\b[A-Z])(?<!\b[A-Z][a-z])\. +(?=[A-Z])")  # not after Mr. or an initial
_STOP = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?s>|</?answer>")
_IN_TEXT = re.compile(
    r"(?:(?<![\w.)])[-\u2212])?\$?"  # a minus after a word or a parenthesis subtracts
    r"(?:(?<![A-Za-z_])(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![\w.])\.[0-9]+)"
    r"(?:/[0-9]+|e[-+]?[0-9]{1,2})?"
)

_SIMPLE = re.compile(r"\s*\$?(-?(?:[0-9]{1,3}(?:,[0-9]{3}){1,9}|[0-9]{1,40})(?:\.[0-9]{1,40})?(?: [a-z]{2,20})?)\.?\s*")
_INVISIBLE = re.compile(r"\\[!]|[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_SPACE = re.compile(r"\\[,;: ]|\\(?:quad|qquad|thinspace)(?![A-Za-z])|~|\s+")
_WRAPPER = re.compile(r"\\(?:text(?:bf|it|rm|sf|normal)?|mbox|math(?:rm|bf|it|sf)|boldsymbol) ?\{([^{}]*)\}")
_DROPPED = re.compile(r"\\(?:left|right|degree)(?![A-Za-z])|\\[()\[\]]|\\?[$%]|[€£¥°]|\^ ?(?:\\circ(?![A-Za-z])|\{ ?\\circ ?\})|\*\*")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_THOUSANDS = re.compile(r"(?<![0-9,.])[0-9]{1,3}(?:([, ])[0-9]{3}(?:\1[0-9]{3})*)(?! ?[0-9,])")
_BRACKETS = re.compile(r"[(){}\[\]]")
_FOREIGN = re.compile(r"[^\x20-\x7e\n\t\r\u2212\u00a0\u2000-\u200b\u202f\u205fπ√∞∪∩∈×÷·±≤≥≠°²³½−]")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_AROUND_SIGN = re.compile(r" ?([-+*/=^_(){}\[\]<>|\\]) ?")
_WORD = re.compile(r"[^\W\d_]{3,}")
_NO_WORDS = frozenset(re.findall(r"\w+", "and sqrt sin cos tan cot sec csc log exp arcsin arccos arctan infinity inf det max min mod"))
_MATHS = re.compile(r"[\\^_=+*/<>|{}\[\]]|[0-9][A-Za-z]|[A-Za-z][0-9]")


class Span(NamedTuple):
    """A final answer as it stands in the text, and what pointed it out."""

    text: str
    mark: str  # box, hashes, phrase or number


def marked(text: str) -> Span | None:
    """The answer that a box, `####` or a phrase points out, or None where the text has none of these."""
    text = text[-LONGEST_TEXT:]
    box = _last_box(text) if "\\boxed" in text else None
    if box is not None:
        return Span(box, "box")
    _, hashes, rest = text.rpartition("####")
    if hashes:
        return Span(before_stop(rest.partition("\n")[0]), "hashes")
    lines = text.split("\n") if ":" in text or "nswer" in text.lower() else []
    for line in reversed(lines):
        phrase = _PHRASE.search(line)
        if phrase:
            rest = before_stop(phrase[1])
            return Span(_SENTENCE.split(rest, maxsplit=1)[0] if ". " in rest else rest, "phrase")
    return None


def last_number(text: str) -> Span | None:
    """The last number of a text, or None; a minus counts where nothing that could be subtracted from stands before it."""
    for line in reversed(text[-LONGEST_TEXT:].split("\n")):
        numbers = _IN_TEXT.findall(line)
        if numbers:
            return Span(numbers[-1], "number")
    return None


@lru_cache(maxsize=65_536)
def normalised(span: str) -> str | None:
    """A span in its plain form; None if nothing is left or it is longer than LONGEST_SPAN. `50%` becomes `50` (not 0.5)."""
    simple = _SIMPLE.fullmatch(span)
    if simple:  # most answers by far: what follows would come to the same
        return simple[1].replace(",", "")
    if len(span) > LONGEST_SPAN:
        return None
    while (plainer := _plainer(span)) != span:  # every pass but the first only shortens
        span = plainer
    return span if 0 < len(span) <= LONGEST_SPAN else None


def legible(span: str) -> str:
    """A span for a reader of LaTeX: whitespace, minus signs and dollars made plain, everything else as it was."""
    span = _INVISIBLE.sub("", span.replace("\u2212", "-").replace("\\$", "").replace("$", "").replace("{,}", ","))
    return " ".join(span.split()).strip("*").rstrip(".").strip()


def is_words(text: str) -> bool:
    """Whether a normalised span is plain words, or one letter, about which mathematics has nothing to say."""
    if _MATHS.search(text):
        return False
    return (len(text.strip("() ")) == 1 and text.strip("() ").isalpha()) or any(word not in _NO_WORDS for word in _WORD.findall(text))


def is_mathematics(span: str) -> bool:
    r"""Whether a reader of LaTeX may be given a span: printable, balanced, without a box of its own.

    An unbalanced brace could end the box that it is put into and open another, and so give several answers.
    """
    if _FOREIGN.search(span) or "\\boxed" in span:
        return False
    depth = 0
    for brace in _BRACE.findall(span):
        depth += 1 if brace == "{" else -1 if brace == "}" else 0
        if depth < 0:
            return False
    return depth == 0


def _plainer(span: str) -> str:
    span = _INVISIBLE.sub("", span.replace("\u2212", "-").replace("{,}", ","))
    span = _SPACE.sub(" ", _DROPPED.sub("", span))
    span = _FRACTION.sub(r"\\frac", _WRAPPER.sub(r"\1", span)).strip().rstrip(" .")
    if not _BRACKETS.search(span):
        span = _THOUSANDS.sub(lambda match: match[0].replace(match[1], ""), span)
    span = _AROUND_SIGN.sub(r"\1", span)
    return span if _MATHS.search(span) else span.casefold()


def before_stop(span: str) -> str:
    """A span up to the first token that ends a turn or a tag, which recorded texts may still carry."""
    return _STOP.split(span, maxsplit=1)[0] if "<" in span else span


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
