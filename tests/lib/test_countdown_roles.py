from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import countdown_mistakes
from lib import countdown_roles as roles
from lib.countdown_steps import fault, first_wrong, question
from lib.problems.countdown import Countdown, Problem
from lib.small_model import CHARACTERS

PROMPT = "1,5,8>45:"


def test_each_role_has_a_prompt_within_the_alphabet():
    prompts = [
        roles.check_prompt(PROMPT, "8*5=40;40+5=45"),
        roles.fix_prompt(PROMPT, "8*5=40;40+5=45", 1),
        roles.PROPOSE,
        roles.play_prompt(21),
    ]
    assert prompts == ["1,5,8>45:8*5=40;40+5=45#:", "8*5=40;40+5=45#1:1,5,8>45:", ">:", "#21:"]
    assert set("".join(prompts)) <= set(CHARACTERS)


@given(st.text())
def test_no_attempt_passes_for_another_part_of_a_prompt(attempt):
    asked = roles.check_prompt(PROMPT, attempt)
    assert (asked.count("#"), asked.count(":"), asked.count(">")) == (1, 2, 1)
    assert set(asked) <= set(CHARACTERS)
    fixing = roles.fix_prompt(PROMPT, attempt, 1)
    assert (fixing.count("#"), fixing.count(":"), fixing.count(">")) == (1, 2, 1)
    assert fixing.endswith(f"#1:{PROMPT}")


def test_an_attempt_of_steps_is_shown_as_it_is():
    assert roles.shown("8+1=9;9*5=45") == "8+1=9;9*5=45"
    assert roles.shown("8+1#0:") == "8+1,0,"


@pytest.mark.parametrize(("attempt", "check"), [("8+1=9;9*5=45", 0), ("8+1=9", 1), ("8+1=9;9+5=45", 2), ("8*5=40;40+5=45", 1)])
def test_attempts_are_judged_by_their_problem(attempt, check):
    assert roles.judged(PROMPT, attempt) == check
    assert roles.judged("What is 2 + 2?", attempt) is None


@pytest.mark.parametrize(("reply", "check"), [("0", 0), ("3", 3), ("", None), ("12", None), ("²", None), ("8+1=9", None)])
def test_a_check_is_one_digit(reply, check):
    assert roles.read_check(reply) == check


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("1,5,8", "not of the form a,b,c>t"),
        ("1,5,8>45:", "not of the form a,b,c>t"),
        ("5,8>40", "2 numbers, not 3"),
        ("1,5,21>45", "21 is above 20"),
        ("1,5,8>9", "the target 9 is not from 10 to 99"),
        ("1,5,12>12", "the target 12 is one of the numbers"),
        ("1,1,1>45", "no solution"),
    ],
)
def test_a_proposal_that_is_no_problem_has_a_reason(reply, reason):
    assert roles.read_proposal(reply) == reason


def test_a_proposal_is_read_with_its_numbers_sorted_and_a_solution():
    found = roles.read_proposal("8,1,5>45")
    assert not isinstance(found, str)
    assert (found.numbers, found.target, found.prompt) == ((1, 5, 8), 45, PROMPT)
    assert fault(found.solution, found.numbers, found.target) is None
    assert not isinstance(roles.read_proposal("1,2,3,4>24", roles.Bounds(numbers=4)), str)


def test_every_problem_of_the_set_is_a_sound_proposal():
    for row in Countdown().problems("train", 60, seed=3).to_pylist():
        prompt = row["prompt"][0]["parts"][0]["text"]
        found = roles.read_proposal(prompt.removesuffix(":"))
        assert not isinstance(found, str)
        assert found.prompt == prompt
        assert fault(found.solution, found.numbers, found.target) is None


def reached(numbers):
    """Every value that folding all the numbers can give, written another way than in the module."""
    if len(numbers) == 1:
        return {numbers[0]}
    found = set()
    for i, j in product(range(len(numbers)), repeat=2):
        if i != j:
            rest = [n for place, n in enumerate(numbers) if place not in (i, j)]
            a, b = numbers[i], numbers[j]
            for made in (a + b, a - b, a * b, a / b):
                if made > 0 and made == int(made):
                    found |= reached([*rest, int(made)])
    return found


