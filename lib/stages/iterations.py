"""Sampling, verifying and filtering inside a training, for a trainer that says `online = True`.

In each iteration the next problems are sampled from the weights as they stand, judged, and filtered into examples, by the trainer's
own `sampler`, `verifiers` and `filters` and by the code of the stages of those names. All that was made is kept beside the
model, so that every example's completions, and every completion's fate, are on record as they are of other rounds. The first
iteration's completions are the start model's; those after n iterations say `DIGEST+n`, for that model is nowhere kept.

A training is made whole or not at all: one that was cut off begins anew, and draws the same again from its seed.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from lib import contract, records, seeds, tables, undecided
from lib.casting import role_of
from lib.errors import BrokenConservation, UserError
from lib.protocols import Engine, OnlineTrainer, Tables, Work, silent
from lib.stages import filter as filter_stage
from lib.stages.engines import open_engines, reading
from lib.stages.reading import table_of
from lib.stages.verify import tokens_written, verdicts_of
from lib.strategy import Strategy, load

OF_TRAINING = ("start", "reference")
"""The models of a training that are no part of its iterations."""
SHOWN = 120
"""Characters of a verdict's reason that an error shows."""


class Iterations(Strategy):
    """What a train stage does around an online trainer."""

    draws: ClassVar[bool] = True

    role: str = "policy"
    """The role that is trained: whoever asks its latest model is answered by the weights as they stand."""

    def run(self, work: Work, trainer: OnlineTrainer, out: Path) -> dict[str, Any]:
        """Train, and write the model with the tables of every iteration; returns the trainer's figures and counts of rows."""
        folders = {name: folder for name, (_, folder) in work.models.items() if name in OF_TRAINING}
        with tempfile.TemporaryDirectory(dir=out, prefix=".iterations-") as aside:
            gathering = Gathering(self.role, work, trainer, Path(aside))
            figures = trainer.train_online(folders, gathering, out, work.seed, work.machine)
            return {**figures, **gathering.publish(out)}


class Gathering:
    """The iterations of one training, each in a folder of its own until they are published together."""

    def __init__(self, role: str, work: Work, trainer: OnlineTrainer, aside: Path) -> None:
        self._role, self._work, self._trainer, self._aside = role, work, trainer, aside
        problems = table_of(work.inputs.get("problems", []), records.PROBLEMS)
        if not problems.num_rows:
            raise UserError(f"{type(trainer).__name__} samples inside its training, and was given no problems; let its stage read some")
        self._problems = in_order_of(problems, work.seed)
        others = {part: model for part, model in work.models.items() if part not in OF_TRAINING}
        self._others = open_engines(work.settings, others, work.machine)
        contract.check_folder(work.models["start"][1])
        self._notes: dict[str, dict[str, float]] = {}
        self._counts: list[dict[str, Any]] = []

    def gather(self, model: Any, number: int) -> pa.Table:
        """The examples of one iteration, made with the model as it stands. Raises what the stages of these names raise.

        TooManyUndecided among it, past the trainer's `undecided_limit`: a verify stage of its own would not have been believed.
        """
        folder = self._aside / f"{number:06d}"
        folder.mkdir()
        problems = problems_of(self._problems, self._trainer.problems, number)
        seed = seeds.seed_of(self._work.seed, "iteration", number)
        engines = {**self._others, self._role: self._engine(model, number)}
        completions = self._sampled(Tables(problems), engines, seed)
        judged = Tables(problems, completions, seed=seed)
        verdicts, scores = verdicts_of([load(one) for one in self._settings("verifiers")], judged, engines)
        name = f"{type(self._trainer).__name__}, iteration {number}"
        undecided.refuse(name, self._trainer.undecided_limit, _outcomes(verdicts), _commonest_reason(verdicts))
        made = (
            (records.PROBLEMS, problems),
            (records.COMPLETIONS, completions),
            (records.VERDICTS, verdicts),
            (records.TOKEN_SCORES, scores),
        )
        for spec, table in made:
            tables.write(table, spec, folder / f"{spec.name}.parquet")
        return self._filtered(folder, seed, completions, verdicts)

    def note(self, number: int, **figures: float) -> None:
        """Add to what is kept of an iteration, such as its learning rate."""
        self._notes.setdefault(f"{number:06d}", {}).update(figures)

    def publish(self, out: Path) -> dict[str, Any]:
        """Write the tables of all iterations into a folder, and return how many rows they have."""
        folders = sorted(path for path in self._aside.iterdir())
        examples = records.EXAMPLES[self._trainer.learns_from]
        for spec in (records.COMPLETIONS, records.VERDICTS, records.TOKEN_SCORES, examples, records.EXAMPLE_SOURCES, records.DROPPED):
            paths = [path for folder in folders for path in (folder / f"{spec.name}.parquet",) if path.is_file()]
            found = tables.read(paths, spec)
            if found.num_rows or spec is not records.TOKEN_SCORES:
                tables.write(found, spec, out / f"{spec.name}.parquet")
        name = type(self._trainer).__name__
        notes = sorted(self._notes.items())
        rows: list[dict[str, object]] = [{"controller": name, "key": f"iteration {at}", "value": json.dumps(told)} for at, told in notes]
        tables.write(records.STATE.table(rows), records.STATE, out / "state.parquet")
        return _together(self._counts)

    def _engine(self, model: Any, number: int) -> Engine:
        own = self._work.settings.get("engines", {})
        engine = load(own.get(self._role, self._work.settings.get("engine")))
        if not hasattr(engine, "over"):
            raise UserError(
                f"{type(self._trainer).__name__} samples from the model that it trains, and {type(engine).__name__} cannot; "
                f"give the role '{self._role}' an engine of this process, such as Huggingface()"
            )
        digest, folder = self._work.models["start"]
        found: Engine = engine.over(model, folder, f"{digest}+{number}" if number else digest, self._work.machine)
        if not number:
            contract.check_prompts(folder, found, self._problems)
        return found

    def _sampled(self, given: Tables, engines: dict[str, Engine], seed: int) -> pa.Table:
        sampler = load(self._settings("sampler"))
        owed = sampler.owes(given)
        completions = sampler.sample(given, engines, seed, silent)
        if completions.num_rows != owed:
            raise BrokenConservation(f"{type(sampler).__name__} made {completions.num_rows} completions and owes {owed}")
        readers = reading(self._work.settings, {self._role: self._work.models["start"]})
        if not any(getattr(engine, "stop", ()) for engine in readers.values()):
            contract.check_endings(self._work.models["start"][1], role_of(self._role), completions)
        return completions

    def _filtered(self, folder: Path, seed: int, completions: pa.Table, verdicts: pa.Table) -> pa.Table:
        inputs = {name: [folder] for name in ("problems", "completions", "verdicts", "token_scores")}
        inputs["held_out"] = self._work.inputs.get("held_out", [])
        work = Work({"filters": self._settings("filters")}, inputs, {}, seed, self._work.machine)
        counts = filter_stage.run(work, folder)
        examples = table_of([folder], records.EXAMPLES[self._trainer.learns_from])
        contract.check_examples(self._work.models["start"][1], examples)
        outcomes = _outcomes(verdicts)
        sampled = (pc.sum(pc.list_value_length(completions["completion_ids"])).as_py() or 0) + tokens_written(verdicts)
        self._counts.append({**counts, "tokens_sampled": sampled, "outcomes": dict(outcomes)})
        self.note(
            int(folder.name),
            completions=completions.num_rows,
            correct=outcomes["correct"],
            undecided=outcomes["undecided"],
            examples=examples.num_rows,
            groups=len(pc.unique(examples["group_id"])) if "group_id" in examples.column_names else 0,
            **_mean_reward(verdicts),
        )
        return examples

    def _settings(self, name: str) -> Any:
        return self._work.settings["trainer"][name]


