"""What `roundhouse lm-eval` does: run lm-evaluation-harness on a round's model, and print its figures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from flows import terminal
from lib import home as homes
from lib import lm_eval as harness
from lib.campaign import CampaignFolder
from lib.errors import UserError


def lm_eval(name: str, number: int | None, tasks: str, include: str | None, limit: int | None, as_json: bool) -> None:
    """Measure a round's policy, the champion unless a round is given."""
    asked = tuple(dict.fromkeys(task.strip() for task in tasks.split(",") if task.strip()))
    if not asked:
        raise UserError("no tasks are named; give some, such as --tasks gsm8k,hellaswag")
    if include and not Path(include).expanduser().is_dir():
        raise UserError(f"--include {include}: there is no such folder; give one with lm-evaluation-harness task files")
    measured = harness.measure(CampaignFolder(homes.current(), name), number, harness.Asked(asked, include or "", limit))
    if as_json:
        terminal.print_json(asdict(measured))
        return
    rows = [
        {"task": row["split"], "metric": row["metric"], "value": terminal.figure(row), "questions": row["n"]} for row in measured.metrics
    ]
    which = f"round {measured.round}" if measured.round else "the base model"
    terminal.show(rows, f"{name}: {which} ({measured.model[:12]}) by lm-evaluation-harness {measured.version}", as_json)
