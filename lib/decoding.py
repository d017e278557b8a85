"""The batched sampling loop: one prefill per prompt, its cache repeated for its samples, finished rows dropped.

Each token is drawn through the inverse of the cumulative distribution with one uniform number, which is a pure function
of the completion's seed and the token's position; so a completion does not depend on which others it is batched with, up
to floating-point rounding.

Not covered: filling the places of finished rows with new prompts. A row that joins late has to share the width of the
longest in its batch, and on a CPU width costs more than the fixed part of a step that a full batch saves: with 128 rows
of a 1M model a step takes 8, 15 and 21 ms at 30, 90 and 150 cached positions, and 1.6 ms with one row. Static shapes,
continuous batching and other ways of an accelerator are not here: nothing was measured on one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from lib import seeds
from lib.engines.stops import Watch
from lib.protocols import Request, Sampled

DROP_BELOW = 0.9
"""Finished rows are dropped when less than this share is still live: dropping copies the cache, so not at every step."""


@dataclass(frozen=True, slots=True)
class Law:
    """How a token is drawn. `top_p` keeps the fewest most likely tokens whose mass reaches it."""

    temperature: float
    top_p: float
    max_new_tokens: int
    stop_ids: tuple[int, ...]
    watch: Watch | None = None
    """What looks out for stop strings, where there are any."""


class Drawn(NamedTuple):
    """One token of every row: its id, its log-probability under the law and the bare model, and the bare model's entropy."""

    ids: Tensor  # (B,)
    logprobs: Tensor  # (B,)
    logprobs_at_1: Tensor  # (B,)
    entropies: Tensor  # (B,)


def draw(logits: Tensor, uniforms: Tensor, law: Law) -> Drawn:
    """Draw from logits (B, V) with one uniform in [0, 1) per row, (B, 1).

    At temperature 0 the most likely token is taken; the law is then certain of it, so its log-probability is 0.
    """
    at_1 = torch.log_softmax(logits.float(), -1)  # (B, V)
    entropies = -torch.linalg.vecdot(at_1.exp(), at_1.clamp_min(-1e4))  # a probability of 0 must not meet -inf
    if law.temperature == 0.0:
        ids = at_1.argmax(-1, keepdim=True)
        logprobs = torch.zeros_like(ids, dtype=at_1.dtype)
    else:
        tempered = at_1 if law.temperature == 1.0 else torch.log_softmax(at_1 / law.temperature, -1)
        ids, logprobs = _invert(tempered, uniforms) if law.top_p >= 1.0 else _invert_nucleus(tempered, uniforms, law.top_p)
    return Drawn(ids[:, 0], logprobs[:, 0], at_1.gather(1, ids)[:, 0], entropies)


