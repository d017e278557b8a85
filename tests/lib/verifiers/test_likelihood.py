"""Scores by teacher forcing: each measure from the engine's figures, and the log-probabilities kept."""

import math
from pathlib import Path

import pytest

from lib import records
from lib.engines.huggingface import Huggingface
from lib.engines.scripted import Scripted
from lib.errors import UnknownName, UserError
from lib.protocols import Machine, Tables
from lib.samplers.independent import Independent
from lib.verifiers.likelihood import Likelihood
from tests.filter_stage import completion, problem
from tests.tiny_models import writer

HALF = math.log(0.5)


def scripted(*answers, otherwise="x"):
    return Scripted(answers=answers, otherwise=otherwise).open(Path(), "scripted", Machine())


def tables(engine, texts, prompt="q", **fields):
    problems = records.PROBLEMS.table([problem("p", prompt)])
    prompt_ids = engine.render([{"role": "user", "content": prompt}])
    made = [
        completion(f"c{i}", text=text, prompt_ids=prompt_ids, completion_ids=engine.encode(text), **fields) for i, text in enumerate(texts)
    ]
    return Tables(problems, records.COMPLETIONS.table(made))


def scores(verifier, given, engine):
    made = verifier.verify(given, {"policy": engine})
    assert made.num_rows == verifier.owes(given)
    return made.to_pylist()


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("sum", 3 * HALF), ("mean", HALF), ("entropy", math.log(2)), ("margin", 0.25)],
)
def test_each_measure_of_a_known_answer(measure, expected):
    engine = scripted(("q", ("ab",)))
    (row,) = scores(Likelihood(measure=measure), tables(engine, ["ab"]), engine)
    assert row["score"] == pytest.approx(expected)
    assert row["outcome"] is None
    assert row["n_tokens"] == 3


def test_a_likely_answer_has_a_higher_mean_and_a_long_one_a_lower_sum():
    engine = scripted(("q", ("ab", "a" * 50)))
    known, unknown, long = (row["score"] for row in scores(Likelihood(), tables(engine, ["ab", "zz", "a" * 50]), engine))
    assert known == pytest.approx(long)
    assert known > unknown
    sums = [row["score"] for row in scores(Likelihood(measure="sum"), tables(engine, ["ab", "zz", "a" * 50]), engine)]
    assert sums[2] < sums[1] < sums[0]


@pytest.mark.parametrize(("reply", "chance"), [("True", 16 / 17), ("False", 1 / 33)])
def test_p_true_compares_the_two_replies(reply, chance):
    question = "q? 42"
    engine = scripted((question, (reply,)))
    verifier = Likelihood(measure="p_true", question="{prompt}? {completion}")
    (row,) = scores(verifier, tables(engine, ["42"]), engine)
    # 4 or 5 letters at 1/2 where they are the reply's, at 1/4 where they are not
    true, false = (0.5**4, 0.25**5) if reply == "True" else (0.25**4, 0.5**5)
    assert row["score"] == pytest.approx(true / (true + false))
    assert (row["score"] > 0.5) == (reply == "True")


def test_braces_in_a_completion_are_text():
    engine = scripted(("q? {prompt}{completion}", ("True",)))
    verifier = Likelihood(measure="p_true", question="{prompt}? {completion}")
    (row,) = scores(verifier, tables(engine, ["{prompt}{completion}"]), engine)
    assert row["score"] > 0.5


def test_what_cannot_be_scored_is_undecided():
    engine = scripted()
    given = tables(engine, ["a", "b", "c"])
    rows = given.completions.to_pylist()
    rows[0]["finish_reason"], rows[1]["completion_ids"], rows[2]["prompt_ids"] = "error", [], []
    made = scores(Likelihood(), Tables(given.problems, records.COMPLETIONS.table(rows)), engine)
    assert [(row["outcome"], row["score"], row["reason"]) for row in made] == [
        ("undecided", None, "not sampled"),
        ("undecided", None, "no tokens"),
        ("undecided", None, "no tokens"),
    ]


