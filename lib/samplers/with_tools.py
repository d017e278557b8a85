"""Completions into which tools write: a calculator's results, the output of a program (S.env with a tool).

A completion is drawn to its end. Where the first call of a tool has other text behind it than the tool's output, the completion
is cut there, the tool's tokens are put in, and the model goes on behind them at the same place of its stream; where the model
wrote the output by itself, it stays. Either way these tokens have loss_mask 0, so that nothing is learned from them, and
every run of zeros in the mask is one call. What a tool writes has log-probability 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from lib import casting, records
from lib.errors import UserError
from lib.protocols import Engine, Report, Sampled, Tables, silent
from lib.samplers.rows import UNASKED, Ask, Place, answered, continued, requested, rows
from lib.samplers.spans import tokens_over, tokens_to
from lib.strategy import AnyStrategy, Strategy
from lib.tools.protocol import Called


@dataclass(slots=True)
class _Draft:
    """A completion while tools write into it."""

    sampled: Sampled
    masked: set[int] = field(default_factory=set)
    """Places of the tokens that are a tool's."""
    settled: int = 0
    """The character up to which its calls are done."""
    calls: int = 0
    open: bool = True


class WithTools(Strategy):
    """n completions a problem, with at most `calls` calls of tools in each."""

    needs: ClassVar[tuple[str, ...]] = ("tools",)

    tools: tuple[AnyStrategy, ...] = Field(min_length=1)
    """The tools, such as Calculator(); of calls at one place the first tool's counts."""
    calls: int = Field(default=8, ge=1)
    """How many calls a completion may have; text behind the last stays as the model wrote it."""
    n: int = Field(default=8, ge=1)
    """Completions of each problem."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Where a completion is cut off; the end-of-text token and the tools' tokens count."""
    role: str = "policy"
    """Whose model answers."""
    model: str = "previous"
    """Its checkpoint: previous, latest, base, champion, round:N, phase:NAME or external:PATH."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        engine = casting.engine_of(engines, self.role, self.model)
        problems = tables.problems.select(["problem_id", "prompt"]).to_pylist()
        asks = [Ask(problem["problem_id"], records.chat(problem["prompt"])) for problem in problems]
        requests = requested(asks, engine, self, seed)
        drafts = {place: _Draft(one) for place, one in answered(asks, requests, tables, engine, self, report).items()}
        if any(draft.sampled.ids_source != "engine" for draft in drafts.values()):
            raise UserError(f"tools write tokens, and the engine of role '{self.role}' gives text alone; use one that gives token ids")
        while cut := self._cut(drafts, engine):
            for place, whole in continued(requests, cut, engine, self, silent).items():
                drafts[place].sampled = whole
        answers = {place: draft.sampled for place, draft in drafts.items()}
        masks = [self._mask(drafts.get((ask, i))) for ask in range(len(asks)) for i in range(self.n)]
        made = rows(asks, requests, answers, engine, self, seed)
        return records.COMPLETIONS.table([row | {"loss_mask": mask} for row, mask in zip(made, masks, strict=True)])

    def owes(self, tables: Tables) -> int:
        return tables.problems.num_rows * self.n

    def _mask(self, draft: _Draft | None) -> list[int]:
        ids = (draft.sampled if draft else UNASKED).ids
        return [int(draft is None or place not in draft.masked) for place in range(len(ids))]

    def _cut(self, drafts: Mapping[Place, _Draft], engine: Engine) -> dict[Place, Sampled]:
        """What is to be continued: every draft up to its first call that was answered otherwise, with the tool's answer."""
        found = {}
        for place, draft in drafts.items():
            while draft.open:
                begun = self._stepped(draft, engine)
                if begun is not None:
                    found[place] = begun
                    break
        return found

    def _stepped(self, draft: _Draft, engine: Engine) -> Sampled | None:
        """Settle a draft's next call; what is to be continued, if the tool had to write."""
        text = engine.decode(draft.sampled.ids)
        call = self._next(text, draft.settled) if draft.calls < self.calls and draft.sampled.finish_reason != "error" else None
        if call is None:
            draft.open = False
            return None
        draft.calls += 1
        ids = draft.sampled.ids
        before = tokens_to(engine, ids, call.start)
        if text[call.start : call.end] == call.output:
            draft.masked |= set(range(before, tokens_over(engine, ids, call.end)))
            draft.settled = call.end
            return None
        written = text[len(engine.decode(ids[:before])) : call.start] + call.output
        tokens = engine.encode(written)[:-1][: max(0, self.max_new_tokens - before)]
        draft.masked = {place for place in draft.masked if place < before} | set(range(before, before + len(tokens)))
        draft.settled = call.start + len(call.output)
        return _with(draft.sampled, before, tokens)

    def _next(self, text: str, start: int) -> Called | None:
        """The first call of any tool at a place or after."""
        tools: Sequence[Any] = self.tools
        found = [call for tool in tools if (call := tool.call(text, start)) is not None]
        return min(found, key=lambda call: call.start) if found else None


def _with(sampled: Sampled, before: int, tokens: Sequence[int]) -> Sampled:
    """The first tokens of a completion, and a tool's behind them."""
    told = len(sampled.logprobs) == len(sampled.ids)
    at_1 = sampled.logprobs_at_1
    nothing = [0.0] * len(tokens)
    return replace(
        sampled,
        ids=[*sampled.ids[:before], *tokens],
        logprobs=[*sampled.logprobs[:before], *nothing] if told else [],
        logprobs_at_1=None if at_1 is None else [*at_1[:before], *nothing],
        entropy_mean=None,
        finish_reason="length",
        text=None,
    )
