import pytest

from lib.common_start import common_start
from lib.errors import UserError


def test_recipes_that_agree_begin_with_what_they_name():
    assert common_start({"a": ("warm_start", None), "b": ("warm_start", None)}) == ("warm_start", None)
    assert common_start({"a": ("hints", "sudoku"), "b": ("hints", None), "c": ("hints", "sudoku")}) == ("hints", "sudoku")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            {"a": ("warm_start", None), "b": ("warm_start", None), "c": ("chains", None)},
            "'a' begins from the warm start 'warm_start' and 'c' begins from the warm start 'chains', so their figures could not be "
            "compared; --warm-start NAME begins all of them from one",
        ),
        (
            {"a": ("w", None), "b": ("w", "sudoku"), "c": ("w", "sums")},
            "'b' begins on sudoku and 'c' begins on sums, so their figures could not be compared; --numbers N or --problems SET",
        ),
    ],
)
def test_recipes_that_differ_are_named_with_the_option_that_settles_it(wanted: dict, words: str):
    with pytest.raises(UserError) as raised:
        common_start(wanted)
    assert str(raised.value).startswith(words)


def test_an_option_settles_it_for_all():
    wanted = {"a": ("warm_start", "sums"), "b": ("chains", "sudoku")}
    assert common_start(wanted, warm_start="chains", problems="sums of four") == ("chains", "sums of four")
    assert common_start(wanted, problems="sums of four", has_model=True)[1] == "sums of four"
