from pathlib import Path

import pytest
from pydantic import ValidationError

from lib import records, seeds, tables
from lib.engines.scripted import Scripted
from lib.errors import UnknownName
from lib.problems.countdown import Countdown
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.independent import Independent

ENGINE = Scripted(otherwise="7").open(Path(), "model-1", Machine())
ANSWERS = tuple(str(number) for number in range(10, 99))


def rows(sampler, problems, *, seed=0, engine=ENGINE, role="policy"):
    made = sampler.sample(Tables(problems), {role: engine}, seed, lambda done, total: None)
    assert made.num_rows == sampler.owes(Tables(problems))
    return tables.conform(made, records.COMPLETIONS).to_pylist()


def without(row, *names):
    return {name: value for name, value in row.items() if name not in names}


@pytest.fixture(scope="module")
def problems():
    return Countdown().problems("train", 6, seed=0)


@pytest.fixture(scope="module")
def varied(problems):
    prompts = [records.chat(prompt)[0]["content"] for prompt in problems["prompt"].to_pylist()]
    return Scripted(answers=tuple((prompt, ANSWERS) for prompt in prompts)).open(Path(), "model-1", Machine())


def test_each_problem_gets_n_completions_in_table_order(problems):
    made = rows(Independent(n=3), problems)
    assert [row["problem_id"] for row in made] == [i for i in problems["problem_id"].to_pylist() for _ in range(3)]
    assert [row["sample_index"] for row in made] == [0, 1, 2] * 6
    assert len({row["completion_id"] for row in made}) == 18
    assert len({row["group_id"] for row in made}) == 6


def test_another_checkpoint_answers_and_its_rows_are_told_apart(problems):
    past = Scripted(otherwise="8").open(Path(), "model-0", Machine())
    sampler = Independent(n=2, model="base", written_as="past")
    made = sampler.sample(Tables(problems), {"policy": ENGINE, "policy@base": past}, 0, lambda done, total: None).to_pylist()
    assert {(row["text"], row["role"], row["model_id"]) for row in made} == {("8", "past", "model-0")}
    ours = rows(Independent(n=2), problems)
    assert [row["seed"] for row in made] == [row["seed"] for row in ours]  # whoever answers meets the same draws
    assert not {row["group_id"] for row in made} & {row["group_id"] for row in ours}
    with pytest.raises(UnknownName, match="no model for role 'policy@base'"):
        rows(sampler, problems)


def test_a_row_says_how_it_was_sampled(problems):
    row = rows(Independent(n=1, temperature=0.7, top_p=0.9, role="proposer"), problems, role="proposer")[0]
    prompt = records.chat(problems["prompt"][0].as_py())
    assert without(row, "completion_id", "group_id", "seed", "logprobs", "logprobs_at_1", "entropy_mean") == {
        "problem_id": problems["problem_id"][0].as_py(),
        "turn": 0,
        "step": 0,
        "role": "proposer",
        "model_id": "model-1",
        "prompt_ids": ENGINE.render(prompt),
        "completion_ids": ENGINE.encode("7"),
        "ids_source": "engine",
        "text": "7",
        "finish_reason": "stop",
        "temperature": 0.7,
        "top_p": 0.9,
        "sample_index": 0,
        "episode_id": None,
        "parent_id": None,
        "loss_mask": None,
    }
    assert len(row["logprobs"]) == len(row["logprobs_at_1"]) == len(row["completion_ids"])
    assert row["seed"] == seeds.seed_of(0, row["problem_id"], 0)


def test_completions_depend_neither_on_other_problems_nor_on_n(problems, varied):
    many = {row["completion_id"]: row for row in rows(Independent(n=5), problems, engine=varied)}
    few = rows(Independent(n=2), problems.slice(3, 2), engine=varied)
    assert [many[row["completion_id"]] for row in few] == few
    assert len({row["text"] for row in many.values()}) > 10


def test_another_seed_or_model_makes_other_rows(problems, varied):
    other = Scripted(otherwise="7").open(Path(), "model-2", Machine())
    for one, two in (
        (rows(Independent(), problems, engine=varied), rows(Independent(), problems, engine=varied, seed=1)),
        (rows(Independent(), problems), rows(Independent(), problems, engine=other)),
    ):
        assert not {row["completion_id"] for row in one} & {row["completion_id"] for row in two}
        assert not {row["group_id"] for row in one} & {row["group_id"] for row in two}
    assert rows(Independent(), problems, engine=varied) == rows(Independent(), problems, engine=varied)


def test_the_token_limit_reaches_the_engine(problems):
    assert {row["finish_reason"] for row in rows(Independent(max_new_tokens=1), problems)} == {"length"}


def test_no_problems_make_no_completions():
    assert rows(Independent(), records.PROBLEMS.empty()) == []


def test_a_role_without_a_model_is_named(problems):
    with pytest.raises(UnknownName, match="no model for role 'judge'"):
        Independent(role="judge").sample(Tables(problems), {"policy": ENGINE}, 0, lambda done, total: None)


@pytest.mark.parametrize("bad", [{"n": 0}, {"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_new_tokens": 0}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ValidationError):
        Independent(**bad)


def test_it_is_a_sampler():
    assert isinstance(Independent(), Sampler)
