"""Whether a text that a user gave as a predicate is one, judged by DuckDB's own parse tree of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from lib.errors import UserError


def refuse_unsafe(ask: Callable[[str, dict[str, Any]], list[Any]], predicate: str) -> None:
    """Raise UserError unless the text is one expression without a query in it, of functions that always give the same.

    `ask` answers a query with its named parameters by its rows.
    """
    parsed, plain = (
        json.loads(ask("SELECT json_serialize_sql($sql)", {"sql": f"SELECT 1 FROM t WHERE ({text})"})[0][0]) for text in (predicate, "true")
    )
    if parsed["error"] or not predicate.strip():
        raise UserError(f"predicate {predicate!r} is no expression of SQL: {parsed.get('error_message', 'it is empty')}")
    given, bare = ([statement["node"] for statement in tree["statements"]] for tree in (parsed, plain))
    expressions = [node.pop("where_clause", None) for node in given]
    bare[0].pop("where_clause")
    inside = list(_branches(expressions))
    if _unplaced(given) != _unplaced(bare) or any(branch.get("class") in ("SUBQUERY", "PARAMETER") for branch in inside):
        raise UserError(f"predicate {predicate!r} is more than one expression over the columns; take queries and parameters out of it")
    called = sorted({str(branch["function_name"]) for branch in inside if "function_name" in branch})
    varying = "SELECT function_name FROM duckdb_functions() WHERE function_name IN (SELECT unnest($called)) AND stability <> 'CONSISTENT'"
    if found := ask(varying, {"called": called}):
        raise UserError(f"predicate {predicate!r} calls {found[0][0]}, which does not give the same each time; take it out")


def _branches(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parse tree."""
    if isinstance(tree, dict):
        yield tree
    for branch in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _branches(branch)


def _unplaced(tree: Any) -> Any:
    """A parse tree without the places in the text."""
    if isinstance(tree, dict):
        return {name: _unplaced(branch) for name, branch in tree.items() if not name.startswith("query_location")}
    return [_unplaced(branch) for branch in tree] if isinstance(tree, list) else tree
