"""Each alarm rings where it should, is silent where it should be, and says so where it has nothing to read from."""

from __future__ import annotations

import pytest

from lib.alarms import every
from lib.alarms.every import Alarms
from lib.alarms.reading import ALARM, NONE, OK, WATCH
from lib.alarms.seen import Change, Drawn, Gold, Overlap, Part, Seen


def change(one, many, stderr=0.001):
    return Seen(changes={"pass_at_1": Change(one, 0.001, 400), "pass_at_8": Change(many, stderr, 400)})


def drawn(completions=100, truncated=0, unended=0, tokens=10.0, entropy=0.6):
    return Drawn(completions, truncated, unended, tokens, entropy)


def wrote(**now):
    return Seen(drawn=drawn(**now), drawn_base=drawn())


def distinct(now, base=2.0):
    return Seen(figures={"distinct_correct": now}, base={"distinct_correct": base})


def gold(both, said=200):
    return Seen(gold=(Gold("judge", "answer", both, said), Gold("careful", "answer", said, said)))


def met(count, learned=2000):
    return Seen(overlap=Overlap(count, learned, 3, 100))


CASES = [
    ("sharpening", change(0.1, -0.05), ALARM),
    ("sharpening", change(0.1, -0.01), WATCH),
    ("sharpening", change(0.1, 0.05), OK),
    ("sharpening", change(0.1, -0.05, stderr=0.04), OK),  # chance may do that
    ("sharpening", change(-0.1, -0.05), OK),  # worse in both is the gate's affair
    ("variety", distinct(1.4), ALARM),
    ("variety", distinct(1.7), WATCH),
    ("variety", distinct(1.9), OK),
    ("kept_share", Seen(kept=Part(4, 1000)), ALARM),
    ("kept_share", Seen(kept=Part(40, 1000)), WATCH),
    ("kept_share", Seen(kept=Part(100, 1000)), OK),
    ("undecided_share", Seen(undecided=Part(40, 1000)), ALARM),
    ("undecided_share", Seen(undecided=Part(20, 1000)), WATCH),
    ("undecided_share", Seen(undecided=Part(0, 1000)), OK),
    ("undecided_share", Seen(undecided=Part(1, 96)), OK),  # 1.04 % of few
    ("undecided_share", Seen(undecided=Part(10, 96)), ALARM),
    ("length_drift", wrote(tokens=21.0), ALARM),
    ("length_drift", wrote(tokens=4.9), ALARM),
    ("length_drift", wrote(tokens=16.0), WATCH),
    ("length_drift", wrote(tokens=12.0), OK),
    ("truncated_share", wrote(truncated=21), ALARM),
    ("truncated_share", wrote(truncated=6), WATCH),
    ("truncated_share", wrote(truncated=5), OK),
    ("unended_share", wrote(unended=11), ALARM),
    ("unended_share", wrote(unended=3), WATCH),
    ("unended_share", wrote(unended=2), OK),
    ("entropy", wrote(entropy=0.1), ALARM),
    ("entropy", wrote(entropy=0.25), WATCH),
    ("entropy", wrote(entropy=0.5), OK),
    ("gold_precision", gold(170), ALARM),
    ("gold_precision", gold(185), WATCH),
    ("gold_precision", gold(198), OK),
    ("overlap", met(3), ALARM),
    ("overlap", met(1), WATCH),
    ("overlap", met(0), OK),
]


@pytest.mark.parametrize(("name", "seen", "level"), CASES)
def test_an_alarm_rings_where_it_should_and_says_its_value_its_thresholds_and_why(name, seen, level):
    reading = getattr(Alarms(), name).read(seen)
    assert reading.level == level
    assert reading.value is not None
    assert (reading.watch_from, reading.alarm_from) == (getattr(Alarms(), name).watch, getattr(Alarms(), name).alarm)
    assert reading.sentence.endswith(".") and reading.sentence.count(". ") == 0


@pytest.mark.parametrize("name", list(Alarms.model_fields))
def test_every_alarm_has_a_case_that_rings_and_one_that_does_not_and_one_without_anything_to_read(name):
    levels = {level for case, _, level in CASES if case == name}
    assert {OK, WATCH, ALARM} <= levels
    empty = getattr(Alarms(), name).read(Seen())
    assert (empty.level, empty.value) == (NONE, None)
    assert empty.sentence.startswith("Not applicable: ")


def test_a_threshold_is_a_setting():
    seen = Seen(kept=Part(100, 1000))
    assert Alarms.model_validate({"kept_share": {"watch": 0.2, "alarm": 0.15}}).kept_share.read(seen).level == ALARM


def test_what_only_texts_tell_is_not_applicable():
    text_only = Seen(drawn=drawn(unended=None, entropy=None), drawn_base=drawn(unended=None, entropy=None))
    assert [getattr(Alarms(), name).read(text_only).level for name in ("unended_share", "entropy")] == [NONE, NONE]


def test_the_worst_ring_first_and_their_values_are_metrics():
    readings = Alarms().readings(Seen(kept=Part(20, 1000), undecided=Part(500, 1000)))
    assert [row["alarm"] for row in every.ringing(readings)] == ["undecided_share", "kept_share"]
    rows = {row["metric"]: row["value"] for row in every.metric_rows(readings, "m" * 64)}
    assert rows == {"kept_share": 0.02, "undecided_share": 0.5, "ringing": 2.0}
