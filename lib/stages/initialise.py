"""A model made from nothing but its settings and a seed: the start of the built-in model's lineage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib.protocols import Work
from lib.strategy import load


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write a randomly initialised model folder."""
    load(work.settings["model"]).build(out, work.seed)
    return {}
