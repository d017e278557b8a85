"""Records to and from Parquet, with the schema checked on both ways and the bytes a function of the rows.

Rows are ordered by primary key, row groups have a fixed size and no clock time is written, so equal rows make equal
files on one machine with one pyarrow version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lib.errors import DamagedArtifact, SchemaMismatch
from lib.records import TABLES, TableSpec

ROW_GROUP = 16_384
"""Rows of a Parquet row group."""

_TAG = b"roundhouse.table"


def write(table: pa.Table, spec: TableSpec, path: Path) -> int:
    """Write a table in primary-key order and return its number of rows.

    Raises SchemaMismatch if a column is missing, surplus, of another type, or null where the schema forbids it.
    """
    checked = conform(table, spec)
    order = [(name, "ascending") for name in spec.primary_key]
    write_ordered(checked.sort_by(order), spec, path)
    return checked.num_rows


def write_ordered(rows: pa.Table | pa.RecordBatchReader, spec: TableSpec, path: Path) -> int:
    """Write rows that already stand in primary-key order, a row group at a time, and return how many."""
    schema = spec.schema.with_metadata({_TAG: spec.id.encode()})
    total = 0
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=True, write_page_index=False) as writer:
        for group in _row_groups(rows):
            writer.write_table(conform(group, spec).replace_schema_metadata(schema.metadata), row_group_size=ROW_GROUP)
            total += group.num_rows
    return total


def read(paths: Path | Sequence[Path], spec: TableSpec) -> pa.Table:
    """All rows of one or several files, in the order given.

    Raises SchemaMismatch if a file is of another table or version.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    if not files:
        return spec.empty()
    for path in files:
        check(path, spec)
    return pa.concat_tables([_whole(path).replace_schema_metadata(None) for path in files]).cast(spec.schema)


def _whole(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damage(path, error) from error


def _damage(path: Path, error: Exception) -> DamagedArtifact:
    said = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:200]
    return DamagedArtifact(f"{path} cannot be read ({said}); run again the round that made it")


def check(path: Path, spec: TableSpec) -> None:
    """Raise SchemaMismatch unless the file holds this table at this version, DamagedArtifact if it cannot be read."""
    try:
        found = spec_id(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damage(path, error) from error
    if found != spec.id:
        raise SchemaMismatch(f"{path} holds {found or 'no roundhouse table'}, and this reader knows {spec.id}")


def spec_id(path: Path) -> str | None:
    """`name/vN` of the table in a Parquet file, or None where the file is not one of ours."""
    metadata = pq.read_schema(path).metadata or {}
    tag = metadata.get(_TAG)
    return tag.decode() if tag else None


def spec_of(path: Path) -> TableSpec:
    """The spec of the table that a file holds; SchemaMismatch if this version of roundhouse does not know it."""
    found = spec_id(path)
    name = (found or "").partition("/")[0]
    if name not in TABLES or TABLES[name].id != found:
        raise SchemaMismatch(f"{path} holds {found or 'no roundhouse table'}, which this roundhouse cannot read")
    return TABLES[name]


def rows_in(folder: Path) -> dict[str, int]:
    """Table name → rows, over every table file in a folder and below it."""
    found: dict[str, int] = {}
    for path in sorted(folder.rglob("*.parquet")):
        found[path.stem] = found.get(path.stem, 0) + pq.read_metadata(path).num_rows
    return found


def conform(table: pa.Table, spec: TableSpec) -> pa.Table:
    """The table with its columns in the spec's order; a missing optional column is filled with nulls.

    Raises SchemaMismatch naming the first column that does not fit.
    """
    for name in table.column_names:
        if name not in spec.schema.names:
            raise SchemaMismatch(f"{spec.id} has no column '{name}' (have: {', '.join(spec.schema.names)})")
    columns = []
    for wanted in spec.schema:
        if wanted.name not in table.column_names:
            if not wanted.nullable:
                raise SchemaMismatch(f"{spec.id} needs column '{wanted.name}'")
            columns.append(pa.nulls(table.num_rows, wanted.type))
            continue
        column = table.column(wanted.name)
        if column.null_count and not wanted.nullable:
            raise SchemaMismatch(f"{spec.id}: column '{wanted.name}' has {column.null_count} nulls and may have none")
        columns.append(column if column.type == wanted.type else _cast(column, wanted, spec))
    return pa.table(columns, schema=spec.schema)


def _cast(column: pa.ChunkedArray, wanted: pa.Field, spec: TableSpec) -> pa.ChunkedArray:
    try:
        return column.cast(wanted.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatch(f"{spec.id}: column '{wanted.name}' is {column.type}, wanted {wanted.type}") from error


def _row_groups(rows: pa.Table | pa.RecordBatchReader) -> Iterable[pa.Table]:
    if isinstance(rows, pa.Table):
        for start in range(0, rows.num_rows, ROW_GROUP):
            yield rows.slice(start, ROW_GROUP)
        return
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in rows:
        held.append(batch)
        count += batch.num_rows
        while count >= ROW_GROUP:
            table = pa.Table.from_batches(held)
            yield table.slice(0, ROW_GROUP)
            rest = table.slice(ROW_GROUP)
            held, count = rest.to_batches(), rest.num_rows
    if count:
        yield pa.Table.from_batches(held)
