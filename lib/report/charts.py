"""The geometry of the report's charts: figures to places in a drawing, in units of one CSS pixel on a phone.

Every chart is drawn 320 wide, so that its words keep their size where the page is narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

WIDTH, HEIGHT = 320, 196
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 26

NORMAL_95 = 1.96
"""Standard errors on either side of a 95 % interval."""

Json = dict[str, Any]


class Point(NamedTuple):
    """One figure of one attempt at a round."""

    round: int
    attempt: int
    value: float
    low: float
    high: float
    kind: str
    """How it is drawn: accepted, rejected, test; or the level of an alarm."""

    @property
    def at(self) -> float:
        """Where it stands: further attempts a little to the right of the first."""
        return self.round + 0.22 * (self.attempt - 1)


def interval(value: float, stderr: float | None, *, is_share: bool) -> tuple[float, float]:
    """The ends of a figure's 95 % interval, those of a share within 0 and 1; the figure itself where its error is unknown."""
    reach = NORMAL_95 * (stderr or 0.0)
    low, high = value - reach, value + reach
    return (max(low, 0.0), min(high, 1.0)) if is_share else (low, high)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most so many."""
    span = high - low
    rough = span / max(most - 1, 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough - 1e-12)
    first = math.ceil(low / step - 1e-9)
    return [round(first * step + i * step, 12) for i in range(math.floor(high / step + 1e-9) - first + 1)]


def domain(values: Iterable[float], least: float = 0.0) -> tuple[float, float]:
    """A range with some air around the values, never of no width; values from 0 on keep 0 as the lowest end."""
    found = list(values)
    low, high = min(found), max(found)
    air = max((high - low) * 0.08, abs(high) * 0.02, 1e-3, least)
    return (max(low - air, 0.0) if low >= 0 else low - air), high + air


class Frame:
    """Where values of a chart stand in its drawing."""

    def __init__(self, rounds: Iterable[float], values: Iterable[float]) -> None:
        places = list(rounds)
        self.first, self.last = min(places), max(max(places), min(places) + 1)
        self.low, self.high = domain(values)

    def x(self, place: float) -> float:
        inner = WIDTH - LEFT - RIGHT - 16
        return round(LEFT + 8 + inner * (place - self.first) / (self.last - self.first), 1)

    def y(self, value: float) -> float:
        inner = HEIGHT - TOP - BOTTOM
        return round(TOP + inner * (1 - (value - self.low) / (self.high - self.low)), 1)

    def axes(self) -> Json:
        """Ticks of both axes; of many rounds, so many as there is room for."""
        whole = range(math.ceil(self.first), math.floor(self.last) + 1)
        step = max(1, math.ceil(len(whole) / 8))
        found = ticks(self.low, self.high)
        places = max(len(f"{value:.4f}".rstrip("0").partition(".")[2]) for value in found)
        return {
            "y": [{"at": self.y(value), "label": f"{value:.{places}f}".replace("-", "−")} for value in found],
            "x": [{"at": self.x(number), "label": "base" if number == 0 else str(number)} for number in whole if number % step == 0],
        }


def curve(title: str, points: Sequence[Point], lines: Sequence[tuple[float, str, str]] = ()) -> Json:
    """A chart of points over rounds: whiskers for intervals, a line through those of kind `accepted` or an alarm's.

    `lines`: level lines as (value, kind, label).
    """
    values = [end for point in points for end in (point.value, point.low, point.high)] + [value for value, _, _ in lines]
    frame = Frame([point.at for point in points], values)
    accepted = [point for point in points if point.kind not in ("rejected", "test")]
    return {
        "title": title,
        "axes": frame.axes(),
        "line": joined(frame, accepted),
        "points": [_drawn(frame, point) for point in points],
        "lines": [{"at": frame.y(value), "kind": kind, "label": label} for value, kind, label in lines],
    }


SHIFT = 5.0
"""How far to the right closing figures stand, so that they do not hide those of validation."""


def _drawn(frame: Frame, point: Point) -> Json:
    x = round(frame.x(point.at) + (SHIFT if point.kind == "test" else 0.0), 1)
    return {
        "x": x,
        "y": frame.y(point.value),
        "low": frame.y(point.low),
        "high": frame.y(point.high),
        "kind": point.kind,
        "label": label(point),
    }


def label(point: Point) -> str:
    """A point in words, as a pointer or a screen reader gets it."""
    where = "base" if point.round == 0 else f"round {point.round}"
    again = f", attempt {point.attempt}" if point.attempt > 1 else ""
    ends = f", 95 % interval {point.low:.3f} to {point.high:.3f}" if point.low != point.high else ""
    return f"{where}{again}: {point.value:.3f}{ends} ({point.kind})"


class Place(NamedTuple):
    """A figure with its interval at a place that is no round."""

    at: float
    value: float
    low: float
    high: float
    label: str


def series(title: str, lines: Sequence[tuple[str, int, Sequence[Place]]]) -> Json:
    """A chart of several lines, each with a name and the number of its colour, over one quantity: its ticks read 250k, 1.5M."""
    places = [place for _, _, points in lines for place in points]
    frame = Frame([place.at for place in places], [end for place in places for end in (place.value, place.low, place.high)])
    return {
        "title": title,
        "axes": {
            "y": frame.axes()["y"],
            "x": [{"at": frame.x(value), "label": shortened(value)} for value in ticks(frame.first, frame.last, 5)],
        },
        "series": [
            {
                "name": name,
                "kind": number,
                "line": joined(frame, points),
                "points": [
                    {
                        "x": frame.x(p.at),
                        "y": frame.y(p.value),
                        "low": frame.y(p.low),
                        "high": frame.y(p.high),
                        "label": f"{name}, {p.label}",
                    }
                    for p in points
                ],
            }
            for name, number, points in lines
        ],
    }


def joined(frame: Frame, points: Sequence[Place] | Sequence[Point]) -> str:
    """The line through places, where there are two or more."""
    found = [f"{frame.x(point.at):g},{frame.y(point.value):g}" for point in points]
    return "M" + " L".join(found) if len(found) > 1 else ""


def shortened(value: float) -> str:
    """900, 250k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def bars(parts: Sequence[tuple[str, float, str]], whole: float) -> list[Json]:
    """Horizontal bars as (label, value, text), each as wide as its share of the whole."""
    room = WIDTH - 84
    return [
        {"label": name, "text": text, "width": round(room * min(1.0, value / whole), 1) if whole else 0.0, "y": 4 + 24 * place}
        for place, (name, value, text) in enumerate(parts)
    ]


def stacks(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> list[Json]:
    """Bars made of parts that follow each other, as (label, [(kind, value), …]); all on one scale."""
    whole = max((sum(value for _, value in parts) for _, parts in rows), default=0.0)
    room = WIDTH - 64
    found = []
    for place, (name, parts) in enumerate(rows):
        at, drawn = 56.0, []
        for kind, value in parts:
            width = room * value / whole if whole else 0.0
            if width > 0:
                drawn.append({"x": round(at, 1), "width": round(width, 1), "kind": kind, "label": f"{name}, {kind}: {value:,.1f}"})
            at += width
        found.append({"label": name, "y": 4 + 26 * place, "parts": drawn})
    return found
