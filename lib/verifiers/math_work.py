"""One comparison by Math-Verify, and a chunk of them, as they run inside a process of `lib.verifiers.math_pool`."""

from __future__ import annotations

import logging
import math
import os
import resource
import signal
import time
from collections.abc import Sequence
from functools import lru_cache
from types import FrameType
from typing import Any, NamedTuple

SECONDS = 2.0
"""Longest time for one pair, of the processor, so that a busy machine changes no verdict."""
AFTER_SECONDS = 0.5
"""A chunk that has taken this long goes back as far as it got, so that it never lasts much longer than one pair may."""
MEMORY_BYTES = 4 * 2**30
"""Address space of a process; past it Python raises MemoryError."""

Pair = tuple[str, str]
"""The gold answer and the answer, as text."""


class How(NamedTuple):
    """The settings of Math-Verify's `parse` and `verify`."""

    wrapped: bool = True
    """Whether the texts are final answers to be put into a box, rather than texts in which Math-Verify finds them."""
    targets: tuple[str, ...] = ("latex", "expr")
    float_rounding: int = 6
    numeric_precision: int = 15
    strict: bool = True
    allow_set_relation_comp: bool = False
    seconds: float = SECONDS


class Found(NamedTuple):
    """Whether two answers are equal, None if that could not be found out, and why not in words."""

    equal: bool | None
    reason: str = ""


class TooLong(BaseException):
    """The pair's time is up. No Exception, because sympy catches these."""


class _Alarm:
    """Raises TooLong in this thread, again and again until disarmed: somewhere in sympy a bare except may swallow one."""

    armed = False

    @classmethod
    def ring(cls, number: int, frame: FrameType | None) -> None:
        if cls.armed:
            raise TooLong

    @classmethod
    def arm(cls, seconds: float) -> None:
        cls.armed = True
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.2)

    @classmethod
    def disarm(cls) -> None:
        cls.armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)


def prepare() -> None:
    """What a process does once: limits, no noise, the imports, and a first pair, for which the parsers build their tables."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler of Python's would wait for the operation that hangs
    signal.signal(signal.SIGPROF, _Alarm.ring)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    logging.disable(logging.CRITICAL)
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # parsers print what they think of hostile input
        os.dup2(silence, stream)
    compare(("x^2+2x+1", "(x+1)^2"), How())


def work(pairs: Sequence[Pair], how: How) -> list[Found]:
    """The answers to the first of these pairs: to all of them, unless they take long together."""
    started = time.process_time()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    # the kernel ends the process where the alarm cannot: inside an operation of C, and when nobody is left who would
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(started + how.seconds + AFTER_SECONDS) + 1, hard))
    found = []
    for pair in pairs:
        found.append(_in_time(pair, how))
        if time.process_time() - started > AFTER_SECONDS:
            break
    return found


def compare(pair: Pair, how: How) -> Found:
    """One pair without any limit of time. Never raises an Exception."""
    try:
        golds, answers = (_parsed(text, how) for text in pair)
        if any(_equal(gold, answer, how) for gold in golds for answer in answers):
            return Found(True)
    except (MemoryError, RecursionError) as error:
        return Found(None, f"too much for sympy ({type(error).__name__})")
    if how.wrapped and all(isinstance(gold, str) for gold in golds):
        return Found(None, "the gold answer cannot be read as mathematics")
    return Found(False)


def _equal(gold: Any, answer: Any, how: How) -> bool:
    from math_verify import verify

    settings = {name: getattr(how, name) for name in ("float_rounding", "numeric_precision", "strict", "allow_set_relation_comp")}
    try:
        return verify([gold], [answer], timeout_seconds=None, raise_on_error=True, **settings)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # sympy raises anything on what it cannot compare, such as 1/0; to Math-Verify that is unequal too
        return False


def _in_time(pair: Pair, how: How) -> Found:
    try:
        try:
            _Alarm.arm(how.seconds)
            return compare(pair, how)
        finally:
            _Alarm.disarm()
    except TooLong:
        _Alarm.disarm()
        return Found(None, f"took longer than {how.seconds:g} seconds")


@lru_cache(maxsize=512)
def _parsed(text: str, how: How) -> tuple[Any, ...]:
    """What Math-Verify reads in a text, each as a sympy object or, last, as a string."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, StringExtractionConfig, parse

    boxed = {"boxed_match_priority": 0} if how.wrapped else {}
    kinds = {"latex": lambda: LatexExtractionConfig(**boxed), "expr": ExprExtractionConfig, "string": StringExtractionConfig}
    return tuple(parse(rf"\boxed{{{text}}}" if how.wrapped else text, [kinds[name]() for name in how.targets], parsing_timeout=None))
