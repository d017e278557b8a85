from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from lib.errors import SchemaMismatch
from lib.records import IGNORED
from lib.trainers.rows import Ragged, Sequences, micro_batch, on_labels, order


def examples(*rows: tuple[list[int], list[int]]) -> pa.Table:
    ids, labels = zip(*rows, strict=True)
    names = [f"e{i}" for i in range(len(rows))]
    lists = pa.list_(pa.int32())
    return pa.table({"example_id": names, "input_ids": pa.array(ids, lists), "labels": pa.array(labels, lists)})


def test_rows_are_padded_on_the_right_to_the_longest_of_them() -> None:
    column = pa.chunked_array([pa.array([[1, 2, 3], [], [4]]), pa.array([[5, 6]])])
    assert Ragged.of(column).padded(np.array([2, 3, 1]), 0).tolist() == [[4, 0], [5, 6], [0, 0]]


def test_a_slice_of_a_table_is_read_from_where_it_begins() -> None:
    column = pa.chunked_array([pa.array([[1, 2, 3], [4], [5, 6]]).slice(1)])
    assert Ragged.of(column).padded(np.array([0, 1]), 0).tolist() == [[4, 0], [5, 6]]


def test_tensors_are_the_rows_as_they_stand() -> None:
    table = examples(([1, 7, 8], [IGNORED, 7, 8]), ([1, 9], [IGNORED, 9]))
    batch = Sequences.of(table).tensors(np.array([1, 0]))
    assert batch["input_ids"].tolist() == [[1, 9, 0], [1, 7, 8]]
    assert batch["labels"].tolist() == [[IGNORED, 9, IGNORED], [IGNORED, 7, 8]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_a_first_token_carries_no_loss_even_if_labelled() -> None:
    sequences = Sequences.of(examples(([1, 2], [1, 2]), ([3], [3])))
    assert sequences.labelled.tolist() == [1, 0]
    assert sequences.tensors(np.array([0]))["labels"].tolist() == [[IGNORED, 2]]


def test_an_example_with_more_ids_than_labels_is_named() -> None:
    with pytest.raises(SchemaMismatch, match="example e1 has 2 input_ids and 1 labels"):
        Sequences.of(examples(([1], [1]), ([1, 2], [1])))


def test_values_are_laid_where_their_labels_are_predicted() -> None:
    labels = torch.tensor([[IGNORED, 5, IGNORED, 6], [IGNORED, IGNORED, 7, IGNORED]])
    values = Ragged.of(pa.chunked_array([pa.array([[-0.5], [-1.0, -2.0]])]))
    assert on_labels(values, np.array([1, 0]), labels).tolist() == [[-1.0, 0.0, -2.0], [0.0, -0.5, 0.0]]


def test_every_row_is_seen_once_before_any_is_seen_again() -> None:
    seen = order(rows=10, batch_size=4, steps=5, seed=3).ravel()
    assert sorted(seen[:10]) == list(range(10)) == sorted(seen[10:])
    assert seen[:10].tolist() != seen[10:].tolist()


def test_fewer_rows_than_a_batch_are_the_batch() -> None:
    assert [sorted(step) for step in order(rows=3, batch_size=64, steps=2, seed=0).tolist()] == [[0, 1, 2]] * 2


def test_the_order_follows_from_the_seed() -> None:
    assert (order(50, 8, 20, seed=1) == order(50, 8, 20, seed=1)).all()
    assert (order(50, 8, 20, seed=1) != order(50, 8, 20, seed=2)).any()


@pytest.mark.parametrize(("batch", "wanted", "size"), [(64, None, 64), (64, 32, 32), (64, 512, 64), (64, 50, 32), (7, 4, 1)])
def test_a_micro_batch_divides_the_batch(batch: int, wanted: int | None, size: int) -> None:
    assert micro_batch(batch, wanted) == size
