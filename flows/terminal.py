"""Tables, progress bars and JSON for people and for pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lib.job import Label

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


class Bars:
    """A bar for each stage as it runs; on a pipe, a line for each stage that is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._finished: set[str] = set()

    def __call__(self, label: Label, done: int, total: int) -> None:
        name = f"{label.campaign} r{label.round} {label.stage_path}"
        share = (label.shard + done / max(total, 1)) / label.shards
        self.set(name, share)

    def set(self, name: str, share: float) -> None:
        """Move a bar to a share of its length, 0 to 1."""
        if name in self._finished:
            return
        if not self._progress.console.is_terminal:
            if share >= 1:
                self._progress.console.print(f"{name}: done", markup=False)
        elif name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=1.0, completed=share)
        else:
            self._progress.update(self._tasks[name], completed=share)
        if share >= 1:
            self._finished.add(name)


@contextmanager
def bars(quiet: bool) -> Iterator[Bars]:
    """Progress bars on standard error while a command runs; standard output stays free for results."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=quiet, transient=False) as progress:
        yield Bars(progress)
