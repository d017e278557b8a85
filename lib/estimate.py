"""What a campaign would cost before it runs: completions, tokens, training steps, time and disk, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from lib.casting import nested
from lib.drawing import Drawn, drawing, drawn
from lib.errors import DamagedArtifact
from lib.opening import WARM_PROBLEMS
from lib.probing import probes
from lib.recipe import Phase, Recipe, Stage
from lib.roles import judges_of
from lib.samplers.reference_solutions import ReferenceSolutions
from lib.samplers.role_lessons import RoleLessons
from lib.steering import probed, steered
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
            if {"tokens_sampled", "steps"} <= stats.keys():
                continue  # a training that sampled for itself: nobody timed the two apart
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
    return settings.get("sampler", {}).get("strategy") not in (name_of(ReferenceSolutions), name_of(RoleLessons))


def warm_start_cost(recipe: Recipe, at: Rates) -> list[Cost]:
    """The cost of warm-starting the built-in model: worked solutions are learned, which nobody samples."""
    stages = list(drawing(recipe.stages(), WARM_PROBLEMS))
    sampled = [made for _, stage, made in stages if stage.verb == "sample" and getattr(stage.run[0], "draws", True)]
    trainers = [stage.run[0] for _, stage, _ in stages if stage.verb == "train"]
    return [
        *(_sampling("base/warm start", made, at) for made in sampled),
        *(_training("base/warm start", trainer, WARM_PROBLEMS, at) for trainer in trainers),
    ]


def round_cost(recipe: Recipe, counts: dict[str, int], at: Rates, number: int = 1) -> list[Cost]:
    """The cost of round `number`: every stage of every phase, then measuring the model that it makes."""
    costs: list[Cost] = [cost for phase in recipe.phases_of(number) for cost in _probing(phase, counts["train"], at)]
    for phase, stage, made in drawing(recipe.stages(number), counts["train"]):
        name = f"{phase.name}/{stage.label}"
        if stage.verb == "sample":
            costs.append(_sampling(name, made, at))
        elif stage.verb == "verify" and (tokens := _judging(stage.run, made)):
            costs.append(Cost(name, tokens=tokens, seconds=tokens * at.per_token, note="these tokens are written by judges"))
        elif stage.verb == "train":
            costs.append(_training(name, stage.run[0], _most_examples(recipe, stage, counts["train"], number), at))
    return costs + measuring_cost(recipe, counts, at)


def _probing(phase: Phase, problems: int, at: Rates) -> Iterator[Cost]:
    """The cost of what the controllers of a phase sample before they decide."""
    for name, controller in phase.deciders.items():
        most = min(problems, getattr(controller, "probe_problems", None) or problems)
        settled = [steered(phase, settings, name) for settings in probes(controller)]
        stages = [one for alone in settled for one in drawing(((alone, stage) for stage in probed(alone)), most)]
        found = [made for _, stage, made in stages if stage.verb == "sample"]
        if found:
            yield _sampling(f"{phase.name}/{name}", _together(found), at)


def measuring_cost(recipe: Recipe, counts: dict[str, int], at: Rates) -> list[Cost]:
    """The cost of measuring a model on validation and, where there is one, for the gate."""
    splits = ["validation"] if recipe.gate is None else ["validation", "gate"]
    return [evaluation_cost(recipe, split, counts[split], at) for split in splits]


def evaluation_cost(recipe: Recipe, split: str, problems: int, at: Rates) -> Cost:
    """The cost of measuring one model on one split; evaluators that sample alike share their completions."""
    samplers = {(rival, str(e.sampler.model_dump())): e.sampler for e in recipe.evaluators if hasattr(e, "sampler") for rival in _asked(e)}
    sampled = _sampling(f"evaluate/{split}", _together([drawn(sampler, problems) for sampler in samplers.values()]), at)
    judged = sum(_judging(judges_of(e), drawn(getattr(e, "sampler", None), problems), len(_asked(e))) for e in recipe.evaluators)
    tokens = sampled.tokens + judged
    note = "some of these tokens are written by judges" if judged else ""
    return replace(sampled, tokens=tokens, seconds=tokens * at.per_token, note=note)


def _asked(evaluator: Any) -> dict[str, None]:
    """The model that is measured, and the one that it is measured against, where there is one."""
    return dict.fromkeys(["", getattr(evaluator, "against", "")])


def _most_examples(recipe: Recipe, stage: Stage, problems: int, number: int) -> int:
    """The most examples that a train stage may find: all that is sampled becomes one, and replay brings a warm start's each."""
    sampled = sum(made.completions for _, one, made in drawing(recipe.stages(), problems) if one.verb == "sample")
    replayed = WARM_PROBLEMS * len(getattr(stage.run[0], "replay", ()))
    rounds = min(number, (stage.keep_rounds or number) + 1) if stage.accumulate != "no" else 1
    return min(sampled * rounds, stage.keep_rows or sampled * rounds) + replayed


def _judging(verifiers: Iterable[Strategy], made: Drawn, models: int = 1) -> int:
    """The most tokens that the models among these verifiers write about completions; a pairwise one sees every rival of a problem."""
    completions = made.completions * models
    rivals = math.ceil(completions / max(1, made.problems)) - 1
    found = 0
    for judge in nested(verifiers):
        if longest := int(getattr(judge, "max_new_tokens", 0)):
            questions = completions * rivals if getattr(judge, "form", "") == "pairwise" else completions
            found += questions * int(getattr(judge, "votes", 1)) * longest
    return found


def _training(name: str, trainer: Any, most: int, at: Rates) -> Cost:
    """`most`: how many examples there may be; passes over them are counted in steps once they are there."""
    epochs, steps, note = getattr(trainer, "epochs", None), int(getattr(trainer, "steps", None) or 0), ""
    if getattr(trainer, "online", False):
        sampled = _sampling(name, drawn(trainer.sampler, trainer.iterations * trainer.problems), at)
        steps *= trainer.iterations
        return replace(sampled, steps=steps, seconds=sampled.seconds + steps * at.per_step, bytes=sampled.bytes + 2e6)
    if epochs is not None:
        steps = math.ceil(epochs * most / max(1, min(int(getattr(trainer, "batch_size", 1)), most)))
        note = "not known beforehand: epochs over what the filters keep; these are the most steps"
    elif not steps:
        note = "steps not known beforehand"
    return Cost(name, steps=steps, seconds=steps * at.per_step, bytes=2e6, note=note)


def _sampling(name: str, made: Drawn, at: Rates) -> Cost:
    return Cost(name, made.completions, made.tokens, seconds=made.tokens * at.per_token, bytes=made.completions * BYTES_PER_COMPLETION)


def _together(parts: Iterable[Drawn]) -> Drawn:
    every = list(parts)
    return Drawn(sum(one.completions for one in every), sum(one.tokens for one in every), max((one.problems for one in every), default=0))
