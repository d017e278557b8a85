"""What a campaign would cost before it runs: completions, tokens, training steps, time and disk, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lib.casting import nested
from lib.errors import DamagedArtifact
from lib.opening import WARM_PROBLEMS
from lib.recipe import Recipe, Stage
from lib.samplers.reference_solutions import ReferenceSolutions
from lib.store import Store
from lib.strategy import Strategy, name_of

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
    note: str = ""
    """What cannot be known beforehand."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds per sampled token and per training step."""

    per_token: float
    per_step: float
    measured: bool
    """Whether they were measured in this home, or are the built-in model's."""


LATEST = 500
"""Keys whose publications are looked at for rates, the newest first: a home of many rounds has thousands."""


def rates(store: Store) -> Rates:
    """The rates that this home has measured of late."""
    tokens = seconds = steps = train_seconds = 0.0
    latest = sorted(store.published_keys(), key=lambda key: (store.root / "by-key" / key).stat().st_mtime)[-LATEST:]
    for key in latest:
        for version in store.versions(key):
            stats = store.stats(key, version)
            if "tokens_sampled" in stats and _was_sampled(store, key, version):
                tokens += stats["tokens_sampled"]
                seconds += stats["seconds"]
            if "steps" in stats:
                steps += stats["steps"]
                train_seconds += stats["seconds"]
    return Rates(
        seconds / tokens if tokens else 1 / TOKENS_PER_SECOND,
        train_seconds / steps if steps else SECONDS_PER_STEP,
        bool(tokens and steps),
    )


def _was_sampled(store: Store, key: str, version: int) -> bool:
    """Whether a model wrote a publication's completions: worked solutions are only written down, at no rate worth knowing."""
    try:
        settings = store.read(key, version).ingredients.get("settings", {})
    except DamagedArtifact:
        return False
    return settings.get("sampler", {}).get("strategy") != name_of(ReferenceSolutions)


def warm_start_cost(recipe: Recipe, at: Rates) -> list[Cost]:
    """The cost of warm-starting the built-in model: nobody samples, the worked solutions are learned."""
    return [_training("base/warm start", stage.run[0], WARM_PROBLEMS, at) for _, stage in recipe.stages() if stage.verb == "train"]


def round_cost(recipe: Recipe, counts: dict[str, int], at: Rates, number: int = 1) -> list[Cost]:
    """The cost of round `number`: every stage of every phase, then measuring the model that it makes."""
    costs: list[Cost] = []
    sampler = None
    for phase, stage in recipe.stages():
        name = f"{phase.name}/{stage.label}"
        if stage.verb == "sample":
            sampler = stage.run[0]
            costs.append(_sampling(name, sampler, counts["train"], at))
        elif stage.verb == "verify" and (tokens := _judging(stage.run, sampler, counts["train"])):
            costs.append(Cost(name, tokens=tokens, seconds=tokens * at.per_token, note="these tokens are written by judges"))
        elif stage.verb == "train":
            costs.append(_training(name, stage.run[0], _most_examples(recipe, stage, counts["train"], number), at))
    return costs + measuring_cost(recipe, counts, at)


def measuring_cost(recipe: Recipe, counts: dict[str, int], at: Rates) -> list[Cost]:
    """The cost of measuring a model on validation and, where there is one, for the gate."""
    splits = ["validation"] if recipe.gate is None else ["validation", "gate"]
    return [evaluation_cost(recipe, split, counts[split], at) for split in splits]


def evaluation_cost(recipe: Recipe, split: str, problems: int, at: Rates) -> Cost:
    """The cost of measuring one model on one split; evaluators that sample alike share their completions."""
    samplers = {str(e.sampler.model_dump()): e.sampler for e in recipe.evaluators if hasattr(e, "sampler")}
    parts = [_sampling(f"evaluate/{split}", sampler, problems, at) for sampler in samplers.values()]
    judged = sum(_judging(getattr(e, "verifiers", ()), getattr(e, "sampler", None), problems) for e in recipe.evaluators)
    tokens = sum(p.tokens for p in parts) + judged
    return Cost(
        f"evaluate/{split}",
        sum(p.completions for p in parts),
        tokens,
        seconds=tokens * at.per_token,
        bytes=sum(p.bytes for p in parts),
        note="some of these tokens are written by judges" if judged else "",
    )


def _most_examples(recipe: Recipe, stage: Stage, problems: int, number: int) -> int:
    """The most examples that a train stage may find: all that is sampled becomes one, and replay brings a warm start's each."""
    samplers = [s.run[0] for _, s in recipe.stages() if s.verb == "sample"]
    sampled = problems * sum(int(getattr(sampler, "n", None) or 1) for sampler in samplers)
    replayed = WARM_PROBLEMS * len(getattr(stage.run[0], "replay", ()))
    return sampled * (number if stage.accumulate != "no" else 1) + replayed


def _judging(verifiers: Iterable[Strategy], sampler: Any, problems: int) -> int:
    """The most tokens that the models among these verifiers write about a sampler's completions; a pairwise one sees every rival."""
    n = int(getattr(sampler, "n", None) or 1)
    found = 0
    for judge in nested(verifiers):
        if longest := int(getattr(judge, "max_new_tokens", 0)):
            questions = n * (n - 1) if getattr(judge, "form", "") == "pairwise" else n
            found += problems * questions * int(getattr(judge, "votes", 1)) * longest
    return found


def _training(name: str, trainer: Any, most: int, at: Rates) -> Cost:
    """`most`: how many examples there may be; passes over them are counted in steps once they are there."""
    epochs, steps, note = getattr(trainer, "epochs", None), int(getattr(trainer, "steps", None) or 0), ""
    if epochs is not None:
        steps = math.ceil(epochs * most / max(1, min(int(getattr(trainer, "batch_size", 1)), most)))
        note = "not known beforehand: epochs over what the filters keep; these are the most steps"
    elif not steps:
        note = "steps not known beforehand"
    return Cost(name, steps=steps, seconds=steps * at.per_step, bytes=2e6, note=note)


def _sampling(name: str, sampler: Any, problems: int, at: Rates) -> Cost:
    completions = problems * int(getattr(sampler, "n", None) or 1)
    tokens = completions * int(getattr(sampler, "max_new_tokens", 0))
    return Cost(name, completions, tokens, seconds=tokens * at.per_token, bytes=completions * BYTES_PER_COMPLETION)