def test_the_texts_of_another_tokenizer_are_refused_and_can_be_encoded_anew():
    engine = scripted(("q", ("ab",)))
    given = tables(engine, ["ab"])
    foreign = [dict(row, completion_ids=[9, 9], prompt_ids=[1]) for row in given.completions.to_pylist()]
    theirs = Tables(given.problems, records.COMPLETIONS.table(foreign))
    with pytest.raises(UserError, match="set tokens='text'"):
        Likelihood().verify(theirs, {"policy": engine})
    (row,) = scores(Likelihood(tokens="text", measure="sum"), theirs, engine)
    assert row["score"] == pytest.approx(3 * HALF)


def test_a_text_that_was_cut_off_is_not_scored_for_its_end():
    engine = scripted(("q", ("ab",)))
    (row,) = scores(Likelihood(tokens="text", measure="sum"), tables(engine, ["ab"], finish_reason="length"), engine)
    assert row["score"] == pytest.approx(2 * HALF)


def test_the_model_is_the_one_that_the_settings_name():
    engine = scripted()
    with pytest.raises(UnknownName, match="no model for role 'policy@base'"):
        Likelihood(model="base").verify(tables(engine, ["a"]), {"policy": engine})
    assert Likelihood(model="base").verify(tables(engine, ["a"]), {"policy@base": engine}).num_rows == 1


def test_an_engine_that_cannot_score_is_refused():
    class Mute:
        model_id = "m"

    with pytest.raises(UserError, match="played by Mute, which cannot score given tokens"):
        Likelihood().verify(tables(scripted(), ["a"]), {"policy": Mute()})


def test_sampled_completions_keep_their_log_probabilities_under_the_model(tmp_path):
    engine = Huggingface().open(writer(tmp_path), "m", Machine())
    problems = Tables(records.PROBLEMS.table([problem("p", "1,5,8>45:"), problem("q", "2,3>5:")]))
    completions = Independent(n=3, max_new_tokens=20).sample(problems, {"policy": engine}, 4, lambda done, total: None)
    given = Tables(problems.problems, completions)
    verdicts, kept = Likelihood(measure="sum").verify_tokens(given, {"policy": engine})
    assert kept["completion_id"].to_pylist() == completions["completion_id"].to_pylist()
    assert set(kept["model_id"].to_pylist()) == {"m"}
    for row, scored, verdict in zip(completions.to_pylist(), kept.to_pylist(), verdicts.to_pylist(), strict=True):
        assert scored["logprobs"] == pytest.approx(row["logprobs_at_1"], abs=1e-4)
        assert verdict["score"] == pytest.approx(sum(row["logprobs_at_1"]), abs=1e-3)
    alone = Tables(given.problems, completions.slice(2, 1))
    assert Likelihood(measure="sum").verify(alone, {"policy": engine})["score"][0].as_py() == pytest.approx(
        verdicts["score"][2].as_py(), abs=1e-3
    )


def test_a_sequence_longer_than_the_model_is_undecided_and_the_others_are_scored(tmp_path):
    engine = Huggingface().open(writer(tmp_path), "m", Machine())
    made = scores(Likelihood(), tables(engine, ["1" * 200, "12"], prompt="1>2:"), engine)
    assert made[0]["outcome"] == "undecided"
    assert "pass the model's 128 positions" in made[0]["reason"]
    assert made[1]["score"] < 0


def test_one_turn_can_be_scored_alone():
    engine = scripted(("q", ("ab",)))
    given = tables(engine, ["ab", "ab"])
    rows = given.completions.to_pylist()
    rows[1]["turn"] = 1
    given = Tables(given.problems, records.COMPLETIONS.table(rows))
    assert [row["completion_id"] for row in scores(Likelihood(turn=0), given, engine)] == ["c0"]
    assert [row["completion_id"] for row in scores(Likelihood(turn=1), given, engine)] == ["c1"]
    assert Likelihood(turn=1).verify_tokens(given, {"policy": engine})[1]["completion_id"].to_pylist() == ["c1"]
