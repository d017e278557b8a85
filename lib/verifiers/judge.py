"""A model as the judge: the policy itself, another checkpoint or a server, asked about each completion in words.

    yes_no        p = share of the votes that say yes; correct above 1/2, wrong below, undecided at 1/2
    rating        the mean of the votes' ratings over `scale`; a score and no outcome
    pairwise      P(a > b) = 1/2 [P_judge(first | a, b) + P_judge(second | b, a)]: both orders are asked, so that a taste for
                  one place cancels out; a tie counts 1/2. One row for every completion and rival, and one for the whole
                  with its mean over the group, itself included with 1/2; scores and no outcome
    first_error   the step that most votes call the first wrong one (of several the earliest; none is the latest); one row for
                  every step, those after it without an outcome, and one for the whole: correct if no step is wrong, its
                  score the share of the steps before the first wrong one

Accepts what the judge says is right. Cannot catch: what the judge does not know, praise of its own style, and a completion
that talks the judge into its verdict. Its replies are kept in raw_text and `n_tokens` counts their tokens. Undecided: what
was not sampled, a question longer than the model's positions, a missing gold answer where the template shows it, and a
completion about which no vote can be read (lib.verifiers.judge_replies); other unreadable votes are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa
from pydantic import Field, model_validator

from lib import casting
from lib.errors import UserError
from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores
from lib.verifiers.judge_asking import Law, Question, Votes, ask
from lib.verifiers.judge_replies import TEMPLATES, Form, read
from lib.verifiers.steps import MOST_STEPS, steps_of


class Judge(Strategy):
    """One verdict per completion; pairwise also one per rival, first_error also one per step."""

    needs: ClassVar[tuple[str, ...]] = ("judge",)

    name: str = "judge"
    """The name of its verdicts."""
    form: Form = "yes_no"
    """What the judge is asked for."""
    role: str = "policy"
    """Whose engine judges."""
    model: str = "previous"
    """Its checkpoint: previous (the policy judges itself), base, champion, round:N, external:PATH; in an evaluator `measured`."""
    template: str = ""
    """The question, with {prompt}, {completion}, and {rival}, {steps} or {gold} where they fit; empty takes the form's own."""
    votes: int = Field(1, ge=1)
    """Replies to every question."""
    temperature: float = Field(0.0, ge=0)
    """Temperature of the replies; several votes need one above 0."""
    max_new_tokens: int = Field(512, ge=1)
    """Longest reply, in tokens."""
    scale: int = Field(10, ge=1)
    """The best rating."""
    separator: str = Field("\n", min_length=1)
    """What stands between the steps of an answer."""

    @model_validator(mode="after")
    def _votes_differ(self) -> Judge:
        if self.votes > 1 and self.temperature == 0:
            raise UserError(f"{self.name}: {self.votes} votes at temperature 0 would all be alike; set temperature=1.0 or votes=1")
        return self

    @property
    def unit(self) -> str:
        """A group where rivals meet."""
        return "group" if self.form == "pairwise" else "completion"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        engine = casting.sampler_of(engines, self.role, self.model)
        rows = scores.rows_of(tables)
        if self.form == "pairwise":
            return scores.table(self._duels(rows, tables, engine))
        problems = scores.problems_of(tables)
        steps = [self._steps(row) for row in rows]
        questions = [self._question(row, problems[row["problem_id"]], cut) for row, cut in zip(rows, steps, strict=True)]
        votes = self._ask(questions, engine, tables)
        if self.form == "first_error":
            return scores.table([v for row, cut, said in zip(rows, steps, votes, strict=True) for v in self._by_step(row, cut, said)])
        judged = self._yes_or_no if self.form == "yes_no" else self._rating
        return scores.table([judged(row, said) for row, said in zip(rows, votes, strict=True)])

    def owes(self, tables: Tables) -> int:
        rows = scores.rows_of(tables)
        if self.form == "pairwise":
            return len(rows) + sum(len(group) * (len(group) - 1) for group in scores.groups_of(rows))
        return len(rows) + sum(len(self._steps(row)) for row in rows)

    def _steps(self, row: scores.Row) -> list[str]:
        """The steps that first_error numbers; none of an answer that was not sampled or has too many."""
        if self.form != "first_error" or row["finish_reason"] == "error":
            return []
        found = steps_of(scores.shown(row["text"]), self.separator)
        return found if len(found) <= MOST_STEPS else []

    def _question(
        self, row: scores.Row, problem: scores.Row, steps: Sequence[str] = (), rival: scores.Row | None = None
    ) -> Question | None:
        """The judge's question about a completion, or None where it cannot be asked."""
        template = self.template or TEMPLATES[self.form]
        missing = ("{gold}" in template and problem["gold"] is None) or (self.form == "first_error" and not steps)
        if row["finish_reason"] == "error" or missing:
            return None
        values = {"prompt": problem["text"], "completion": scores.shown(row["text"]), "gold": problem["gold"] or ""}
        values |= {"steps": "\n".join(f"Step {number}: {step}" for number, step in enumerate(steps, 1)), "scale": str(self.scale)}
        if rival is not None:
            values["rival"] = scores.shown(rival["text"])
        return Question(scores.filled(template, values), (row["completion_id"], *([rival["completion_id"]] if rival else ())))

    def _ask(self, questions: Sequence[Question | None], engine: Engine, tables: Tables) -> list[Votes]:
        law = Law(self.name, self.votes, self.temperature, self.max_new_tokens)
        return ask(questions, engine, law, self._read, tables)

    def _read(self, reply: str) -> str | None:
        word = read(reply, self.form)
        return None if word is None or (self.form == "rating" and float(word) > self.scale) else word

    def _verdict(self, row: scores.Row, said: Votes, score: float | None, reason: str, **more: object) -> scores.Row:
        return scores.verdict(row, self.name, score, said.fault or reason, raw_text=said.raw or None, n_tokens=said.tokens, **more)

    def _yes_or_no(self, row: scores.Row, said: Votes) -> scores.Row:
        if not said.words:
            return self._verdict(row, said, None, "")
        yes = said.words.count("yes")
        share = yes / len(said.words)
        outcome = "undecided" if share == 0.5 else "correct" if share > 0.5 else "wrong"
        return self._verdict(row, said, share, f"{yes} of {len(said.words)} say yes", outcome=outcome)

    def _rating(self, row: scores.Row, said: Votes) -> scores.Row:
        ratings = [float(word) for word in said.words]
        mean = math.fsum(ratings) / len(ratings) / self.scale if ratings else None
        return self._verdict(row, said, mean, f"rated {', '.join(said.words)} of {self.scale}")

    def _by_step(self, row: scores.Row, steps: Sequence[str], said: Votes) -> list[scores.Row]:
        """The whole's verdict, then one for each step."""
        votes = Counter(number for word in said.words if (number := 0 if word == "none" else int(word)) <= len(steps))
        if not votes:
            nothing = [scores.verdict(row, self.name, None, "no readable vote", step=n, outcome=None) for n in range(1, len(steps) + 1)]
            return [self._verdict(row, said, None, "no readable vote" if steps else "no steps to judge"), *nothing]
        most = max(votes.values())
        first = min((number for number, count in votes.items() if count == most), key=lambda number: number or math.inf)
        right = first - 1 if first else len(steps)
        reason = f"step {first} is the first wrong one" if first else "no step is wrong"
        outcome = "wrong" if first else "correct"
        return [
            self._verdict(row, said, right / len(steps), f"{reason}, say {most} of {votes.total()}", outcome=outcome),
            *(self._step(row, number, right) for number in range(1, len(steps) + 1)),
        ]

    def _step(self, row: scores.Row, number: int, right: int) -> scores.Row:
        if number > right + 1:
            return scores.verdict(row, self.name, None, "after the first wrong step", step=number, outcome=None)
        outcome = "correct" if number <= right else "wrong"
        reason = "before any wrong step" if number <= right else "the first wrong step"
        return scores.verdict(row, self.name, float(number <= right), reason, step=number, outcome=outcome)

    def _duels(self, rows: Sequence[scores.Row], tables: Tables, engine: Engine) -> list[scores.Row]:
        """Everybody's mean over the group, then every completion against every rival."""
        problems = scores.problems_of(tables)
        groups = scores.groups_of(rows)
        duels = [(a, b) for members in groups for a in members for b in members if a != b]
        questions = [self._question(rows[a], problems[rows[a]["problem_id"]], rival=rows[b]) for a, b in duels]
        votes = dict(zip(duels, self._ask(questions, engine, tables), strict=True))
        first = {duel: _share_of_first(said.words) for duel, said in votes.items()}
        wins = {(a, b): _debiased(first[a, b], first[b, a]) for a, b in duels}
        rates: dict[int, float] = {}
        for members in groups:
            rates |= scores.win_rates(wins, members)
        whole = [
            scores.verdict(row, self.name, rates.get(place), "mean over the group" if place in rates else "compared with nobody")
            for place, row in enumerate(rows)
        ]
        against = [
            self._verdict(
                rows[a], said, wins[a, b], "both orders" if wins[a, b] is not None else "not read", rival_id=rows[b]["completion_id"]
            )
            for (a, b), said in votes.items()
        ]
        return [*whole, *against]


def _share_of_first(words: Sequence[str]) -> float | None:
    """The share of votes for the answer that was shown first, a tie counting half."""
    return math.fsum({"a": 1.0, "tie": 0.5, "b": 0.0}[word] for word in words) / len(words) if words else None


def _debiased(first: float | None, mirrored: float | None) -> float | None:
    """P(a > b) from the shares of the first place in both orders, a first and b first."""
    return None if first is None or mirrored is None else 0.5 * (first + 1.0 - mirrored)
