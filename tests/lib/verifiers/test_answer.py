import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.protocols import Machine, Tables
from lib.samplers.independent import Independent
from lib.verifiers.answer import Answer


def judged(text, gold, max_new_tokens=100_000, finish_reason=None):
    """The verdict on one text that a scripted model gives to a problem with this gold answer."""
    row = {"problem_id": "p", "task": "sums", "prompt": records.user_message("?"), "source": "given", "born_round": 0}
    problems = records.PROBLEMS.table([{**row, "answer": gold}])
    engine = Scripted(otherwise=text).open(Path(), "model", Machine())
    sampler = Independent(n=1, max_new_tokens=max_new_tokens)
    completions = sampler.sample(Tables(problems), {"policy": engine}, 0, lambda done, total: None)
    if finish_reason:
        place = completions.schema.get_field_index("finish_reason")
        completions = completions.set_column(place, completions.schema.field(place), pa.array([finish_reason]))
    both = Tables(problems, completions)
    made = tables.conform(Answer().verify(both, {}), records.VERDICTS)
    assert made.num_rows == Answer().owes(both) == 1
    return made.to_pylist()[0]


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("so \\boxed{0.75}", "3/4"),
        ("\\boxed{41} no, \\boxed{42}", "42"),
        ("\\boxed{\\boxed{42}}", "42"),
        ("\\boxed{a_{1} + {b}} it is", "a_{1} + {b}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("#### 7\n#### 42\nQuestion: next 7", "42"),
        ("A: 7\nthat was wrong\nA: 42\nbye 9", "42"),
        ("Answer: 42", "42"),
        ("The answer is 42.", "42"),
        ("The final answer is: $1,234.50.", "1234.5"),
        ("the answer is 18 km", "18"),
        ("#### 42 red apples", "42"),
        ("3 and 4 make 7", "7"),
        ("it falls to \u22125", "-5"),
        ("it falls to -5.", "-5"),
        ("10-5", "5"),
        ("costs 1,234,567 in all", "1234567"),
        ("one of 1,2,3", "3"),
        ("so...42", "42"),
        ("a share of .5", "1/2"),
        ("a share of 3/4", "0.75"),
        ("about 1e3", "1000"),
        ("42 of CO2", "42"),
        ("\\boxed{50\\%}", "50"),
        ("#### 1e3", "1000"),
        ("\\boxed{.5}", "1/2"),
        ("\\boxed{007}", "7"),
        ("The answer is  Paris .", "paris"),
        ("#### x = 5", "x  =  5"),
        ("#### 72", "so 24 * 3 = 72\n#### 72"),
        ("\\boxed{42", "42"),  # never closed, so the last number counts
        ("\\boxed{5 km}", "5"),
        ("\\boxed{18\\text{ km}}", "18"),
        ("\\boxed{5\\text{ cm}}", "5 centimeters"),
        ("\\boxed{100}", "100\\text{ square units}"),
        ("**Answer:** 42", "42"),
        ("The answer is 42. Therefore we stop", "42"),
        ("The answer is \\(42\\).", "42"),
        ("#### 42<|endoftext|>", "42"),
        ("\\boxed{10{,}000}", "10000"),
        ("\\boxed{900,\\!000,\\!000}", "900000000"),
        ("\\boxed{10\\,000}", "10000"),
        ("\\boxed{- 5}", "-5"),
        ("\\boxed{\\$18}", "18"),
        ("\\boxed{45^\\circ}", "45"),
        ("\\boxed{\\dfrac34}", "0.75"),
        ("\\boxed{12 \\frac{3}{5}}", "12.6"),
        ("\\boxed{2.5 \\times 10^{3}}", "2500"),
        ("\\boxed{\\text{(E)}}", "(E)"),
        ("\\boxed{0.333333}", "1/3"),
        ("\\boxed{\\left( 3, 4 \\right]}", "(3,4]"),
        ("\\boxed{\\{3, 1, 2\\}}", "\\{1,2,3\\}"),
        ("\\boxed{2, 1}", "1, 2"),
    ],
)
def test_equal_answers_are_correct(text, gold):
    verdict = judged(text, gold)
    assert (verdict["outcome"], verdict["score"]) == ("correct", 1.0), verdict["reason"]


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("\\boxed{0.333}", "1/3"),
        ("\\boxed{42} or 41", "41"),
        ("#### 41\nor \\boxed{42}", "41"),
        ("#### 42\n41", "41"),
        ("the answer is 5 and 7", "5"),
        ("\\boxed{x^2}", "2"),
        ("\\boxed{5 miles}", "5 km"),
        ("\\boxed{5 x}", "5"),
        ("the answer is x^2", "2"),
        ("\\boxed{1, 234}", "1234"),
        ("\\boxed{(3,4)}", "(4,3)"),
        ("\\boxed{\\{1,2\\}}", "\\{1,3\\}"),
        ("\\boxed{0}", "0.0000001"),
        ("\\boxed{5 or 7}", "5"),
        ("#### 5} or \\boxed{7", "7"),  # two boxes once it stands in one
        ("\\boxed{50\\%}", "0.5"),
        ("\\boxed{4/0}", "4"),
        ("#### \u0664\u0662", "42"),  # Arabic digits are text
        ("The answer is London", "Paris"),
        ("1.2.3", "1.2"),
    ],
)
def test_other_answers_are_wrong(text, gold):
    verdict = judged(text, gold)
    assert (verdict["outcome"], verdict["score"]) == ("wrong", 0.0), verdict["reason"]


