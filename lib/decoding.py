"""The batched sampling loop: one prefill per prompt, its cache repeated for its samples, finished rows dropped, freed places refilled.

Each token is drawn through the inverse of the cumulative distribution with one uniform number, which is a pure function
of the completion's seed and the token's position; so a completion does not depend on which others it is batched with, up
to floating-point rounding.

Freed places are refilled with rows that are as long. All rows of a batch have the width of the longest, so a new prompt
that took a freed place would cost as much as a row near its end: with 128 rows of a 1M model a step takes 8, 15 and 21 ms at
30, 90 and 150 cached positions, and 1.6 ms with one row. So a batch of which few rows are left steps aside, and those few go on
together with the last of other batches (`lib.decoding_rows.joined`); what is saved is the fixed cost of steps with few rows.
Static shapes, continuous batching and other ways of an accelerator are not here: nothing was measured on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.decoding_rows import Rows, begun, can_join, joined
from lib.engines.stops import Watch
from lib.protocols import Request, Sampled

DROP_BELOW = 0.9
"""Finished rows are dropped when less than this share is still live: dropping copies the cache, so not at every step."""
SET_ASIDE = 0.1
"""A batch of which less than this share is left steps aside while others still begin."""
GO_ON = 0.5
"""Rows set aside go on together once they are this share of a batch."""


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


@torch.inference_mode()
def sample_batches(
    model: PreTrainedModel, batches: Iterable[Sequence[tuple[int, Request]]], law: Law, finished: Callable[[int], None]
) -> dict[int, Sampled]:
    """Complete each prompt once per seed; a request comes with the place of its first seed's completion, the others follow.

    `finished` is told how many rows have ended since it was last called.
    """
    found: dict[int, Sampled] = {}
    aside: list[Rows] = []
    size = 0
    for batch in batches:
        rows = begun(model, batch, law.max_new_tokens)
        size = max(size, len(rows))
        _advance(rows, law, int(SET_ASIDE * len(rows)) if can_join(rows) else 0, found, finished)
        aside += [rows] if len(rows) else []
        waiting = sum(map(len, aside))
        if waiting >= GO_ON * size:
            aside = [joined(aside)]
            _advance(aside[0], law, int(SET_ASIDE * size), found, finished)
            aside = [rows for rows in aside if len(rows)]
    if aside:
        _advance(joined(aside), law, 0, found, finished)
    return found


def _advance(rows: Rows, law: Law, least: int, found: dict[int, Sampled], finished: Callable[[int], None]) -> None:
    """Draw tokens until at most `least` rows are left."""
    stops = torch.tensor(law.stop_ids, device=rows.ids.device)
    while len(rows):
        following = _draw_next(rows, law, stops)
        left = int(rows.live.sum())
        if left < DROP_BELOW * len(rows) or left <= least:
            following = following[rows.live]
            ended = rows.drop_finished()
            found.update(ended)
            if ended:
                finished(len(ended))
        if len(rows):
            rows.step(following)
        if len(rows) <= least:
            return


def _draw_next(rows: Rows, law: Law, stops: Tensor) -> Tensor:
    """Draw the next token of every row and mark those that end; (B,) ids. A finished row draws on, past its end, where nobody reads."""
    drawn = draw(rows.logits, rows.uniforms.gather(1, rows.steps), law)
    rows.ids.scatter_(1, rows.steps, drawn.ids[:, None])
    rows.figures.scatter_(2, rows.steps.expand(3, -1, -1), torch.stack(drawn[1:])[:, :, None])
    rows.steps += rows.live[:, None]
    ending = (drawn.ids[:, None] == stops).any(1)
    if law.watch is not None:
        ending |= _at_stop_string(rows, drawn.ids, law.watch)
    rows.stopped |= rows.live & ending
    rows.live &= ~ending & (rows.steps[:, 0] < law.max_new_tokens)
    return drawn.ids


def _at_stop_string(rows: Rows, last: Tensor, watch: Watch) -> Tensor:
    """(B,): whether the last tokens of a live row complete a stop string."""
    closing = rows.live & watch.closing.to(last.device)[last]
    for row in closing.nonzero()[:, 0].tolist():
        closing[row] = watch.is_stopped(rows.ids[row, : int(rows.steps[row])][-watch.tail :].tolist())
    return closing
