"""EleutherAI's lm-evaluation-harness, run as a program of its own on a round's model; it is installed only where it is wanted.

    python -m lm_eval --model hf --model_args {"pretrained": FOLDER} --tasks a,b --output_path OUT [--limit N] [--include_path DIR]

It asks the network for nothing: tasks whose data are neither on this disk (a task's own file, with `include`) nor in the
cache of `datasets` fail. Its answers are no artifacts of the store, as neither its code nor its data enter a content key; they
stand beside the campaign's rounds, and the file says which model, tasks and version they are of. Checked with 0.4.13.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib import models
from lib.campaign import CampaignFolder, models_by_reference
from lib.engines import guard
from lib.environment import OFFLINE
from lib.errors import UserError
from lib.files import read_json, write_json
from lib.home import Home
from lib.in_use import counted_on
from lib.roles import POLICY
from lib.store import Store

NAME = "lm-eval"
"""What stands as evaluator in its rows, and the folder of a campaign that keeps them."""

INSTALL = "pip install -c constraints.txt -e '.[lm-eval]'"

TAIL_CHARACTERS = 300
"""How much of its log a message shows."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tasks it is to run: their names, a folder with task files of one's own, and how many questions of each."""

    tasks: tuple[str, ...]
    include: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A model of a round, by the harness: rows of records.METRICS, with the task as the split."""

    round: int
    model: str
    version: str
    tasks: tuple[str, ...]
    limit: int | None
    metrics: list[Row]


def measure(folder: CampaignFolder, number: int | None, asked: Asked) -> Measured:
    """Run the harness on the policy that a round made (the champion unless given), and keep what it found.

    Raises UserError where it is not installed or fails, UnknownName for a round that is not there, Collected where the
    model's weights are gone. However this ends, nothing of the harness runs on.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise UserError(f"lm-evaluation-harness is not installed; install it with: {INSTALL}")
    number, digest = _model(folder, number)
    place = folder.path / NAME
    with tempfile.TemporaryDirectory(prefix="roundhouse-lm-eval-") as made:
        whole = Path(made) / "model"
        _copy(folder.home, digest, whole)
        place.mkdir(exist_ok=True)
        log = place / f"round-{number:03d}.log"
        _run(whole, asked, Path(made) / "out", log)
        results = _results(Path(made) / "out", log)
    measured = Measured(number, digest, str(results.get("lm_eval_version", "")), asked.tasks, asked.limit, [*_rows(results, digest)])
    _keep(place / f"round-{number:03d}.json", measured)
    return measured


def _model(folder: CampaignFolder, number: int | None) -> tuple[int, str]:
    """The round that is measured, and its policy's digest."""
    campaign, finished = folder.load(), folder.finished()
    if number is not None:
        record = folder.record(number)
        made = record.made or (record.start if number == 0 else {})
        if POLICY not in made:
            raise UserError(f"round {number} of '{folder.name}' has made no model yet; run it first: roundhouse improve {folder.name}")
        return number, made[POLICY]
    digest = models_by_reference(campaign, finished)["champion"][POLICY]
    return next((record.round for record in reversed(finished) if record.made.get(POLICY) == digest), 0), digest


def _copy(home: Home, digest: str, whole: Path) -> None:
    """The model in a folder of its own, which the harness reads; no weights are collected until the copy is whole."""
    store = Store(home.store)
    with counted_on(home.locks, digest, store.verify):
        models.import_folder(store.folder(digest), whole)


def _run(model: Path, asked: Asked, out: Path, log: Path) -> None:
    """The harness in a process group of its own, which ends with this process, however that ends (lib.engines.guard)."""
    words = ["--model", "hf", "--model_args", json.dumps({"pretrained": str(model)}), "--tasks", ",".join(asked.tasks)]
    words += ["--output_path", str(out), *(("--limit", str(asked.limit)) if asked.limit is not None else ())]
    words += ["--include_path", str(Path(asked.include).expanduser().resolve())] if asked.include else []
    words += ["--device", device] if (device := os.environ.get("ROUNDHOUSE_DEVICE")) else []
    with log.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-P", str(guard.__file__), sys.executable, "-P", "-m", "lm_eval", *words],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | OFFLINE,
        )
        try:
            process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _results(out: Path, log: Path) -> Row:
    """What it wrote: OUT/MODEL/results_TIME.json. Raises UserError with the end of its log where there is nothing."""
    found = sorted(out.rglob("results_*.json"))
    if not found:
        words = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
        raise UserError(f"lm-evaluation-harness left no results; its log, {log}, ends: {words[-TAIL_CHARACTERS:] or 'it is empty'}")
    return dict(read_json(found[-1]))


def _rows(results: Row, digest: str) -> Iterator[Row]:
    """Every figure of every task and group: `METRIC,FILTER` with `METRIC_stderr,FILTER` beside it; the filter `none` is left out."""
    for task, figures in sorted(results["results"].items()):
        counted = results.get("n-samples", {}).get(task, {}).get("effective", figures.get("sample_len", 0))
        for name, value in sorted(figures.items()):
            metric, comma, way = name.partition(",")
            if not comma or metric.endswith("_stderr") or not _is_number(value):
                continue
            stderr = figures.get(f"{metric}_stderr,{way}")
            yield {
                "model_id": digest,
                "split": task,
                "evaluator": NAME,
                "metric": metric if way == "none" else name,
                "slice": "all",
                "value": float(value),
                "n": int(counted),
                "stderr": float(stderr) if _is_number(stderr) else None,
            }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _keep(path: Path, measured: Measured) -> None:
    """Add what was measured to the round's file, in the place of the same asked of the same model before."""
    told = json.loads(json.dumps(asdict(measured)))
    same = ("model", "tasks", "limit")
    before = read_json(path) if path.is_file() else []
    write_json(path, [*(one for one in before if any(one[name] != told[name] for name in same)), told])
