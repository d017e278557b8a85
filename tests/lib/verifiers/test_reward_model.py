"""What a classification model's logits become: rewards, chances to be preferred, win rates."""

import math
from pathlib import Path

import pytest

from lib import records
from lib.engine_kinds import Reading
from lib.engines.classifier import Classifier
from lib.engines.scripted import Scripted
from lib.errors import UnknownName, UserError
from lib.protocols import Machine, Tables, silent
from lib.verifiers.reward_model import RewardModel
from tests.filter_stage import completion, problem
from tests.tiny_models import classifier


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Classifier().open(classifier(tmp_path_factory.mktemp("rm"), "sequence", 1), "m", Machine())


def tables(*texts, group="g", **fields):
    made = [completion(f"{group}{i}", text=text, group_id=group, **fields) for i, text in enumerate(texts)]
    return Tables(records.PROBLEMS.table([problem("p", "1,5,8>45:")]), records.COMPLETIONS.table(made))


def judged(verifier, given, engine):
    made = verifier.verify(given, {"reward_model": engine})
    assert made.num_rows == verifier.owes(given)
    return made.to_pylist()


def test_the_reward_is_the_models_logit_for_question_and_answer(engine):
    rows = judged(RewardModel(), tables("8+1=9", "9*5=45"), engine)
    read = engine.read([Reading([{"role": "user", "content": "1,5,8>45:"}], [text]) for text in ("8+1=9", "9*5=45")], silent)
    assert [row["score"] for row in rows] == [pytest.approx(found[0][0], abs=1e-5) for found in read]
    assert {row["outcome"] for row in rows} == {None}
    assert rows[0]["score"] != rows[1]["score"]


def test_pairs_are_bradley_terrys_and_the_whole_their_mean_with_itself_as_a_half(engine):
    given = tables("8", "5*9", "1+1=2")
    rewards = [row["score"] for row in judged(RewardModel(), given, engine)]
    rows = judged(RewardModel(measure="pairwise"), given, engine)
    chance = {(row["completion_id"], row["rival_id"]): row["score"] for row in rows if row["rival_id"]}
    assert len(chance) == 6
    for (a, b), found in chance.items():
        assert found == pytest.approx(1 / (1 + math.exp(rewards[int(b[1])] - rewards[int(a[1])])))
        assert found + chance[b, a] == pytest.approx(1)
    for row in rows[:3]:
        mine = [found for (a, _), found in chance.items() if a == row["completion_id"]]
        assert row["score"] == pytest.approx((0.5 + sum(mine)) / 3)
    rates = judged(RewardModel(measure="win_rate"), given, engine)
    assert [row["score"] for row in rates] == [row["score"] for row in rows[:3]]
    assert sum(row["score"] for row in rates) == pytest.approx(1.5)


def test_groups_do_not_meet(engine):
    both = [*tables("8", "9").completions.to_pylist(), *tables("5", group="h").completions.to_pylist()]
    given = Tables(tables("8").problems, records.COMPLETIONS.table(both))
    rows = judged(RewardModel(measure="pairwise"), given, engine)
    assert [(row["completion_id"], row["rival_id"]) for row in rows if row["rival_id"]] == [("g0", "g1"), ("g1", "g0")]
    assert rows[2]["score"] == 0.5


def test_with_several_classes_the_reward_is_the_probability_of_the_label(tmp_path):
    two = Classifier().open(classifier(tmp_path, "sequence", 2), "m", Machine())
    given = tables("8+1=9")
    one, other = (judged(RewardModel(label=label), given, two)[0]["score"] for label in (0, 1))
    assert one + other == pytest.approx(1)
    with pytest.raises(UserError, match="2 classes and none numbered 2"):
        judged(RewardModel(label=2), given, two)


def test_what_was_not_sampled_or_is_too_long_is_undecided_and_meets_nobody(engine):
    rows = tables("8", "1" * 300, "9").completions.to_pylist()
    rows[2]["finish_reason"] = "error"
    given = Tables(tables("8").problems, records.COMPLETIONS.table(rows))
    made = judged(RewardModel(measure="pairwise"), given, engine)
    assert [(row["score"], row["outcome"]) for row in made] == [(0.5, None)] + [(None, "undecided")] * 4
    assert [row["reason"] for row in made[1:3]] == ["longer than the model's positions", "not sampled"]


def test_a_role_without_a_classifier_is_told_how_to_get_one():
    engine = Scripted().open(Path(), "m", Machine())
    with pytest.raises(UserError, match=r"engines=\{'reward_model': Classifier\(\)\}"):
        RewardModel().verify(tables("8"), {"reward_model": engine})
    with pytest.raises(UnknownName, match="no model for role 'reward_model@base'"):
        RewardModel(model="base").verify(tables("8"), {"reward_model": engine})
