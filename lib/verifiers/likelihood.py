"""How likely a model finds each completion, by teacher forcing at temperature 1; a score and no outcome.

Measures, over the completion's tokens y_1..y_n with p_j the model's distribution before token j:

    sum       l = Σ_j log p_j(y_j)                                         mean    l / n
    entropy   -(1/n) Σ_j Σ_v p_j(v) log p_j(v), in nats                    margin  the mean over j of p_j's two largest, subtracted
    p_true    p(True) / (p(True) + p(False)), asked whether the answer is right (Kadavath et al. 2022)

Gives a fluent, expected answer a high score, and a surprising one a low score. Cannot catch: a likely mistake; what is
likely is not what is true, and `sum` falls with every token, so that short answers look good. `p_true` is only as good as
the model's knowledge of itself. Undecided: what was not sampled, has no tokens, or passes the model's positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from lib import casting, records
from lib.engine_kinds import Pair, Scored, Scorer
from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores

QUESTION = """Question: {prompt}

Proposed answer: {completion}

Is the proposed answer True or False? Reply with one word."""


class Likelihood(Strategy):
    """One score per completion, and the log-probability of every token in the token_scores table."""

    name: str = "likelihood"
    """The name of its verdicts."""
    measure: Literal["sum", "mean", "entropy", "margin", "p_true"] = "mean"
    """What the score is."""
    role: str = "policy"
    """Whose engine scores."""
    model: str = "previous"
    """Its checkpoint: base, previous, champion, round:N, external:PATH; in an evaluator `measured`."""
    tokens: Literal["sampled", "text"] = "sampled"
    """Score the token ids as they were sampled, or the text, encoded anew with the problem's prompt, for another tokenizer."""
    turn: int | None = None
    """Score the completions of this turn alone, such as first attempts (0); those of every turn unless given."""
    question: str = QUESTION
    """What p_true asks; {prompt} and {completion} are filled in, and `True` and `False` are the replies compared."""

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        return self.verify_tokens(tables, engines)[0]

    def verify_tokens(self, tables: Tables, engines: Mapping[str, Engine]) -> tuple[pa.Table, pa.Table]:
        """The verdicts, and rows of records.TOKEN_SCORES for every completion scored; p_true has none."""
        engine = casting.scorer_of(engines, self.role, self.model)
        tables = replace(tables, completions=self._asked_for(tables.completions))
        rows = scores.rows_of(tables, "prompt_ids", "completion_ids")
        pairs = self._pairs(rows, tables, engine)
        fits = [_fault(row, pair, engine.positions) for row, pair in zip(rows, pairs, strict=True)]
        if self.measure == "p_true":
            return scores.table(self._truths(rows, fits, pairs, engine, tables)), records.TOKEN_SCORES.empty()
        scored = _scored(engine, [pair if fault is None else None for pair, fault in zip(pairs, fits, strict=True)], tables)
        verdicts = []
        for row, fault, (_, ids), figures in zip(rows, fits, pairs, scored, strict=True):
            value = None if figures is None else self._value(figures)
            verdicts.append(scores.verdict(row, self.name, value, fault or f"{self.measure} over {len(ids)} tokens", n_tokens=len(ids)))
        kept = [
            {"completion_id": row["completion_id"], "model_id": engine.model_id, "logprobs": figures.logprobs}
            for row, figures in zip(rows, scored, strict=True)
            if figures is not None
        ]
        return scores.table(verdicts), records.TOKEN_SCORES.table(kept)

    def owes(self, tables: Tables) -> int:
        return self._asked_for(tables.completions).num_rows

    def _asked_for(self, completions: pa.Table) -> pa.Table:
        return completions if self.turn is None else completions.filter(pc.equal(completions["turn"], self.turn))

    def _value(self, scored: Scored) -> float:
        figures = {"entropy": scored.entropies, "margin": scored.margins}.get(self.measure, scored.logprobs)
        total = math.fsum(figures)
        return total if self.measure == "sum" else total / len(figures)

    def _pairs(self, rows: Sequence[scores.Row], tables: Tables, engine: Scorer) -> list[Pair]:
        """What is scored for each completion; for p_true the question, and no completion yet."""
        if self.measure != "p_true" and self.tokens == "sampled":
            self._refuse_other_tokenizer(rows, engine)
            return [(row["prompt_ids"], row["completion_ids"]) for row in rows]
        asked = scores.problems_of(tables)
        if self.measure == "p_true":
            return [(engine.render(self._asks(asked[row["problem_id"]], row["text"])), [0]) for row in rows]
        return [(engine.render(asked[row["problem_id"]]["messages"]), _encoded(engine, row)) for row in rows]

    def _refuse_other_tokenizer(self, rows: Sequence[scores.Row], engine: Scorer) -> None:
        """Ids of another tokenizer would be scored as other words; a single text that does not come back whole is let pass."""
        strange = sum(engine.decode(row["completion_ids"]).split() != row["text"].split() for row in rows)
        if 2 * strange > len(rows):
            raise UserError(f"{self.name}: the completions' ids are not of the tokenizer of role '{self.role}'; set tokens='text'")

    def _asks(self, problem: scores.Row, text: str) -> list[dict[str, str]]:
        values = {"prompt": problem["text"], "completion": scores.shown(text)}
        return [{"role": "user", "content": scores.filled(self.question, values)}]

    def _truths(
        self, rows: Sequence[scores.Row], faults: Sequence[str | None], pairs: Sequence[Pair], engine: Scorer, tables: Tables
    ) -> list[scores.Row]:
        """P(True) by the two replies' log-likelihoods, their end-of-text tokens left out."""
        words = [engine.encode(word)[:-1] for word in ("True", "False")]
        faults = [f or _too_long([*ids, *max(words, key=len)], engine.positions) for f, (ids, _) in zip(faults, pairs, strict=True)]
        both = [(ids, word) if fault is None else None for fault, (ids, _) in zip(faults, pairs, strict=True) for word in words]
        sums = [None if scored is None else math.fsum(scored.logprobs) for scored in _scored(engine, both, tables)]
        found = []
        for row, fault, true, false in zip(rows, faults, sums[::2], sums[1::2], strict=True):
            value = None if true is None or false is None else scores.logistic(true - false)
            found.append(scores.verdict(row, self.name, value, fault or "p_true"))
        return found


def _encoded(engine: Scorer, row: scores.Row) -> list[int]:
    """The text's ids; one that the length limit cut off has no end-of-text token."""
    ids: list[int] = engine.encode(row["text"])
    return ids[:-1] if row["finish_reason"] == "length" else ids


def _scored(engine: Scorer, pairs: Sequence[Pair | None], tables: Tables) -> list[Scored | None]:
    """The figures of every pair that there is, from one call of the engine."""
    found = iter(engine.score([pair for pair in pairs if pair is not None], tables.report))
    return [None if pair is None else next(found) for pair in pairs]


def _fault(row: scores.Row, pair: Pair, positions: int | None) -> str | None:
    """Why a completion cannot be scored, or None."""
    if row["finish_reason"] == "error":
        return "not sampled"
    if not pair[0] or not pair[1]:
        return "no tokens"
    return _too_long([*pair[0], *pair[1]], positions)


def _too_long(ids: Sequence[int], positions: int | None) -> str | None:
    if positions is not None and len(ids) > positions:
        return f"{len(ids)} tokens pass the model's {positions} positions"
    return None
