"""Program text to code, without an opinion of its own on which of several readings of a completion is meant."""

from __future__ import annotations

from types import CodeType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def compiled(sources: Sequence[str], name: str) -> CodeType:
    """The code of the first source that compiles; the first one's SyntaxError where none does.

    A program that names `random` starts from a fixed state of it, so that equal programs behave alike.
    """
    first: Exception | None = None
    for source in sources:
        try:
            code = compile(source, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            first = first or error
            continue
        if "random" in source:
            import random

            random.seed(0)
        return code
    raise first or SyntaxError("no program")
