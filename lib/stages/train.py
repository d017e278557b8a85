"""The train stage: examples, and the models they are learned by, to the next model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import contract, records
from lib.protocols import Work
from lib.stages.reading import table_of
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write a model folder: the trainer's figures come back as stats.

    Raises BadModel where the examples are not of the model's own tokenizer and template (lib.contract).
    """
    trainer = load(work.settings["trainer"])
    spec = records.EXAMPLES[trainer.learns_from]
    examples = table_of(work.inputs.get("examples", []), spec)
    replayed = table_of(work.inputs.get("replay", []), spec)
    models = {role: folder for role, (_, folder) in work.models.items()}
    learned = pa.concat_tables([replayed, examples])
    contract.check_examples(models["start"], learned)
    figures = trainer.train(models, learned, out, work.seed, work.machine)
    return {"examples": examples.num_rows, "replayed": replayed.num_rows, **figures}
