"""The train stage: examples, and the models they are learned by, to the next model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import contract, records, tables
from lib.memory import kept
from lib.protocols import Work
from lib.stages.reading import table_of
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write a model folder: the trainer's figures come back as stats.

    Where `settings["keep"]` says how many examples stay, evicted.parquet beside the model says which of those given did not.
    An online trainer finds its examples itself, in iterations (lib.stages.iterations), and leaves them beside the model.
    Raises BadModel where the examples are not of the model's own tokenizer and template (lib.contract).
    """
    trainer = load(work.settings["trainer"])
    if "iterations" in work.settings:
        found: dict[str, Any] = load(work.settings["iterations"]).run(work, trainer, out)
        return found
    spec = records.EXAMPLES[trainer.learns_from]
    given = [table_of([folder], spec) for folder in work.inputs.get("examples", [])] or [spec.empty()]
    examples, evicted = kept(given, **work.settings["keep"]) if "keep" in work.settings else (pa.concat_tables(given), None)
    replayed = table_of(work.inputs.get("replay", []), spec)
    models = {role: folder for role, (_, folder) in work.models.items()}
    learned = pa.concat_tables([replayed, examples])
    contract.check_examples(models["start"], learned)
    figures = trainer.train(models, learned, out, work.seed, work.machine)
    counts = {"examples": examples.num_rows, "replayed": replayed.num_rows, **figures}
    return counts if evicted is None else {**counts, "evicted": tables.write(evicted, records.EVICTED, out / "evicted.parquet")}
