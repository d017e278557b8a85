"""Lessons in the roles that lib.countdown_roles names, written down as completions: what a model is warm-started on beside
solving, so that it can check, fix, propose and play.

Nobody sampled these tokens: as for worked solutions, `role` is `reference`, `ids_source` is `retokenised` and `logprobs`
is empty. Attempts to check and to fix are those of completions that an earlier stage left, each a lesson's parent, and
invented ones (lib.countdown_mistakes). All is judged exactly, so no verifier need look at it. A game's moves are random
legal ones, which leaves self-play something to find out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field

from lib import countdown_mistakes, records, seeds
from lib import countdown_roles as roles
from lib.countdown_steps import first_wrong, question
from lib.protocols import Engine, Report, Tables
from lib.samplers.rows import Ask, Drawn, engine_of, named
from lib.strategy import Strategy


class Lesson(NamedTuple):
    """What is asked, what is to be replied, and the attempt that it is about."""

    prompt: str
    reply: str
    parent_id: str | None = None


class RoleLessons(Strategy):
    """Lessons for each Countdown problem whose answer is a worked solution; the whole numbers of the settings are lessons a problem."""

    draws: ClassVar[bool] = False
    """These tokens cost nothing: no model writes them here."""
    role: str = "policy"
    """Whose tokenizer and chat template write the rows."""
    solve: int = Field(default=0, ge=0)
    """The worked solution, so many times; fewer where it is learned from another stage too."""
    check: int = Field(default=1, ge=0)
    """Invented attempts to check, beside the worked solution and the different attempts that were left."""
    fix: int = Field(default=3, ge=0)
    """Invented wrong attempts to fix, beside the different wrong ones that were left. The reply keeps the steps before the wrong one."""
    invented: int = Field(default=6, ge=0)
    """Invented problems to check or fix attempts at. Those that are given are soon known by heart, with the attempt not looked at."""
    propose_share: float = Field(default=0.3, ge=0, le=1)
    """The share of problems, chosen by their id, that are lessons in proposing."""
    play_share: float = Field(default=0.3, ge=0, le=1)
    """The share of problems, likewise, that bring a move of the game."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        engine = engine_of(engines, self.role)
        rows = [
            self._row(problem_id, lesson, index, engine)
            for problem_id, lessons in self._by_problem(tables)
            for index, lesson in enumerate(lessons)
        ]
        report(len(rows), len(rows))
        return records.COMPLETIONS.table(rows)

    def owes(self, tables: Tables) -> int:
        return sum(len(lessons) for _, lessons in self._by_problem(tables))

    def _by_problem(self, tables: Tables) -> Iterator[tuple[str, list[Lesson]]]:
        left = _attempts(tables)
        for problem in tables.problems.select(["problem_id", "prompt", "answer"]).to_pylist():
            prompt = "".join(message["content"] for message in records.chat(problem["prompt"]))
            answer = problem["answer"] or ""
            if roles.judged(prompt, answer) == 0:
                yield problem["problem_id"], list(self._lessons(prompt, answer, left.get(problem["problem_id"], {})))

    def _lessons(self, prompt: str, answer: str, left: Mapping[str, str]) -> Iterator[Lesson]:
        numbers, target = question(prompt) or ((), 0)
        attempts = [(text, parent) for text, parent in left.items()]
        yield Lesson(roles.check_prompt(prompt, answer), "0")
        for kind, count in (("check", self.check), ("fix", self.fix)):
            made = [(countdown_mistakes.attempt(numbers, target, kind, i), None) for i in range(count)]
            for text, parent in [*attempts, *made]:
                wrong = first_wrong(text, numbers, target)
                if kind == "check":
                    yield Lesson(roles.check_prompt(prompt, text), str(wrong), parent)
                elif wrong:
                    yield Lesson(roles.fix_prompt(prompt, text, wrong), roles.mended(text, wrong, numbers, target, answer), parent)
        yield from _invented(prompt, self.invented)
        if _is_among(self.propose_share, "proposed", prompt):
            yield Lesson(roles.PROPOSE, prompt.removesuffix(":"))
        if _is_among(self.play_share, "played", prompt):
            left_over, take = _a_move(seeds.seed_of("play", prompt))
            yield Lesson(roles.play_prompt(left_over), roles.move(left_over, take))
        yield from [Lesson(prompt, answer)] * self.solve  # the last, for the first solution's id is that of ReferenceSolutions' row

    def _row(self, problem_id: str, lesson: Lesson, index: int, engine: Engine) -> dict[str, Any]:
        messages = [{"role": "user", "content": lesson.prompt}]
        ask = Ask(problem_id, messages, turn=0 if lesson.parent_id is None else 1, parent_id=lesson.parent_id)
        undrawn = Drawn(seed=0, sample_index=index, temperature=0.0, top_p=1.0)
        return named(ask, engine, "reference", undrawn, engine.render(messages), engine.encode(lesson.reply), "stop") | {
            "group_id": seeds.short_id(0, problem_id, engine.model_id, "reference", lesson.prompt),
            "ids_source": "retokenised",
            "logprobs": [],
        }


def _invented(prompt: str, count: int) -> Iterator[Lesson]:
    """Lessons on `count` invented problems: to fix a spoiled solution, to fix an invented attempt, to check one of these or a solution."""
    for i in range(count):
        made = countdown_mistakes.problem(prompt, i)
        numbers, target, answer = made.numbers, made.target, made.solution
        attempts = [countdown_mistakes.spoiled(answer, numbers, i), countdown_mistakes.attempt(numbers, target, i), answer]
        place, turn = i % 3, i // 3
        text = attempts[place if place < 2 else turn % 3]
        wrong = first_wrong(text, numbers, target)
        if place == 2:
            yield Lesson(roles.check_prompt(made.prompt, text), str(wrong))
        elif wrong:
            yield Lesson(roles.fix_prompt(made.prompt, text, wrong), roles.mended(text, wrong, numbers, target, answer))


def _attempts(tables: Tables) -> dict[str, dict[str, str]]:
    """Problem → each different text that was sampled for it → the first completion that has it."""
    found: dict[str, dict[str, str]] = {}
    columns = ["problem_id", "sample_index", "completion_id", "text", "finish_reason", "role"]
    rows = tables.completions.select(columns).to_pylist()
    for row in sorted(rows, key=lambda row: (row["sample_index"], row["completion_id"])):
        if row["finish_reason"] != "error" and row["role"] != "reference":
            found.setdefault(row["problem_id"], {}).setdefault(row["text"], row["completion_id"])
    return found


def _is_among(share: float, what: str, prompt: str) -> bool:
    return seeds.seed_of(what, prompt) < share * 2.0**63


def _a_move(seed: int) -> tuple[int, int]:
    """What is left, from 1 to the whole pile, and how many a random legal move takes."""
    place, choice = seeds.uniforms([seed], 0, 2)[0]
    left = 1 + int(place * roles.PILE)
    return left, 1 + int(choice * min(roles.MOST_TAKEN, left))
