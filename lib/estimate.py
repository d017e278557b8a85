"""What a campaign would cost before it runs: completions, tokens, training steps, time and disk, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lib.recipe import Phase, Recipe, Stage
from lib.store import Store

TOKENS_PER_SECOND = 50_000.0
"""Sampling rate of the built-in model on one core, used until this home has measured its own."""
SECONDS_PER_STEP = 0.045
"""Training step of the built-in model (64 rows) on one core, likewise."""
BYTES_PER_COMPLETION = 250.0
"""Disk that a short completion and its verdict take, compressed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The most that one stage of one round may cost."""

    stage: str
    completions: int = 0
    tokens: int = 0
    steps: int = 0
    seconds: float = 0.0
    bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds per sampled token and per training step."""

    per_token: float
    per_step: float
    measured: bool
    """Whether they were measured in this home, or are the built-in model's."""


def rates(store: Store) -> Rates:
    """The rates that this home has measured so far."""
    tokens = seconds = steps = train_seconds = 0.0
    for key in store.published_keys():
        for version in store.versions(key):
            stats = store.stats(key, version)
            if "tokens_sampled" in stats:
                tokens += stats["tokens_sampled"]
                seconds += stats["seconds"]
            elif "steps" in stats:
                steps += stats["steps"]
                train_seconds += stats["seconds"]
    return Rates(
        seconds / tokens if tokens else 1 / TOKENS_PER_SECOND,
        train_seconds / steps if steps else SECONDS_PER_STEP,
        bool(tokens and steps),
    )


def round_cost(recipe: Recipe, counts: dict[str, int], at: Rates) -> list[Cost]:
    """The cost of one round: every stage of every phase, then the evaluations on validation and gate."""
    costs = [_stage_cost(phase, stage, counts["train"], at) for phase, stage in recipe.stages() if stage.verb in ("sample", "train")]
    splits = ["validation"] if recipe.gate is None else ["validation", "gate"]
    return costs + [evaluation_cost(recipe, split, counts[split], at) for split in splits]


def evaluation_cost(recipe: Recipe, split: str, problems: int, at: Rates) -> Cost:
    """The cost of measuring one model on one split; evaluators that sample alike share their completions."""
    samplers = {str(e.sampler.model_dump()): e.sampler for e in recipe.evaluators if hasattr(e, "sampler")}
    parts = [_sampling(f"evaluate/{split}", sampler, problems, at) for sampler in samplers.values()]
    return Cost(
        f"evaluate/{split}",
        sum(p.completions for p in parts),
        sum(p.tokens for p in parts),
        seconds=sum(p.seconds for p in parts),
        bytes=sum(p.bytes for p in parts),
    )


def _stage_cost(phase: Phase, stage: Stage, problems: int, at: Rates) -> Cost:
    name = f"{phase.name}/{stage.label}"
    strategy: Any = stage.run[0]
    if stage.verb == "sample":
        return _sampling(name, strategy, problems, at)
    steps = int(getattr(strategy, "steps", 0) or 0)
    return Cost(name, steps=steps, seconds=steps * at.per_step, bytes=2e6)


def _sampling(name: str, sampler: Any, problems: int, at: Rates) -> Cost:
    completions = problems * int(getattr(sampler, "n", 1))
    tokens = completions * int(getattr(sampler, "max_new_tokens", 0))
    return Cost(name, completions, tokens, seconds=tokens * at.per_token, bytes=completions * BYTES_PER_COMPLETION)
