from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.problems.countdown import Countdown as CountdownProblems
from lib.protocols import Machine, Tables
from lib.samplers.independent import Independent
from lib.verifiers.countdown import Countdown, fault, question


def problem(problem_id, prompt, task="countdown"):
    return {"problem_id": problem_id, "task": task, "prompt": records.user_message(prompt), "source": "given", "born_round": 0}


def sampled(problems, answers, max_new_tokens=64):
    """Problems by prompt, and one completion of each, as a scripted model gives them."""
    table = records.PROBLEMS.table([problem(f"p{i}", prompt) for i, prompt in enumerate(problems)])
    script = Scripted(answers=tuple((prompt, (text,)) for prompt, text in zip(problems, answers, strict=True)))
    engine = script.open(Path(), "model", Machine())
    sampler = Independent(n=1, max_new_tokens=max_new_tokens)
    return Tables(table, sampler.sample(Tables(table), {"policy": engine}, 0, lambda done, total: None))


def verdicts(given_tables):
    made = Countdown().verify(given_tables, {})
    assert made.num_rows == Countdown().owes(given_tables)
    return [(row["outcome"], row["score"], row["reason"]) for row in tables.conform(made, records.VERDICTS).to_pylist()]


@pytest.mark.parametrize("text", ["8+1=9;9*5=45", "1+8=9;5*9=45", "8+1=9;5*9=45"])
def test_any_valid_solution_counts(text):
    assert verdicts(sampled(["1,5,8>45:"], [text])) == [("correct", 1.0, "solved")]


def test_division_by_one_and_large_intermediates_are_valid():
    assert fault("19*20=380;380/20=19;19/1=19", (1, 19, 20, 20), 19) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8+1=9;9*5=44", "step 2: 9*5 is 45, not 44"),
        ("8*5=40;40+5=45", "step 2: 5 is not available"),
        ("7*6=42;42+3=45", "step 1: 7 is not available"),
        ("8+1=9;8*5=40", "step 2: 8 is not available"),
        ("8+5=13;13-1=12", "ends at 12, not 45"),
        ("8-1=7", "ends at 7, not 45"),
        ("8/5=1;1+1=2", "step 1: 8/5 is not whole"),
        ("5-8=3;3+1=4", "step 1: 5-8 is -3, not positive"),
        ("1-1=0", "step 1: 1 is not available"),
        ("8+1=9;9*5=45;45*1=45", "step 3: 1 is not available"),
        ("", "not of the form a+b=c;…"),
        ("45", "not of the form a+b=c;…"),
        ("8+1=9;", "not of the form a+b=c;…"),
        ("8+1=9;9*5=45\n", "not of the form a+b=c;…"),
        ("8 + 1 = 9; 9 * 5 = 45", "not of the form a+b=c;…"),
        ("08+1=9;9*5=45", "not of the form a+b=c;…"),
        ("8+-1=7", "not of the form a+b=c;…"),
        ("8+1=9;9**5=45", "not of the form a+b=c;…"),
        ("8+1=9;9\u00d75=45", "not of the form a+b=c;…"),
        ("\u0668+1=9;9*5=45", "not of the form a+b=c;…"),  # an Arabic eight
        ("\uff18+1=9;9*5=45", "not of the form a+b=c;…"),  # a full-width eight
        ("9" * 13 + "+1=9", "not of the form a+b=c;…"),
        ("8+1=9;" * 100, "longer than 400 characters"),
    ],
)
def test_the_first_fault_is_named(text, reason):
    assert fault(text, (1, 5, 8), 45) == reason
    assert verdicts(sampled(["1,5,8>45:"], [text], max_new_tokens=1000)) == [("wrong", 0.0, reason)]


def test_a_target_reached_too_early_leaves_numbers_unused():
    assert fault("5*9=45", (1, 5, 9), 45) == "1 number unused"
    assert fault("5*9=45", (1, 5, 8, 9), 45) == "2 numbers unused"


