import time

import pytest

from lib.errors import UserError
from lib.evaluators.behaviours import LONGEST, PHRASES, Behaviours
from tests.evaluated import drawn, values

SAID = {
    "verification": "5 + 5 = 10. Let me check: yes.",
    "backtracking": "That gives 7. This doesn't work, let's try again.",
    "subgoal_setting": "First, we need the sum. Step 2 is the product.",
    "backward_chaining": "Working backwards from 24, to get 24 we need 6 and 4.",
    "reflection": "Hmm, I made a mistake.",
}


@pytest.mark.parametrize("name", PHRASES)
def test_each_behaviour_is_told_by_its_phrases_and_a_plain_solution_has_none(name):
    tables = drawn(texts={"a": [SAID[name], "2 + 3 = 5, so the answer is 5."]}, a="cw")
    assert values(Behaviours(), tables)[f"{name}_rate"] == 0.5


def test_reflections_are_counted():
    texts = {"a": ["wait. Hmm. Actually no", "plain"], "b": ["WAIT", "wait, wait"]}
    found = values(Behaviours(), drawn(texts=texts, a="cc", b="cc"))
    assert (found["reflection_count"], found["reflection_rate"]) == (1.5, 0.75)


def test_patterns_are_a_setting():
    own = Behaviours(patterns={"sums": r"[0-9] \+ [0-9]"})
    assert values(own, drawn(texts={"a": ["2 + 3"]}, a="c")) == {"sums_rate": 1.0}
    with pytest.raises(UserError, match="the pattern of 'x' is no regular expression"):
        Behaviours(patterns={"x": "("})
    with pytest.raises(UserError, match="'a b' cannot be a behaviour's name"):
        Behaviours(patterns={"a b": "x"})


def test_hostile_texts_are_read_in_linear_time():
    hostile = ["wait " * LONGEST, "to " * LONGEST, "let me " * LONGEST, "first, " * LONGEST, "hm" + "m" * LONGEST, " " * LONGEST]
    started = time.perf_counter()
    found = values(Behaviours(), drawn(texts={"a": hostile}, a="c" * len(hostile)))
    assert time.perf_counter() - started < 3
    assert found["reflection_rate"] > 0


def test_a_pattern_that_runs_out_of_time_leaves_the_text_out():
    slow = Behaviours(patterns={"slow": "(x+x+)+y"})
    assert values(slow, drawn(texts={"a": ["x" * 5000], "b": ["xxy"]}, a="c", b="c")) == {"slow_rate": 1.0}
