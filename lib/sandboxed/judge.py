"""The process that runs a problem's tests against a program that lives in another process. It alone says what came out.

The tests are run as they are written; a name that they use and do not define stands for the object of that name in the candidate's
process, and is called over a channel that carries plain values. What the problem's prompt defines (helper functions that the
tests share with the program) is taken from the prompt, not from the program.
"""

from __future__ import annotations

import builtins
from types import CodeType

from lib.sandboxed import limits
from lib.sandboxed.channel import Broken, Channel
from lib.sandboxed.peer import Peer
from lib.sandboxed.source import compiled
from lib.sandboxed.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_TESTS = "<tests>"


class Unreadable(Exception):
    """The problem itself is at fault: its tests or its prompt cannot be run."""


def main(words: list[str]) -> None:
    """Judge one program. `words`: the descriptor to the host, the one to the candidate, then the limits."""
    limits.take(words[2:])
    host, other = Channel(int(words[0])), Channel(int(words[1]))
    job = decode(host.receive(), _nothing)
    try:
        other.receive()
        host.send(b"ready")
        candidate = Peer(other)
        status, reason = _judged(job, candidate)
        if candidate.broken:
            status, reason = "lost", "the program broke off"
    except Broken as error:
        status, reason = "lost", f"{error}"
    host.send(encode((job["nonce"], status, reason), _nothing))
    host.receive()  # nothing comes: the program must not see an end before both are killed from outside


def _nothing(*_: Any) -> Any:
    raise ValueError("no objects here")


def _judged(job: dict[str, Any], candidate: Peer) -> tuple[str, str]:
    names: dict[str, Any] = {"__name__": "tests"}
    try:
        tests = _prepared(job, names)
        if job["prelude"]:
            _prelude(job["prelude"], candidate)
    except Unreadable as error:
        return "unreadable", str(error)
    try:
        candidate.ask("run", *job["sources"])
        entries = {name: candidate.ask("name", name) for name in job["entry_points"]}
        for name in sorted(set(_names(tests)) - names.keys() - entries.keys() - vars(builtins).keys()):
            if _defines(candidate, name):
                names[name] = candidate.ask("name", name)
        names.update(entries)
        exec(tests, names)
    except Broken:
        raise
    except BaseException as error:  # whatever the tests raise, SystemExit too, is how they fail
        if candidate.awkward:
            return "unreadable", f"the tests hand over what cannot cross to the program: {_reason(error, job['tests'])}"
        return "failed", _reason(error, job["tests"])
    return "passed", "passed"


def _prepared(job: dict[str, Any], names: dict[str, Any]) -> CodeType:
    try:
        exec(compiled((job["context"], f"{job['context']}\n    pass\n"), "<prompt>"), names)
    except Exception:  # a prompt in words, or one that cannot stand alone, defines nothing that the tests could share
        names.clear()
        names["__name__"] = "tests"
    try:
        return compiled((job["tests"],), _TESTS)
    except Exception as error:
        raise Unreadable(f"unreadable tests: {type(error).__name__}: {error}"[:200]) from None


def _prelude(source: str, candidate: Peer) -> None:
    try:
        candidate.ask("run", source)
    except Broken:
        raise
    except BaseException as error:
        raise Unreadable(f"the prompt's own code fails: {type(error).__name__}: {error}"[:200]) from None


def _defines(candidate: Peer, name: str) -> bool:
    try:
        candidate.ask("name", name)
    except NameError:
        return False
    return True


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _reason(error: BaseException, tests: str) -> str:
    if isinstance(error, MemoryError):
        return "out of memory"
    line = _line(error)
    where = tests.splitlines()[line - 1].strip() if line else ""
    return ": ".join(part for part in ("failed", type(error).__name__, f"{error}"[:200] or where[:200]) if part)


def _line(error: BaseException) -> int:
    """The innermost line of the tests that the exception passed, from 1; 0 if it passed none."""
    found, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _TESTS:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
