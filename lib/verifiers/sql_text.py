"""SQL as text: tokens, statements, the terms of a top-level ORDER BY, and the query in a model's answer.

One pass over tokens that know strings, quoted names, comments and dollar quotes, so that what stands inside them counts for
nothing. Linear in the length of the text, and nothing here raises for any text.

Where an answer's query stands, in this order: the last code fence that is marked as SQL; the last other fence that begins
with SELECT, WITH or VALUES; the text from the first line that begins with SELECT or WITH; the text from the first such word
anywhere. Without a fence the query ends at the first `;`, blank line, fence or closing tag. What stands up to `</think>` is
not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_TEXT = 40_000
"""Characters of an answer that are read, counted from the end."""
LONGEST_QUERY = 10_000
"""Characters that a query may have."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<text>[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)|'(?:[^']|'')*(?:'|\Z)|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
    |(?P<quoted>"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z))
    |(?P<word>[^\W\d]\w*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_FENCE = re.compile(r"```(.*?)(```|\Z)", re.DOTALL)
_LABEL = re.compile(r"[ \t]*([\w+-]+)(?:\s|\Z)")
_DIALECTS = frozenset({"sql", "postgresql", "postgres", "pgsql", "sqlite", "sqlite3", "duckdb", "mysql", "tsql", "plsql"})
_WITH = r"WITH\s+(?:RECURSIVE\s+)?[\w\"]+\s*(?:\([^()]{0,500}\)\s*)?AS\b"
_QUERY = re.compile(rf"[\s(]*(?:SELECT\b|VALUES\b|{_WITH})", re.IGNORECASE)
_LINE = re.compile(rf"^[ \t(]*(?:SELECT\b|{_WITH})", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(rf"\b(?:SELECT\b|{_WITH})", re.IGNORECASE)
_END = re.compile(r"\n[ \t\r]*\n|```|</\w")
_AFTER_ORDER = frozenset({"LIMIT", "OFFSET", "FETCH", "FOR"})
_DIRECTION = frozenset({"ASC", "DESC", "NULLS", "FIRST", "LAST"})


class Token(NamedTuple):
    """A piece of SQL; `kind` is space (comments too), text, quoted, word, number or sign."""

    kind: str
    text: str
    start: int

    @property
    def upper(self) -> str:
        """The word in capitals; empty for what is no word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def depth(self) -> int:
        """What it adds to the depth of parentheses."""
        return {"(": 1, ")": -1}.get(self.text, 0) if self.kind == "sign" else 0


class Asked(NamedTuple):
    """The query of an answer, and whether the answer goes on after it, or at least closes it."""

    query: str
    is_closed: bool


def tokens(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup if match.lastgroup != "tag" else "text"
        yield Token(kind or "sign", match[0], match.start())


def split(sql: str, sign: str = ";") -> list[str]:
    """The parts between top-level `sign`s, trimmed; a part of nothing but space and comments is left out."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens(sql):
        depth = max(depth + token.depth, 0)
        if token.text == sign and token.kind == "sign" and (depth == 0 or sign == ";"):
            parts.append([])
        else:
            parts[-1].append(token)
    return ["".join(token.text for token in part).strip() for part in parts if any(token.kind != "space" for token in part)]


def without_schema(sql: str, schema: str = "public") -> str:
    """The same SQL with `public.author` written `author`."""
    kept: list[Token] = []
    for token in tokens(sql):
        if token.text == "." and kept and kept[-1].text.strip('"').lower() == schema and kept[-1].kind in ("word", "quoted"):
            before = next((other for other in reversed(kept[:-1]) if other.kind != "space"), None)
            if before is None or before.text != ".":
                kept.pop()
                continue
        kept.append(token)
    return "".join(token.text for token in kept)


def order_terms(sql: str) -> list[str]:
    """The terms of the top-level ORDER BY without their direction (`3`, `name`, `t.name`, `count(*)`); none without one."""
    found: list[str] = []
    depth = 0
    before, is_inside = "", False
    for token in tokens(sql):
        depth = max(depth + token.depth, 0)
        word = token.upper if depth == 0 else ""
        if word == "BY" and before == "ORDER":
            found, is_inside = [], True
        elif word in _AFTER_ORDER or (token.text == ";" and token.kind == "sign"):
            is_inside = False
        elif is_inside:
            found.append(token.text)
        if token.kind != "space":
            before = word
    return [_undirected(term) for term in split("".join(found), ",")]


def _undirected(term: str) -> str:
    words = [token for token in tokens(term) if token.kind != "space"]
    while len(words) > 1 and words[-1].upper in _DIRECTION:
        words.pop()
    return "".join(token.text for token in words)


def query_in(text: str) -> Asked | None:
    """The query of an answer, or None where there is none."""
    text = text[-LONGEST_TEXT:].rpartition("</think>")[2]
    fences = [(*_labelled(body), bool(close)) for body, close in _FENCE.findall(text)]
    marked = [(body, is_closed) for is_sql, body, is_closed in fences if is_sql and body.strip()]
    marked = marked or [(body, is_closed) for _, body, is_closed in fences if _QUERY.match(body)]
    if marked:
        return Asked(marked[-1][0].strip(), marked[-1][1])
    start = _LINE.search(text) or _WORD.search(text)
    return _unfenced(text[start.start() :]) if start else None


def _labelled(body: str) -> tuple[bool, str]:
    """Whether a fence is marked as SQL, and what it holds; the name of a language that ends the first line goes too."""
    label = _LABEL.match(body)
    if label and label[1].lower() in _DIALECTS:
        return True, body[label.end() :]
    first, newline, rest = body.partition("\n")
    return False, rest if newline and label and label[1] == first.strip() and not _QUERY.match(body) else body


def _unfenced(text: str) -> Asked:
    for token in tokens(text):
        if token.kind == "text":
            continue
        is_end = token.kind == "sign" and token.text == ";"
        if is_end or (_END.search(token.text) if token.text.isspace() else _END.match(text, token.start)):
            return Asked(text[: token.start].strip(), True)
    return Asked(text.strip(), False)
