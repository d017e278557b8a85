import subprocess
import sys
from pathlib import Path

import pytest

from lib import records, tables
from lib.countdown_splits import SPLITS
from lib.errors import BadProblems, UnknownName
from lib.problems.countdown import Countdown, Problem
from lib.strategy import load
from lib.verifiers.countdown import fault, question


def ids(table):
    return table["problem_id"].to_pylist()


def prompts(table):
    return [records.chat(prompt)[0]["content"] for prompt in table["prompt"].to_pylist()]


def keys(table):
    return {question(prompt) for prompt in prompts(table)}


def test_11432_problems_of_three_numbers_are_solvable():
    assert Countdown().solvable() == 11_432


def test_12166_are_solvable_without_the_two_rules():
    assert Countdown(largest_intermediate=10_000, target_may_be_given=True).solvable() == 12_166


def test_four_numbers_are_not_counted():
    with pytest.raises(BadProblems, match="count with numbers=3"):
        Countdown(numbers=4).solvable()


@pytest.mark.parametrize("numbers", [3, 4, 5])
@pytest.mark.parametrize("split", SPLITS)
def test_every_worked_solution_verifies_and_fits_its_token_bound(numbers, split):
    source = Countdown(numbers=numbers)
    made = source.problems(split, 60, seed=1)
    for prompt, answer in zip(prompts(made), made["answer"].to_pylist(), strict=True):
        given, target = question(prompt)
        assert len(given) == numbers and list(given) == sorted(given)
        assert target not in given and 10 <= target <= 99
        assert fault(answer, given, target) is None
        assert len(answer) + 1 <= source.largest_answer_tokens


def test_no_intermediate_passes_its_limit():
    answers = Countdown(numbers=4, largest_intermediate=30).problems("train", 300, seed=0)["answer"].to_pylist()
    intermediates = [int(step.rpartition("=")[2]) for answer in answers for step in answer.split(";")[:-1]]
    assert max(intermediates) <= 30


def test_no_solution_divides_by_one():
    answers = Countdown().problems("train", 4000, seed=0)["answer"].to_pylist()
    assert any("/" in answer for answer in answers)
    assert not any("/1=" in answer for answer in answers)


def test_token_bounds_are_24_36_and_48():
    assert [Countdown(numbers=n).largest_answer_tokens for n in (3, 4, 5)] == [24, 36, 48]


def test_rows_have_the_schema_and_say_their_difficulty():
    made = Countdown(numbers=4).problems("gate", 5, seed=0)
    assert tables.conform(made, records.PROBLEMS).schema == records.PROBLEMS.schema
    assert made["category"].to_pylist() == ["4 numbers"] * 5
    assert made["difficulty"].to_pylist() == [4.0] * 5
    assert made["tests"].null_count == 5


def test_problems_are_distinct():
    made = Countdown().problems("train", 2500, seed=0)
    assert len(set(ids(made))) == len(keys(made)) == 2500


def test_splits_never_share_a_problem_whatever_the_seed_or_settings():
    drawn = {split: set() for split in SPLITS}
    for seed, source in enumerate((Countdown(), Countdown(), Countdown(target_low=20), Countdown(largest=15))):
        for split in SPLITS:
            drawn[split] |= keys(source.problems(split, 250, seed))
    assert sum(map(len, drawn.values())) == len(set.union(*drawn.values()))


@pytest.mark.parametrize(
    ("numbers", "target", "split"),
    [((1, 5, 8), 45, "train"), ((9, 10, 14), 36, "gate"), ((10, 14, 17), 30, "test"), ((1, 1, 10), 12, "test")],
)
def test_a_problem_stays_in_its_split_from_version_to_version(numbers, target, split):
    assert Problem(numbers, target, "").split == split


def test_each_held_out_split_has_about_a_twelfth():
    for split in ("validation", "gate", "test"):
        with pytest.raises(BadProblems) as raised:
            Countdown().problems(split, 10**6, seed=0)
        have = int(str(raised.value).split()[2])
        assert have == pytest.approx(11_432 / 12, rel=0.1)


def test_a_problem_keeps_its_id_under_other_seeds():
    first, second = (Countdown().problems("test", 700, seed) for seed in (1, 2))
    by_prompt = dict(zip(prompts(first), ids(first), strict=True))
    shared = [(p, i) for p, i in zip(prompts(second), ids(second), strict=True) if p in by_prompt]
    assert len(shared) > 300
    assert all(by_prompt[prompt] == problem_id for prompt, problem_id in shared)
    assert ids(first) != ids(second)


def test_equal_seeds_make_equal_problems_in_another_process():
    code = "from lib.problems.countdown import Countdown; print(*Countdown().problems('train', 50, 3)['problem_id'].to_pylist())"
    root = Path(__file__).parents[3]
    other = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    assert other == ids(Countdown().problems("train", 50, seed=3))


def test_asking_for_more_keeps_those_already_given():
    few, many = (ids(Countdown().problems("train", count, seed=5)) for count in (40, 400))
    assert many[:40] == few


def test_excluded_problems_do_not_come_again():
    first = ids(Countdown().problems("train", 1000, seed=0))
    second = ids(Countdown().problems("train", 1000, seed=0, exclude=set(first)))
    assert not set(first) & set(second)


def test_three_numbers_run_out_exactly_where_they_end():
    source = Countdown(largest=6)
    with pytest.raises(BadProblems, match="ask for fewer") as raised:
        source.problems("train", 10**6, seed=0)
    have = int(str(raised.value).split()[2])
    every = source.problems("train", have, seed=0)
    assert every.num_rows == have
    with pytest.raises(BadProblems, match=f"has {have} problems of 3 numbers left for split 'train' and {have + 1}"):
        source.problems("train", have + 1, seed=0)
    with pytest.raises(BadProblems, match="has 0 problems"):
        source.problems("train", 1, seed=1, exclude=set(ids(every)))


def test_four_numbers_run_out_instead_of_looping():
    with pytest.raises(BadProblems, match="problems of 4 numbers left"):
        Countdown(numbers=4, largest=3).problems("train", 10_000, seed=0)


def test_unknown_split_names_the_near_miss():
    with pytest.raises(UnknownName, match="did you mean 'validation'"):
        Countdown().problems("validate", 1, seed=0)


def test_targets_that_cannot_be_are_refused():
    with pytest.raises(BadProblems, match="raise target_high"):
        Countdown(target_low=50, target_high=40)


def test_the_hint_is_the_first_steps_result():
    assert Countdown().hint("8+1=9;9*5=45") == "9"


def test_it_names_its_verifier_and_survives_json():
    assert [verifier.name for verifier in Countdown().verifiers()] == ["countdown"]
    source = Countdown(numbers=5, largest=25)
    assert load(source.model_dump(mode="json")) == source
