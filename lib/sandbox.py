"""Programs that a model wrote, run where they can do no harm and where nothing they print, patch or exit with can pass for success.

`Sandbox.run` runs a whole program with some standard input and gives its output. `Sandbox.judge` runs tests against a program in
two processes, each behind walls of its own (`lib.bubblewrap`): one holds the program, the other the tests. Plain values cross between them
and nothing else, so the program never sees a test or an expected value, and no trick inside its own Python (a patched `assert`, an
`__eq__` that is always true, `os._exit`, a walk over descriptors and frames) reaches what decides. The only way to pass is to answer with
the right values. The verdict comes over a descriptor that only the second process has, with a nonce.

Limits hold inside (CPU seconds and address space per process, size and number of files, number of processes, no core files)
and outside (seconds by the clock, bytes of output, memory of all processes together, looked at every 50 ms); at the end, or at the
limit, everything inside is killed, daemons too.

What it cannot stop: a hole in the kernel; memory that the kernel holds for it and counts to no process (SysV shared memory, pipes), until
the end of the sandbox; reading keys of the kernel's session keyring, if whoever started roundhouse put some there.
Only `limits_only`, which must be asked for by name, runs without walls: it is no sandbox, the program can do what its user can.
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from lib import bubblewrap
from lib.sandboxed import candidate, judge, program
from lib.sandboxed.channel import Broken
from lib.sandboxed.values import decode, encode
from lib.sandboxed_process import FLOOD, OUT_OF_MEMORY, TIME_LIMIT, SandboxedProcess, Watch

_GRACE_SECONDS = 1.0
"""How long the program may take to be gone once it has broken off."""

T = TypeVar("T")
Mode = Literal["bubblewrap", "limits_only"]
Status = Literal["passed", "failed", "unreadable", "broken"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use; more ends it."""

    cpu_seconds: int = 3
    memory_mb: int = 512
    file_mb: int = 1
    files: int = 64
    processes: int = 64
    wall_seconds: float = 8.0
    """By the clock; a busy machine that keeps it waiting for a core gives it up to lib.sandboxed_process.PATIENCE times more."""
    output_kb: int = 1024

    def words(self) -> list[str]:
        """The limits that a process takes upon itself, in the order of lib.sandboxed.limits.NAMES."""
        return [str(value) for value in astuple(self)[:5]]


@dataclass(frozen=True, slots=True)
class Program:
    """A whole program; of several readings of a completion the first that compiles is run."""

    sources: tuple[str, ...]
    stdin: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and the tests that are run against it; they pass if they raise nothing."""

    sources: tuple[str, ...]
    tests: str
    entry_points: tuple[str, ...] = ()
    """Names that the program must define; others that the tests use are looked up in it if they are no builtins."""
    prelude: str = ""
    """Code of the problem's own that runs before the program, in its process."""
    context: str = ""
    """Code of the problem's own that runs before the tests, in theirs."""


