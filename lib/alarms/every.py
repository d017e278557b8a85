"""The alarms of a round, all of them; they are told, recorded and plotted, and never stop a round.

Their thresholds are settings of the recipe outside every stage's content key: `--set alarms.kept_share.watch=0.1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lib.alarms.entropy import Entropy
from lib.alarms.gold_precision import GoldPrecision
from lib.alarms.kept_share import KeptShare
from lib.alarms.length_drift import LengthDrift
from lib.alarms.overlap import Overlap
from lib.alarms.reading import ALARM, NONE, RINGING, Reading
from lib.alarms.seen import Seen
from lib.alarms.sharpening import Sharpening
from lib.alarms.truncated_share import TruncatedShare
from lib.alarms.undecided_share import UndecidedShare
from lib.alarms.unended_share import UnendedShare
from lib.alarms.variety import Variety
from lib.strategy import Settings

SPLIT = "alarms"
"""What stands in the place of a split where alarms are metrics."""


class Alarms(Settings):
    """One field an alarm, named as it is recorded."""

    sharpening: Sharpening = Sharpening()
    """pass@1 against pass@k."""
    variety: Variety = Variety()
    """Distinct correct answers."""
    kept_share: KeptShare = KeptShare()
    """Completions that become examples."""
    undecided_share: UndecidedShare = UndecidedShare()
    """Verdicts that decide nothing."""
    length_drift: LengthDrift = LengthDrift()
    """Tokens of an answer."""
    truncated_share: TruncatedShare = TruncatedShare()
    """Answers cut off."""
    unended_share: UnendedShare = UnendedShare()
    """Answers without an end of text."""
    entropy: Entropy = Entropy()
    """Nats per token."""
    gold_precision: GoldPrecision = GoldPrecision()
    """The verifier against a gold one."""
    overlap: Overlap = Overlap()
    """Training on what is held out."""

    def readings(self, seen: Seen) -> list[dict[str, Any]]:
        """Every alarm's reading of a round, as its record holds them."""
        found: dict[str, Reading] = {name: getattr(self, name).read(seen) for name in type(self).model_fields}
        return [reading.named(name) for name, reading in found.items()]


def ringing(readings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that people are to be told of, the worst first."""
    found = [reading for reading in readings if reading["level"] in RINGING]
    return sorted(found, key=lambda reading: reading["level"] != ALARM)


def metric_rows(readings: Iterable[Mapping[str, Any]], model: str) -> list[dict[str, Any]]:
    """Readings as metric rows of the model that a round ended in: each value, and how many ring."""
    applicable = [reading for reading in readings if reading["level"] != NONE]
    figures = [(reading["alarm"], reading["value"], reading["n"]) for reading in applicable]
    figures += [("ringing", float(len(ringing(applicable))), len(applicable))] if applicable else []
    place = {"model_id": model, "split": SPLIT, "evaluator": "Alarms"}
    return [{**place, "metric": name, "slice": "all", "value": value, "n": n, "stderr": None} for name, value, n in figures]
