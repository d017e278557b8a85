import pytest

from lib.errors import UserError
from lib.filters.length_band import LengthBand
from tests.filter_stage import completion, filtered

COMPLETIONS = [completion(f"c{n}", completion_ids=[7] * n, text="é" * (5 - n)) for n in (1, 2, 3, 4)]


def test_lengths_in_tokens_stay_between_both_ends(tmp_path):
    result = filtered(tmp_path, [LengthBand(least=2, most=3)], COMPLETIONS)
    assert result.kept == {"c2", "c3"}
    assert result.dropped == {"c1": "too short", "c4": "too long"}


def test_characters_can_be_counted(tmp_path):
    result = filtered(tmp_path, [LengthBand(least=2, most=3, unit="characters")], COMPLETIONS)
    assert result.dropped == {"c4": "too short", "c1": "too long"}


def test_without_a_limit_no_length_is_too_long(tmp_path):
    assert filtered(tmp_path, [LengthBand(least=2)], COMPLETIONS).dropped == {"c1": "too short"}


def test_a_band_upside_down_is_refused():
    with pytest.raises(UserError, match="least 5 is above most 4"):
        LengthBand(least=5, most=4)
