"""Records to and from Parquet."""

from pathlib import Path

import pyarrow as pa
import pytest

from lib import records, tables
from lib.errors import SchemaMismatch


def rows(*ids: str) -> pa.Table:
    return records.SFT.table([{"example_id": i, "problem_id": "p", "input_ids": [1], "labels": [1], "weight": 1.0} for i in ids])


def test_equal_rows_make_equal_bytes_whatever_their_order(tmp_path: Path):
    tables.write(rows("b", "a", "c"), records.SFT, tmp_path / "1.parquet")
    tables.write(rows("c", "b", "a"), records.SFT, tmp_path / "2.parquet")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_batches_of_any_size_make_the_same_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 4)
    table = rows(*[f"{i:03d}" for i in range(19)])
    for name, size in (("1", 3), ("2", 7)):
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=size))
        assert tables.write_ordered(reader, records.SFT, tmp_path / name) == 19
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_table_comes_back_as_it_went(tmp_path: Path):
    tables.write(rows("b", "a"), records.SFT, tmp_path / "t.parquet")
    assert tables.read(tmp_path / "t.parquet", records.SFT)["example_id"].to_pylist() == ["a", "b"]
    assert tables.spec_of(tmp_path / "t.parquet") is records.SFT


def test_no_files_are_an_empty_table():
    assert tables.read([], records.SFT).num_rows == 0


def test_another_table_is_refused(tmp_path: Path):
    tables.write(rows("a"), records.SFT, tmp_path / "t.parquet")
    with pytest.raises(SchemaMismatch, match=r"holds examples_sft/v2, and this reader knows verdicts/v1"):
        tables.read(tmp_path / "t.parquet", records.VERDICTS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["weight"]), "needs column 'weight'"),
        (lambda t: t.append_column("extra", pa.array([1])), "has no column 'extra'"),
        (lambda t: t.set_column(4, "weight", pa.array(["heavy"])), "column 'weight' is string"),
        (lambda t: t.set_column(4, "weight", pa.array([None], pa.float64())), "has 1 nulls"),
    ],
)
def test_a_column_that_does_not_fit_is_named(tmp_path: Path, change, said: str):
    loose = pa.table(rows("a").to_pydict(), schema=pa.schema([f.with_nullable(True) for f in records.SFT.schema]))
    with pytest.raises(SchemaMismatch, match=said):
        tables.write(change(loose), records.SFT, tmp_path / "t.parquet")


def test_a_missing_optional_column_becomes_null(tmp_path: Path):
    verdicts = pa.table({"completion_id": ["c"], "verifier": ["v"], "reason": [""], "n_tokens": pa.array([1], pa.int32())})
    tables.write(verdicts, records.VERDICTS, tmp_path / "v.parquet")
    assert tables.read(tmp_path / "v.parquet", records.VERDICTS)["outcome"].to_pylist() == [None]


def test_a_file_of_somebody_else_is_refused(tmp_path: Path):
    pa.parquet.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(SchemaMismatch, match="holds no roundhouse table"):
        tables.spec_of(tmp_path / "t.parquet")
