"""What `roundhouse tables` prints: the ledger's views with their columns, and the named queries."""

from __future__ import annotations

from flows.terminal import cell, console, print_json
from lib import home as homes
from lib.ledger import NAMED, Ledger


def tables(as_json: bool) -> None:
    """Every view with the types of its columns, and every named query with what it asks."""
    with Ledger(homes.to_read()) as ledger:
        views = ledger.columns()
    if as_json:
        print_json(
            {
                "queries": [{"query": name, "question": question.asks} for name, question in NAMED.items()],
                "views": [{"view": view, "columns": columns} for view, columns in views.items()],
            }
        )
        return
    lines = ['views, for: roundhouse query "SELECT … FROM VIEW"']
    for view, columns in views.items():
        lines += ["", view, *(f"    {name:<18} {kind}" for name, kind in columns.items())]
    lines += ["", "named queries, for: roundhouse query NAME", *(f"    {name:<18} {question.asks}" for name, question in NAMED.items())]
    for line in lines:
        console.print(cell(line), markup=False, soft_wrap=True)
