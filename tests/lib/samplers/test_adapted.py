"""Adapted to each problem alone, by what the model itself picked: no gold answer reaches it, and nothing stays of it."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from lib import models, records
from lib.engines.huggingface import Huggingface
from lib.errors import UserError
from lib.protocols import Machine, Sampled, Tables, silent
from lib.samplers.adapted import Adapted
from lib.samplers.independent import Independent
from lib.strategy import Strategy
from lib.trainers.sft import Sft
from lib.verifiers.answer import Answer
from lib.verifiers.countdown import Countdown
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.majority import Majority
from tests.filter_stage import problem
from tests.tiny_models import writer

PROBLEMS = [problem(name, f"1,5,{n}>45:", answer=f"gold of {name}", tests=f"tests of {name}") for n, name in enumerate("pqr")]


class Typist:
    """Writes its seed's last digit; a copy of it writes what it learned instead, and says of whom."""

    model_id = "m"
    positions = None

    def __init__(self, learned=None):
        self.learned, self.asked = learned, []

    def render(self, messages):
        return [ord(c) for c in messages[-1]["content"]]

    def decode(self, ids):
        return "".join(map(chr, ids))

    def encode(self, text):
        return [*map(ord, text), 0]

    def sample(self, requests, *, temperature, top_p, max_new_tokens, report):
        self.asked += [self.decode(request.prompt_ids) for request in requests]
        return [[self._one(seed) for seed in request.seeds] for request in requests]

    def _one(self, seed):
        ids = [ord("AB"[seed % 3 == 0])] if self.learned is None else self.learned
        return Sampled(ids, [-0.5] * len(ids), [-0.5] * len(ids), 0.1, "stop")

    @contextmanager
    def trained(self, trainer, examples, seed):
        rows = examples.to_pylist()
        assert all(row["labels"].count(records.IGNORED) == len("1,5,0>45:") for row in rows)
        self.examples = [*getattr(self, "examples", []), [(row["problem_id"], self.decode(row["input_ids"])) for row in rows]]
        yield Typist([label for label in rows[0]["labels"] if label >= 0])


class Spy(Strategy):
    """Notes every problem that it is shown, and calls the first completion of each group correct."""

    name: str = "spy"

    def verify(self, tables, engines):
        SEEN.extend(tables.problems.to_pylist())
        made = [
            {"completion_id": name, "verifier": "spy", "reason": "", "n_tokens": 0, "outcome": "wrong" if place else "correct"}
            for place, name in enumerate(tables.completions["completion_id"].to_pylist())
        ]
        return records.VERDICTS.table(made)


SEEN: list[dict] = []


def tables(rows=PROBLEMS):
    return Tables(records.PROBLEMS.table(rows))


def test_each_problem_is_answered_by_a_copy_that_learned_its_own_majority():
    engine, sampler = Typist(), Adapted(trainer=Sft(), verifiers=(Majority(by="text"),), n=3)
    rows = sampler.sample(tables(), {"policy": engine}, 1, silent).to_pylist()
    assert len(rows) == sampler.owes(tables()) == 9
    assert {(row["problem_id"], row["text"]) for row in rows} == {("p", "A"), ("q", "A"), ("r", "A")}
    assert [{name for name, _ in learned} for learned in engine.examples] == [{"p"}, {"q"}, {"r"}]
    assert {text for learned in engine.examples for _, text in learned} == {"1,5,0>45:A", "1,5,1>45:A", "1,5,2>45:A"}


def test_no_verifier_that_picks_is_shown_an_answer_or_tests():
    SEEN.clear()
    Adapted(trainer=Sft(), verifiers=(Spy(),), n=1).sample(tables(), {"policy": Typist()}, 1, silent)
    assert [row["problem_id"] for row in SEEN] == ["p", "q", "r"]
    assert [(row["answer"], row["tests"], row["answer_share"]) for row in SEEN] == [(None, None, None)] * 3


@pytest.mark.parametrize("verifier", [Answer(), Countdown()])
def test_a_verifier_that_knows_the_gold_answer_is_refused(verifier):
    with pytest.raises(UserError, match="looks at gold answers, which a test has not"):
        Adapted(trainer=Sft(), verifiers=(verifier,))


@pytest.mark.parametrize(
    "settings", [{"trainer": Sft()}, {"verifiers": (Majority(),)}, {"trainer": Sft(replay=("base",)), "verifiers": (Spy(),)}]
)
def test_half_of_an_adaptation_is_refused(settings):
    with pytest.raises(UserError, match=r"give the other too|leave the trainer's replay empty"):
        Adapted(**settings)


def test_without_a_trainer_the_model_itself_answers_with_the_same_seeds():
    adapted = Adapted(trainer=Sft(), verifiers=(Majority(by="text"),), n=4).sample(tables(), {"policy": Typist()}, 1, silent)
    plain = Adapted(n=4).sample(tables(), {"policy": Typist()}, 1, silent)
    assert plain["seed"].to_pylist() == adapted["seed"].to_pylist()
    assert {*plain["text"].to_pylist()} == {"A", "B"}
    independent = Independent(n=4).sample(tables(), {"policy": Typist()}, 1, silent)
    assert plain["completion_id"].to_pylist() == independent["completion_id"].to_pylist()


def test_a_problem_bound_leaves_the_same_problems_for_every_model():
    sampler = Adapted(problems=2, n=2)
    some = sampler.sample(tables(), {"policy": Typist()}, 1, silent)
    again = sampler.sample(tables(PROBLEMS[::-1]), {"policy": Typist([67])}, 2, silent)
    assert len({*some["problem_id"].to_pylist()}) == 2
    assert {*some["problem_id"].to_pylist()} == {*again["problem_id"].to_pylist()}
    assert some.num_rows == sampler.owes(tables()) == 4


def test_an_engine_that_cannot_be_trained_is_refused_by_name():
    engine = Typist()
    parts = ("model_id", "positions", "render", "decode", "encode", "sample")
    server = type("Server", (), {name: staticmethod(value) if callable(value := getattr(engine, name)) else value for name in parts})
    with pytest.raises(UserError, match="Adapted trains a copy of the model, and Server cannot"):
        Adapted(trainer=Sft(), verifiers=(Spy(),)).sample(tables(), {"policy": server()}, 1, silent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return writer(tmp_path_factory.mktemp("writer"))


def test_a_real_model_is_adapted_by_no_gold_and_left_as_it_was(folder):
    engine = Huggingface().open(folder, "m", Machine())
    before = models.identity(folder)
    sampler = Adapted(
        trainer=Sft(steps=6, learning_rate=0.02, warmup_share=0.0),
        verifiers=(Likelihood(measure="mean"),),
        attempts=Independent(n=8, max_new_tokens=40),
        n=4,
        max_new_tokens=8,
    )
    first = sampler.sample(tables(), {"policy": engine}, 1, silent)
    golds = [row | {"answer": None, "tests": "another", "answer_share": 0.5} for row in PROBLEMS]
    assert sampler.sample(tables(golds), {"policy": engine}, 1, silent) == first  # to the last bit
    plain = Adapted(n=4, max_new_tokens=8).sample(tables(), {"policy": engine}, 1, silent)
    assert plain["text"].to_pylist() != first["text"].to_pylist()
    assert Adapted(n=4, max_new_tokens=8).sample(tables(), {"policy": engine}, 1, silent) == plain
    assert models.identity(folder) == before
    assert "m+1" in first["model_id"].to_pylist()
    one = sampler.sample(tables(PROBLEMS[2:]), {"policy": engine}, 1, silent)
    assert one == first.slice(8)  # no problem learns from another
