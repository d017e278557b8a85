from pathlib import Path

import pytest

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.problems.countdown import Countdown as Problems
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.reference_solutions import ReferenceSolutions
from lib.verifiers.countdown import Countdown

ENGINE = Scripted().open(Path(), "model-1", Machine())
HINTS = {"template": "{prompt}#{hint}:", "ending": ":", "pattern": r"=(\d+)"}


def made(problems, **settings):
    sampler = ReferenceSolutions(**settings)
    table = sampler.sample(Tables(problems), {"policy": ENGINE}, 0, lambda done, total: None)
    assert table.num_rows == sampler.owes(Tables(problems))
    return tables.conform(table, records.COMPLETIONS)


def prompts(completions):
    return [ENGINE.decode(ids) for ids in completions["prompt_ids"].to_pylist()]


@pytest.fixture(scope="module")
def problems():
    return Problems().problems("train", 400, seed=0)


def test_each_solution_is_written_with_its_end_of_text_and_verifies(problems):
    completions = made(problems)
    assert completions["text"].to_pylist() == problems["answer"].to_pylist()
    assert completions["completion_ids"].to_pylist() == [ENGINE.encode(answer) for answer in problems["answer"].to_pylist()]
    verdicts = Countdown().verify(Tables(problems, completions), {})
    assert verdicts["outcome"].to_pylist() == ["correct"] * 400


def test_the_rows_do_not_pass_for_sampled_ones(problems):
    row = made(problems).to_pylist()[0]
    said = ("role", "model_id", "ids_source", "finish_reason", "temperature", "seed", "logprobs", "logprobs_at_1")
    assert [row[name] for name in said] == ["reference", "model-1", "retokenised", "stop", 0.0, 0, [], None]


def test_problems_without_an_answer_are_skipped(problems):
    rows = problems.to_pylist()
    for row in rows[:3]:
        row["answer"] = None
    completions = made(records.PROBLEMS.table(rows))
    assert completions["problem_id"].to_pylist() == problems["problem_id"].to_pylist()[3:]


def test_without_a_share_no_prompt_is_hinted(problems):
    assert not any("#" in prompt for prompt in prompts(made(problems, **HINTS)))


@pytest.mark.parametrize(("share", "low", "high"), [(0.25, 70, 130), (1.0, 400, 400)])
def test_about_the_asked_share_of_prompts_is_hinted(problems, share, low, high):
    shown = prompts(made(problems, hint_share=share, **HINTS))
    assert low <= sum("#" in prompt for prompt in shown) <= high


def test_a_hinted_prompt_shows_the_first_steps_result(problems):
    completions = made(problems, hint_share=1.0, **HINTS)
    plain = prompts(made(problems))
    hints = [Problems().hint(answer) for answer in problems["answer"].to_pylist()]
    assert prompts(completions) == [f"{prompt[:-1]}#{hint}:" for prompt, hint in zip(plain, hints, strict=True)]
    assert completions["text"].to_pylist() == problems["answer"].to_pylist()


def test_who_is_hinted_does_not_depend_on_the_other_problems(problems):
    many = set(prompts(made(problems, hint_share=0.5, **HINTS)))
    assert set(prompts(made(problems.slice(100, 20), hint_share=0.5, **HINTS))) <= many


def test_a_larger_share_hints_the_same_problems_and_more(problems):
    few, many = ({p for p in prompts(made(problems, hint_share=share, **HINTS)) if "#" in p} for share in (0.2, 0.6))
    assert few < many


def test_ids_are_distinct_and_tell_hinted_from_plain(problems):
    plain, hinted = (set(made(problems, hint_share=share, **HINTS)["completion_id"].to_pylist()) for share in (0.0, 1.0))
    assert len(plain | hinted) == 800


def test_it_is_a_sampler():
    assert isinstance(ReferenceSolutions(), Sampler)
