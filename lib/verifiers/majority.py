"""Self-consistency: what most samples of a group answer is taken for right (Wang et al. 2023). No gold answer is needed.

Answers are found and compared as lib.verifiers.answer does, so `1/2` and `0.5` are one vote; or the vote is on whole texts, up
to white space, where a text is its own answer. With k the sampled completions of a group and a_i the final answer of i:

    share(a) = (1/k) Σ_i 1[a_i = a]        score_i = share(a_i)        correct where a_i = argmax_a share(a), else wrong

Of classes of one size the one wins whose first member comes first by sample index (then by completion id). A completion
without a readable answer is no vote, has share 0 and is wrong; so is, by text, one that is empty or was cut off.
Accepts the common answer. Rejects a lone one, though it be right. Cannot catch: a mistake that most samples make; training on
it makes it more common. Undecided: what was not sampled, a group of one, a group without any readable answer, and an answer
whose comparison with the winner ran out of time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pyarrow as pa

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers import scores
from lib.verifiers.answer import Answer
from lib.verifiers.final_answer import last_number, marked, normalised
from lib.verifiers.verdicts import Judgement

QUOTED = 80
"""Characters of an answer in a reason."""


@dataclass(slots=True)
class _Vote:
    """The classes of one group's answers, while they are being told apart."""

    members: list[int]
    """Places of its completions, in the order of their sample indices."""
    left: list[int]
    """Those whose class is not known yet."""
    classes: list[list[int]] = field(default_factory=list)
    """In the order of their first members."""
    unsure: set[tuple[int, int]] = field(default_factory=set)
    """First member of a class, and one whose comparison with it ran out of time."""

    def winner(self) -> list[int]:
        """The largest class, of several the first."""
        return max(self.classes, key=len, default=[])


class Majority(Strategy):
    """One verdict per completion, by the vote of its group."""

    name: str = "majority"
    """The name of its verdicts."""
    by: Literal["answer", "text"] = "answer"
    """What is voted on: the final answer, or the whole text, so that two ways to one value are two votes."""
    answer: Answer = Answer()
    """How answers are compared."""

    unit: ClassVar[str] = "group"
    knows_gold: ClassVar[bool] = False

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        rows = scores.rows_of(tables, "sample_index", "completion_ids")
        answers = [_answer(row) if self.by == "answer" else _text(row) for row in rows]
        verdicts = {
            place: scores.verdict(row, self.name, None, "not sampled") for place, row in enumerate(rows) if row["finish_reason"] == "error"
        }
        for vote in self._votes(rows, answers):
            winner = vote.winner()
            shares = {place: len(group) / len(vote.members) for group in vote.classes for place in group}
            for place in vote.members:
                score, outcome, reason = _said(place, vote, winner, shares.get(place, 0.0), answers)
                verdicts[place] = scores.verdict(rows[place], self.name, score, reason, outcome=outcome)
        made = [verdicts[place] for place in range(len(rows))]
        return scores.table([{**verdict, "n_tokens": len(row["completion_ids"])} for verdict, row in zip(made, rows, strict=True)])

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows

    def _votes(self, rows: Sequence[scores.Row], answers: Sequence[str | None]) -> list[_Vote]:
        """Every group's classes: each round compares the first answer left of every group with the others left there."""
        votes = []
        for group in scores.groups_of(rows):
            members = sorted(group, key=lambda place: (rows[place]["sample_index"], rows[place]["completion_id"]))
            votes.append(_Vote(members, [place for place in members if answers[place] is not None]))
        while open_votes := [vote for vote in votes if vote.left]:
            asked = [(vote, vote.left[0], other) for vote in open_votes for other in vote.left[1:]]
            for vote in open_votes:
                vote.classes.append([vote.left.pop(0)])
            found = self._compared([(answers[first] or "", answers[other] or "") for _, first, other in asked])
            for (vote, first, other), judgement in zip(asked, found, strict=True):
                if judgement.outcome == "correct":
                    vote.classes[-1].append(other)
                    vote.left.remove(other)
                elif judgement.outcome == "undecided":
                    vote.unsure.add((first, other))
        return votes

    def _compared(self, pairs: Sequence[tuple[str, str]]) -> list[Judgement]:
        if self.by == "answer":
            return self.answer.compare(pairs)
        return [Judgement("correct" if one == other else "wrong", "") for one, other in pairs]


def _text(row: scores.Row) -> str | None:
    """The text up to white space, or None where there is none or it did not come to its end."""
    return None if row["finish_reason"] == "length" else " ".join(row["text"].split()) or None


def _answer(row: scores.Row) -> str | None:
    """The final answer's text, or None where the text has no readable one."""
    span = marked(row["text"])
    if span is None and row["finish_reason"] != "length":
        span = last_number(row["text"])
    return span.text if span is not None and normalised(span.text) is not None else None


def _said(place: int, vote: _Vote, winner: Sequence[int], share: float, answers: Sequence[str | None]) -> tuple[float | None, str, str]:
    """Score, outcome and reason of one member of a group."""
    if len(vote.members) == 1:
        return None, "undecided", "alone in its group"
    if not winner:
        return None, "undecided", "no readable answer in the group"
    common = f"'{_brief(answers[winner[0]])}' has {len(winner)} of {len(vote.members)} votes"
    if place in winner:
        return share, "correct", common
    if (winner[0], place) in vote.unsure:
        return None, "undecided", f"comparison ran out of time; {common}"
    return (
        share,
        "wrong",
        f"{common} and this is '{_brief(answers[place])}'" if answers[place] is not None else f"{common}; no readable answer",
    )


def _brief(answer: str | None) -> str:
    """An answer as reasons quote it."""
    text = answer or ""
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"
