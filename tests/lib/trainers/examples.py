"""A tiny table of every kind of example, over the token ids of the built-in tokenizer."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from lib.records import EXAMPLES, IGNORED

EOS = 2
ROWS = [  # problem, prompt, completion, worth
    ("p", [1, 5, 6, 3], [8, 9, 10, EOS], 1.0),
    ("p", [1, 5, 6, 3], [8, 9, 11, 12, 13], 0.0),
    ("q", [1, 7, 3], [11, 12], 1.0),
    ("q", [1, 7, 3], [12, EOS], 0.0),
    ("r", [1, 8, 9, 10, 3], [13, 14, 15, 16, 17, EOS], 1.0),
    ("r", [1, 8, 9, 10, 3], [16], 0.0),
    ("s", [1, 6, 3], [18, EOS], 1.0),
    ("s", [1, 6, 3], [19, 20, 21, EOS], 0.0),
]


def table(kind: str) -> pa.Table:
    """Eight rows, or four pairs of a good and a bad one."""
    rows = [_pair(i) for i in range(0, 8, 2)] if kind == "pair" else [_row(i, kind) for i in range(8)]
    return EXAMPLES[kind].table(rows)


def _sequence(i: int) -> dict[str, Any]:
    _, prompt, completion, _ = ROWS[i]
    scores = [-2.0 - 0.1 * j for j in range(len(completion))]
    return {"input_ids": prompt + completion, "labels": [IGNORED] * len(prompt) + completion, "reference_logprobs": scores}


def _row(i: int, kind: str) -> dict[str, Any]:
    problem, _, _, worth = ROWS[i]
    row: dict[str, Any] = {"example_id": f"e{i}", "problem_id": problem, **_sequence(i)}
    if kind in ("unpaired", "step"):
        del row["reference_logprobs"]
        row["target"] = worth
    if kind == "step":
        row |= {"step": 1, "position": len(row["input_ids"]) - 1}
        del row["labels"]
    if kind == "sft":
        row["weight"] = 1.0
    if kind == "group":
        row |= {"group_id": problem, "old_logprobs": row["reference_logprobs"], "reward": worth, "advantage": 2 * worth - 1}
        row |= {"pass_rate": 0.5, "correct": worth == 1}
    return row


def _pair(i: int) -> dict[str, Any]:
    row: dict[str, Any] = {"example_id": f"e{i}", "problem_id": ROWS[i][0], "strategy": "best_worst", "weight": 1.0}
    for side, place, win in (("chosen", i, 0.8), ("rejected", i + 1, 0.3)):
        row |= {f"{side}_{name}": value for name, value in _sequence(place).items()}
        row |= {f"{side}_score": ROWS[place][3], f"{side}_win": win}
    return row
