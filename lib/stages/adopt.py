"""A model from outside, a folder or a hub name, copied into the store in normalised form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib import contract, models
from lib.protocols import Work


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write the model's normalised folder; raises BadModel where it cannot be used."""
    models.import_folder(work.inputs["source"][0], out)
    contract.check_folder(out)
    return {}
