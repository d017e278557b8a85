"""Gates, sums, products and the least of other verifiers' verdicts, and where the outcome comes from."""

from pathlib import Path

import pytest

from lib import casting, records
from lib.engines.scripted import Scripted
from lib.errors import UnknownName, UserError
from lib.protocols import Machine, Tables
from lib.recipe import Stage
from lib.verifiers.answer import Answer
from lib.verifiers.judge import Judge
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.majority import Majority
from lib.verifiers.mix import Mix
from tests.filter_stage import completion, problem

GRADES = {"#### 4": "Rating: 8", "#### 5": "Rating: 6", "well 4": "Rating: 2", "mute": "?"}
RATED = Judge(name="rated", form="rating", template="{completion}")
APPROVED = Judge(name="approved", template="ok? {completion}")


def tables(*texts):
    made = [completion(f"c{i}", text=text, group_id="g", sample_index=i) for i, text in enumerate(texts)]
    return Tables(records.PROBLEMS.table([problem("p", "Q", answer="4")]), records.COMPLETIONS.table(made))


def mixed(mix, *texts):
    script = [(text, (grade,)) for text, grade in GRADES.items()]
    script += [(f"ok? {text}", ("no" if text == "#### 5" else "yes",)) for text in GRADES]
    engine = Scripted(answers=tuple(script)).open(Path(), "m", Machine())
    given = tables(*texts)
    made = mix.verify(given, {"policy": engine})
    assert made.num_rows == mix.owes(given)
    return [(row["score"], row["outcome"]) for row in made.to_pylist()]


def test_a_weighted_sum_adds_one_for_correct_and_the_score_of_a_scorer():
    mix = Mix(of=(Answer(), RATED), weights=(1, 0.5))
    assert mixed(mix, "#### 4", "#### 5") == [(pytest.approx(1.4), None), (pytest.approx(0.3), None)]


@pytest.mark.parametrize(("how", "expected"), [("sum", [1.8, 0.6]), ("product", [0.8, 0.0]), ("min", [0.8, 0.0])])
def test_each_way_of_mixing(how, expected):
    assert [score for score, _ in mixed(Mix(of=(Answer(), RATED), how=how), "#### 4", "#### 5")] == pytest.approx(expected)


def test_a_gate_that_is_wrong_decides_the_score_whatever_the_rest():
    mix = Mix(of=(RATED,), gates=(Answer(), APPROVED), gated=-1, threshold=0.5)
    assert mixed(mix, "#### 4", "#### 5", "well 4") == [(0.8, "correct"), (-1, "wrong"), (0.2, "wrong")]


def test_the_outcome_is_by_the_threshold_or_by_a_member_or_there_is_none():
    texts = ("#### 4", "#### 5", "well 4")
    assert [outcome for _, outcome in mixed(Mix(of=(RATED,), threshold=0.6), *texts)] == ["correct", "correct", "wrong"]
    assert [outcome for _, outcome in mixed(Mix(of=(RATED, Answer()), outcome_of="answer"), *texts)] == ["correct", "wrong", "correct"]
    assert [outcome for _, outcome in mixed(Mix(of=(RATED,)), *texts)] == [None] * 3


def test_an_undecided_member_makes_the_mix_undecided_and_never_wrong():
    mix = Mix(of=(RATED, Answer()), threshold=10)
    assert mixed(mix, "mute", "#### 4") == [(None, "undecided"), (1.8, "wrong")]
    gated = Mix(of=(RATED,), gates=(Answer(),), gated=-1, threshold=0.5)
    assert mixed(gated, "mute") == [(-1, "wrong")], "a gate that is wrong needs nobody else"


def test_a_member_that_looks_at_groups_makes_the_mix_do_so():
    assert Mix(of=(Answer(), Mix(name="inner", of=(Majority(),)))).unit == "group"
    assert Mix(of=(Answer(), RATED)).unit == "completion"
    assert [outcome for _, outcome in mixed(Mix(of=(Majority(),), outcome_of="majority"), "#### 4", "well 4", "#### 5")] == [
        "correct",
        "correct",
        "wrong",
    ]


def test_the_models_of_its_members_are_those_of_the_stage():
    mix = Mix(of=(Likelihood(model="base"), Answer()), gates=(Judge(role="judge", model="external:x"),))
    assert [part.name for part in casting.parts([mix])] == ["policy@base", "judge@external:x"]


def test_a_mix_survives_the_round_trip_through_json():
    stage = Stage(verb="verify", run=(Mix(of=(Answer(), RATED), weights=(1, 2), gates=(APPROVED,)), Majority()))
    assert Stage.model_validate(stage.model_dump(mode="json")) == stage


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"of": ()}, "mixes nothing"),
        ({"of": (RATED,), "weights": (1, 2)}, "2 weights for the sum of 1"),
        ({"of": (RATED,), "weights": (1,), "how": "min"}, "1 weights for the min of 1"),
        ({"of": (RATED, RATED)}, "have one name"),
        ({"of": (Scripted(),)}, "Scripted cannot verify"),
        ({"of": (RATED,), "threshold": 1, "outcome_of": "rated"}, "leave one out"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(settings, said):
    with pytest.raises(UserError, match=said):
        Mix(**settings)


def test_a_member_that_is_not_there_is_named_with_its_near_miss():
    with pytest.raises(UnknownName, match="no member 'ratd' of mix; did you mean 'rated'"):
        Mix(of=(RATED,), outcome_of="ratd")
