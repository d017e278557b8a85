"""From a stage of a recipe to its jobs: which tables each shard reads, which models, which seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lib import grown, seeds
from lib.casting import MEASURED, Part, parts
from lib.errors import UnknownName, UserError
from lib.job import Job, Label, Result
from lib.recipe import Phase, Stage
from lib.strategy import Strategy

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ground:
    """What the stages of one round stand on."""

    label: Label
    """Campaign, round and attempt; phase and stage are filled in."""
    seed: int
    """The run's seed."""
    engine: Json
    """The engine's settings."""
    problems: tuple[str, ...]
    """References to the shards of the training problems."""
    held_out: tuple[str, ...]
    """References to every held-out problem, for decontamination."""
    models: Mapping[str, Mapping[str, str]]
    """Reference (`base`, `previous`, `champion`, `round:N`, …) → role → model digest."""
    earlier: Mapping[str, Mapping[str, tuple[Result, ...]]]
    """Stage path → `accepted` or `all` → what that stage of earlier rounds read, for accumulation."""
    replay: Mapping[str, tuple[str, ...]]
    """Reference → the examples that this reference's model learned from."""
    engines: Mapping[str, Json] = field(default_factory=dict)
    """Role → the settings of its own engine, where it has one."""

    def stage_seed(self, phase: str, stage: str) -> int:
        return seeds.seed_of(self.seed, self.label.round, self.label.attempt, phase, stage)

    def at(self, phase: str, stage: str, shard: int = 0, shards: int = 1, part: str = "") -> Label:
        return replace(self.label, phase=phase, stage=stage, shard=shard, shards=shards, part=part)

    def model(self, reference: str, role: str) -> str:
        """The digest of a role's model; UnknownName if the reference is not known in this round."""
        if reference not in self.models:
            raise UnknownName("model reference", reference, self.models, f"in round {self.label.round}")
        found = self.models[reference]
        if role not in found:
            raise UnknownName("role", role, found, f"among the models of '{reference}'")
        return found[role]

    def problem_result(self) -> Result:
        return Result({"problems": self.problems})


def reading(phase: Phase, stage: Stage, done: Mapping[str, Result], ground: Ground) -> Result:
    """What a stage reads: the stages it names, or the one before it, or the problems alone."""
    if stage.reads:
        return Result({}, tuple(_named(name, phase, done) for name in stage.reads))
    before = [s.label for s in phase.pipeline]
    place = before.index(stage.label)
    if place == 0:
        return ground.problem_result()
    return done[f"{phase.name}/{before[place - 1]}"]


def _named(name: str, phase: Phase, done: Mapping[str, Result]) -> Result:
    path = name if "/" in name else f"{phase.name}/{name}"
    if path not in done:
        raise UnknownName("stage", path, done, "before this one")
    return done[path]


def _dump(strategies: Iterable[Strategy]) -> list[Json]:
    return [strategy.model_dump(mode="json") for strategy in strategies]


def _cast(needed: Iterable[Part], ground: Ground) -> dict[str, str]:
    """Part → the digest of the model that plays it."""
    return {part.name: ground.model(part.model, part.role) for part in needed}


def _engines(needed: Iterable[Part], ground: Ground) -> Json:
    """What `lib.stages.engines` opens these parts with; nothing where there are none."""
    roles = [part.role for part in needed]
    own = {role: ground.engines[role] for role in roles if role in ground.engines}
    common: Json = {"engine": ground.engine} if any(role not in own for role in roles) else {}
    return {**common, **({"engines": own} if own else {})}


def sample_jobs(phase: Phase, stage: Stage, read: Result, ground: Ground) -> list[Job]:
    """One job a shard of the problems."""
    needed = parts(stage.run)
    settings: Json = {"sampler": stage.run[0].model_dump(mode="json"), **_engines(needed, ground)}
    models = _cast(needed, ground)
    seed = ground.stage_seed(phase.name, stage.label)
    shards = read.every("problems") or ground.problems
    jobs = []
    for index, problems in enumerate(shards):
        inputs = {
            "problems": (problems,),
            "completions": read.shard("completions", index),
            "verdicts": read.shard("verdicts", index),
        }
        label = ground.at(phase.name, stage.label, index, len(shards))
        jobs.append(Job("sample", label, settings, _given(inputs), models, seed, needs_device=True))
    return jobs


def verify_jobs(phase: Phase, stage: Stage, read: Result, ground: Ground) -> list[Job]:
    """One job a shard: the nearest completions, not those that their sampler read."""
    needed = parts(stage.run)
    models = _cast(needed, ground)
    gold: Json = {"gold": stage.gold} if stage.gold else {}
    settings: Json = {"verifiers": _dump(stage.run), **gold, **_engines(needed, ground)}
    judged = Result({}, tuple(Result(found.made) for found in read.nearest("completions")))
    shards = read.every("problems")
    jobs = []
    for index, problems in enumerate(shards):
        inputs = {"problems": (problems,), "completions": judged.shard("completions", index)}
        label = ground.at(phase.name, stage.label, index, len(shards))
        seed = ground.stage_seed(phase.name, stage.label) if models else 0
        jobs.append(Job("verify", label, settings, _given(inputs), models, seed, needs_device=bool(models)))
    return jobs