@pytest.mark.parametrize("numbers", [(1, 5, 8), (3, 3, 7), (2, 6, 18), (1, 2, 3, 4)])
def test_a_solution_is_found_exactly_where_there_is_one(numbers):
    there = reached(list(numbers))
    for target in range(1, 100):
        found = roles.solution(numbers, target)
        assert (found is not None) == (target in there)
        assert found is None or fault(found, numbers, target) is None


@pytest.mark.parametrize("reply", ["-1=20", "-2=19", "-3=18"])
def test_a_legal_move_takes_one_to_three_and_counts_what_is_left(reply):
    taken = roles.read_move(reply, 21)
    assert taken is not None
    assert roles.move(21, taken) == reply


@pytest.mark.parametrize(
    ("reply", "left"), [("-4=17", 21), ("-0=21", 21), ("-3=17", 21), ("-2=0", 1), ("3=18", 21), ("", 21), ("-1=020", 21)]
)
def test_other_moves_are_illegal(reply, left):
    assert roles.read_move(reply, left) is None


def test_the_winning_move_wins_against_every_play():
    def wins(left):  # whether who is to move can force the last take
        return any(take == left or (take < left and not wins(left - take)) for take in (1, 2, 3))

    for left in range(1, 14):
        winning = roles.winning(left)
        assert (winning is not None) == wins(left)
        assert winning is None or winning == left or not wins(left - winning)


def test_a_prompt_of_the_game_says_what_is_left():
    assert roles.left_in(roles.play_prompt(7)) == 7
    assert roles.left_in(PROMPT) is None


def test_invented_attempts_are_drawn_from_the_problem_and_wrong_in_different_ways():
    numbers, target = question(PROMPT) or ((), 0)
    made = [countdown_mistakes.attempt(numbers, target, "check", i) for i in range(200)]
    assert made == [countdown_mistakes.attempt(numbers, target, "check", i) for i in range(200)]
    checks = [first_wrong(text, numbers, target) for text in made]
    assert {0, 1, 2} >= set(checks) >= {1, 2}
    assert sum(check == 0 for check in checks) < 40
    claims = sum(text.endswith("=45") for text in made)
    assert 80 < claims < 190


@pytest.mark.parametrize(
    ("attempt", "fixed"),
    [
        ("8+1=9;9+5=45", "8+1=9;9*5=45"),  # the first step is kept
        ("1+8=9;9-5=4", "1+8=9;9*5=45"),
        ("8*5=40;40+5=45", "1+8=9;5*9=45"),  # nothing is: the worked solution
        ("nonsense", "1+8=9;5*9=45"),
    ],
)
def test_a_fix_keeps_the_steps_before_the_wrong_one(attempt, fixed):
    numbers, target = question(PROMPT) or ((), 0)
    assert roles.mended(attempt, first_wrong(attempt, numbers, target), numbers, target, "1+8=9;5*9=45") == fixed


def test_a_spoiled_solution_keeps_all_but_its_last_step():
    numbers, target = question(PROMPT) or ((), 0)
    made = {countdown_mistakes.spoiled("8+1=9;9*5=45", numbers, i) for i in range(60)}
    assert len(made) > 6
    assert all(text.startswith("8+1=9;") and text.endswith("=45") for text in made)
    assert {first_wrong(text, numbers, target) for text in made} <= {0, 2}


def test_an_invented_problem_is_solved_by_its_answer_and_in_no_set():
    made = [countdown_mistakes.problem("p", i) for i in range(200)]
    assert made == [countdown_mistakes.problem("p", i) for i in range(200)]
    assert len({one.prompt for one in made}) > 150
    assert all(
        question(one.prompt) == (one.numbers, one.target) and first_wrong(one.solution, one.numbers, one.target) == 0 for one in made
    )
    assert all(20 < one.numbers[-1] <= 40 and Problem(one.numbers, one.target, one.solution).split == "train" for one in made)
