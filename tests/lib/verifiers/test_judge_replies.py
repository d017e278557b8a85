"""Reading a judge's word out of its reply, and nothing that is not there."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from lib.verifiers.judge_replies import TEMPLATES, read


@pytest.mark.parametrize(
    ("form", "reply", "word"),
    [
        ("yes_no", "Verdict: yes", "yes"),
        ("yes_no", "Verdict: no. Wait.\nVerdict: Yes", "yes"),
        ("yes_no", "**Verdict:** No", "no"),
        ("yes_no", "Step 2 adds wrongly.\n\nNo.", "no"),
        ("yes_no", "Yes, because 2+2=4 holds.", "yes"),
        ("yes_no", "[[no]] and yes", "no"),
        ("rating", "Good work.\nRating: 7", "7"),
        ("rating", "Rating: [[8.5]]", "8.5"),
        ("rating", "score = 3/10", "3"),
        ("rating", "Rating: 7.", "7"),
        ("rating", "9", "9"),
        ("pairwise", "A is shorter, yet B is right.\nVerdict: B", "b"),
        ("pairwise", "[[A]]", "a"),
        ("pairwise", "Verdict: tie", "tie"),
        ("pairwise", "My choice is clear.\n**B**", "b"),
        ("first_error", "Verdict: 3", "3"),
        ("first_error", "Verdict: step 12", "12"),
        ("first_error", "All hold.\nVerdict: none", "none"),
    ],
)
def test_the_last_clear_word_counts(form, reply, word):
    assert read(reply, form) == word


@pytest.mark.parametrize(
    ("form", "reply"),
    [
        ("yes_no", ""),
        ("yes_no", "The answer may be yes or no"),
        ("yes_no", "Yesterday it was right"),
        ("yes_no", "Verdict: notable"),
        ("rating", "I would say 7 of 10 points"),
        ("rating", "Rating: high"),
        ("pairwise", "A better answer would be longer"),
        ("pairwise", "Verdict: both"),
        ("first_error", "Step 2 looks odd to me"),
    ],
)
def test_nothing_is_guessed(form, reply):
    assert read(reply, form) is None


@given(reply=some.text(), form=some.sampled_from(sorted(TEMPLATES)))
@settings(max_examples=200, deadline=None)
def test_no_reply_raises(reply, form):
    word = read(reply, form)
    assert word is None or word == word.lower()


@pytest.mark.parametrize("form", sorted(TEMPLATES))
@pytest.mark.parametrize("part", ["verdict: ", "[[", "Verdict:  *_* ", "\n", "yes ", "9" * 20 + "\n"])
def test_a_long_reply_is_read_at_once(form, part):
    before = time.process_time()
    word = read(part * 100_000, form)
    assert time.process_time() - before < 5, "it grows with more than the length"
    assert word is None or len(word) < 20
