"""From a stage of a recipe to its jobs: which tables each shard reads, which models, which seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lib import grown, seeds
from lib.casting import MEASURED, Part, parts
from lib.errors import UnknownName, UserError
from lib.job import Job, Label, Result
from lib.recipe import Phase, Stage
from lib.roles import judges_of, measured_role
from lib.strategy import Strategy

Json = dict[str, Any]

ITERATIONS = "lib.stages.iterations:Iterations"
"""What a train stage does around a trainer that samples inside its training."""


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
    """Reference (`base`, `previous`, `champion`, `latest`, `round:N`, …) → role → model digest."""
    earlier: Mapping[str, Mapping[str, Mapping[int, Result]]]
    """Stage path → `accepted` or `all` → round → what that stage read in all its attempts before this one, for accumulation."""
    replay: Mapping[str, tuple[str, ...]]
    """Reference → the examples that this reference's model learned from."""
    engines: Mapping[str, Json] = field(default_factory=dict)
    """Role → the settings of its own engine, where it has one."""
    before: Mapping[str, Result] = field(default_factory=dict)
    """Stage path → what it made and read in the last finished attempt at a round, for controllers."""
    rounds: int = 1
    """How many were planned when the campaign began."""

    def stage_seed(self, phase: str, stage: str) -> int:
        return seeds.seed_of(self.seed, self.label.round, self.label.attempt, phase, stage)

    def at(self, phase: str, stage: str, shard: int = 0, shards: int = 1, part: str = "") -> Label:
        return replace(self.label, phase=phase, stage=stage, shard=shard, shards=shards, part=part)

    def model(self, reference: str, role: str) -> str:
        """The digest of a role's model; UnknownName if the reference is not known in this round.

        `round:N` is the base model in rounds up to and including N, as `previous` is in the first: so a recipe can hold to the
        model of a round from the next one on.
        """
        later = re.fullmatch(r"round:([1-9][0-9]*)", reference)
        known = "base" if later and int(later[1]) >= self.label.round else reference
        if known not in self.models:
            raise UnknownName("model reference", reference, self.models, f"in round {self.label.round}")
        found = self.models[known]
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


def shards_of(stage: Stage, read: Result) -> tuple[str, ...]:
    """The shards of the problems that a stage works on. Raises UserError where it reads stages that worked on others."""
    found = list(dict.fromkeys(result.made["problems"] for result in read.nearest("problems")))
    if len(found) > 1:
        raise UserError(f"stage '{stage.label}' reads stages that worked on different problems; let it read those of one set")
    return found[0] if found else ()


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
    shards = shards_of(stage, read) or ground.problems
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
    """One job a shard: the nearest completions, not those that their sampler read; or one job over all that was read."""
    needed = parts(stage.run)
    models = _cast(needed, ground)
    gold: Json = {"gold": stage.gold} if stage.gold else {}
    settings: Json = {"verifiers": _dump(stage.run), **gold, **_engines(needed, ground)}
    if any(getattr(verifier, "looks_back", False) for verifier in stage.run):
        everything = {name: read.every(name) for name in ("problems", "completions", "verdicts")}
        seed = ground.stage_seed(phase.name, stage.label) if models else 0
        return [Job("verify", ground.at(phase.name, stage.label), settings, _given(everything), models, seed, needs_device=bool(models))]
    judged = Result({}, tuple(Result(found.made) for found in read.nearest("completions")))
    shards = shards_of(stage, read)
    jobs = []
    for index, problems in enumerate(shards):
        inputs = {"problems": (problems,), "completions": judged.shard("completions", index)}
        label = ground.at(phase.name, stage.label, index, len(shards))
        seed = ground.stage_seed(phase.name, stage.label) if models else 0
        jobs.append(Job("verify", label, settings, _given(inputs), models, seed, needs_device=bool(models)))
    return jobs


def filter_job(phase: Phase, stage: Stage, read: Result, ground: Ground) -> Job:
    """One job over all shards."""
    inputs = {name: read.every(name) for name in ("problems", "completions", "verdicts", "token_scores", "nodes")}
    inputs["held_out"] = ground.held_out
    seed = ground.stage_seed(phase.name, stage.label)
    settings: Json = {"filters": _dump(stage.run), **({"round": ground.label.round} if makes_problems(stage) else {})}
    return Job("filter", ground.at(phase.name, stage.label), settings, _given(inputs), {}, seed)


