"""Model folders of a few thousand random parameters, built on the spot: with a head that writes, or one that classifies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from lib.small_model import SmallLlama

SPREAD = 16.0
"""Factor on random weights, so that what a model says depends on what it reads."""


def writer(folder: Path, seed: int = 9) -> Path:
    """A causal model whose distributions are far from uniform."""
    from lib import models

    start = folder / "start"
    start.mkdir(parents=True)
    SmallLlama(hidden_size=32, layers=2, heads=2, intermediate_size=48).build(start, seed)
    model = models.load_model(start, dtype="float32", device="cpu")
    _spread(model)
    models.save(model, start, folder / "model")
    return folder / "model"


def classifier(folder: Path, kind: str, labels: int, seed: int = 5, pad: bool = True) -> Path:
    """A `sequence` or `token` classification Llama with the built-in model's tokenizer."""
    from transformers import LlamaConfig, LlamaForSequenceClassification, LlamaForTokenClassification

    start = folder / "start"
    start.mkdir(parents=True)
    SmallLlama(hidden_size=32, layers=2, heads=2, intermediate_size=48).build(start, seed)
    values = json.loads((start / "config.json").read_text())
    values |= {"num_labels": labels, "pad_token_id": values["pad_token_id"] if pad else None, "architectures": None}
    torch.manual_seed(seed)
    model = (LlamaForSequenceClassification if kind == "sequence" else LlamaForTokenClassification)(LlamaConfig(**values))
    _spread(model)
    return _saved(model, start, folder)


def encoder(folder: Path, seed: int = 5) -> Path:
    """A Bert with one logit, whose tokenizer has no chat template and marks the two segments."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "one", "two", "three", "good", "bad"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, model_input_names=inputs, **special)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForSequenceClassification(BertConfig(vocab_size=len(words), num_labels=1, max_position_embeddings=32, **sizes))
    _spread(model)
    start = folder / "start"
    start.mkdir(parents=True)
    tokenizer.save_pretrained(start)
    return _saved(model, start, folder)


def _spread(model: Any) -> None:
    for parameter in model.parameters():
        parameter.data *= SPREAD if parameter.dim() == 2 else 1


def _saved(model: Any, tokenizer_from: Path, folder: Path) -> Path:
    from lib import models

    models.save(model, tokenizer_from, folder / "model")
    return folder / "model"
