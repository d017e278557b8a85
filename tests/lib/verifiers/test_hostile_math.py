"""Hostile answers: each with its outcome and reason, all within the limits, and the pool serving afterwards."""

import time

import pytest

from lib.verifiers.answer import Answer
from lib.verifiers.math_pool import PATIENCE
from lib.verifiers.math_work import AFTER_SECONDS, SECONDS

LATE = ("undecided", f"took longer than {SECONDS:g} seconds")
GOLD = "x+1"


def box(answer):
    return f"\\boxed{{{answer}}}"


def wrong(answer):
    return "wrong", f"'{answer}' is not '{GOLD}'"


NONE = ("wrong", "no readable answer")

BURNS = {
    "tower of nines": "9^{9^{9}}",
    "tower of sevens, remainder": "7^{7^{7^{7}}} \\mod 10",
    "tower with a minus": "2^{-2^{2^{2^{2^{2}}}}}",
    "Math-Verify issue 65": "\\dfrac{5^{\\left(5^{\\left(5^{\\left(5^5\\right)}\\right)} - 4\\right)} - 5}{16}",
    "nested factorials": "((10!)!)!",
    "factorials in a row": "9!!!!!!!!!",
    "factorial of a milliard": "(10^9)!",
    "binomial": "\\binom{10^9}{10^8}",
    "power of ten": "10^{10^{100}}",
    "sum": "\\sum_{n=1}^{10^{9}} \\frac{1}{n^{n}}",
    "product": "\\prod_{n=1}^{10^{7}} n",
    "expansion": "(x+y+z+1)^{200}",
    "root of a giant": "\\sqrt{2^{2^{40}}+1}",
    "tower of e": "e^{e^{e^{e^{e}}}}",
}
"""Worked on until the time is up."""

READ = {
    "tower in code": "9**9**9",
    "carets in a row": "9^9^9^9",
    "division by zero": "\\frac{1}{0}",
    "nothing by nothing": "\\frac{0}{0}",
    "logarithm of nothing": "\\log_{0}{0}",
    "nested roots": "\\sqrt{" * 25 + "2" + "}" * 25,
    "power of a float": "1.5^{10^{10}}",
    "tower of variables": "x^{x^{x^{x^{x^{x}}}}}-x^{x}",
    "nested tangents": "\\tan(\\tan(\\tan(\\tan(x))))",
    "set with dots": "\\{1,2,\\ldots,10^{9}\\}",
    "import": "__import__('os').system('echo')",
    "attribute": "().__class__.__bases__[0]",
    "row of carets": "^" * 150,
    "row of commas": "," * 150,
    "row of backslashes": "\\ " * 60 + "x",
    "unknown commands": "\\input{passwd}\\write18{ls}",
    "two answers": "x+1 or x+2",
}
"""Looked at and refused."""

UNREAD = {
    "50,000 digits": (box("7" * 50_000), NONE),
    "200 digits": (box("7" * 200), wrong("7" * 200)),
    "box within box, 10,000 deep": ("\\boxed{" * 10_000 + "1" + "}" * 10_000, wrong("1")),
    "10,000 boxes that never close": ("\\boxed{" * 10_000 + "1", wrong("1")),
    "3,000 parentheses": (box("(" * 3000 + "1" + ")" * 3000), NONE),
    "null bytes": (box("\x00x\x00+\x001"), wrong("\x00x\x00+\x001")),
    "lone surrogate": (box("\ud800x"), wrong("\ud800x")),
    "right-to-left override": (box("\u202e1+x+2"), wrong("1+x+2")),
    "escape sequence": (box("\x1b[2J x+1"), wrong("\x1b[2J x+1")),
    "Arabic digits": (box("\u0661\u0662"), wrong("\u0661\u0662")),
    "superscript digits": (box("x\u2074+1"), wrong("x\u2074+1")),
    "emoji": (box("\U0001f600 x+1"), wrong("\U0001f600 x+1")),
    "braces that close too early": ("#### x} \\boxed{x+1", wrong("x}\\boxed{x+1")),
    "a megabyte of text": ("x+1 " * 250_000 + "\nthe answer is no", wrong("no")),
    "the answer before 20,000 characters": (box(GOLD) + " " * 20_000, NONE),
    "a hundred thousand newlines": ("\n" * 100_000, NONE),
    "a hundred thousand phrases": ("the answer is " * 7000, NONE),
    "exponent past the range": (box("1e999999999"), wrong("1e999999999")),
    "combining marks": (box("x" + "\u0301" * 150 + "+1"), wrong("x" + "\u0301" * 150 + "+1")),
    "an empty box": (box(""), NONE),
    "only signs": (box("$$ \\, \\! ~ ."), NONE),
}
"""Never handed to Math-Verify, but for the last resort."""


def judged(texts):
    return [judgement[:2] for judgement in Answer().judge([(text, GOLD, "stop") for text in texts])]


def test_there_are_at_least_forty_hostile_answers():
    assert len(BURNS) + len(READ) + len(UNREAD) >= 40


@pytest.mark.slow
def test_what_never_ends_is_undecided_and_the_pool_serves_on():
    texts = [box(answer) for answer in BURNS.values()]
    started = time.monotonic()
    found = judged([*texts, box("1+x")])
    assert dict(zip(BURNS, found, strict=False)) == dict.fromkeys(BURNS, LATE)
    assert found[-1] == ("correct", "'1+x' equals 'x+1'")
    assert time.monotonic() - started < len(texts) * PATIENCE * (SECONDS + AFTER_SECONDS)


def test_a_tower_is_undecided_and_the_next_answer_is_judged():
    assert judged([box(BURNS["tower of nines"]), box("1+x")]) == [LATE, ("correct", "'1+x' equals 'x+1'")]


@pytest.mark.parametrize("name", READ)
def test_what_ends_is_wrong(name):
    [(outcome, reason)] = judged([box(READ[name])])
    assert outcome == "wrong", reason
    assert reason.endswith(f"is not '{GOLD}'")


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_no_mathematics_is_wrong_without_being_tried(name):
    text, expected = UNREAD[name]
    started = time.process_time()
    assert judged([text]) == [expected]
    assert time.process_time() - started < 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tower of nines", "nested factorials"])
def test_a_hostile_gold_answer_is_undecided(name):
    [judgement] = Answer().judge([(box("x+1"), BURNS[name], "stop")])
    assert judgement[:2] == LATE


def test_a_whole_text_for_math_verify_is_capped_and_in_time():
    texts = ["$" * 100_000, "(" * 100_000, "\\boxed{" * 20_000, "\\frac" * 20_000, "answer: $" * 10_000]
    whole = Answer(reader="math_verify")
    for judgement in whole.judge([(text, "$x+1$", "stop") for text in texts]):
        assert judgement[:2] == LATE or judgement.outcome == "wrong"
    assert whole.judge([("it is $1+x$", "$x+1$", "stop")])[0].outcome == "correct"