def test_a_wrong_answer_is_told_with_the_right_one():
    assert judged("the answer is 41", "42")["reason"] == "'41' is not '42'"


@pytest.mark.parametrize("text", ["", "I do not know", "\\boxed{} 42", "#### \n42", "\\boxed{" + "4" * 201 + "} 42"])
def test_a_text_without_a_readable_answer_is_wrong(text):
    verdict = judged(text, "42")
    assert (verdict["outcome"], verdict["reason"]) == ("wrong", "no readable answer")


@pytest.mark.parametrize(
    ("gold", "reason"),
    [
        (None, "no gold answer"),
        ("", "unreadable gold answer"),
        (" . ", "unreadable gold answer"),
        ("x" * 201, "unreadable gold answer"),
    ],
)
def test_a_bad_gold_answer_is_never_a_reward_and_never_wrong(gold, reason):
    for text in ("42", "", "\\boxed{}", gold or "."):
        verdict = judged(text, gold)
        assert (verdict["outcome"], verdict["score"], verdict["reason"]) == ("undecided", None, reason)


def test_a_completion_that_was_not_sampled_is_undecided():
    assert judged("\\boxed{42}", "42", finish_reason="error")["outcome"] == "undecided"


def test_only_the_last_20000_characters_are_read():
    assert judged("\\boxed{42}" + "." * 19_990, "42")["outcome"] == "correct"
    assert judged("\\boxed{42}" + "." * 20_000, "42")["reason"] == "no readable answer"


def test_the_last_number_of_a_cut_off_text_is_no_answer():
    text = "first 42, and then much more"
    assert judged(text, "42")["outcome"] == "correct"
    assert judged(text, "42", max_new_tokens=9)["reason"] == "cut off by the length limit"
    assert judged("\\boxed{42} and then more", "42", max_new_tokens=12)["outcome"] == "correct"


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "}",
        "{",
        "####",
        "A:",
        "1,",
        "1,111",
        "-",
        "$",
        "the answer is ",
        "9",
        " 9",
        "1/",
        "1.",
        "9e",
        "\\",
        "\n",
        "\u2212",
        "the final ",
    ],
)
@pytest.mark.parametrize("marked", ["", "\\boxed{", "#### "])
def test_hostile_text_takes_linear_time_and_never_raises(piece, marked):
    text = marked + piece * (100_000 // len(piece))
    start = time.process_time()
    assert judged(text, "42", max_new_tokens=10**6)["outcome"] == "wrong"
    assert time.process_time() - start < 1


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(alphabet="0123456789.,/-+e$%{}\\# \n\u0663A:x", max_size=40), st.text(alphabet="0123456789./-e,%$x ", max_size=20))
def test_random_text_gets_a_verdict(text, gold):
    assert judged("\\boxed{" + text + "}", gold)["outcome"] in ("correct", "wrong", "undecided")
    assert judged(text, gold)["outcome"] in ("correct", "wrong", "undecided")


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(1, 999))
def test_thousands_commas_and_fractions_do_not_change_a_number(whole, below):
    assert judged(f"\\boxed{{{whole:,}}}", str(whole))["outcome"] == "correct"
    assert judged(f"the answer is {whole * below}/{below}", str(whole))["outcome"] == "correct"
