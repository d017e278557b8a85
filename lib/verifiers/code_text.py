r"""From what a model wrote to the program that it means: a stated rule, by lines, in time linear in the text.

1. What stands up to the last `</think>` is not read.
2. Of fenced blocks (``` or ~~~, an unclosed one runs to the end) those marked as Python or not at all count, unless empty; the last that
   defines a wanted name is taken, otherwise the last. Without a fence the whole text is taken.
3. If that defines a wanted name at the left edge, or the prompt defines none, it is a whole program. What the prompt has before the
   wanted function (imports, helper functions) and the names of `typing` are there for it.
4. Otherwise it continues the prompt, as a base model does.

There are two readings of each, and the first that compiles is run: as it stands; and without the prose around it. For a
whole program that is from the first line that begins a definition or an import to the last before a line of prose; for a
continuation, up to the first line at the left edge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

LONGEST = 100_000
"""Characters of a completion; a longer one is no program."""

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([\w+#.-]*)")
_PYTHON = ("", "python", "python3", "py")
_BEGINS = re.compile(r"(?:async[ \t]+def|def|class|import|from|@)\b|@")
_CODE = re.compile(
    r"[ \t#@)\]}\"']|$"
    r"|(?:async|def|class|import|from|if|elif|else|for|while|with|try|except|finally|print|assert|raise|del|global|pass)\b"
    r"|[A-Za-z_][\w.]*[ \t]*(?:\[[^\]]*\][ \t]*)?(?:[-+*/|&^%@:<>]{0,3}=|\(|:|,)"
)
_TYPING = "from typing import *\n"


class Reading(NamedTuple):
    """A completion as a program."""

    sources: tuple[str, ...]
    prelude: str


def read(text: str, prompt: str = "", wanted: Sequence[str] = ()) -> Reading:
    """The program of a text for a prompt of code; `wanted` are the names that the tests use. Never raises."""
    code = _code(text.replace("\r\n", "\n").rpartition("</think>")[2], wanted)
    begin = _place(prompt, wanted)
    if begin is None or _place(code, wanted) is not None:
        prelude = _TYPING + (prompt[:begin] if begin is not None else "") if prompt else ""
        return Reading(_distinct(code, "".join(_without_prose(code))), prelude)
    cut = "".join(takewhile(lambda line: not line.strip() or line[0].isspace(), code.splitlines(keepends=True)))
    return Reading(_distinct(prompt + code, prompt + cut), _TYPING)


def _code(text: str, wanted: Sequence[str]) -> str:
    blocks = list(_blocks(text))
    filled = [(language, block) for language, block in blocks if block.strip()]
    python = [block for language, block in filled if language.lower() in _PYTHON] or [block for _, block in filled]
    defining = [block for block in python if _place(block, wanted) is not None]
    return (defining or python or ([""] if blocks else [text]))[-1]


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language and the content of every fenced block."""
    opened: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line)
        if opened is None:
            opened, lines = fence, []
        elif fence and fence[2].startswith(opened[2]) and not fence[3]:
            yield opened[3], "".join(lines)
            opened = None
        else:
            lines.append(line.removeprefix(opened[1]))
    if opened is not None:
        yield opened[3], "".join(lines)


def _place(code: str, wanted: Sequence[str]) -> int | None:
    """Where the first of the wanted names is defined at the left edge, or None."""
    if not wanted:
        return None
    names = "|".join(map(re.escape, wanted))
    found = re.search(rf"^(?:(?:async[ \t]+def|def|class)[ \t]+(?:{names})\b|(?:{names})[ \t]*(?::[^=\n]*)?=(?!=))", code, re.MULTILINE)
    return found.start() if found else None


def _without_prose(code: str) -> Iterator[str]:
    begun = False
    for line in code.splitlines(keepends=True):
        begun = begun or bool(_BEGINS.match(line))
        if begun and not _CODE.match(line):
            return
        if begun:
            yield line


def _distinct(*sources: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for source in sources if source.strip()))
