"""A recipe whose strategies fail in every way that the environment of a test asks for, and do nothing heavy otherwise."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from lib.engines.huggingface import Huggingface
from lib.evaluators.pass_at_k import PassAtK
from lib.protocols import Engine, Machine, Tables
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.strategy import Strategy
from lib.verifiers.countdown import Countdown


def note(word: str) -> None:
    """Leave a word for the test, if it wants one."""
    if path := os.environ.get("TRIED"):
        with Path(path).open("a") as file:
            file.write(f"{word}\n")


def refuse_more_than(room: str | None, micro_batch: int | None) -> None:
    """Run out of memory as torch does, above a size."""
    if room and (micro_batch or 512) > int(room):
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def die_once(marker: str | None) -> None:
    """Be killed, the first time."""
    if marker and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def hang(marker: str | None) -> None:
    """Hang with a grandchild, both deaf to SIGTERM, while the marker is not there; it is then written with both ids."""
    if marker and not Path(marker).exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        grandchild = subprocess.Popen(["sleep", "600"])
        Path(marker).write_text(f"{os.getpid()} {grandchild.pid}")
        time.sleep(600)


def fill_the_disk(filler: str | None) -> None:
    """Leave no room on the disk of a file, as another program may at any moment."""
    if filler:
        with contextlib.suppress(OSError), Path(filler).open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))


class Tight(Huggingface):
    """An engine with little room, that dies in the middle of a shard."""

    def open(self, model: Path, model_id: str, machine: Machine) -> Engine:
        note(f"sample {machine.micro_batch}")
        refuse_more_than(os.environ.get("ROOM"), machine.micro_batch)
        return super().open(model, model_id, machine)


class Sudden(Independent):
    """A sampler that is killed after it has sampled, before its completions are written."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Any) -> pa.Table:
        found = super().sample(tables, engines, seed, report)
        die_once(os.environ.get("DIE_IN_SAMPLE"))
        fill_the_disk(os.environ.get("FILL_IN_SAMPLE"))
        return found


class Picky(Countdown):
    """A verifier that breaks at the first completion of the first problem; with BREAKS=all, at every one."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        poisoned = min(tables.problems["problem_id"].to_pylist())
        rows = tables.completions.select(["problem_id", "sample_index"]).to_pylist()
        how = os.environ.get("BREAKS")
        if rows and (how == "all" or (how == "one" and {"problem_id": poisoned, "sample_index": 0} in rows)):
            raise RecursionError("nested too deep")
        return super().verify(tables, engines)


class Unsteady(Strategy):
    """A trainer that writes half a model, then fails as asked."""

    learns_from: ClassVar[str] = "sft"
    start_from: str = "previous"

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, Any]:
        from lib import models as m

        note(f"train {machine.micro_batch}")
        (out / "model.safetensors").write_bytes(b"half")
        refuse_more_than(os.environ.get("ROOM"), machine.micro_batch)
        die_once(os.environ.get("DIE_IN_TRAIN"))
        hang(os.environ.get("HANG_IN_TRAIN"))
        fill_the_disk(os.environ.get("FILL_IN_TRAIN"))
        if os.environ.get("RAISE_IN_TRAIN"):
            raise ValueError("learning_rate must not be a fish")
        model = m.load_model(models["start"], dtype="float32", device="cpu")
        next(model.parameters()).data.mul_(1.01)
        m.save(model, models["start"], out)
        return {}


RECIPE = Recipe(
    phases=(Phase(sampler=Sudden(n=12, max_new_tokens=8), verifiers=(Picky(),), trainer=Unsteady()),),
    evaluators=(PassAtK(k=(1,), sampler=Independent(n=2, max_new_tokens=8)),),
    engine=Tight(),
    gate=None,
)
