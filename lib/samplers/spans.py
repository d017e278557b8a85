"""Where characters of a completion's text stand among its tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from lib.protocols import Engine


def tokens_to(engine: Engine, ids: Sequence[int], place: int) -> int:
    """How many of the first tokens stand wholly before a place in the text: the most whose text ends at it or before."""
    length = _reaching(engine, ids, place)
    text = engine.decode(ids)
    while length and not (len(_part(engine, ids, length)) <= place and text.startswith(_part(engine, ids, length))):
        length -= 1
    return length


def tokens_over(engine: Engine, ids: Sequence[int], place: int) -> int:
    """How many of the first tokens reach a place in the text: the fewest whose text ends at it or after."""
    return _reaching(engine, ids, place)


def _reaching(engine: Engine, ids: Sequence[int], place: int) -> int:
    return min(len(ids), bisect_left(range(len(ids)), place, key=lambda count: len(_part(engine, ids, count))))


def _part(engine: Engine, ids: Sequence[int], count: int) -> str:
    return engine.decode(list(ids[:count]))
