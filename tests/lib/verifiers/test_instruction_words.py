"""Words in capitals as the Treebank splits them, and the language of a text."""

from __future__ import annotations

import pytest

from lib.verifiers.instruction_words import capital_words, language


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("A NASA-ESA plan (U.S.)", 3),
        ("CANNOT won't WON'T", 4),
        ("IT\u2019S and IT'S", 4),
        ("NOTE:THIS, AND/OR 5PM **BOLD**", 5),
        ("10:30 X2 ÉTÉ straße", 2),
    ],
)
def test_capital_words_are_split_as_the_treebank_splits(text, count):
    assert capital_words(text) == count


def test_the_language_is_the_same_every_time():
    assert {language("SHORT TEXT IN CAPITALS") for _ in range(5)} == {language("SHORT TEXT IN CAPITALS")}
    assert language("12 34") is None
