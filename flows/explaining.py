"""What `roundhouse explain` prints: for every job of a past round whether it was reused or ran, and why."""

from __future__ import annotations

from typing import Any

from flows.terminal import console, print_json
from lib import home as homes
from lib import keys
from lib.campaign import CampaignFolder
from lib.errors import UnknownName
from lib.explain import Explanation, maker, span

Json = dict[str, Any]


def explain(name: str, number: int, stage: str | None, as_json: bool) -> None:
    """A round's jobs, or those of one stage. Raises UnknownName for a campaign, round or stage that is not there."""
    folder = CampaignFolder(homes.to_read(), name)
    record = folder.record(number)
    explanation = Explanation(folder, record)
    rows = _of_stage(explanation.rows(), stage, list(record.stages))
    if as_json:
        about = {key: getattr(record, key) for key in ("campaign", "round", "attempt", "state", "overrides", "flow_run", "supersedes")}
        print_json({**about, "against": explanation.against, "jobs": rows})
        return
    title = f"{name} round {number}" + (f" (attempt {record.attempt})" if record.attempt > 1 else "")
    _say(f"{title}, against {explanation.against}")
    if record.overrides:
        _say("this round alone ran with " + " ".join(f"--set {path}={value}" for path, value in record.overrides.items()))
    for where, story, facts in _grouped(rows, name):
        _say(f"\n{where}  {story}\n    {facts}")


def _say(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _of_stage(rows: list[Json], stage: str | None, paths: list[str]) -> list[Json]:
    if stage is None:
        return rows
    chosen = [path for path in paths if stage in (path, *path.split("/"))]
    if not chosen:
        raise UnknownName("stage", stage, paths, "in this round")
    return [row for row in rows if row["stage"] in chosen]


def _grouped(rows: list[Json], campaign: str) -> list[tuple[str, str, str]]:
    """Stage and shards, what happened, and what it cost: shards with the same story together, their seconds added up."""
    found: dict[tuple[str, str], list[Json]] = {}
    for row in rows:
        found.setdefault((f"{row['stage']} {row['part']}".strip(), _story(row, campaign)), []).append(row)
    return [(f"{stage} {span([row['shard'] for row in same])}", story, _facts(same)) for (stage, story), same in found.items()]


def _story(row: Json, campaign: str) -> str:
    if row["fate"] == "ran":
        return f"ran: {keys.in_words(row['because'])}"
    who = maker(row["made_by"], campaign)
    return "; ".join([f"reused, made by {who}" if who else "reused", *row["because"]])


def _facts(same: list[Json]) -> str:
    """When, how long, and under which key, in a line."""
    when = min((row["at"] for row in same if row["at"]), default="")
    sizes = list(dict.fromkeys(str(row["micro_batch"]) for row in same if row["micro_batch"]))
    kept, drawn = (sum(row[name] or 0 for row in same) for name in ("kept", "drawn"))
    facts = [
        when.replace("T", " ").removesuffix("+00:00"),
        f"{_sum(same, 'seconds'):.1f} s" + (f" ({device:.1f} on the device)" if (device := _sum(same, "device_seconds")) else ""),
        f"micro-batch {', '.join(sizes)}" if sizes else "",
        f"{kept} of {kept + drawn} completions kept" if kept else "",
        f"key {same[0]['key'][:8]}, version {same[0]['version']}" if len(same) == 1 else f"{len(same)} keys",
    ]
    return " · ".join(fact for fact in facts if fact)


def _sum(rows: list[Json], name: str) -> float:
    return sum(row[name] or 0.0 for row in rows)
