"""Completions that follow other completions: a model corrects itself, tries again, reflects, or refines by feedback (S.chain).

    self_correct      the attempt, and the request to look at it again        Kumar et al. 2024 (SCoRe)
    retry             the attempt, and that it was not right                  Qu et al. 2024 (RISE)
    reflect           the attempt, and the verifier's {reason}                Dou et al. 2024 (Re-ReST)
    feedback_refine   the attempt, and the {feedback} that a role wrote       Madaan et al. 2023 (Self-Refine)

The attempts are completions of the stages that are read (those that none of these follows), or `first` samples them here. Each
completion names the one that it follows as its parent, and its turn is one more: with feedback, attempt, feedback and
refinement are turns 0, 1 and 2. Completion i of the m-th attempt (by its sample index) of a problem draws from the stream
(seed, problem, turn, m n + i).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from lib import records
from lib.errors import UserError
from lib.protocols import Engine, Report, Tables, silent
from lib.samplers.attempts import Attempt, Messages, first_of_each, followed, latest, prompts_of, table_of, verdicts_on
from lib.samplers.rows import Ask, sampled
from lib.strategy import AnyStrategy, Strategy

TEMPLATES = {
    "self_correct": "There may be an error in the solution above. Correct it if there is one, and write the whole solution again.",
    "retry": "That is not right. Try again from the beginning.",
    "reflect": "That is not right: {reason}. Try again from the beginning.",
    "feedback_refine": "This was said about the solution above:\n{feedback}\n\nWrite a better solution.",
}


class Chain(Strategy):
    """n continuations of each attempt, one or more turns long.

    An attempt that was not sampled is followed by errors where it was sampled here, and by nothing where it was read.
    """

    op: Literal["self_correct", "retry", "reflect", "feedback_refine"] = "self_correct"
    """What is asked for."""
    first: AnyStrategy | None = None
    """The sampler of the attempts, whose rows are returned too; None reads those of earlier stages."""
    feedback: AnyStrategy | None = None
    """For feedback_refine: another Chain, whose role and template say what is thought of an attempt."""
    verifiers: tuple[AnyStrategy, ...] = ()
    """What judges attempts that are sampled here, so that a prompt can show the reason."""
    of: Literal["all", "wrong", "first", "first_wrong"] = "all"
    """Which attempts: all, those judged wrong, or of these the first of each problem."""
    verifier: str | None = None
    """Whose verdicts say what is wrong and why; None: every verifier's with an outcome."""
    turns: int = Field(default=1, ge=1)
    """How many turns follow an attempt, each following the last."""
    n: int = Field(default=1, ge=1)
    """How many continuations an attempt gets; each goes on alone in the turns after."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Where a completion is cut off; the end-of-text token counts."""
    role: str = "policy"
    """Whose model writes what follows."""
    model: str = "previous"
    """Its checkpoint: previous, latest, base, champion, round:N, phase:NAME or external:PATH."""
    written_as: str = ""
    """The role that its completions are written as, such as `critic` for feedback by the policy; unless given, the role above."""
    template: str = ""
    """The request; empty is the operation's own. With {prompt} or {attempt} it takes the place of the problem's last message;
    without, the user says it after the attempt."""
    ending: str = ""
    """Taken off the end of {prompt} first, where the template writes it after the attempt."""
    foreign: str = ""
    """A regular expression: what it matches in an attempt is shown as a comma, so that no attempt can pass for more."""

    @model_validator(mode="after")
    def _fits(self) -> Chain:
        if (self.op == "feedback_refine") != isinstance(self.feedback, Chain):
            raise UserError("Chain: feedback_refine, and it alone, needs feedback=Chain(role=…, template=…)")
        if self.first is not None and "wrong" in self.of:
            raise UserError(f"Chain: of='{self.of}' needs the verdicts of an earlier stage, so leave first out")
        if self.op == "reflect" and not self.verifiers and (self.first is not None or self.turns > 1):
            raise UserError("Chain: reflect shows a verifier's reason; give verifiers=(…) for the attempts that are sampled here")
        return self

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        begun: Any = self.first
        made = [] if begun is None else [begun.sample(tables, engines, seed, report)]
        given = tables if begun is None else replace(tables, completions=made[0])
        prompts = prompts_of(tables)
        attempts = self._attempts(given, prompts, engines)
        law = self
        for _ in range(self.turns):
            if isinstance(self.feedback, Chain):
                said = self.feedback._turn(attempts, prompts, engines, seed, report)
                made.append(said)
                attempts = _told(attempts, said.to_pylist())
            following = law._turn(attempts, prompts, engines, seed, report)
            made.append(following)
            asked = [self._asks(attempt, prompts) for attempt in attempts for _ in range(law.n)]
            rows = following.to_pylist()
            reasons = self._reasons(replace(tables, completions=following), engines)
            attempts = [Attempt(row, messages, reasons.get(row["completion_id"], "")) for row, messages in zip(rows, asked, strict=True)]
            law = self.model_copy(update={"n": 1})
        return pa.concat_tables([records.COMPLETIONS.empty(), *made])

    def owes(self, tables: Tables) -> int:
        return sum(self._counts(tables))

    def _counts(self, tables: Tables) -> Iterator[int]:
        """How many rows each turn has."""
        if self.first is None:
            attempts = len(self._chosen(tables))
        else:
            begun: Any = self.first
            owed = int(begun.owes(tables))
            yield owed
            attempts = tables.problems.num_rows if self.of == "first" else owed
        for turn in range(self.turns):
            if isinstance(self.feedback, Chain):
                attempts *= self.feedback.n
                yield attempts
            attempts *= self.n if turn == 0 else 1
            yield attempts

    def _chosen(self, tables: Tables) -> list[Mapping[str, Any]]:
        """The rows of the attempts that are followed."""
        rows: list[Mapping[str, Any]] = list(latest(tables))
        if "wrong" in self.of:
            said = verdicts_on(tables.verdicts, self.verifier)
            rows = [row for row in rows if row["completion_id"] in said and said[row["completion_id"]].outcome == "wrong"]
        return first_of_each(rows) if "first" in self.of else rows

    def _attempts(self, given: Tables, prompts: Mapping[str, Messages], engines: Mapping[str, Engine]) -> list[Attempt]:
        if self.first is None:
            rows = self._chosen(given)
        else:
            rows = given.completions.to_pylist()
            rows = first_of_each(rows) if self.of == "first" else rows
        reasons = {name: said.reason for name, said in verdicts_on(given.verdicts, self.verifier).items()}
        judged = self._reasons(replace(given, completions=table_of(rows)), engines) if self.first is not None else {}
        reasons |= judged
        return [Attempt(row, prompts[row["problem_id"]], reasons.get(row["completion_id"], "")) for row in rows]

    def _reasons(self, tables: Tables, engines: Mapping[str, Engine]) -> dict[str, str]:
        """What the verifiers say of attempts that were sampled here."""
        members: Sequence[Any] = self.verifiers
        found = [member.verify(replace(tables, report=silent), engines) for member in members]
        verdicts = pa.concat_tables([records.VERDICTS.empty(), *found])
        return {name: said.reason for name, said in verdicts_on(verdicts, self.verifier).items()}

    def _asks(self, attempt: Attempt, prompts: Mapping[str, Messages]) -> Messages:
        prompt = prompts[attempt.row["problem_id"]]
        return followed(attempt, prompt, self.template or TEMPLATES[self.op], self.ending, self.foreign)

    def _turn(
        self, attempts: Sequence[Attempt], prompts: Mapping[str, Messages], engines: Mapping[str, Engine], seed: int, report: Report
    ) -> pa.Table:
        """n rows for each attempt, in order."""
        asks = []
        for attempt in attempts:
            parent = attempt.parent
            turn = parent["turn"] + 1
            asks.append(
                Ask(
                    parent["problem_id"],
                    self._asks(attempt, prompts),
                    turn=turn,
                    parent_id=parent["completion_id"],
                    first=parent["sample_index"] * self.n,
                    stream=("turn", turn),
                    quotes=True,
                    answerable=attempt.row["finish_reason"] != "error" and parent["finish_reason"] != "error",
                )
            )
        return sampled(asks, Tables(records.PROBLEMS.empty()), engines, self, seed, report, model=self.model, written_as=self.written_as)


def _told(attempts: Sequence[Attempt], said: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """Each attempt once for every feedback on it."""
    each = len(said) // len(attempts) if attempts else 0
    return [
        replace(attempt, feedback=row["text"], behind=row)
        for place, attempt in enumerate(attempts)
        for row in said[place * each : (place + 1) * each]
    ]
