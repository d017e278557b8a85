import pytest

from lib.tools.calculator import Calculator
from lib.tools.protocol import Tool


@pytest.mark.parametrize(
    ("text", "start", "found"),
    [
        ("8+1=", 0, (4, 4, "9")),
        ("8+1=10;9", 0, (4, 6, "9")),
        ("3-8=1", 0, (4, 5, "-5")),
        ("3-8=-5", 0, (4, 6, "-5")),
        ("8/2=4;9*5=", 5, (10, 10, "45")),
        ("8+1=9+5=", 5, (8, 8, "14")),
        ("7/2=3;6/2=", 0, (10, 10, "3")),
        ("7/0=", 0, None),
        ("8+1", 0, None),
        ("1234567890123+1=", 0, None),
    ],
)
def test_the_first_sum_at_a_place_or_after_is_completed_exactly(text, start, found):
    assert Calculator().call(text, start) == found


def test_it_is_a_tool():
    assert isinstance(Calculator(), Tool)


def test_a_long_text_of_digits_takes_no_time():
    assert Calculator().call("1" * 200_000 + "+", 0) is None