def filter_job(phase: Phase, stage: Stage, read: Result, ground: Ground) -> Job:
    """One job over all shards."""
    inputs = {name: read.every(name) for name in ("problems", "completions", "verdicts")}
    inputs["held_out"] = ground.held_out
    seed = ground.stage_seed(phase.name, stage.label)
    return Job("filter", ground.at(phase.name, stage.label), {"filters": _dump(stage.run)}, _given(inputs), {}, seed)


def train_job(phase: Phase, stage: Stage, read: Result, ground: Ground) -> Job:
    """One job: the examples read, those of earlier rounds, what the trainer replays, and the models it starts from."""
    trainer = stage.run[0]
    table = f"examples_{getattr(trainer, 'learns_from', 'sft')}"
    earlier = ground.earlier.get(f"{phase.name}/{stage.label}", {}).get(stage.accumulate, ())
    inputs = {"examples": Result({}, (*earlier, read)).every(table), "replay": _replayed(trainer, ground)}
    models = {"start": ground.model(getattr(trainer, "start_from", "previous"), phase.role)}
    if reference := getattr(trainer, "reference", None):
        models["reference"] = ground.model(reference, phase.role)
    seed = ground.stage_seed(phase.name, stage.label)
    settings: Json = {"trainer": trainer.model_dump(mode="json")}
    return Job("train", ground.at(phase.name, stage.label), settings, _given(inputs), models, seed, needs_device=True)


def _replayed(trainer: Strategy, ground: Ground) -> tuple[str, ...]:
    found: list[str] = []
    for reference in getattr(trainer, "replay", ()):
        if reference not in ground.replay:
            raise UserError(f"nothing to replay: no examples are known for '{reference}' (have: {', '.join(ground.replay) or 'none'})")
        found.extend(ground.replay[reference])
    return tuple(dict.fromkeys(found))


def evaluate_sample_jobs(evaluator: Any, model: str, split: str, problems: tuple[str, ...], ground: Ground) -> list[Job]:
    """The sampling that feeds an evaluator. Its seed leaves out round and attempt: every model meets the same draws.

    It leaves out settings that only add, too: more samples are the same ones and more.
    """
    sampler = evaluator.sampler.model_dump(mode="json")
    own = Part(str(getattr(evaluator.sampler, "role", "policy")))
    others = [part for part in parts([evaluator.sampler]) if part != own]
    settings: Json = {"sampler": sampler, **_engines([own, *others], ground)}
    seed = seeds.seed_of(ground.seed, "evaluate", split, grown.ungrown(evaluator.sampler))
    models = {own.name: model, **_cast_measuring(others, model, ground)}
    labels = [ground.at("evaluate", split, i, len(problems), "sample") for i in range(len(problems))]
    return [
        Job("sample", label, settings, {"problems": (shard,)}, models, seed, needs_device=True)
        for label, shard in zip(labels, problems, strict=True)
    ]


def evaluate_verify_jobs(
    evaluator: Any, model: str, split: str, problems: tuple[str, ...], completions: tuple[str, ...], ground: Ground
) -> list[Job]:
    """The verifying that feeds an evaluator; what it draws, it draws alike for every model that is measured."""
    verifiers = _dump(evaluator.verifiers)
    needed = parts(evaluator.verifiers)
    settings: Json = {"verifiers": verifiers, **_engines(needed, ground)}
    models = _cast_measuring(needed, model, ground)
    seed = seeds.seed_of(ground.seed, "evaluate", split, verifiers) if needed else 0
    labels = [ground.at("evaluate", split, i, len(problems), "verify") for i in range(len(problems))]
    return [
        Job("verify", label, settings, {"problems": (p,), "completions": (c,)}, models, seed, needs_device=bool(models))
        for label, p, c in zip(labels, problems, completions, strict=True)
    ]


def _cast_measuring(needed: Iterable[Part], model: str, ground: Ground) -> dict[str, str]:
    """As `_cast`, with `measured` standing for the model that is measured, whatever the role."""
    return {part.name: model if part.model == MEASURED else ground.model(part.model, part.role) for part in needed}


def evaluate_job(evaluator: Any, model: str, split: str, fed: Result, ground: Ground) -> Job:
    """The measuring itself."""
    settings: Json = {"evaluator": evaluator.model_dump(mode="json"), "split": split, "model_id": model}
    inputs = {name: fed.every(name) for name in ("problems", "completions", "verdicts")}
    return Job("evaluate", ground.at("evaluate", split, part="evaluate"), settings, _given(inputs))


def _given(inputs: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: refs for name, refs in inputs.items() if refs}
