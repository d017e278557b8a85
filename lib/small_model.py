"""The built-in model: a Llama of 162 thousand parameters that reads and writes sums, one token per character.

With `reads="text"` and room to match it reads any text, one token per byte: a model to start from where none is at hand.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lib import models
from lib.strategy import Strategy

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

SPECIAL = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "sep_token": "<sep>", "unk_token": "<unk>"}
CHARACTERS = "0123456789+-*=;#,:>/"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message['content'] + (eos_token if message['role'] == 'assistant' else sep_token) }}"
    "{% endfor %}"
)
"""A question and its answer read `<bos>1,5,8>45:<sep>8+1=9;9*5=45<eos>`."""


class SmallLlama(Strategy):
    """A randomly initialised Llama with tied embeddings and its tokenizer."""

    reads: Literal["sums", "text"] = "sums"
    """Its alphabet: the characters of Countdown, or the 256 bytes."""
    hidden_size: int = 64
    """Width of the residual stream."""
    layers: int = 3
    """Decoder layers."""
    heads: int = 4
    """Attention heads, each with keys and values of its own."""
    intermediate_size: int = 192
    """Width of the feed-forward layers."""
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of attention weights dropped while training: without it the model learns its few problems by heart."""
    max_positions: int = 128
    """Longest prompt and answer together, in tokens."""

    def build(self, out: Path, seed: int) -> None:
        """Write the model folder; its bytes are a function of the settings and the seed."""
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = (_characters if self.reads == "sums" else _bytes)(self.max_positions)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.intermediate_size,
            max_position_embeddings=self.max_positions,
            attention_dropout=self.attention_dropout,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = LlamaForCausalLM(config)
        with tempfile.TemporaryDirectory() as aside:
            tokenizer.save_pretrained(aside)
            models.save(model, Path(aside), out)


TEXT = SmallLlama(reads="text", hidden_size=128, layers=4, heads=4, intermediate_size=384, attention_dropout=0.0, max_positions=2048)
"""About 1 million parameters over bytes, with room for some paragraphs."""


def _characters(max_positions: int) -> PreTrainedTokenizerFast:
    from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import WordLevel

    vocabulary = {token: number for number, token in enumerate([*SPECIAL.values(), *CHARACTERS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=SPECIAL["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return _for_chats(tokenizer, max_positions)


def _bytes(max_positions: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL.values(), *letters])}
    tokenizer = Tokenizer(BPE(vocabulary, []))  # no merges: a token is a byte
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _for_chats(tokenizer, max_positions)


def _for_chats(tokenizer: Tokenizer, max_positions: int) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=CHAT_TEMPLATE, model_max_length=max_positions, padding_side="left", **SPECIAL
    )
