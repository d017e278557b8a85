from __future__ import annotations

import pytest

from lib.report import charts
from lib.report.charts import Frame, Point
from lib.report.words import amount, signed, tight, visible


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.23, 0.62, [0.3, 0.4, 0.5, 0.6]),
        (-0.2, 0.9, [0.0, 0.25, 0.5, 0.75]),
        (2e-4, 9e-4, [2e-4, 4e-4, 6e-4, 8e-4]),
    ],
)
def test_ticks_are_round_numbers_within_the_range(low, high, wanted):
    assert charts.ticks(low, high) == pytest.approx(wanted)


def test_higher_stands_higher_and_later_stands_further_right():
    frame = Frame([0, 1, 2], [0.1, 0.9])
    assert frame.y(0.9) < frame.y(0.1)
    assert frame.x(0) < frame.x(1) < frame.x(2)
    assert frame.x(0) >= charts.LEFT and frame.x(2) <= charts.WIDTH - charts.RIGHT
    assert frame.y(0.9) >= charts.TOP and frame.y(0.1) <= charts.HEIGHT - charts.BOTTOM


def test_one_point_and_equal_values_have_a_chart_too():
    chart = charts.curve("pass@1", [Point(0, 1, 0.0, 0.0, 0.0, "accepted")])
    assert chart["line"] == ""
    assert len(chart["axes"]["y"]) > 1


def test_the_line_leaves_out_what_the_gate_rejected():
    points = [Point(0, 1, 0.1, 0.1, 0.1, "accepted"), Point(1, 1, 0.9, 0.9, 0.9, "rejected"), Point(1, 2, 0.2, 0.1, 0.3, "accepted")]
    chart = charts.curve("pass@1", points)
    assert chart["line"].count("L") == 1
    assert chart["points"][2]["label"] == "round 1, attempt 2: 0.200, 95 % interval 0.100 to 0.300 (accepted)"


def test_of_many_rounds_some_are_named():
    axes = Frame(range(101), [0.0, 1.0]).axes()
    assert [tick["label"] for tick in axes["x"]][:2] == ["base", "13"]


def test_what_would_steer_a_screen_is_written_out():
    assert visible("a\x1b[31m\u202eb\n\tc") == "a\\x1b[31m\\u202eb\n\tc"
    assert visible("x" * 12, most=10) == "x" * 10 + " … (2 more characters)"


def test_numbers_read_as_people_write_them():
    assert (signed(-0.5), signed(0.25), amount(1234.6), amount(0.4), tight("95 %")) == ("−0.500", "+0.250", "1,235", "0.4", "95\u00a0%")
