from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from lib.errors import SchemaMismatch
from lib.records import IGNORED
from lib.trainers.rows import Items, Ragged, Sequences, grouped, on_labels


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


def test_items_hold_what_is_known_of_rows_tokens_and_the_whole_step() -> None:
    sequences = Sequences.of(examples(([1, 7, 8], [IGNORED, 7, 8]), ([1, 9], [IGNORED, 9]), ([1, 5, 6], [IGNORED, IGNORED, 6])))
    told = Ragged(np.array([-0.5, -1.0, -2.0, -3.0]), np.array([0, 2, 3, 4]))
    items = Items(sequences, {"weight": np.array([1.0, 2.0, 3.0])}, {"old": told}, {"divisor": np.array([2, 1, 1])})
    batch = items(np.array([2, 0]), np.array([0, 1, 2]))
    assert batch["weight"].tolist() == [3.0, 1.0]
    assert batch["old"].tolist() == [[0.0, -3.0], [-0.5, -1.0]]
    assert batch["divisor"].item() == 4.0
    assert "group" not in batch
    assert (items.count, items.lengths.tolist(), items.labelled_in(np.array([0, 2]))) == (3, [3, 2, 3], 3)


def test_grouped_items_keep_their_rows_together() -> None:
    sequences = Sequences.of(examples(([1, 7, 8], [IGNORED, 7, 8]), ([1, 9], [IGNORED, 9]), ([1, 5], [IGNORED, 5]), ([1], [IGNORED])))
    items = Items(sequences, groups=grouped(pa.chunked_array([["q", "p"], ["q", "r"]])))
    assert (items.counts.tolist(), items.lengths.tolist()) == ([2, 1, 1], [3, 2, 1])
    batch = items(np.array([1, 0]), np.array([0, 1]))
    assert batch["input_ids"].tolist() == [[1, 9, 0], [1, 7, 8], [1, 5, 0]]
    assert batch["group"].tolist() == [0, 1, 1]