def _invert(logprobs: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    ids = _first_above(logprobs.exp().cumsum(-1), uniforms)
    return ids, logprobs.gather(1, ids)


def _invert_nucleus(logprobs: Tensor, uniforms: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    ordered, order = logprobs.sort(dim=-1, descending=True, stable=True)
    mass = ordered.exp().cumsum(-1)
    outside = mass - ordered.exp() >= top_p  # the mass before it reaches top_p already
    outside[:, 0] = False
    kept = ordered.masked_fill(outside, float("-inf")).log_softmax(-1)
    places = _first_above(kept.exp().cumsum(-1), uniforms)
    return order.gather(1, places), kept.gather(1, places)


def _first_above(cumulative: Tensor, uniforms: Tensor) -> Tensor:
    """The first place whose cumulative mass is above uniform × total; never one without mass, whatever the rounding."""
    total = cumulative[:, -1:]
    below_total = torch.nextafter(total, torch.zeros_like(total))
    return torch.searchsorted(cumulative, torch.minimum(uniforms * total, below_total), right=True)


class _Rows:
    """The rows that are still in the batch, all of one width: prompts are padded on the left."""

    def __init__(self, model: PreTrainedModel, requests: Sequence[Request], max_new_tokens: int) -> None:
        self.model = model
        ids, mask = _padded([request.prompt_ids for request in requests], model.device)
        self.width = ids.shape[1]
        self.cache = DynamicCache(config=model.config)
        self.mask = None if bool(mask.all()) else mask  # without one, attention is cheaper
        positions = (mask.cumsum(-1) - 1).clamp_min(0)
        logits = self._forward(ids, positions)
        copies = torch.tensor([len(request.seeds) for request in requests], device=model.device)
        row = torch.repeat_interleave(copies)  # (B,): the request of each row
        self.cache.batch_select_indices(row)
        self.logits = logits[row]  # (B, V)
        self.positions = positions[row, -1:]  # (B, 1)
        if self.mask is not None:
            room = mask.new_ones(len(row), max_new_tokens)
            self.mask = torch.cat([mask[row], room], 1)  # (B, L + max_new_tokens)
        self.index = torch.arange(len(row), device=model.device)  # (B,): where each row's tokens are written
        self.live = torch.ones_like(self.index, dtype=torch.bool)

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        mask = None if self.mask is None else self.mask[:, : self.width]
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def step(self, ids: Tensor) -> None:
        """Append one token to every row and compute the logits of the next."""
        self.width += 1
        self.positions = self.positions + 1
        self.logits = self._forward(ids[:, None], self.positions)

    def drop_finished(self) -> Tensor:
        """Keep the live rows alone; returns where they stood."""
        kept = self.live.nonzero()[:, 0]
        self.cache.batch_select_indices(kept)
        self.index, self.live, self.positions = self.index[kept], self.live[kept], self.positions[kept]
        if self.mask is not None:
            self.mask = self.mask[kept]
        return kept


@torch.inference_mode()
def sample_batch(model: PreTrainedModel, requests: Sequence[Request], law: Law, finished: Callable[[int], None]) -> list[Sampled]:
    """Complete each prompt once per seed, all in one batch; results in the order of requests and seeds.

    `finished` is told how many rows have ended since it was last called.
    """
    rows = _Rows(model, requests, law.max_new_tokens)
    shape = (len(rows.index), law.max_new_tokens)  # (B, T)
    uniforms = _uniforms(requests, law.max_new_tokens).to(model.device)
    ids = torch.zeros(shape, dtype=torch.long, device=model.device)
    figures = torch.zeros((3, *shape), device=model.device)
    lengths = torch.full(shape[:1], law.max_new_tokens, device=model.device)
    stopped = torch.zeros_like(lengths, dtype=torch.bool)
    stops = torch.tensor(law.stop_ids, device=model.device)
    left = told = shape[0]
    for step in range(law.max_new_tokens):
        drawn = draw(rows.logits, uniforms[rows.index, step, None], law)
        ids[rows.index, step] = drawn.ids  # a finished row not yet dropped writes past its end, which nobody reads
        figures[:, rows.index, step] = torch.stack(drawn[1:])
        ending = rows.live & (drawn.ids[:, None] == stops).any(1)
        if law.watch is not None:
            ending |= _at_stop_string(ids[rows.index, max(0, step + 1 - law.watch.tail) : step + 1], rows.live, law.watch)
        ended = rows.index[ending]
        lengths[ended] = step + 1
        stopped[ended] = True
        rows.live &= ~ending
        left -= len(ended)
        if left == 0 or step + 1 == law.max_new_tokens:
            break
        following = drawn.ids
        if left < DROP_BELOW * len(rows.index):
            following = following[rows.drop_finished()]
            finished(told - left)
            told = left
        rows.step(following)
    finished(told)
    return _collect(ids, figures, lengths, stopped)


def _at_stop_string(tails: Tensor, live: Tensor, watch: Watch) -> Tensor:
    """(B,): whether the last tokens of a live row, (B, tail), complete a stop string."""
    closing = live & watch.closing.to(tails.device)[tails[:, -1]]
    for row in closing.nonzero()[:, 0].tolist():
        closing[row] = watch.is_stopped(tails[row].tolist())
    return closing


def _padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(prompt) for prompt in prompts)
    ids = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _uniforms(requests: Sequence[Request], count: int) -> Tensor:
    """(B, count) floats of 24 random bits, so that none is rounded up to 1."""
    drawn = seeds.uniforms([seed for request in requests for seed in request.seeds], 0, count)
    return torch.from_numpy(drawn).mul_(2**24).floor_().mul_(2**-24).float()


def _collect(ids: Tensor, figures: Tensor, lengths: Tensor, stopped: Tensor) -> list[Sampled]:
    inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]  # (B, T)
    entropies = ((figures[2] * inside).sum(1) / lengths).tolist()
    columns = zip(ids.cpu(), figures[0].cpu(), figures[1].cpu(), lengths.tolist(), stopped.tolist(), entropies, strict=True)
    return [
        Sampled(i[:n].tolist(), law[:n].tolist(), bare[:n].tolist(), entropy, "stop" if stop else "length")
        for i, law, bare, n, stop, entropy in columns
    ]
