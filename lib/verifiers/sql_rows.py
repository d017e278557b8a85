"""Whether two results of queries are the same, whatever their columns are called and however these are ordered.

Cells: numbers are compared as numbers (`1`, `1.0`, `true`) to one part in a million or 1e-9, dates as the timestamps of their
midnight, NULL and NaN with themselves; text exactly, and never with a number or a date. Rows are a multiset. They are a
sequence where the gold has a top-level ORDER BY: if every term of it is an output column of the gold (by its number or its
name), rows that tie in these columns may come in any order, otherwise in none but the gold's. Columns may stand in any order:
of the permutations that match column by column, the first 100 are tried (Zhong, Yu & Klein 2020 do the same). Of each bag of
rows that differ in no more than the last digits, more than 200 are paired in sorted order and not one with all.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from lib.verifiers.sql_text import order_terms

RELATIVE = 1e-6
ABSOLUTE = 1e-9
PERMUTATIONS = 100
LARGEST_BAG = 200

Row = tuple[Any, ...]


class Result(NamedTuple):
    """What a query returned."""

    columns: tuple[str, ...]
    rows: list[Row]


class Wanted(NamedTuple):
    """What a gold query returned, and the columns by which it orders."""

    columns: tuple[str, ...]
    rows: list[Row]
    ordered_by: tuple[int, ...] | None
    """Places of columns; None where the order of rows does not matter."""


def wanted(query: str, result: Result) -> Wanted:
    """The gold's result, ready to be compared with."""
    terms = order_terms(query)
    places = [_place(term, result.columns) for term in terms]
    known = tuple(place for place in places if place is not None)
    every = tuple(range(len(result.columns)))
    return Wanted(result.columns, _cells(result.rows), None if not terms else known if len(known) == len(places) else every)


def difference(gold: Wanted, found: Result) -> str | None:
    """The first thing in which a result is not the gold's, in words, or None."""
    if len(found.columns) != len(gold.columns):
        return f"{len(found.columns)} columns, not {len(gold.columns)}"
    if len(found.rows) != len(gold.rows):
        return f"{'more' if len(found.rows) > len(gold.rows) else len(found.rows)} rows, not {len(gold.rows)}"
    rows = _cells(found.rows)
    is_bag_found = False
    for order in islice(_permutations(gold.rows, rows, len(gold.columns)), PERMUTATIONS):
        moved = [tuple(row[place] for place in order) for row in rows]
        if not _same_bag(gold.rows, moved):
            continue
        is_bag_found = True
        if gold.ordered_by is None or _same_sequence(gold.rows, moved, gold.ordered_by):
            return None
    return "other order" if is_bag_found else "other values"


def _place(term: str, columns: Sequence[str]) -> int | None:
    """The output column that a term of ORDER BY means, or None."""
    if term.isdecimal():
        return int(term) - 1 if 0 < int(term[:6]) <= len(columns) else None
    name = term.rpartition(".")[2].strip('"`').lower()
    places = [place for place, column in enumerate(columns) if column.lower() == name]
    return places[0] if len(places) == 1 else None


def _cells(rows: Sequence[Row]) -> list[Row]:
    return [tuple(_cell(value) for value in row) for row in rows]


def _cell(value: Any) -> Any:
    """A value in the form that is compared: numbers as they are, everything else as something hashable."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float | Decimal):
        return value if value == value else "NaN"  # the text 'NaN' is a tuple below, so the two never meet
    if isinstance(value, datetime):
        return ("time", value.isoformat())
    if isinstance(value, date):
        return ("time", datetime(value.year, value.month, value.day).isoformat())
    if isinstance(value, list | tuple):
        return ("list", *map(_cell, value))
    if isinstance(value, dict):
        return ("struct", *((str(name), _cell(inner)) for name, inner in value.items()))
    kind = "span" if isinstance(value, timedelta) else "clock" if isinstance(value, time) else type(value).__name__
    return (kind, str(value))


def _permutations(gold: Sequence[Row], rows: Sequence[Row], width: int) -> Iterator[tuple[int, ...]]:
    """Orders of the found columns in which each has the gold column's values, the order as it is first."""
    ours, theirs = ([[(row[place],) for row in part] for place in range(width)] for part in (gold, rows))
    fits = [[place for place in range(width) if _same_bag(ours[at], theirs[place])] for at in range(width)]
    if all(fits.count(places) == len(places) for places in fits):  # alike columns are as many on both sides: no dead ends
        yield from _assigned([sorted(places, key=at.__ne__) for at, places in enumerate(fits)], ())


def _assigned(fits: Sequence[Sequence[int]], taken: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(taken) == len(fits):
        yield taken
        return
    for place in fits[len(taken)]:
        if place not in taken:
            yield from _assigned(fits, (*taken, place))


def _same_sequence(gold: Sequence[Row], rows: Sequence[Row], by: Sequence[int]) -> bool:
    return all(_close(ours[place], theirs[place]) for ours, theirs in zip(gold, rows, strict=True) for place in by)


def _same_bag(gold: Sequence[Row], rows: Sequence[Row]) -> bool:
    """Whether two multisets of rows are equal up to the last digits of their numbers."""
    count = Counter(gold)
    count.subtract(rows)
    return _paired([row for row, n in count.items() for _ in range(n)], [row for row, n in count.items() for _ in range(-n)])


def _paired(ours: Sequence[Row], theirs: Sequence[Row]) -> bool:
    bags: dict[Row, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for part, rows in enumerate((ours, theirs)):
        for row in rows:
            shape = tuple(None if _is_number(cell) else cell for cell in row)
            bags[shape][part].append(tuple(cell for cell in row if _is_number(cell)))
    return all(len(left) == len(right) and _bag_paired(sorted(left), sorted(right)) for left, right in bags.values())


def _bag_paired(left: list[Row], right: list[Row]) -> bool:
    if all(map(_all_close, left, right)):
        return True
    if len(left) > LARGEST_BAG:
        return False
    free = list(right)
    for row in left:
        partner = next((place for place, other in enumerate(free) if _all_close(row, other)), None)
        if partner is None:
            return False
        free.pop(partner)
    return True


def _all_close(ours: Row, theirs: Row) -> bool:
    return all(map(_close, ours, theirs))


def _close(ours: Any, theirs: Any) -> bool:
    if not (_is_number(ours) and _is_number(theirs)) or ours == theirs:
        return bool(ours == theirs)
    try:
        return math.isclose(ours, theirs, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except OverflowError:  # an integer that no float can hold
        return False


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal)
