"""Scores for every step and for the whole, from models that classify sequences or tokens."""

import math

import pytest

from lib import records
from lib.engine_kinds import Reading
from lib.engines.classifier import Classifier
from lib.protocols import Machine, Tables, silent
from lib.verifiers.process import Process
from lib.verifiers.steps import MOST_STEPS
from tests.filter_stage import completion, problem
from tests.tiny_models import classifier

QUESTION = [{"role": "user", "content": "1,5,8>45:"}]
TEXT = "8+1=9;9*5=45;;1*45=45"


@pytest.fixture(scope="module", params=["sequence", "token"])
def engine(request, tmp_path_factory):
    return Classifier().open(classifier(tmp_path_factory.mktemp("prm"), request.param, 2), "m", Machine())


def tables(*texts, **fields):
    made = [completion(f"c{i}", text=text, **fields) for i, text in enumerate(texts)]
    return Tables(records.PROBLEMS.table([problem("p", "1,5,8>45:")]), records.COMPLETIONS.table(made))


def judged(verifier, given, engine):
    made = verifier.verify(given, {"process": engine})
    assert made.num_rows == verifier.owes(given)
    return made.to_pylist()


def test_every_step_has_the_models_belief_and_its_number(engine):
    whole, *steps = judged(Process(separator=";"), tables(TEXT), engine)
    (logits,) = engine.read([Reading(QUESTION, ["8+1=9;", "9*5=45;", "1*45=45;"])], silent)
    beliefs = [math.exp(right) / (math.exp(wrong) + math.exp(right)) for wrong, right in logits]
    assert [(row["step"], row["score"], row["outcome"]) for row in steps] == [
        (number, pytest.approx(belief, abs=1e-5), None) for number, belief in enumerate(beliefs, 1)
    ]
    assert (whole["step"], whole["score"], whole["outcome"]) == (None, pytest.approx(min(beliefs), abs=1e-5), None)


@pytest.mark.parametrize(
    ("aggregate", "of"),
    [("min", min), ("product", math.prod), ("mean", lambda found: sum(found) / len(found)), ("last", lambda found: found[-1])],
)
def test_the_whole_is_made_of_its_steps(engine, aggregate, of):
    whole, *steps = judged(Process(separator=";", aggregate=aggregate), tables(TEXT), engine)
    assert whole["score"] == pytest.approx(of([row["score"] for row in steps]))


def test_a_single_logit_becomes_a_probability(tmp_path):
    engine = Classifier().open(classifier(tmp_path, "token", 1), "m", Machine())
    (_, step) = judged(Process(), tables("8+1=9"), engine)
    (logits,) = engine.read([Reading(QUESTION, ["8+1=9\n"])], silent)
    assert step["score"] == pytest.approx(1 / (1 + math.exp(-logits[0][0])), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "fields", "rows"),
    [(" \n ", {}, 1), ("1\n" * (MOST_STEPS + 1), {}, 1), ("1\n2", {"finish_reason": "error"}, 1), ("1" * 90 + "\n" + "2" * 90, {}, 3)],
)
def test_what_cannot_be_read_is_undecided_as_a_whole(engine, text, fields, rows):
    found = judged(Process(), tables(text, **fields), engine)
    assert [(row["score"], row["outcome"]) for row in found] == [(None, "undecided")] + [(None, None)] * (rows - 1)


def test_completions_keep_their_own_steps(engine):
    alone = [judged(Process(separator=";"), tables(text), engine) for text in ("8+1=9", TEXT)]
    together = judged(Process(separator=";"), tables("8+1=9", TEXT), engine)
    expected = [row["score"] for rows in alone for row in rows]
    assert [row["score"] for row in together] == pytest.approx(expected, abs=1e-5)
    assert [row["completion_id"] for row in together] == ["c0"] * 2 + ["c1"] * 4


@pytest.mark.parametrize(
    ("text", "finish", "last"),
    [("8+1=9;9*5=45", "stop", "9*5=45<eos>"), ("8+1=9;9*5=45", "length", "9*5=45;"), ("8+1=9;9*5=45;", "stop", "9*5=45;")],
)
def test_the_last_step_of_a_finished_answer_can_be_read_with_its_end(engine, text, finish, last):
    whole, *_ = judged(Process(separator=";", ending="<eos>", aggregate="last"), tables(text, finish_reason=finish), engine)
    (logits,) = engine.read([Reading(QUESTION, ["8+1=9;", last])], silent)
    assert whole["score"] == pytest.approx(1 / (1 + math.exp(logits[-1][0] - logits[-1][1])), abs=1e-5)


def test_an_end_is_read_as_the_token_that_ends_a_text(engine):
    with_end, without = (engine.read([Reading(QUESTION, ["8+1=9" + end])], silent) for end in ("<eos>", ""))
    assert with_end != without
