"""The model and the rows that training is measured on: texts of a random chain, of like length or of geometric lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lib import models
from lib.records import EXAMPLES, IGNORED

SHAPE = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 320}
VOCABULARY, LIKELY = 435, 4
MEAN_LENGTH, LIMIT = 45, 384
TASKS = {"even": "completions of 45 tokens", "geometric": "completions of 1 to 384 tokens, geometric with mean 45"}

Texts = list[tuple[list[int], list[int]]]
"""Prompts and completions."""


def write_model(folder: Path) -> None:
    """A random Llama of 0.9 M parameters, with the built-in tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lib.small_model import SmallLlama

    SmallLlama().build(folder / "tokenizer", seed=1)
    torch.manual_seed(1)
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, vocab_size=VOCABULARY, max_position_embeddings=1024, **tokens))
    models.save(model, folder / "tokenizer", folder / "model")


def texts(task: str, count: int, seed: int) -> Texts:
    """Prompts of 14 to 51 tokens and their completions; after each token one of four follows, the same four for all seeds."""
    follow = np.random.default_rng(0).integers(3, VOCABULARY, (VOCABULARY, LIKELY))
    draw = np.random.default_rng([seed, len(task)])
    made: Texts = []
    for _ in range(count):
        prompt = int(draw.integers(14, 52))
        completion = MEAN_LENGTH if task == "even" else int(min(draw.geometric(1 / MEAN_LENGTH), LIMIT))
        ids = [int(draw.integers(3, VOCABULARY))]
        for choice in draw.integers(0, LIKELY, prompt + completion - 1):
            ids.append(int(follow[ids[-1], choice]))
        made.append((ids[:prompt], ids[prompt:]))
    return made


def table(kind: str, given: Texts) -> pa.Table:
    """The texts as a table of examples: two of them a pair, four of them a problem's, every other one correct."""
    rows = [_row(i, kind, *text) for i, text in enumerate(given)]
    if kind == "pair":
        rows = [_pair(i, rows[i], rows[i + 1]) for i in range(0, len(rows) - 1, 2)]
    return EXAMPLES[kind].table(rows)


def _row(i: int, kind: str, prompt: list[int], completion: list[int]) -> dict[str, Any]:
    row: dict[str, Any] = {"example_id": f"e{i}", "problem_id": f"p{i // 4}", "input_ids": prompt + completion}
    if kind == "step":
        return row | {"step": 1, "position": len(prompt + completion) - 1, "target": float(i % 2)}
    row |= {"labels": [IGNORED] * len(prompt) + completion}
    if kind == "unpaired":
        return row | {"target": float(i % 2)}
    row |= {"reference_logprobs": [-6.0] * len(completion), "weight": 1.0}
    if kind == "group":
        row |= {"group_id": f"p{i // 4}", "old_logprobs": [-6.0] * len(completion), "reward": float(i % 2), "correct": i % 2 == 1}
        row |= {"advantage": 2.0 * (i % 2) - 1, "pass_rate": 0.5}
    return row


def _pair(i: int, chosen: dict[str, Any], rejected: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"example_id": f"e{i}", "problem_id": f"p{i}", "strategy": "best_worst", "weight": 1.0}
    for side, one, win in (("chosen", chosen, 0.8), ("rejected", rejected, 0.2)):
        row |= {f"{side}_{name}": one[name] for name in ("input_ids", "labels", "reference_logprobs")}
        row |= {f"{side}_score": win, f"{side}_win": win}
    return row
