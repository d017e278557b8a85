import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.countdown_steps import LONGEST, computed, fault, first_wrong, question

NUMBERS, TARGET = (1, 5, 8), 45


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("8+1=9;9*5=45", 0),
        ("1+8=9;5*9=45", 0),
        ("8+1=8;8*5=40", 1),  # 8 + 1 is 9
        ("8+1=9;9+5=45", 2),  # 9 + 5 is 14
        ("8+1=9;8*5=45", 2),  # 8 is used twice
        ("8*5=40;40+5=45", 1),  # 40 and 1 do not make 45
        ("7+1=8;8*5=40", 1),  # there is no 7
        ("8+1=9;9-5=4", 2),  # ends elsewhere
        ("8*5=40;40-1=39", 1),  # it was lost before
        ("8+1=9", 1),  # stops short
        ("8+1=9;9*5=45;45*1=45", 3),
        ("8+1=9;9*5=45;", 3),  # the third step is empty
        ("8+1=9; 9*5=45", 2),
        ("5-8=0;8+1=9", 1),
        ("8/5=1;8+1=9", 1),
        ("", 1),
        ("nonsense", 1),
    ],
)
def test_the_first_wrong_step_is_named(text, step):
    assert first_wrong(text, NUMBERS, TARGET) == step
    assert (fault(text, NUMBERS, TARGET) is None) == (step == 0)


def test_more_numbers_than_are_searched_are_no_dead_end():
    assert first_wrong("1+1=2;1+1=2;2+2=4;4+1=6", (1, 1, 1, 1, 1, 1, 1), 10**5) == 3  # four are left, too small to reach it
    assert first_wrong("1+1=2;2+1=4", (1, 1, 1, 1, 1, 1, 1), 10**5) == 2  # five are left: the fault in the second is what is seen


def test_nine_stands_for_any_later_step():
    assert first_wrong("1+1=2;" * 11 + "1+1=3", (1,) * 24, 90) == 9


def test_a_solution_that_is_too_long_is_wrong():
    numbers = (10**11,) * 10
    text = ";".join(f"{10**11}+{n * 10**11}={(n + 1) * 10**11}" for n in range(1, 10))
    assert len(text) < LONGEST
    assert first_wrong(text, numbers, 10**12) == 9  # twelve digits at most
    assert first_wrong("1+1=2;" * 100, (1,) * 200, 2) > 0


@given(st.text("0123456789+-*/=;", max_size=24) | st.sampled_from(["8+1=9;9*5=45", "8+1=9;", "8*5=40;40+5=45"]))
@settings(max_examples=300, deadline=None)
def test_it_is_zero_exactly_where_nothing_is_at_fault(text):
    assert (first_wrong(text, NUMBERS, TARGET) == 0) == (fault(text, NUMBERS, TARGET) is None)


@pytest.mark.parametrize(("step", "made"), [((8, "+", 1), 9), ((1, "-", 8), -7), ((8, "*", 5), 40), ((8, "/", 4), 2), ((8, "/", 5), None)])
def test_a_step_is_computed(step, made):
    assert computed(*step) == made


@pytest.mark.parametrize("prompt", ["1,5,8>45", "1,5,8:", "45>1:", "01,5>6:", ">:", "#21:", "1,5,8>45:8+1=9#:"])
def test_other_prompts_are_no_question(prompt):
    assert question(prompt) is None


def test_a_question_is_read():
    assert question("1,5,8>45:") == (NUMBERS, TARGET)
