"""The train stage: examples, and the models they are learned by, to the next model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import contract, records
from lib.memory import kept
from lib.protocols import Work
from lib.stages.reading import table_of
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write a model folder: the trainer's figures come back as stats, and how many examples went past `settings["keep"]`.

    An online trainer finds its examples itself, in iterations (lib.stages.iterations), and leaves them beside the model.
    Raises BadModel where the examples are not of the model's own tokenizer and template (lib.contract).
    """
    trainer = load(work.settings["trainer"])
    if "iterations" in work.settings:
        found: dict[str, Any] = load(work.settings["iterations"]).run(work, trainer, out)
        return found
    spec = records.EXAMPLES[trainer.learns_from]
    given = table_of(work.inputs.get("examples", []), spec)
    examples = kept(given, **work.settings["keep"]) if "keep" in work.settings else given
    replayed = table_of(work.inputs.get("replay", []), spec)
    models = {role: folder for role, (_, folder) in work.models.items()}
    learned = pa.concat_tables([replayed, examples])
    contract.check_examples(models["start"], learned)
    figures = trainer.train(models, learned, out, work.seed, work.machine)
    evicted = {"evicted": given.num_rows - examples.num_rows} if "keep" in work.settings else {}
    return {"examples": examples.num_rows, "replayed": replayed.num_rows, **evicted, **figures}