def test_equal_numbers_are_used_as_often_as_given():
    assert fault("7*7=49;49-7=42", (7, 7, 7), 42) is None
    assert fault("7*7=49;49-7=42", (3, 7, 7), 42) == "step 2: 7 is not available"


def test_a_cut_off_solution_is_wrong_unless_it_verifies():
    cut = sampled(["1,5,8>45:"], ["8+1=9;9*5=45"], max_new_tokens=11)
    assert cut.completions["finish_reason"].to_pylist() == ["length"]
    assert verdicts(cut) == [("wrong", 0.0, "cut off by the length limit")]
    assert verdicts(sampled(["1,5,8>45:"], ["8+1=9;9*5=45"], max_new_tokens=12)) == [("correct", 1.0, "solved")]


def test_a_completion_that_was_not_sampled_is_undecided():
    good = sampled(["1,5,8>45:"], ["8+1=9;9*5=45"])
    place = good.completions.schema.get_field_index("finish_reason")
    failed = good.completions.set_column(place, good.completions.schema.field(place), pa.array(["error"]))
    assert verdicts(Tables(good.problems, failed)) == [("undecided", None, "not sampled")]


@pytest.mark.parametrize("prompt", ["what is 45?", "1,5,8>45#9:", "1,5,8>45", "0,5,8>45:", "1,5,8>4\u0665:"])
def test_an_unreadable_problem_is_undecided(prompt):
    assert question(prompt) is None
    assert verdicts(sampled([prompt], ["8+1=9;9*5=45"])) == [("undecided", None, "unreadable problem")]


def test_only_countdown_problems_are_judged():
    mixed = sampled(["1,5,8>45:", "1,5,8>45:"], ["8+1=9;9*5=45"] * 2)
    other = records.PROBLEMS.table([problem("p0", "1,5,8>45:"), problem("p1", "1,5,8>45:", task="gsm8k")])
    made = Countdown().verify(Tables(other, mixed.completions), {})
    assert Countdown().owes(Tables(other, mixed.completions)) == made.num_rows == 1
    assert made["completion_id"].to_pylist() == mixed.completions["completion_id"].to_pylist()[:1]


def test_no_completions_make_no_verdicts():
    assert verdicts(Tables(CountdownProblems().problems("train", 2, 0))) == []


def test_tokens_are_counted_from_the_ids():
    made = Countdown().verify(sampled(["1,5,8>45:"], ["8+1=9;9*5=45"]), {})
    assert made["n_tokens"].to_pylist() == [13]


def by_search(numbers, target):
    """Whether some solution exists, by trying every pair and operation: an oracle of its own."""
    if len(numbers) == 1:
        return numbers[0] == target
    for i in range(len(numbers)):
        for j in range(len(numbers)):
            if i != j:
                a, b = numbers[i], numbers[j]
                rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
                made = [a + b, a * b] + ([a - b] if a > b else []) + ([a // b] if a % b == 0 else [])
                if any(by_search([*rest, value], target) for value in made):
                    return True
    return False


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=3, max_size=3), st.lists(st.tuples(st.sampled_from("+-*/"), st.booleans())))
def test_what_is_accepted_really_reaches_the_target(numbers, choices):
    value, steps = numbers[0], []
    for other, (operation, swap) in zip(numbers[1:], choices, strict=False):
        left, right = (other, value) if swap else (value, other)
        result = {"+": left + right, "-": left - right, "*": left * right, "/": left // max(right, 1)}[operation]
        steps.append(f"{left}{operation}{right}={result}")
        value = result
    if fault(";".join(steps), tuple(numbers), value) is None:
        assert by_search(numbers, value)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(alphabet="0123456789+-*/=;\u0663 #>:\x00", max_size=60))
def test_hostile_text_never_raises(text):
    assert fault(text, (1, 5, 8), 45)
