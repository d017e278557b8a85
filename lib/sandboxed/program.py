"""The process that runs one whole program as `__main__`, with its standard input and output as they are."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from lib.sandboxed import limits
from lib.sandboxed.channel import Channel
from lib.sandboxed.source import compiled


def main(words: list[str]) -> None:
    """Read sources over a descriptor and run the first that compiles. `words`: the descriptor, then the limits."""
    limits.take(words[1:])
    channel = Channel(int(words[0]))
    channel.send(b"ready")
    sources = channel.receive().decode("utf-8", "surrogatepass").split("\0")
    os.close(channel.descriptor)
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compiled(sources, "<program>"), vars(module))