class Outcome(NamedTuple):
    """What came of it."""

    status: Status
    """`passed`: ended with status 0, or the tests passed. `unreadable`: the problem's own code is at fault.
    `broken`: our machinery is."""
    reason: str
    stdout: str
    stderr: str
    seconds: float
    """By the clock, from when it was ready."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where and under which limits programs run."""

    limits: Limits = field(default_factory=Limits)
    mode: Mode = "bubblewrap"
    site_packages: bool = False
    """Whether programs may import what is installed beside roundhouse."""

    def check(self) -> None:
        """Raise UserError, with the remedy, unless programs can be run here."""
        if self.mode == "bubblewrap":
            bubblewrap.check(self.site_packages)

    def run(self, job: Program) -> Outcome:
        """Run a program to its end; one that ends with another status than 0 has failed."""
        with self._scratch() as folder, _pairs(1) as [(ours, theirs)]:
            process = self._start(program.__name__, [theirs], folder, job.stdin)
            with self._watch([process], ours) as watch:
                if not watch.start():
                    return _outcome("broken", f"did not start: {process.stderr[-200:]}", watch, process)
                watch.send("\0".join(source.replace("\0", "") for source in job.sources).encode("utf-8", "surrogatepass"))
                watch.until_exit(process)
                fault = watch.stopped or _fault(process)
                return _outcome("failed" if fault else "passed", fault or "passed", watch, process)

    def judge(self, job: Trial) -> Outcome:
        """Run tests against a program that lives in another process."""
        nonce = secrets.token_hex(16)
        with self._scratch() as folder, _pairs(2) as [(ours, theirs), (asking, answering)]:
            solution = self._start(candidate.__name__, [answering], folder, "")
            tests = self._start(judge.__name__, [theirs, asking], folder, "")
            with self._watch([solution, tests], ours) as watch:
                watch.send(encode({"nonce": nonce, **asdict(job)}, _no_objects))
                if not watch.start():
                    if watch.stopped in (FLOOD, OUT_OF_MEMORY):  # the program was at it before we heard that all is ready
                        return _outcome("failed", watch.stopped, watch, solution)
                    return _outcome("broken", f"did not start: {(solution.stderr + tests.stderr)[-200:]}", watch, solution)
                frame = watch.frame()
                if frame is None:
                    return _outcome(*_without_verdict(watch, tests), watch, solution)
                return _outcome(*_verdict(watch, solution, frame, nonce), watch, solution)

    def _watch(self, processes: Sequence[SandboxedProcess], control: socket.socket) -> Watch:
        return Watch(processes, control, self.limits.wall_seconds, self.limits.memory_mb << 20)

    def _start(self, module: str, sockets: Sequence[socket.socket], folder: Path | None, stdin: str) -> SandboxedProcess:
        walled = self.mode == "bubblewrap"
        root = bubblewrap.MOUNTED if walled else str(Path(__file__).parents[1])
        code = f"import sys; sys.path.append({root!r}); from {module} import main; main(sys.argv[1:])"
        descriptors = [end.fileno() for end in sockets]
        walls = bubblewrap.walls(self.site_packages) if walled else ()
        command = [*walls, *bubblewrap.python(self.site_packages), "-c", code, *map(str, descriptors), *self.limits.words()]
        try:
            return SandboxedProcess(command, descriptors, folder, stdin, self.limits.output_kb << 10)
        finally:
            for end in sockets:  # only the process holds them now, so that its end is seen
                end.close()

    @contextmanager
    def _scratch(self) -> Iterator[Path | None]:
        """The working folder outside; None where walls make their own."""
        if self.mode == "bubblewrap":
            yield None
            return
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield Path(folder)


def run_many(tasks: Sequence[Callable[[], T]], workers: int | None = None) -> list[T]:
    """What each task (a call that runs programs) returns, in order, several at a time; as many as there are cores by default."""
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        return [made.result() for made in [pool.submit(task) for task in tasks]]


@contextmanager
def _pairs(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Pairs of connected sockets, closed in the end."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(count)]
        for end in (end for pair in pairs for end in pair):
            stack.callback(end.close)
        yield pairs


def _outcome(status: Status, reason: str, watch: Watch, process: SandboxedProcess) -> Outcome:
    return Outcome(status, reason, process.stdout, process.stderr, watch.seconds)


def _verdict(watch: Watch, solution: SandboxedProcess, frame: bytes, nonce: str) -> tuple[Status, str]:
    """What the judge's frame says; where the program was lost, what became of it."""
    try:
        echoed, status, reason = decode(frame, _no_objects)
    except (Broken, ValueError):
        return "broken", "the judge talks nonsense"
    if echoed != nonce:
        return "broken", "the judge does not know the nonce"
    if status != "lost":
        return status, reason
    if watch.until_exit(solution, seconds=_GRACE_SECONDS):
        return "failed", solution.ending()
    return "failed", reason if watch.stopped == TIME_LIMIT else watch.stopped


def _without_verdict(watch: Watch, tests: SandboxedProcess) -> tuple[Status, str]:
    """The judge says nothing: a limit was passed, or it is gone."""
    if not watch.stopped and not watch.until_exit(tests, seconds=_GRACE_SECONDS):
        return "broken", "the judge hangs"
    if watch.stopped or tests.ending() == TIME_LIMIT:  # comparing what the program returned took too long
        return "failed", watch.stopped or TIME_LIMIT
    return "broken", f"the judge: {tests.ending()}"


def _fault(process: SandboxedProcess) -> str:
    """Why a program that has ended did not end well; empty if it did."""
    if process.process.returncode == 0:
        return ""
    said = [line for line in process.stderr.splitlines() if line.strip()]
    if process.process.returncode != 1 or not said:
        return process.ending()
    return OUT_OF_MEMORY if said[-1].startswith("MemoryError") else f"failed: {said[-1][:200]}"


def _no_objects(*_: object) -> bytes:
    raise ValueError("only plain values here")
