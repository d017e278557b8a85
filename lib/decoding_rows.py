"""The rows of a sampling batch: their cache, what they have drawn, and how they leave and join it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from lib import seeds
from lib.protocols import Request, Sampled


@dataclass(slots=True)
class Rows:
    """B rows of one width that are sampled together; what is shorter is padded on the left. At most T - 1 tokens are drawn for each."""

    model: PreTrainedModel
    cache: DynamicCache
    width: int
    mask: Tensor | None  # (B, width + T or more): which cached positions are a row's own; None where all are, for attention is cheaper so
    logits: Tensor  # (B, V): of the next token
    positions: Tensor  # (B, 1): of the last token
    places: Tensor  # (B,): where each row's completion belongs
    steps: Tensor  # (B, 1): how many tokens each row has drawn
    uniforms: Tensor  # (B, T): a number for each token to come
    ids: Tensor  # (B, T)
    figures: Tensor  # (3, B, T): log-probabilities under the law and the bare model, entropies
    live: Tensor  # (B,)
    stopped: Tensor  # (B,)

    def __len__(self) -> int:
        return len(self.places)

    def step(self, ids: Tensor) -> None:
        """Append one token to every row, (B,), and compute the logits of the next."""
        self.width += 1
        self.positions = self.positions + 1
        mask = None if self.mask is None else self.mask[:, : self.width]
        self.logits = _forward(self.model, ids[:, None], mask, self.positions, self.cache)

    def drop_finished(self) -> list[tuple[int, Sampled]]:
        """Keep the live rows alone; returns the others' completions with their places."""
        ended = self._collect((~self.live).nonzero()[:, 0])
        kept = self.live.nonzero()[:, 0]
        self.cache.batch_select_indices(kept)
        self.mask = None if self.mask is None else self.mask[kept]
        self.logits, self.positions, self.places, self.steps = (t[kept] for t in (self.logits, self.positions, self.places, self.steps))
        self.uniforms, self.ids, self.live, self.stopped = (t[kept] for t in (self.uniforms, self.ids, self.live, self.stopped))
        self.figures = self.figures[:, kept]
        return ended

    def _collect(self, rows: Tensor) -> list[tuple[int, Sampled]]:
        lengths = self.steps[rows, 0]
        inside = torch.arange(self.ids.shape[1], device=rows.device) < lengths[:, None]  # (b, T)
        entropies = ((self.figures[2, rows] * inside).sum(1) / lengths).tolist()
        columns = (self.ids[rows], self.figures[0, rows], self.figures[1, rows])
        each = zip(*(c.cpu() for c in columns), lengths.tolist(), self.stopped[rows].tolist(), entropies, strict=True)
        sampled = [
            Sampled(i[:n].tolist(), law[:n].tolist(), bare[:n].tolist(), entropy, "stop" if stop else "length")
            for i, law, bare, n, stop, entropy in each
        ]
        return list(zip(self.places[rows].tolist(), sampled, strict=True))


def begun(model: PreTrainedModel, requests: Sequence[tuple[int, Request]], max_new_tokens: int) -> Rows:
    """A row for each seed of each request, which comes with the place of its first; each prompt is prefilled once."""
    ids, mask = _padded([request.prompt_ids for _, request in requests], model.device)
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    padded = not bool(mask.all())
    logits = _forward(model, ids, mask if padded else None, positions, cache)
    row = torch.repeat_interleave(torch.tensor([len(request.seeds) for _, request in requests], device=model.device))  # (B,)
    cache.batch_select_indices(row)
    shape = (len(row), max_new_tokens + 1)  # (B, T)
    room = mask.new_ones(shape)
    return Rows(
        model=model,
        cache=cache,
        width=ids.shape[1],
        mask=torch.cat([mask[row], room], 1) if padded else None,
        logits=logits[row],
        positions=positions[row, -1:],
        places=torch.tensor([first + i for first, request in requests for i in range(len(request.seeds))], device=model.device),
        steps=row.new_zeros(len(row), 1),
        uniforms=_uniforms(requests, shape[1]).to(model.device),
        ids=row.new_zeros(shape),
        figures=torch.zeros((3, *shape), device=model.device),
        live=torch.ones_like(row, dtype=torch.bool),
        stopped=torch.zeros_like(row, dtype=torch.bool),
    )


def can_join(rows: Rows) -> bool:
    """Whether a cache is nothing but keys and values for each position; windows and states are not widened."""
    return all(type(layer) is DynamicLayer for layer in rows.cache.layers)


def joined(groups: Sequence[Rows]) -> Rows:
    """One batch of the rows of several, as wide as the longest row needs; the groups are used up."""
    first = groups[0]
    needs = [group.width if group.mask is None else int(group.mask[:, : group.width].sum(1).max()) for group in groups]
    width = max(needs)
    for number, layer in enumerate(first.cache.layers):
        for name in ("keys", "values"):
            parts = [_widened(getattr(group.cache.layers[number], name), width, -2) for group in groups]
            setattr(layer, name, torch.cat(parts))
    masks = [_widened(_mask(group)[:, : group.width], width, -1) for group in groups]
    room = first.ids.new_ones(sum(map(len, groups)), first.ids.shape[1])
    whole = {
        name: torch.cat([getattr(group, name) for group in groups])
        for name in ("logits", "positions", "places", "steps", "uniforms", "ids", "live", "stopped")
    }
    figures = torch.cat([group.figures for group in groups], 1)
    return Rows(first.model, first.cache, width, torch.cat([torch.cat(masks), room], 1), figures=figures, **whole)


def _mask(rows: Rows) -> Tensor:
    return rows.ids.new_ones(len(rows), rows.width) if rows.mask is None else rows.mask


def _widened(cached: Tensor, width: int, dim: int) -> Tensor:
    """A tensor of `width` places along a dimension: padded with zeros, or cut where there is only padding, on the left."""
    size = cached.shape[dim]
    if size >= width:
        return cached.narrow(dim, size - width, width)
    shape = list(cached.shape)
    shape[dim] = width - size
    return torch.cat([cached.new_zeros(shape), cached], dim)


def _forward(model: PreTrainedModel, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache) -> Tensor:
    """(B, V): the logits that follow the last of the ids, (B, n)."""
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return output.logits[:, -1]


def _padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(prompt) for prompt in prompts)
    ids = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _uniforms(requests: Sequence[tuple[int, Request]], count: int) -> Tensor:
    """(B, count) floats of 24 random bits, so that none is rounded up to 1."""
    drawn = np.concatenate([seeds.uniforms(request.seeds, request.start, count) for _, request in requests])
    return torch.from_numpy(drawn).mul_(2**24).floor_().mul_(2**-24).float()
