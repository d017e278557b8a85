"""Rows of every kind of file; a bad row is named and the others survive."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.errors import BadProblems
from lib.raw_rows import Fault, Raw, read

ROWS = [{"question": "1,5", "answer": "6"}, {"question": "2\n3", "answer": "5"}]
JSONL = '{"question": "1,5", "answer": "6"}\n\n{"question": "2\\n3", "answer": "5"}\n'


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", lambda f: f.write_text(JSONL)),
        ("bom.jsonl", lambda f: f.write_text(JSONL, encoding="utf-8-sig")),
        ("a.jsonl.gz", lambda f: f.write_bytes(gzip.compress(JSONL.encode()))),
        ("a.json", lambda f: f.write_text(f"[{','.join(JSONL.split(chr(10) * 2))}]".replace("}\n]", "}]"))),
        ("a.csv", lambda f: f.write_text('question,answer\n"1,5",6\n"2\n3",5\n')),
        ("a.tsv", lambda f: f.write_text('question\tanswer\n1,5\t6\n"2\n3"\t5\n')),
        ("a.parquet", lambda f: pq.write_table(pa.Table.from_pylist(ROWS), f)),
    ],
)
def test_the_same_rows_come_out_of_every_kind_of_file(tmp_path, name, write):
    write(tmp_path / name)
    assert [row.values for row in read(tmp_path / name)] == ROWS
    assert [row.values for row in read(tmp_path)] == ROWS


def test_bad_lines_are_named_and_the_others_survive(tmp_path):
    deep = "[" * 100_000
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\nnot json\n[1]\n{deep}\n{{"a": 2}}\n')
    found = list(read(tmp_path / "a.jsonl"))
    assert [row.values for row in found if isinstance(row, Raw)] == [{"a": 1}, {"a": 2}]
    faults = [str(row) for row in found if isinstance(row, Fault)]
    assert [fault.partition(":")[0] for fault in faults] == ["a.jsonl line 2", "a.jsonl line 3", "a.jsonl line 4"]
    assert "is list, not an object" in faults[1]


def test_a_line_with_too_many_cells_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1,2,3\n4,5\n")
    found = list(read(tmp_path / "a.csv"))
    assert str(found[1]) == "a.csv line 3: has more cells than the 2 columns of the first line"
    assert found[2].values == {"a": "4", "b": "5"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b'{"a": 1}', "neither a list of objects"),
        ("a.json", b"{", "cannot be read as json"),
        ("a.parquet", b"PAR1", "cannot be read as parquet"),
        ("a.jsonl.gz", b"plain", "cannot be read as jsonl"),
        ("a.jsonl", b"\xff\xfe\x00", "cannot be read as jsonl"),
        ("a.txt", b"", "ends in none of"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadProblems, match=said) as raised:
        list(read(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_an_empty_folder_and_a_missing_file_say_what_to_give(tmp_path):
    with pytest.raises(BadProblems, match="has no file that ends in"):
        list(read(tmp_path))
    with pytest.raises(BadProblems, match="give the path"):
        list(read(tmp_path / "gone.jsonl"))
