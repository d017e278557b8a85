"""Teacher forcing: how likely a bare model (temperature 1, top_p 1) finds the tokens of completions that are given.

Rows are padded on the right, which a causal model cannot see, and run through the cache a stretch of positions at a time,
as sampling does token by token; so a stretch's logits, and never a whole sequence's, are held at once, and whatever a model
does to its logits is done here too. Agrees with what sampling recorded up to floating-point rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from lib.engine_kinds import Pair, Scored

LOGITS_ON_CPU, LOGITS = 2**23, 2**27
"""Logits held at once: rows times positions times vocabulary."""


def batches(lengths: Sequence[int], rows: int, positions: int) -> Iterator[list[int]]:
    """Places of sequences, longest first, in batches of at most `rows`, and of `positions` tokens with their padding."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        if batch and (len(batch) == rows or (len(batch) + 1) * lengths[batch[0]] > positions):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@torch.inference_mode()
def score_batch(model: PreTrainedModel, pairs: Sequence[Pair]) -> list[Scored]:
    """The figures of every completion's tokens, all pairs in one batch; each pair needs a token of prompt and of completion."""
    device = model.device
    sequences = [[*prompt, *completion] for prompt, completion in pairs]
    ids = padded(sequences, device)  # (B, L)
    starts = torch.tensor([len(prompt) - 1 for prompt, _ in pairs], device=device)[:, None]
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences], device=device)[:, None]
    figures = torch.zeros((3, len(pairs), ids.shape[1] - 1), device=device)  # at each position, of the token after it
    begin = int(starts.min())
    for first, logits in _stretches(model, ids, begin):
        places = torch.arange(first, first + logits.shape[1], device=device)
        wanted = (places >= starts) & (places < ends)  # (B, C)
        following = ids[:, first + 1 : first + 1 + logits.shape[1]][wanted]
        figures[:, :, first : first + logits.shape[1]][:, wanted] = _figures(logits[wanted], following)
    values = figures.cpu()
    spans = [(len(prompt) - 1, len(sequence) - 1) for (prompt, _), sequence in zip(pairs, sequences, strict=True)]
    return [Scored(*(values[kind, row, start:end].tolist() for kind in range(3))) for row, (start, end) in enumerate(spans)]


def score(model: PreTrainedModel, pairs: Sequence[Pair], rows: int, positions: int, finished: Callable[[int], None]) -> list[Scored]:
    """Every pair's figures, in order; `finished` is told how many are done since it was last called."""
    results = [Scored([], [], []) for _ in pairs]
    told = [place for place, (_, completion) in enumerate(pairs) if completion]
    lengths = [len(pairs[place][0]) + len(pairs[place][1]) for place in told]
    finished(len(pairs) - len(told))
    for batch in batches(lengths, rows, positions):
        places = [told[index] for index in batch]
        for place, scored in zip(places, score_batch(model, [pairs[place] for place in places]), strict=True):
            results[place] = scored
        finished(len(batch))
    return results


def padded(sequences: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """(B, L): the ids, padded on the right."""
    width = max(len(sequence) for sequence in sequences)
    return torch.tensor([[*sequence, *[0] * (width - len(sequence))] for sequence in sequences], device=device)


def _stretches(model: PreTrainedModel, ids: Tensor, begin: int) -> Iterator[tuple[int, Tensor]]:
    """Position and logits (B, C, V) of each stretch from `begin` to the last position but one."""
    cache = DynamicCache(config=model.config)
    vocabulary = int(model.config.get_text_config().vocab_size)
    most = LOGITS_ON_CPU if model.device.type == "cpu" else LOGITS
    stride = max(1, most // (len(ids) * vocabulary))
    if begin:  # what all rows have as prompt
        model(input_ids=ids[:, :begin], past_key_values=cache, use_cache=True, logits_to_keep=1)
    for first in range(begin, ids.shape[1] - 1, stride):
        stretch = ids[:, first : min(first + stride, ids.shape[1] - 1)]
        yield first, model(input_ids=stretch, past_key_values=cache, use_cache=True).logits


def _figures(logits: Tensor, following: Tensor) -> Tensor:
    """(3, N): log-probability of the token that follows, entropy, and margin of the two most likely, from logits (N, V)."""
    logprobs = torch.log_softmax(logits.float(), -1)
    probabilities = logprobs.exp()
    entropies = -torch.linalg.vecdot(probabilities, logprobs.clamp_min(-1e4))  # a probability of 0 must not meet -inf
    best = probabilities.topk(min(2, probabilities.shape[-1]), -1).values
    margins = best[:, 0] - (best[:, 1] if best.shape[-1] > 1 else 0.0)
    return torch.stack([logprobs.gather(1, following[:, None])[:, 0], entropies, margins])
