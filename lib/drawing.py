"""How much samplers draw at most, from their settings alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lib.plan import makes_problems
from lib.recipe import Phase, Stage
from lib.samplers.adapted import Adapted
from lib.samplers.chain import Chain
from lib.samplers.game import Game
from lib.samplers.prefixes import Prefixes
from lib.samplers.propose import Propose
from lib.samplers.restart import Restart
from lib.samplers.with_tools import WithTools
from lib.stages.problems import shards_at_most


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one sample stage draws at most."""

    completions: int
    tokens: int
    """Written by models, those that are thrown away for it among them."""
    problems: int
    """How many problems it works at."""


def drawn(sampler: Any, problems: int, read: int = 0) -> Drawn:
    """What a sampler draws at most; `read` completions are there for it to follow."""
    n, longest = int(getattr(sampler, "n", None) or 1), int(getattr(sampler, "max_new_tokens", 0))
    rewritten, besides = 1, 0
    match sampler:
        case Chain():
            return _chained(sampler, problems, read)
        case Game():
            made = problems * n * sampler.turns
        case Propose():
            made = n * min(problems, (sampler.contexts or problems) * shards_at_most(problems))
        case Restart():
            made = n * read
        case Prefixes():
            made = sampler.most * read
        case Adapted():
            chosen = min(problems, (sampler.problems or problems) * shards_at_most(problems))
            made, besides = n * chosen, drawn(sampler.attempts, chosen).tokens if sampler.trainer else 0
        case WithTools():
            made, rewritten = n * problems, 1 + sampler.calls
        case _:
            made = n * problems
    return Drawn(made, made * longest * rewritten + besides, problems)


def _chained(chain: Chain, problems: int, read: int) -> Drawn:
    begun = drawn(chain.first, problems) if chain.first is not None else Drawn(0, 0, problems)
    attempts = read if chain.first is None else begun.completions
    attempts = min(attempts, problems) if "first" in chain.of else attempts
    completions, tokens = begun.completions, begun.tokens
    for turn in range(chain.turns):
        for law in (*([chain.feedback] if isinstance(chain.feedback, Chain) else []), chain):
            attempts *= law.n if law is not chain or turn == 0 else 1
            completions += attempts
            tokens += attempts * law.max_new_tokens
    return Drawn(completions, tokens, problems)


def drawing(stages: Iterable[tuple[Phase, Stage]], problems: int) -> Iterator[tuple[Phase, Stage, Drawn]]:
    """Every stage with what was drawn last when it comes, itself where it samples.

    What a filter stage makes problems of are as many problems for the stages of its phase that follow.
    """
    last, here, read, given = Drawn(0, 0, problems), "", 0, problems
    for phase, stage in stages:
        if phase.name != here:
            here, read, given = phase.name, 0, problems
        if stage.verb == "sample":
            last = drawn(stage.run[0], given, read)
            read += last.completions
        elif stage.verb == "filter" and makes_problems(stage):
            read, given = 0, last.completions
        yield phase, stage, last
