"""A dump that pg_dump wrote, as statements that DuckDB runs: tables and their rows, views and enumerations.

Kept: CREATE TABLE (names, types and literal defaults), INSERT, `COPY … FROM stdin`, CREATE VIEW, CREATE TYPE, CREATE SCHEMA,
each without `public.`. Left out, because no answer depends on it: constraints, indexes, sequences, owners, grants, comments,
functions, settings. Types that DuckDB has not become the nearest that it has (serial, jsonb, money), or text (inet, xml).
A statement of another kind is refused. Not understood: arrays and bytea inside COPY, other servers' dumps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lib.errors import BadProblems
from lib.verifiers.sql_text import Token, split, tokens, without_schema

ROWS_PER_INSERT = 500

_COPY = re.compile(r"^COPY ([^;\n]+?) FROM stdin[^\n]*;\r?\n(.*?)^\\\.[ \t]*\r?$", re.MULTILINE | re.DOTALL | re.IGNORECASE)
_META = re.compile(r"^\\[a-z][^\n]*$", re.MULTILINE)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_KEPT = re.compile(r"(?:INSERT INTO|CREATE (?:OR REPLACE )?(?:MATERIALIZED )?VIEW|CREATE TYPE|CREATE SCHEMA)\b", re.IGNORECASE)
_TABLE = re.compile(r"CREATE (?:UNLOGGED |FOREIGN )?TABLE\b", re.IGNORECASE)
_WITHOUT_EFFECT = re.compile(
    r"(?:SET|SELECT|ALTER|COMMENT|GRANT|REVOKE|BEGIN|START|COMMIT|END|LOCK|ANALYZE|VACUUM|DROP|REFRESH|RESET|PRAGMA|SECURITY|CREATE)\b",
    re.IGNORECASE,
)
_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE", "LIKE"})
_AFTER_TYPE = frozenset({"DEFAULT", "NOT", "NULL", "CONSTRAINT", "PRIMARY", "UNIQUE", "REFERENCES", "CHECK", "COLLATE", "GENERATED"})
_TYPES = {
    "SERIAL": "integer",
    "BIGSERIAL": "bigint",
    "SMALLSERIAL": "smallint",
    "OID": "bigint",
    "MONEY": "decimal(18,2)",
    "JSONB": "json",
    "BYTEA": "blob",
    **dict.fromkeys(("CITEXT", "INET", "CIDR", "MACADDR", "XML", "TSVECTOR", "POINT", "NAME", "REGCLASS"), "text"),
}


def statements(dump: str) -> list[str]:
    """What to run in an empty database. Raises BadProblems for a statement that no dump of tables has."""
    return list(_statements(dump))


def schema(dump: str) -> str:
    """The CREATE TABLE statements as they stand in the dump, without `public.`."""
    return "\n\n".join(f"{without_schema(found)};" for found in _plain(dump) if _TABLE.match(found))


def _plain(dump: str) -> list[str]:
    """Every statement without the comments before it, COPY left out."""
    text = _META.sub("", _COPY.sub("", dump))
    return [_uncommented(found) for found in split(text)]


def _uncommented(statement: str) -> str:
    start = next((token.start for token in tokens(statement) if token.kind != "space"), 0)
    return statement[start:]


def _statements(dump: str) -> Iterator[str]:
    end = 0
    for copied in _COPY.finditer(dump):
        yield from _kept(dump[end : copied.start()])
        yield from _inserts(without_schema(copied[1]), copied[2])
        end = copied.end()
    yield from _kept(dump[end:])


def _kept(part: str) -> Iterator[str]:
    for statement in _plain(part):
        if _TABLE.match(statement):
            yield _table(without_schema(statement))
        elif _KEPT.match(statement):
            if not re.fullmatch(r"CREATE SCHEMA (?:IF NOT EXISTS )?\"?public\"?", statement, re.IGNORECASE):
                yield re.sub(r"^(CREATE )MATERIALIZED ", r"\1", without_schema(statement), flags=re.IGNORECASE)
        elif not _WITHOUT_EFFECT.match(statement):
            raise BadProblems(f"the dump has a statement that is not understood: '{' '.join(statement.split())[:80]}'; take it out")


def _table(statement: str) -> str:
    """CREATE TABLE with the names, types and literal defaults of its columns alone."""
    head, parenthesis, rest = statement.partition("(")
    body = rest.rpartition(")")[0]
    columns = [column for column in map(_column, split(body, ",")) if column]
    return f"{_TABLE.sub('CREATE TABLE', head)}{parenthesis}{', '.join(columns)})"


def _column(definition: str) -> str | None:
    words = [token for token in tokens(definition) if not token.text.startswith("--")]
    place = [at for at, token in enumerate(words) if token.kind != "space"]
    if len(place) < 2 or words[place[0]].upper in _CONSTRAINTS:
        return None
    kind = words[place[1] :]
    ends = [at for at, token in enumerate(kind) if token.upper in _AFTER_TYPE]
    name, first = words[place[0]].text, kind[0]
    spelt = _TYPES.get(first.upper, first.text) + _text(kind[1 : ends[0] if ends else None])
    return f"{name} {spelt.strip()}{_default(kind)}"


def _default(kind: list[Token]) -> str:
    starts = [at for at, token in enumerate(kind) if token.upper == "DEFAULT"]
    if not starts:
        return ""
    rest = [token for token in kind[starts[0] + 1 :] if token.kind != "space"]
    end = next((at for at, token in enumerate(rest) if at and token.upper in _AFTER_TYPE - {"NULL"}), len(rest))
    is_call = any(token.text == "(" for token in rest[:end])  # nextval, now: nothing that a dump's rows leave to a default
    return "" if is_call else f" DEFAULT {' '.join(token.text for token in rest[:end]).replace(': :', '::')}"


def _text(part: list[Token]) -> str:
    return "".join(token.text for token in part)


def _inserts(target: str, block: str) -> Iterator[str]:
    lines = block.split("\n")[:-1]
    for start in range(0, len(lines), ROWS_PER_INSERT):
        rows = (f"({', '.join(map(_value, line.rstrip(chr(13)).split(chr(9))))})" for line in lines[start : start + ROWS_PER_INSERT])
        yield f"INSERT INTO {target} VALUES {', '.join(rows)}"


def _value(cell: str) -> str:
    if cell == "\\N":
        return "NULL"
    return "'" + _ESCAPE.sub(_unescaped, cell).replace("'", "''") + "'"


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return chr(int(code, 8) % 256) if code[0] in "01234567" else _ESCAPES.get(code, code)
