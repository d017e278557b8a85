import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.problems.game24 import Game24 as Game24Problems
from lib.protocols import Machine, Tables
from lib.samplers.independent import Independent
from lib.verifiers.arithmetic import NoValue, Puzzle, evaluated, expression, judged, puzzle
from lib.verifiers.countdown import Countdown
from lib.verifiers.game24 import Game24

ASKED = Puzzle((4, 5, 6, 10), 24)


def verdict(text, asked=ASKED, verifier=None, task="game24", max_new_tokens=100_000):
    """The verdict on one text that a scripted model gives to a puzzle."""
    row = {"problem_id": "p", "task": task, "prompt": records.user_message("?"), "source": "given", "born_round": 0}
    problems = records.PROBLEMS.table([{**row, "tests": asked.as_tests() if asked else "[]"}])
    engine = Scripted(otherwise=text).open(Path(), "model", Machine())
    sampler = Independent(n=1, max_new_tokens=max_new_tokens)
    both = Tables(problems, sampler.sample(Tables(problems), {"policy": engine}, 0, lambda done, total: None))
    verifier = verifier or Game24()
    made = tables.conform(verifier.verify(both, {}), records.VERDICTS).to_pylist()
    assert len(made) == verifier.owes(both) == 1
    return made[0]["outcome"], made[0]["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "Answer: (5 * (10 - 4)) - 6 = 24",
        "(5 * (10 - 4)) - 6",
        "(5 * (10 - 4)) - 6 = 25",  # what follows the equals sign is not read
        "first 4 + 5\nAnswer: 5*(10-4)-6",
        "\\boxed{5 \\times \\left(10 - 4\\right) - 6}",
        "\\boxed{(10 \u2212 4) \u00d7 5 \u2212 6}",
        "-6 + 5*(10-4)",
        "work\n5*(10-4)-6\n</answer><|endoftext|>\n",
    ],
)
def test_an_expression_that_makes_24_is_correct(text):
    assert verdict(text) == ("correct", "solved")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Answer: (10 - 6) * (5 - 4) * 4 = 24", "4 is used more often than given"),
        ("Answer: (10 - 4) * (6 - 5) = 24", "makes 6, not 24"),
        ("Answer: 4 * 6 = 24", "5 is not used"),
        ("24", "24 is not given"),
        ("Answer: 24 = 5*(10-4)-6", "24 is not given"),
        ("10 / (6 - 6) + 4 * 5", "divides by zero"),
        ("Answer: 5(10-4)-6", "not an expression: ( is out of place"),
        ("Answer: 5*(10-4-6", "not an expression: a parenthesis is not closed"),
        ("Answer: 5*10-4)-6", "not an expression: a parenthesis is not open"),
        ("Answer: 5*(10-4)-", "not an expression: it ends too early"),
        ("Answer: 4**2", "not an expression: * is out of place"),
        ("Answer: 10^4-5-6", "not an expression: '^' cannot be read"),
        ("Answer: 4.5 * 6 - 10", "not an expression: '4' cannot be read"),
        ("Answer: ()", "not an expression: ) is out of place"),
        ("It cannot be done", "not an expression: 'I' cannot be read"),
        ("", "no expression"),
        ("1+" * 300 + "1", "longer than 400 characters"),
        ("Answer: \u0664*6", "not an expression: '\u0664' cannot be read"),
    ],
)
def test_anything_else_is_wrong(text, reason):
    assert verdict(text) == ("wrong", reason)


def test_fractions_on_the_way_are_exact():
    assert verdict("8 / (3 - 8 / 3)", Puzzle((3, 3, 8, 8), 24)) == ("correct", "solved")
    assert verdict("(1 / 3 + 1 / 3 + 1 / 3) * 24", Puzzle((1, 1, 1, 3, 3, 3, 24), 24)) == ("correct", "solved")


def test_what_cannot_be_judged_is_undecided():
    assert verdict("4", None) == ("undecided", "unreadable problem")
    assert judged("4", "error", ASKED)[:2] == ("undecided", "not sampled")
    assert puzzle('{"numbers": 4}') is puzzle("{") is puzzle(None) is puzzle('{"numbers": ["x"], "target": 1}') is None
    assert puzzle(ASKED.as_tests()) == ASKED


def test_a_cut_off_expression_is_wrong_unless_it_solves():
    assert verdict("5*(10-4)-6", max_new_tokens=5) == ("wrong", "cut off by the length limit")


def test_countdown_problems_with_their_numbers_in_tests_are_judged_by_expression():
    text = "<answer>\n\\boxed{(30 + 93) - 100}\n</answer>"
    assert verdict(text, Puzzle((30, 100, 93), 23), Countdown(), "countdown") == ("correct", "solved")
    assert verdict("30+93=123;123-100=23", Puzzle((30, 100, 93), 23), Countdown(), "countdown")[0] == "wrong"


def test_samples_of_gpt_4_get_the_labels_of_their_authors(data):
    rows = Game24Problems(path=str(data / "tot_game24" / "24.csv")).every().to_pylist()
    tests = {row["source_id"]: row["tests"] for row in rows}
    samples = json.loads((data / "tot_game24" / "gpt4_standard_100x100.json").read_text(encoding="utf-8"))
    found = [[judged(text, "stop", puzzle(tests[str(one["idx"])])).outcome == "correct" for text in one["ys"]] for one in samples]
    assert sum(map(len, found)) == 10_000
    assert found == [one["accs"] for one in samples]
    assert (sum(map(sum, found)), sum(map(any, found))) == (734, 33)


def test_countdown_outputs_of_llada_are_as_good_as_published(data):
    lines = (data / "d1_llada" / "countdown_256.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    asked = [Puzzle(tuple(row["ground_truth"][0]), row["ground_truth"][1]) for row in rows]
    right = [judged(row["generations"], "stop", one).outcome == "correct" for row, one in zip(rows, asked, strict=True)]
    assert (len(right), sum(right)) == (256, 49)  # 19.1 %


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.text(alphabet="0123456789+-*/()= \n.\u0663^x\\{}", max_size=80))
def test_a_value_is_python_s_own(text):
    plain = expression(text)
    try:
        value, numerals = evaluated(plain)
    except NoValue as why:
        assert str(why)
        return
    assert "**" not in plain
    assert numerals == [int(one) for one in re.findall("[0-9]+", plain)]
    pythonic = re.sub(r"\b0+(?=[0-9])", "", plain)  # Python refuses 01.
    assert abs(value - eval(pythonic)) <= 1e-9 * max(1, abs(value))


@pytest.mark.parametrize("piece", ["(", ")", "-", "1+", "((1)", "\\boxed{", "Answer:", "\n", "1/", "9" * 400])
def test_hostile_text_takes_linear_time(piece):
    started = time.process_time()
    assert judged(piece * (200_000 // len(piece)), "stop", ASKED).outcome == "wrong"
    assert time.process_time() - started < 1
