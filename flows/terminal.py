"""Tables, progress bars and JSON for people and for pipes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def show(rows: Sequence[dict[str, Any]], title: str, as_json: bool) -> None:
    """Rows as a table, or as a JSON list; cells are shown as they are, never read as markup."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        console.print(f"{title}: nothing yet", markup=False)
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) or row[name] is None for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row.values()))
    console.print(table)


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
    """Print what lib warns of, a line each, on standard error."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("roundhouse: %(message)s"))
    logging.getLogger("lib").addHandler(handler)


WHOLE = 1.0 + 1e-9
"""A bar's total: a hair above a stage's whole, for at the total rich would stop its clock, and the next stage follows."""


class Bars:
    """One bar for each of several things that run; on a pipe, a line for each stage that one of them comes to."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._at: dict[str, str] = {}

    def set(self, name: str, stage: str, share: float) -> None:
        """Say that `name` is at a stage, and how far, from 0 to 1."""
        if self._progress.console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=WHOLE)
            self._progress.update(self._tasks[name], description=f"{name}  {stage:<32}", completed=share)
        elif self._at.get(name) != stage:
            self.say(f"{name}: {stage}")
        self._at[name] = stage

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False, soft_wrap=True)


@contextmanager
def bars(quiet: bool) -> Iterator[Bars]:
    """Progress bars on standard error while a command runs; standard output stays free for results."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, highlight=False, quiet=quiet), transient=True) as progress:
        yield Bars(progress)
