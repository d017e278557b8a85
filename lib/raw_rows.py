"""Rows of files of problems and of completions: JSONL, JSON, CSV, TSV and Parquet, gzipped or not, each with the place where it stands.

A row that cannot be read is a `Fault` among the rows and the others survive; a file that cannot be read at all raises.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lib.errors import BadProblems

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
"""What can be read; each also with .gz, but for Parquet, which is compressed inside."""


class Raw(NamedTuple):
    """A row as it stands in a file."""

    where: str
    """`train.jsonl line 17`, or `row` where a file has no lines."""
    values: dict[str, Any]

    def text(self, field: str) -> str:
        """A field that must be text with something in it (a number becomes its text). Raises BadRow."""
        value = self.values.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not value.strip():
            raise BadRow(field, "is missing" if value is None else "is empty" if value == "" else f"is {type(value).__name__}, not text")
        return value

    def items(self, field: str) -> list[Any]:
        """A field that must be a list. Raises BadRow."""
        value = self.values.get(field)
        if not isinstance(value, list):
            raise BadRow(field, "is missing" if value is None else f"is {type(value).__name__}, not a list")
        return value


class Fault(NamedTuple):
    """A row that could not be read."""

    where: str
    field: str
    """The field at fault; empty where the whole row is."""
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {f'field {self.field!r} ' if self.field else ''}{self.why}"


class BadRow(Exception):
    """What a problem set raises for a row that it cannot use."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field, why)
        self.field = field
        self.why = why


def read(path: Path) -> Iterator[Raw | Fault]:
    """The rows of one file, or of every file of a folder in the order of their names.

    Raises BadProblems for a file of another kind, one that is not what its name says, and a folder without any.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and _kind(file) in SUFFIXES)
        if not files:
            raise BadProblems(f"{path} has no file that ends in {', '.join(SUFFIXES)}; give a file or another folder")
        for file in files:
            yield from read(file)
        return
    kind = _kind(path)
    if kind not in SUFFIXES:
        raise BadProblems(f"{path} ends in none of {', '.join(SUFFIXES)} (or these with .gz); convert it to one of them")
    try:
        yield from _rows(path, kind)
    except FileNotFoundError:
        raise BadProblems(f"no file '{path}'; give the path of the data") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise BadProblems(f"{path} cannot be read as {kind[1:]}: {' '.join(str(error).split())[:200]}") from None


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return (suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else suffixes[-1]) if suffixes else ""


def _rows(path: Path, kind: str) -> Iterator[Raw | Fault]:
    if kind == ".parquet":
        import pyarrow.parquet as pq

        for number, values in enumerate((row for batch in pq.ParquetFile(path).iter_batches() for row in batch.to_pylist()), start=1):
            yield Raw(f"{path.name} row {number}", values)
        return
    with _opened(path) as file:
        if kind == ".jsonl":
            yield from _lines(file, path.name)
        elif kind == ".json":
            yield from _items(json.load(file), path.name)
        else:
            yield from _cells(file, path.name, "\t" if kind == ".tsv" else ",")


def _opened(path: Path) -> io.TextIOBase:
    raw: Any = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _lines(file: io.TextIOBase, name: str) -> Iterator[Raw | Fault]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Fault(f"{name} line {number}", "", f"is not JSON ({error})")
            continue
        yield _object(value, f"{name} line {number}")


def _items(value: Any, name: str) -> Iterator[Raw | Fault]:
    """A list of objects, or an object of objects whose keys become the field `id` where they have none."""
    if isinstance(value, dict) and value and all(isinstance(inner, dict) for inner in value.values()):
        value = [{"id": key, **inner} for key, inner in value.items()]
    if not isinstance(value, list):
        raise ValueError("neither a list of objects nor an object of objects")
    for number, item in enumerate(value, start=1):
        yield _object(item, f"{name} row {number}")


def _cells(file: io.TextIOBase, name: str, delimiter: str) -> Iterator[Raw | Fault]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(file, delimiter=delimiter)
    for values in reader:
        where = f"{name} line {reader.line_num}"
        if None in values:
            yield Fault(where, "", f"has more cells than the {len(reader.fieldnames or ())} columns of the first line")
        else:
            yield Raw(where, dict(values))


def _object(value: Any, where: str) -> Raw | Fault:
    return Raw(where, value) if isinstance(value, dict) else Fault(where, "", f"is {type(value).__name__}, not an object")
