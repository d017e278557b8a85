"""Stop strings: a completion ends with the token that completes one, and its text ends before it.

The ids keep every sampled token, those of the stop string among them, for they are what the model wrote and what
training sees. Found wherever the decoded text holds the string, also across tokens and inside one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

MARGIN = 4
"""Tokens looked at beyond the longest string: a tokenizer may treat the first of a text otherwise."""
UNFINISHED = "\ufffd"
"""What a token decodes to that holds a part of a character."""


def before(text: str, stops: Sequence[str]) -> str:
    """A text up to the first stop string in it."""
    return text[: min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))]


class Watch:
    """Looks out for stop strings, one token at a time."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str], vocabulary: int) -> None:
        import torch

        self._tokenizer = tokenizer
        self._stops = tuple(stops)
        self.tail = max(len(stop.encode()) for stop in stops) + MARGIN  # a token holds a byte at least
        last = {stop[-1] for stop in stops}
        texts = tokenizer.batch_decode([[number] for number in range(min(vocabulary, len(tokenizer)))])
        closing = [UNFINISHED in text or not last.isdisjoint(text) for text in texts]
        self.closing: Tensor = torch.tensor(closing + [False] * (vocabulary - len(closing)))
        """(V,): whether a token can be the one that completes a stop string; only these rows are decoded."""

    def is_stopped(self, ids: list[int]) -> bool:
        """Whether the last tokens of a completion hold a stop string."""
        text = str(self._tokenizer.decode(ids[-self.tail :]))
        return any(stop in text for stop in self._stops)