def makes_problems(stage: Stage) -> bool:
    """Whether a filter stage makes problems, which the stages after it work at."""
    return bool(stage.run) and getattr(stage.run[-1], "makes", "") == "problems"


def train_job(phase: Phase, stage: Stage, read: Result, ground: Ground) -> Job:
    """One job: the examples read, those of earlier rounds, what the trainer replays, and the models it starts from."""
    trainer = stage.run[0]
    table = f"examples_{getattr(trainer, 'learns_from', 'sft')}"
    inputs = {"examples": Result({}, (*_earlier(phase, stage, ground), read)).every(table), "replay": _replayed(trainer, ground)}
    role = getattr(trainer, "start_role", "") or phase.role
    models = {"start": ground.model(getattr(trainer, "start_from", "previous"), role)}
    if reference := getattr(trainer, "reference", None):
        models["reference"] = ground.model(reference, phase.role)
    seed = ground.stage_seed(phase.name, stage.label)
    settings: Json = {"trainer": trainer.model_dump(mode="json")}
    if getattr(trainer, "online", False):
        live = Part(phase.role)
        others = [part for part in parts([trainer]) if part != live]
        settings |= {"iterations": {"strategy": ITERATIONS, "role": phase.role}, **_engines([live, *others], ground)}
        inputs |= {"problems": shards_of(stage, read) or ground.problems, "held_out": ground.held_out}
        models |= _cast(others, ground)
    if stage.keep_rows:
        settings["keep"] = {"rows": stage.keep_rows, "evict": stage.evict, "seed": seeds.seed_of(ground.seed, phase.name, stage.label)}
    return Job("train", ground.at(phase.name, stage.label), settings, _given(inputs), models, seed, needs_device=True)


def _earlier(phase: Phase, stage: Stage, ground: Ground) -> list[Result]:
    """What the stage read in the earlier rounds that it still learns, and in earlier attempts at this one; the oldest first."""
    found = ground.earlier.get(f"{phase.name}/{stage.label}", {}).get(stage.accumulate, {})
    rounds = sorted(number for number in found if number < ground.label.round)[-(stage.keep_rounds or 0) :]
    return [found[number] for number in (*rounds, ground.label.round) if number in found]


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


def rival_sample_jobs(evaluator: Any, model: str, split: str, problems: tuple[str, ...], ground: Ground) -> list[Job]:
    """The same sampling of the model that an evaluator measures against; none where it has none, or measures that very model."""
    against = getattr(evaluator, "against", "")
    rival = ground.model(against, measured_role(evaluator)) if against else model
    return evaluate_sample_jobs(evaluator, rival, split, problems, ground) if rival != model else []


def evaluate_verify_jobs(evaluator: Any, model: str, split: str, read: Result, ground: Ground) -> list[Job]:
    """The verifying that feeds an evaluator; what it draws, it draws alike for every model that is measured.

    Reads `problems`, `completions` and, where there are some, `rivals`, shard by shard.
    """
    judges = judges_of(evaluator)
    verifiers = _dump(judges)
    needed = parts(judges)
    settings: Json = {"verifiers": verifiers, **_engines(needed, ground)}
    models = _cast_measuring(needed, model, ground)
    seed = seeds.seed_of(ground.seed, "evaluate", split, verifiers) if needed else 0
    shards = range(len(read.made["problems"]))
    labels = [ground.at("evaluate", split, i, len(shards), "verify") for i in shards]
    inputs = [_given({name: read.shard(name, i) for name in ("problems", "completions", "rivals")}) for i in shards]
    return [
        Job("verify", label, settings, given, models, seed, needs_device=bool(models)) for label, given in zip(labels, inputs, strict=True)
    ]


def _cast_measuring(needed: Iterable[Part], model: str, ground: Ground) -> dict[str, str]:
    """As `_cast`, with `measured` standing for the model that is measured, whatever the role."""
    return {part.name: model if part.model == MEASURED else ground.model(part.model, part.role) for part in needed}


def evaluate_job(evaluator: Any, model: str, split: str, fed: Result, ground: Ground) -> Job:
    """The measuring itself."""
    settings: Json = {"evaluator": evaluator.model_dump(mode="json"), "split": split, "model_id": model}
    inputs = {name: fed.every(name) for name in ("problems", "completions", "verdicts", "token_scores", "nodes", "rivals")}
    return Job("evaluate", ground.at("evaluate", split, part="evaluate"), settings, _given(inputs))


def _given(inputs: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: refs for name, refs in inputs.items() if refs}
