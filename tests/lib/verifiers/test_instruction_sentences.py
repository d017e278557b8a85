"""Sentences as Punkt cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.verifiers.instruction_sentences import sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two. Three.", 3),
        ("Dr. No lives in the U.S. The end.", 2),
        ("Take 2.5 at 5 p.m. please. Done!", 2),
        ("Wait... what? No... But yes.", 3),
        ('He said "Stop." Then (quietly.) he went.', 3),
        ("1. First\n2. Second\n3. third", 3),
        ("Plan B. We go. J. Smith came.", 3),
        ("One line\nand another\n\nwithout a period", 1),
        ("Really?! Yes", 2),
        ("P.S. I know, etc. and so on", 3),
        ("", 0),
    ],
)
def test_sentences_are_cut_where_punkt_cuts_them(text, count):
    assert len(sentences(text)) == count


@given(st.text(alphabet="aB1 .!?\"')-,\n*", max_size=60))
def test_sentences_keep_every_character_but_white_space(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
