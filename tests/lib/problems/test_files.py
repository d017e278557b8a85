"""Problem sets from files: stable ids, splits that do not depend on the order of rows, and a report of what is wrong."""

from __future__ import annotations

import json

import pytest

from lib import tables
from lib.errors import BadProblems, UnknownName
from lib.problems.gsm8k import Gsm8k
from lib.problems.table import Table
from lib.records import PROBLEMS


def write(path, rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))


def rows(numbers):
    return [{"question": f"what is {n} + {n}?", "answer": f"two {n}s\n#### {2 * n}"} for n in numbers]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train.jsonl", rows(range(120)))
    write(tmp_path / "test.jsonl", rows(range(200, 230)))
    return tmp_path


def ids(table):
    return table["problem_id"].to_pylist()


def test_the_authors_test_file_is_the_test_split_and_the_rest_is_divided(folder):
    source = Gsm8k(path=str(folder))
    sizes = {split: source.available(split) for split in ("train", "validation", "gate", "test")}
    assert sizes["test"] == 30
    assert sizes["train"] + sizes["validation"] + sizes["gate"] == 120
    assert min(sizes.values()) > 0
    every = [i for split, size in sizes.items() for i in ids(source.problems(split, size, 0))]
    assert len(set(every)) == 150 == source.every().num_rows


def test_rows_are_whole_problems(folder):
    table = tables.conform(Gsm8k(path=str(folder)).problems("test", 30, 0), PROBLEMS)
    row = next(row for row in table.to_pylist() if row["answer"] == "400")
    assert row["prompt"][0]["parts"][0]["text"] == "what is 200 + 200?"
    assert (row["task"], row["born_round"]) == ("gsm8k", 0)


def test_a_problem_keeps_its_id_and_split_wherever_it_stands(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write(other / "train.jsonl", list(reversed(rows(range(60, 180)))))
    write(other / "test.jsonl", rows(range(300, 310)))
    one, two = Gsm8k(path=str(folder)), Gsm8k(path=str(other))
    for split in ("train", "validation", "gate"):
        here, there = (set(ids(source.problems(split, source.available(split), 0))) for source in (one, two))
        shared = {i for i in here if i in set(ids(two.every()))}
        assert shared and shared <= there


def test_asking_for_more_keeps_those_already_given_and_a_seed_draws_others(folder):
    source = Gsm8k(path=str(folder))
    five, ten, other = (ids(source.problems("train", n, seed)) for n, seed in ((5, 1), (10, 1), (10, 2)))
    assert five == ten[:5]
    assert other != ten
    assert not set(five) & set(ids(source.problems("train", 10, 1, exclude=frozenset(five))))


def test_a_single_file_holds_out_three_parts_by_hash(tmp_path):
    write(tmp_path / "mine.jsonl", rows(range(120)))
    source = Gsm8k(path=str(tmp_path / "mine.jsonl"))
    sizes = [source.available(split) for split in ("train", "validation", "gate", "test")]
    assert sum(sizes) == 120
    assert min(sizes) > 0


def test_faults_duplicates_and_overlaps_are_reported_with_their_lines(folder):
    write(
        folder / "train.jsonl",
        [
            *(*rows(range(20)), "{broken\n", {"question": "no answer?"}, {"question": 7, "answer": "none"}, *rows([3, 200])),
            {"question": "what is 4 + 4?", "answer": "#### 9"},
        ],
    )
    problems = Gsm8k(path=str(folder))
    pool = problems.pool()
    said = [line.removeprefix(f"{problems.path}: ") for line in problems.left_out()]
    assert said[0].startswith("left out 3 rows that cannot be used (the first: train.jsonl line 21: is not JSON")
    assert said[1:] == [
        "left out 2 rows that were there before (the first: train.jsonl line 24 repeats train.jsonl line 4)",
        "left out 1 row for training, found in the test file (the first: train.jsonl line 25 is also in the test file, "
        "at test.jsonl line 1)",
    ]
    assert [str(fault).partition(" (")[0] for fault in pool.faults] == [
        "train.jsonl line 21: is not JSON",
        "train.jsonl line 22: field 'answer' is missing",
        "train.jsonl line 23: field 'answer' has no '#### NUMBER' at its end",
    ]
    assert pool.duplicates == (
        "train.jsonl line 24 repeats train.jsonl line 4",
        "train.jsonl line 26 repeats train.jsonl line 5 with another answer ('9', not '8')",
    )
    assert pool.overlaps == ("train.jsonl line 25 is also in the test file, at test.jsonl line 1",)
    assert len(pool.rows["all"]) == 20 + 30


def test_too_many_an_unknown_split_and_nothing_usable_are_refused(folder):
    source = Gsm8k(path=str(folder))
    with pytest.raises(BadProblems, match="30 problems left for split 'test' and 31 were asked for"):
        source.problems("test", 31, 0)
    with pytest.raises(UnknownName, match=r"no split 'tset'.*did you mean 'test'"):
        source.problems("tset", 1, 0)
    write(folder / "none.jsonl", ["{}\n"])
    with pytest.raises(BadProblems, match=r"no usable problem among 1 rows \(the first: none.jsonl line 1: field 'question' is missing\)"):
        Gsm8k(path=str(folder / "none.jsonl")).pool()


def test_a_table_takes_the_columns_it_is_told(tmp_path):
    (tmp_path / "mine.csv").write_text("Frage,Lösung,Art,Schwere\nWas ist 1+1?,2,plus,1.5\nWas ist 2-1?,1,minus,x\n")
    source = Table(
        path=str(tmp_path / "mine.csv"), prompt="Frage", answer="Lösung", category="Art", difficulty="Schwere", template="{prompt}\n"
    )
    (row,) = source.every().to_pylist()
    assert (row["answer"], row["category"], row["difficulty"]) == ("2", "plus", 1.5)
    assert row["prompt"][0]["parts"][0]["text"] == "Was ist 1+1?\n"
    assert [str(fault) for fault in source.pool().faults] == ["mine.csv line 3: field 'Schwere' is not a number ('x')"]


def test_a_table_without_the_column_says_which_there_are(tmp_path):
    (tmp_path / "mine.csv").write_text("q,answer\n1,2\n")
    with pytest.raises(BadProblems, match="field 'prompt' is missing"):
        Table(path=str(tmp_path / "mine.csv")).pool()
    with pytest.raises(BadProblems, match=r"field 'gold' is missing \(there are: answer, q\)"):
        Table(path=str(tmp_path / "mine.csv"), prompt="q", answer="gold").pool()


def test_the_published_gsm8k_has_its_known_shape(data):
    source = Gsm8k(path=str(data / "gsm8k"))
    pool = source.pool()
    assert source.available("test") == 1319
    assert len(pool.rows["all"]) == 7473 + 1319
    assert (pool.faults, pool.duplicates, pool.overlaps) == ((), (), ())
    golds = [row["answer"] for row in pool.rows["all"]]
    assert sum("," in gold for gold in golds) == 79 + 14
    assert sum(gold.startswith("-") for gold in golds) >= 3
