"""The models that sampling is measured on: the built-in one, warmed up, and random ones whose answers have geometric lengths."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib import models
from lib.engines.huggingface import Huggingface
from lib.protocols import Machine

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHAPES = {
    "geometric-1m": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 320},
    "geometric-5m": {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 688},
}
VOCABULARY = 435
EOS = 2
MEAN_LENGTH = 45


def prepare_countdown(folder: Path, given: Path | None, count: int) -> list[list[int]]:
    """Write `model/` into a folder, warmed up here unless one is given; returns the prompts."""
    from lib.problems.countdown import Countdown
    from lib.small_model import SmallLlama

    start = given or folder / "start"
    if given is None:
        SmallLlama().build(start, seed=1)
    engine = Huggingface().open(start, "start", Machine())

    def rendered(split: str, count: int) -> list[tuple[list[int], list[int]]]:
        rows = Countdown().problems(split, count, seed=1).to_pylist()
        asked = [[{"role": "user", "content": row["prompt"][0]["parts"][0]["text"]}] for row in rows]
        return [(engine.render(messages), engine.encode(row["answer"])) for messages, row in zip(asked, rows, strict=True)]

    model = models.load_model(start, dtype="float32", device="cpu")
    if given is None:
        warm_up(model, rendered("train", 2500), steps=400)
    models.save(model, start, folder / "model")
    return [prompt for prompt, _ in rendered("validation", count)]


def warm_up(model: PreTrainedModel, rows: list[tuple[list[int], list[int]]], steps: int) -> None:
    """Enough training, in about ten seconds, that answers have the form and the lengths of solutions."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    choose = np.random.default_rng(1)
    for _ in range(steps):
        batch = [rows[i] for i in choose.integers(len(rows), size=64)]
        width = max(len(prompt) + len(answer) for prompt, answer in batch)
        ids = torch.tensor([p + a + [0] * (width - len(p) - len(a)) for p, a in batch])
        labels = torch.tensor([[-100] * len(p) + a + [-100] * (width - len(p) - len(a)) for p, a in batch])
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def prepare_geometric(folder: Path, task: str, count: int, limit: int) -> list[list[int]]:
    """A random Llama with a constant chance of ending, by its weights alone, so that any engine can run it.

    The first channel of the residual stream is constant (no layer writes it) and is all that the end of text reads.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lib.small_model import SmallLlama

    SmallLlama().build(folder / "tokenizer", seed=1)
    torch.manual_seed(1)
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": EOS}
    config = LlamaConfig(**SHAPES[task], vocab_size=VOCABULARY, max_position_embeddings=limit + 64, **tokens)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 1.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = layer.mlp.down_proj.weight[0] = 0.0
        model.lm_head.weight *= 5  # distributions that are far from uniform
        model.lm_head.weight[:, 0] = model.lm_head.weight[EOS] = 0.0
        states = model.model(torch.randint(3, VOCABULARY, (64, 40))).last_hidden_state.flatten(0, 1)  # (B * T, width)
        logits = model.lm_head(states)
        logits[:, EOS] = -torch.inf
        chance = hazard(MEAN_LENGTH, limit)
        wanted = logits.logsumexp(-1) + math.log(chance / (1 - chance))
        model.lm_head.weight[EOS, 0] = (wanted / states[:, 0]).mean()
    models.save(model, folder / "tokenizer", folder / "model")
    draws = np.random.default_rng(1)
    return [draws.integers(3, VOCABULARY, draws.integers(14, 52)).tolist() for _ in range(count)]


def hazard(mean: float, limit: int) -> float:
    """The chance of ending at each token that gives lengths, cut at the limit, this mean: (1 - (1 - h)^limit) / h."""
    low, high = 1e-4, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 - (1 - middle) ** limit) / middle > mean else (low, middle)
    return low
