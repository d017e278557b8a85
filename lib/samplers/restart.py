"""Completions that begin again in the middle of an earlier one: its first tokens, and n new continuations (prefix restart).

Used for the value of a step by what follows it (Wang et al. 2024, Math-Shepherd), and for exploring from where an attempt went
wrong. The prefix is made of the tokens that were sampled, and carries their log-probabilities along. Continuation i of the m-th
attempt (by its sample index) of a problem draws from the stream (seed, problem, turn, m n + i), on from where the prefix ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from lib import records
from lib.protocols import Engine, Report, Sampled, Tables
from lib.samplers.attempts import latest, verdicts_on
from lib.samplers.rows import Ask, answered, engine_of, requested, rows
from lib.samplers.spans import tokens_to
from lib.strategy import Strategy


class Restart(Strategy):
    """n completions of each attempt that was sampled, each beginning with the same part of it.

    With by="first_wrong" the part ends before the first step that a verdict on a step calls wrong, or that has a score below
    `below`; an attempt without such a step is left alone. Steps are the pieces between separators that are not blank.
    """

    by: Literal["share", "first_wrong"] = "share"
    """What ends the prefix: a share of the attempt's tokens, or its first wrong step."""
    share: float = Field(default=0.5, ge=0, lt=1)
    """The share of the tokens that are kept, rounded down."""
    separator: str = ";"
    """What stands between steps; it is the last thing kept."""
    below: float = 0.5
    """The score from which a step is right, where its verdict has no outcome."""
    of: Literal["all", "wrong"] = "all"
    """Which attempts begin again: all, or those judged wrong."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's."""
    n: int = Field(default=4, ge=1)
    """How many continuations each has."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Where a completion is cut off; the tokens of the prefix count."""
    role: str = "policy"
    """Whose model continues; it must be that of the attempts or share its tokenizer."""
    learn_prefix: bool = False
    """Whether the prefix carries loss like what follows it; without, it is masked."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        engine = engine_of(engines, self.role)
        attempts = self._attempts(tables)
        asks = [
            Ask(
                row["problem_id"],
                [],
                turn=row["turn"] + 1,
                parent_id=row["completion_id"],
                first=row["sample_index"] * self.n,
                stream=("restart", row["turn"] + 1),
                quotes=True,
                prompt_ids=row["prompt_ids"],
            )
            for row in attempts
        ]
        requests = requested(asks, engine, self, seed)
        prefixes = [self._prefix(row, tables, engine) for row in attempts]
        begun = {(place, i): prefix for place, prefix in enumerate(prefixes) for i in range(len(requests[place].seeds)) if prefix.ids}
        answers = answered(asks, requests, Tables(records.PROBLEMS.empty()), engine, self, report, begun)
        made = rows(asks, requests, answers, engine, self, seed)
        lengths = [len(prefix.ids) for prefix in prefixes for _ in range(self.n)]
        return records.COMPLETIONS.table([row | self._mask(row, length) for row, length in zip(made, lengths, strict=True)])

    def owes(self, tables: Tables) -> int:
        return len(self._attempts(tables)) * self.n

    def _attempts(self, tables: Tables) -> list[dict[str, Any]]:
        said = verdicts_on(tables.verdicts, self.verifier) if self.of == "wrong" else {}
        wrong = self._wrong_steps(tables.verdicts) if self.by == "first_wrong" else {}
        return [
            row
            for row in latest(tables)
            if (self.of == "all" or (row["completion_id"] in said and said[row["completion_id"]].outcome == "wrong"))
            and (self.by == "share" or row["completion_id"] in wrong)
        ]

    def _wrong_steps(self, verdicts: pa.Table) -> dict[str, int]:
        """completion_id → the number, from 1, of its first wrong step."""
        found: dict[str, int] = {}
        for row in verdicts.select(["completion_id", "verifier", "outcome", "score", "step"]).to_pylist():
            scored_wrong = row["outcome"] is None and row["score"] is not None and row["score"] < self.below
            if row["step"] is not None and self.verifier in (None, row["verifier"]) and (row["outcome"] == "wrong" or scored_wrong):
                found[row["completion_id"]] = min(row["step"], found.get(row["completion_id"], row["step"]))
        return found

    def _prefix(self, row: Mapping[str, Any], tables: Tables, engine: Engine) -> Sampled:
        ids = row["completion_ids"]
        if self.by == "share":
            length = int(len(ids) * self.share)
        else:
            length = tokens_to(engine, ids, self._place_of(row["text"], self._wrong_steps(tables.verdicts)[row["completion_id"]]))
        whole = len(row["logprobs"]) == len(ids)
        at_1 = row["logprobs_at_1"]
        return Sampled(
            list(ids[:length]),
            list(row["logprobs"][:length]) if whole else [],
            None if at_1 is None else list(at_1[:length]),
            None,
            "length",
            row["ids_source"],
        )

    def _place_of(self, text: str, step: int) -> int:
        """Where the step with this number begins in a text; its end where it has fewer."""
        place = 0
        for piece in text.split(self.separator):
            if piece.strip():
                step -= 1
            if step == 0:
                return place
            place += len(piece) + len(self.separator)
        return len(text)

    def _mask(self, row: Mapping[str, Any], length: int) -> dict[str, Any]:
        count = len(row["completion_ids"])
        masked = min(0 if self.learn_prefix else length, count)
        return {"loss_mask": [0] * masked + [1] * (count - masked)}
