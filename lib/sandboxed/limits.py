"""The limits that a sandboxed process takes upon itself before it sees anything that it must not trust.

They are set inside, after the user namespace exists, so that processes are counted per sandbox and not over all of them.
Hard limits are set with the soft ones: a process without privileges cannot raise them again.
"""

from __future__ import annotations

import resource

NAMES = ("cpu_seconds", "memory_mb", "file_mb", "files", "processes")
"""What `take` is given, in this order."""


def take(words: list[str]) -> None:
    """Limit this process and those that it starts; `words` are the decimal values of NAMES."""
    given = dict(zip(NAMES, map(int, words), strict=True))
    _set(resource.RLIMIT_AS, given["memory_mb"] << 20)
    _set(resource.RLIMIT_FSIZE, given["file_mb"] << 20)
    _set(resource.RLIMIT_NOFILE, given["files"])
    _set(resource.RLIMIT_NPROC, given["processes"])
    _set(resource.RLIMIT_CORE, 0)
    # SIGXCPU says what happened; a program that catches it is killed a second later.
    resource.setrlimit(resource.RLIMIT_CPU, (given["cpu_seconds"], given["cpu_seconds"] + 1))


def _set(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
