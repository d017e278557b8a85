"""A command of roundhouse that ends when the process that started it does, however that ends.

    python -m flows.following PARENT WORDS

The kernel sends it SIGTERM, as a person would, when the thread that started it is gone (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the command of these words."""
    parent = int(sys.argv.pop(1))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the kernel was asked
        sys.exit(130)
    from flows import cli

    cli.main()


if __name__ == "__main__":
    main()
