"""The command that starts Python behind bubblewrap's walls: what it sees, and as whom it runs.

Inside there are /usr and the interpreter, read-only; a small empty /tmp as working folder; a /proc and a /dev of its own; no network, no
other process, no home, no environment. Every namespace is unshared, a further user namespace cannot be made, and privileges
cannot be gained. Root first becomes nobody (uid 65534), for root's own limits on processes are not enforced.

Around root's bubblewrap there is a second one, for two reasons. It shows folders that nobody may not enter (an interpreter below
/root, say) at their own paths. And its first process belongs to root, so that nothing inside can keep it from dying with us, and all
the others with it; the inner one's could be traced and told to stay.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.errors import UserError

NOBODY = "65534"
INSIDE = Path(__file__).parent / "sandboxed"
"""The code of ours that runs inside."""
MOUNTED = "/roundhouse"
"""Where its package root stands inside."""
SCRATCH_BYTES = 16 << 20
"""Size of the working folder, and of /dev/shm."""
REMEDY = "install bubblewrap and util-linux, or accept the weaker mode by its name, sandbox='limits_only', which is no sandbox"

_AS_NOBODY = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
_WALLS = ("--unshare-all", "--unshare-user", "--disable-userns", "--uid", NOBODY, "--gid", NOBODY, "--die-with-parent", "--new-session")
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache")


@functools.cache
def walls(site_packages: bool) -> tuple[str, ...]:
    """The words before the interpreter's own. Raises UserError where bubblewrap, or setpriv for root, is not installed."""
    prefixes = [Path(sys.base_prefix), Path(sys.executable).resolve().parents[1], *([Path(sys.prefix)] if site_packages else [])]
    shown = list(dict.fromkeys(path for prefix in prefixes for path in (prefix, prefix.resolve())))
    words = [_program("bwrap"), *_WALLS, "--proc", "/proc", "--dev", "/dev"]
    for scratch in ("/tmp", "/dev/shm"):
        words += ["--size", str(SCRATCH_BYTES), "--tmpfs", scratch]
    for system in _SYSTEM:
        words += ["--ro-bind-try", system, system]
    for folder in shown:
        words += ["--ro-bind", str(folder), str(folder)]
    words += ["--ro-bind", str(INSIDE), f"{MOUNTED}/lib/{INSIDE.name}"]
    # bubblewrap's own root and /dev are tmpfs without a size; the working folder is mounted over them and stays writable
    words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--"]
    if os.geteuid() != 0:
        return tuple(words)
    return (*as_nobody([*shown, INSIDE]), *words)


def python(site_packages: bool) -> list[str]:
    """The interpreter's words. Nothing of the user's own environment reaches it, and without site packages only its own library."""
    if site_packages:
        return [sys.executable, "-P", "-s"]
    return [str(Path(sys.executable).resolve()), "-P", "-s", "-S"]


@functools.cache
def check(site_packages: bool) -> None:
    """Raise UserError, with the remedy, unless a program can be run behind walls here."""
    command = [*walls(site_packages), *python(site_packages), "-c", "pass"]
    tried = subprocess.run(command, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if tried.returncode:
        said = " ".join(tried.stderr.split())[:200] or f"status {tried.returncode}"
        raise UserError(f"programs of a model run only in bubblewrap, which does not work here ({said}); {REMEDY}")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UserError(f"programs of a model run only in bubblewrap, and there is no '{name}' on this machine; {REMEDY}")
    return found


def as_nobody(readable: Sequence[Path]) -> list[str]:
    """Words before a command with which root runs it as nobody, who can reach these folders. Raises UserError without setpriv."""
    around = [_program("bwrap"), "--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/", *_opened(readable), "--"]
    return [*around, _program("setpriv"), *_AS_NOBODY]


def _opened(folders: Sequence[Path]) -> list[str]:
    """What shows these folders to nobody: below the first folder that nobody may not enter, there are only they."""
    words: list[str] = []
    opened: set[Path] = set()
    for folder in folders:
        closed = next((parent for parent in reversed(folder.parents) if not parent.stat().st_mode & 0o001), None)
        if closed is None:
            continue
        if closed not in opened:
            words += ["--perms", "0755", "--tmpfs", str(closed)]
            opened.add(closed)
        for parent in reversed(folder.parents):
            if closed in parent.parents and parent not in opened:
                words += ["--perms", "0755", "--dir", str(parent)]
                opened.add(parent)
        words += ["--ro-bind", str(folder), str(folder)]
    return words
