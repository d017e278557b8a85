"""Tables, progress bars and JSON for people and for pipes."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Column, Table
from rich.text import Text

PIPE_COLUMNS = 240
"""Columns where there is no terminal: a row stays on its line for whoever looks for a word in it."""

LONG = 24
"""Cells longer than this may be broken into lines; shorter ones are numbers, names and digests, which are read whole."""

console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_COLUMNS)
errors = Console(stderr=True, highlight=False)


def show(rows: Sequence[dict[str, Any]], title: str, as_json: bool) -> None:
    """Rows as a table, or as a JSON list; cells are shown as they are, never read as markup."""
    if as_json:
        print_json(list(rows))
    else:
        put([table(rows, title)])


def put(shown: Iterable[RenderableType]) -> None:
    """Print one after the other; a line of text is left whole on a pipe."""
    for one in shown:
        console.print(one, soft_wrap=isinstance(one, Text) and not console.is_terminal)


def apart(parts: Iterable[Sequence[RenderableType]]) -> list[RenderableType]:
    """Parts with an empty line between them; those that have nothing are left out."""
    found: list[RenderableType] = []
    for part in parts:
        found += [Text(""), *part] if found and part else part
    return found


def table(rows: Sequence[dict[str, Any]], title: str) -> RenderableType:
    """Rows under a title; where there is no room for the columns, a block for each row."""
    if not rows:
        return Text(f"{title}: nothing yet")
    ways = (_columns(rows, gap) for gap in (1, 0))
    fitting = next((made for made in ways if _least(made) <= console.width), None)
    return Group(Text(title, style="bold"), fitting or _blocks(rows))


def _columns(rows: Sequence[dict[str, Any]], gap: int) -> Table:
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) or row[name] is None for row in rows)
        longest = max(cell_len(name), *(cell_len(cell(row[name])) for row in rows))
        made.add_column(
            name, justify="right" if numeric else "left", overflow="fold", no_wrap=longest <= LONG, min_width=min(longest, LONG // 2)
        )
    for row in rows:
        made.add_row(*(Text(cell(value)) for value in row.values()))
    return made


def _least(made: Table) -> int:
    """The fewest columns of a terminal in which nothing short is broken."""
    return Measurement.get(console, console.options.update(max_width=10 * PIPE_COLUMNS), made).minimum


def _blocks(rows: Sequence[dict[str, Any]]) -> RenderableType:
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for row in rows:
        for name, value in row.items():
            made.add_row(Text(name), Text(cell(value)))
        made.add_row("", "")
    return made


def figure(found: Mapping[str, Any] | None) -> str:
    """A value with its standard error, where it has one; nothing where there is none."""
    if found is None:
        return ""
    return f"{found['value']:.3f}" if found.get("stderr") is None else f"{found['value']:.3f}±{found['stderr']:.3f}"


def bar(share: float, columns: int) -> str:
    """A share as a bar of characters, that reads without colours too."""
    full = round(max(0.0, min(1.0, share)) * columns)
    return "━" * full + "·" * (columns - full)


def cell(value: Any) -> str:
    """A value as a table shows it; control characters of model text are made visible."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else str(value)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def print_json(value: Any) -> None:
    """One JSON value on standard output and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def show_warnings() -> None:
    """Print what our own modules warn of, a line each, on standard error."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("roundhouse: %(message)s"))
    for layer in ("lib", "tasks", "flows"):
        logging.getLogger(layer).addHandler(handler)


WHOLE = 1.0 + 1e-9
"""A bar's total: a hair above a stage's whole, for at the total rich would stop its clock, and the next stage follows."""


class Bars:
    """One bar for each of several things that run; on a pipe, a line for each stage that one of them comes to."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._at: dict[str, str] = {}

    def set(self, name: str, stage: str, share: float, more: str = "", left: str = "") -> None:
        """Say that `name` is at a stage, and how far, from 0 to 1; on a pipe `more` is said of it as it was at first."""
        if self._progress.console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=WHOLE, left="")
            self._progress.update(self._tasks[name], description=f"{name}: {stage}{more}", completed=share, left=left)
        elif self._at.get(name) != stage:
            self.say(f"{name}: {stage}{more}")
        self._at[name] = stage

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False, soft_wrap=True)


@contextmanager
def bars(quiet: bool) -> Iterator[Bars]:
    """Progress bars on standard error while a command runs; standard output stays free for results."""
    where = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    columns = (where, BarColumn(bar_width=10), TaskProgressColumn(), TextColumn("{task.fields[left]}", markup=False))
    with Progress(*columns, console=Console(stderr=True, highlight=False, quiet=quiet), transient=True, expand=True) as progress:
        yield Bars(progress)