def in_order_of(problems: pa.Table, seed: int) -> pa.Table:
    """The problems of a training in an order that is its seed's."""
    ids = problems["problem_id"].to_pylist()
    return problems.take(sorted(range(len(ids)), key=lambda place: seeds.digest([seed, "order", ids[place]])))


def problems_of(ordered: pa.Table, count: int, number: int) -> pa.Table:
    """The problems of an iteration: the next of a training's, which are in order, from the first again where they end."""
    count = min(count, ordered.num_rows)
    first = number * count
    return ordered.take([place % ordered.num_rows for place in range(first, first + count)])


def _outcomes(verdicts: pa.Table) -> Counter[str]:
    return Counter(str(outcome) for outcome in verdicts["outcome"].to_pylist() if outcome)


def _commonest_reason(verdicts: pa.Table) -> str:
    """Words on why verdicts are undecided, for a training that stops keeps no table of them; nothing where none are."""
    reasons = verdicts.filter(pc.equal(verdicts["outcome"], "undecided"))["reason"].to_pylist()
    return "".join(f"the reason of {n} is {reason[:SHOWN]!r}: mend that" for reason, n in Counter(reasons).most_common(1))


def _mean_reward(verdicts: pa.Table) -> dict[str, float]:
    """The mean score of what was decided, 1 and 0 where a verdict has an outcome and no score; nothing where nothing was."""
    rows = zip(verdicts["score"].to_pylist(), verdicts["outcome"].to_pylist(), strict=True)
    rewards = [float(outcome == "correct") if score is None else score for score, outcome in rows if outcome != "undecided"]
    return {"reward_mean": sum(rewards) / len(rewards)} if rewards else {}


def _together(counts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of all iterations, added; those by kind kind by kind."""
    found: dict[str, Any] = {"dropped": {}}
    for one in counts:
        for name, value in one.items():
            if isinstance(value, dict):
                before = found.get(name, {})
                found[name] = {kind: before.get(kind, 0) + value.get(kind, 0) for kind in sorted({*before, *value})}
            elif isinstance(value, int):
                found[name] = found.get(name, 0) + value
    return found
