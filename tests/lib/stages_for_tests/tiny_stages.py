"""Stage functions without models, for the tests of the child process. Paths and commands come in `work.settings`."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lib.errors import BadProblems, UnknownName
from lib.protocols import Work

_loaded: list[str] = []


def echo(work: Work, out: Path) -> dict[str, Any]:
    (out / "seed.txt").write_text(str(work.seed))
    return {"seed": work.seed, "device": work.machine.device, "pid": os.getpid(), "server": os.getppid()}


def modules(work: Work, out: Path) -> dict[str, Any]:
    names = ("torch", "transformers", "trl.trainer.sft_trainer", "trl.trainer.dpo_trainer", "peft", "prefect", "mlflow")
    return {"loaded": {name: name in sys.modules for name in names}, "main": getattr(sys.modules["__main__"], "__file__", None)}


def leads_its_group(work: Work, out: Path) -> dict[str, Any]:
    return {"pid": os.getpid(), "group": os.getpgid(0), "session": os.getsid(0)}


def load_once(work: Work, out: Path) -> dict[str, Any]:
    _loaded.append("model")
    return {"loads": len(_loaded)}


def count(work: Work, out: Path) -> dict[str, Any]:
    total = work.settings["total"]
    for done in range(total):
        time.sleep(work.settings["pause"])
        work.machine.report(done + 1, total)
    return {}


def burn(work: Work, out: Path) -> dict[str, Any]:
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    return {}


def variable(work: Work, out: Path) -> dict[str, Any]:
    import torch

    return {"value": os.environ.get(work.settings["name"]), "threads": torch.get_num_threads()}


def sleep(work: Work, out: Path) -> dict[str, Any]:
    """Say who we are, then sleep; the marker is written aside first so that a reader never sees half of it."""
    marker = Path(work.settings["marker"])
    aside = marker.with_suffix(".aside")
    aside.write_text(f"{os.getpid()} {os.getppid()}")
    aside.rename(marker)
    time.sleep(work.settings.get("seconds", 60))
    return {}


def stubborn(work: Work, out: Path) -> dict[str, Any]:
    """Ignore SIGTERM, as does a grandchild, and sleep."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    grandchild = subprocess.Popen(["sleep", "60"])  # an ignored signal stays ignored across exec
    Path(work.settings["grandchild"]).write_text(str(grandchild.pid))
    return sleep(work, out)


def forks(work: Work, out: Path) -> dict[str, Any]:
    """Leave a forked grandchild behind that shares every open file, the device's lock among them, then sleep."""
    grandchild = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    grandchild.start()
    Path(work.settings["grandchild"]).write_text(str(grandchild.pid))
    return sleep(work, out)


def fits_only_8(work: Work, out: Path) -> dict[str, Any]:
    """Out of memory above a micro-batch of 8, with a file half written by then."""
    tried = [path.name for path in out.iterdir()]
    size = work.machine.micro_batch or 512
    (out / f"half-{size}").touch()
    if size > 8:
        _raise_out_of_memory(work.settings["kind"])
    return {"size": size, "left_over": tried}


def never_fits(work: Work, out: Path) -> dict[str, Any]:
    with Path(work.settings["attempts"]).open("a") as file:
        file.write(f"{work.machine.micro_batch} ")
    raise MemoryError


def _raise_out_of_memory(kind: str) -> None:
    import torch

    match kind:
        case "torch":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        case "allocator":
            torch.empty(2**60, dtype=torch.uint8)  # the CPU allocator's own refusal
        case "python":
            raise MemoryError
        case "exit":
            os._exit(77)


def wrong_name(work: Work, out: Path) -> dict[str, Any]:
    raise UnknownName("sampler", "independant", ["independent"])


def own_error(work: Work, out: Path) -> dict[str, Any]:
    class NoPuzzles(BadProblems):
        """An error that the session has never heard of."""

    raise NoPuzzles("the puzzle book is empty")


def divide(work: Work, out: Path) -> dict[str, Any]:
    return {"half": 1 / work.settings["by"]}


def fill_disk(work: Work, out: Path) -> dict[str, Any]:
    with Path("/dev/full").open("w") as file:
        file.write("x")
    return {}


def leave(work: Work, out: Path) -> dict[str, Any]:
    os._exit(3)


def segfault(work: Work, out: Path) -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def unsendable(work: Work, out: Path) -> dict[str, Any]:
    return {"stats": lambda: None}


def threads_left(work: Work, out: Path) -> dict[str, Any]:
    """Fail with a thread running that is not a daemon, which an ordinary exit would wait for."""
    import threading

    threading.Thread(target=time.sleep, args=(60,)).start()
    raise ValueError("done for")


def user_module(work: Work, out: Path) -> dict[str, Any]:
    from lib.strategy import load_class

    return {"name": load_class("mine:Mine").__name__}
