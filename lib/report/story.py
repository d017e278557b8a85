"""The report's first lines, in plain words: what got better by how much, which model is champion, what rang, what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lib.alarms.every import ringing
from lib.budget import Cost
from lib.comparison import Difference, Standing
from lib.report.words import amount, count, listed, signed, spoken
from lib.round_record import RoundRecord


def gain(split: str, champion: Standing, base: Standing, found: Difference) -> str:
    """A difference of champion and base in a sentence that says whether it can be told from chance."""
    mine, theirs = champion.items[found.metric], base.items[found.metric]
    where = "On validation" if split == "validation" else f"On the {split} split"
    shared = sorted(mine.keys() & theirs.keys())
    new, old = (math.fsum(values[problem] for problem in shared) / len(shared) for values in (mine, theirs))
    interval = f"95 % interval {signed(found.low)} to {signed(found.high)}, paired, on the same {count(found.n, 'problem')}"
    if champion.round == base.round:
        return f"{where} the base model, still the champion, has {spoken(found.metric)} {old:.3f}."
    if found.low == found.high == 0:
        return f"{where} {spoken(found.metric)} stayed at {new:.3f}, on each of the same {count(found.n, 'problem')}."
    certain = "" if found.low > 0 or found.high < 0 else " The interval holds zero, so this may be chance."
    way = "rose" if found.difference > 0 else "fell" if found.difference < 0 else "went"
    return f"{where} {spoken(found.metric)} {way} from {old:.3f} to {new:.3f}: {signed(found.difference)} ({interval}).{certain}"


def progress(records: Sequence[RoundRecord], champion: int, digest: str, planned: int, complete: bool) -> str:
    """How far the campaign is, and who is champion."""
    rounds = [record for record in records if record.round]
    done = max((record.round for record in rounds), default=0)
    accepted = sum(record.state == "accepted" for record in rounds)
    tried = f" in {count(len(rounds), 'attempt')}" if len(rounds) > done else ""
    whole = f" of {planned}" if planned else ""
    who = f"the model of round {champion}" if champion else "the base model"
    closing = "" if complete else " It is not complete: closing figures on the test split are taken once, after the last round."
    return (
        f"{count(done, 'round')}{whole}{tried}: the gate accepted {accepted} and rejected {len(rounds) - accepted}. "
        f"The champion is {who} ({digest[:12]}).{closing}"
    )


def alarms(records: Sequence[RoundRecord]) -> str:
    """What rings in the last round, and how many rounds had something ringing."""
    watched = [record for record in records if record.alarms]
    if not watched:
        return "No alarms are recorded."
    last, before = watched[-1], sum(bool(ringing(record.alarms)) for record in watched[:-1])
    now = ringing(last.alarms)
    earlier = f" Before it, {count(before, 'round')} had something to watch." if before else ""
    where = f"round {last.round}" if last.round else "the base model"
    if not now:
        return f"Nothing rings in {where}.{earlier}"
    named = listed([f"{spoken(row['alarm'])} ({row['level']})" for row in now])
    return f"Ringing in {where}: {named}.{earlier}"


def cost(totals: Mapping[str, Cost]) -> str:
    """What was spent in all runs."""
    spent, reused = totals["spent"], totals["reused"]
    saved = f" Reused from elsewhere: {amount(reused.device_seconds)} device-seconds." if reused.device_seconds else ""
    return f"It cost {amount(spent.tokens)} sampled tokens and {amount(spent.device_seconds)} device-seconds.{saved}"


def agreement(records: Sequence[RoundRecord]) -> list[dict[str, Any]]:
    """A row for each share that verify stages recorded of their verifiers: what, and its value by round."""
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        for path, stage in record.stages.items():
            if stage["verb"] != "verify" or not record.round:
                continue
            for name, value in stage.get("figures", {}).items():
                row = rows.setdefault(f"{path} {name}", {"stage": path, "what": _share(name), "values": {}})
                row["values"][record.round, record.attempt] = f"{value:.3f}"
    return [rows[name] for name in sorted(rows)]


def _share(name: str) -> str:
    """`precision/judge` and its like, in words."""
    kind, _, rest = name.partition("/")
    one, _, other = rest.partition("/")
    return {
        "agreed_share": f"{one} and {other} say the same",
        "undecided_share": f"{one} is undecided",
        "precision": f"precision of {one} against the gold verifier",
        "recall": f"recall of {one} against the gold verifier",
    }.get(kind, name)
