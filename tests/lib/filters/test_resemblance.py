import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from lib.filters.resemblance import jaccard, longest_common, n_grams, occurrences, rouge_l

texts = some.lists(some.sampled_from("abcd"), max_size=12)


def by_the_table(a, b):
    """The textbook's dynamic programme."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(a=texts, b=texts)
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_the_longest_common_subsequence_is_that_of_the_textbook(a, b):
    assert longest_common(a, b) == longest_common(b, a) == by_the_table(a, b)
    assert longest_common(a, b) <= len(occurrences(a) & occurrences(b)) <= min(len(a), len(b))
    assert len(occurrences(a)) == len(a)


def test_rouge_l_by_hand():
    # Lin 2004, section 3.1: "police kill the gunman" shares 3 of 4 words in order with "police killed the gunman".
    told = ["police", "killed", "the", "gunman"]
    assert rouge_l(told, ["police", "kill", "the", "gunman"]) == 0.75
    assert rouge_l(told, ["the", "gunman", "kill", "police"]) == 0.5
    assert rouge_l(["a", "b", "c"], ["a", "c", "d", "e", "f"]) == 0.5
    assert (rouge_l([], []), rouge_l(["a"], [])) == (1, 0)


def test_jaccard_by_hand():
    assert jaccard(n_grams(list("abcd"), 2), n_grams(list("bcde"), 2)) == 0.5
    assert jaccard(n_grams(["a"], 3), n_grams(["a"], 3)) == 1
    assert jaccard(n_grams([], 3), n_grams(["a"], 3)) == 0


def test_long_texts_are_quick():
    a, b = ([f"w{i * factor % 97}" for i in range(2000)] for factor in (3, 5))
    assert 0 < longest_common(a, b) < 2000


@pytest.mark.parametrize("n", [1, 3])
def test_a_text_is_like_itself(n):
    words = ["to", "be", "or", "not", "to", "be"]
    assert rouge_l(words, words) == jaccard(n_grams(words, n), n_grams(words, n)) == 1
