"""A campaign of several rounds as roundhouse would leave it, with figures that move, a rejected attempt, and hostile answers."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from lib import agreement_counts, deciding, records, seeds
from lib.alarms import every
from lib.alarms.every import Alarms
from lib.alarms.looking import look
from lib.budget import Cost, Spending
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.deciding import Decided
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.gate import Gate
from lib.home import Home
from lib.protocols import Tables
from lib.round_record import RoundRecord
from lib.store import Store
from tests.filter_stage import completion, problem, verdict
from tests.small_home import SmallHome, model_files

HOSTILE = (
    "<script>window.ran = 1</script>",
    "</pre><svg onload='window.ran = 2'></svg>",
    '"><img src=x onerror="window.ran = 3">',
    "8+1=9\x1b]0;owned\x07 \u202etxet desrever\u202c {{ 7 * 7 }}",
    "</style></script><script>window.ran = 4</script>",
)
"""What models wrote to take over a page that shows it."""

STOP = 1
"""The end-of-text token of lib's small models in tests."""


@dataclass
class ReportHome:
    home: Home
    small: SmallHome
    draw: random.Random
    held: dict = field(default_factory=dict)
    models: list = field(default_factory=list)


def problems(made: ReportHome, split: str, count: int, number: int = 0) -> list[str]:
    """References to two shards of problems."""

    def target(n: int) -> int:
        return n + 10 + 100 * ("train", "validation", "gate", "test").index(split) + 400 * number

    ids = [seeds.short_id(split, number, n) for n in range(count)]
    rows = [problem(name, text=f"{n % 9 + 1},{n % 7 + 2},{n % 5 + 3}>{target(n)}:", answer=str(target(n))) for n, name in enumerate(ids)]
    half = count // 2
    files = {f"shard-00{s}/problems.parquet": (records.PROBLEMS, rows[s * half : (s + 1) * half or None]) for s in range(2)}
    return made.small.store.folders(made.small.publish("problems", {"split": split, "number": number}, {}, {}, files).digest)


def written(
    made: ReportHome, shard: str, model: str, skill: float, count: int, tag: str, cut: float, greedy: bool = False
) -> tuple[list, list]:
    """Completions and their outcomes: a problem's own difficulty and the model's skill decide; some are cut off."""
    table = pa.parquet.read_table(made.small.store.folder(shard) / "problems.parquet")
    rows, outcomes = [], []
    for name, text in zip(table["problem_id"].to_pylist(), table["prompt"].to_pylist(), strict=True):
        hard = int(name[:6], 16) / 16**6
        for index in range(count):
            right = made.draw.random() < skill * (1.6 - 1.3 * hard)
            length = made.draw.randint(6, 14)
            ended = made.draw.random() >= cut
            asked = text[0]["parts"][0]["text"]
            answer = f"{asked[0]}+{asked[2]}={index % 3 + 4};{index % 3 + 4}*{asked[4]}={asked.partition('>')[2]}"
            said = answer if right else f"{asked[0]}*{asked[2]}={made.draw.randint(2, 60)}"
            if tag == "train" and index == 0 and hard < 0.25:
                said = HOSTILE[int(name[:2], 16) % len(HOSTILE)] + (" " + said if right else "")
            outcome = "undecided" if made.draw.random() < 0.02 else "correct" if right and ended else "wrong"
            ids = [*range(2, length + 2), *([STOP] if ended else [])]
            extra = {
                "model_id": model,
                "text": said,
                "completion_ids": ids,
                "finish_reason": "stop" if ended else "length",
                "sample_index": index,
            }
            extra |= {"entropy_mean": 0.9 - skill, "temperature": 0.0 if greedy else 1.0, "logprobs": [-0.5] * len(ids)}
            rows.append(completion(seeds.short_id(model, name, index, tag, greedy), name, **extra))
            outcomes.append(outcome)
    return rows, outcomes


def publish(made: ReportHome, kind: str, settings: dict, inputs: dict, playing: dict, files: dict, **stats: object):
    return made.small.publish(kind, settings, inputs, playing, files, stats=stats)


def note(record: RoundRecord, path: str, verb: str, published: list, **more: object) -> None:
    cost = {
        "control": (0, 0.1),
        "sample": (4200, 31.5),
        "verify": (0, 0.4),
        "filter": (0, 0.2),
        "train": (0, 55.0),
        "evaluate": (2600, 19.0),
    }[verb]
    record.stages[path] = {
        "verb": verb,
        "jobs": [{"label": path, "key": p.key, "version": p.version, "digest": p.digest, "reused": False} for p in published],
        "made": {},
        "learned": {},
        "read": {},
        "figures": {},
        "cost": {"spent": asdict(Cost(*cost, cost[1] * 1.1)), "reused": asdict(Cost())},
        **more,
    }


def measured(made: ReportHome, record: RoundRecord, model: str, split: str, skill: float, cut: float) -> list[dict]:
    """An evaluation with real evaluators; returns its metric rows."""
    jobs, metrics, items = [], [], []
    for evaluator, count, greedy in ((PassAtK(), 8, False), (GreedyAccuracy(), 1, True)):
        drawn, said, asked = [], [], []
        for shard in made.held[split]:
            rows, outcomes = written(made, shard, model, min(1.0, skill * (1.15 if greedy else 1)), count, split, cut, greedy)
            sampled = publish(
                made, "sample", {"n": count}, {"problems": [shard]}, {"policy": model}, {"completions.parquet": (records.COMPLETIONS, rows)}
            )
            jobs.append(sampled)
            drawn += rows
            said += [verdict(row["completion_id"], outcome) for row, outcome in zip(rows, outcomes, strict=True)]
            asked += pa.parquet.read_table(made.small.store.folder(shard) / "problems.parquet").to_pylist()
        found = evaluator.evaluate(Tables(records.PROBLEMS.table(asked), records.COMPLETIONS.table(drawn), records.VERDICTS.table(said)))
        place = {"model_id": model, "split": split}
        rows = [{**row, **place} for row in found.metrics]
        theirs = {
            "metrics.parquet": (records.METRICS, rows),
            "metric_items.parquet": (records.METRIC_ITEMS, [{**r, **place} for r in found.items]),
        }
        done = publish(
            made, "evaluate", {"model_id": model, "evaluator": evaluator.model_dump(mode="json"), "split": split}, {}, {}, theirs
        )
        jobs.append(done)
        metrics += rows
        items.append(done.digest)
    note(record, f"evaluate/{split}", "evaluate", jobs, made={"metrics": items, "metric_items": items})
    return metrics


def judged(rows: list[dict[str, Any]], outcomes: list[str]) -> list[dict[str, Any]]:
    """What the rule says, and a judge that agrees with it for the most part."""
    said = [
        verdict(r["completion_id"], o, "countdown", reason="reaches the target" if o == "correct" else "misses it")
        for r, o in zip(rows, outcomes, strict=True)
    ]
    return said + [
        verdict(r["completion_id"], "correct" if o == "correct" or n % 17 == 0 else "wrong", "judge", reason="looks <b>right</b>")
        for n, (r, o) in enumerate(zip(rows, outcomes, strict=True))
    ]


def choose(
    rows: list[dict[str, Any]],
    outcomes: list[str],
    kept: list[dict[str, Any]],
    sources: list[dict[str, Any]],
    dropped: list[dict[str, Any]],
) -> None:
    """Keep what is correct, three of a problem at most, and drop the rest by name."""
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome == "correct" and row["sample_index"] < 3:
            example = seeds.short_id("sft", row["completion_id"])
            kept.append({"example_id": example, "problem_id": row["problem_id"], "input_ids": [1, 2], "labels": [-100, 2], "weight": 1.0})
            sources.append({"example_id": example, "completion_id": row["completion_id"], "part": "whole"})
        else:
            by, why = ("CapPerProblem", "over the cap") if outcome == "correct" else ("KeepCorrect", outcome)
            dropped.append({"unit": "completion", "id": row["completion_id"], "filter": by, "reason": why})


def trained(made: ReportHome, record: RoundRecord, start: str, skill: float, earlier: list[str]) -> str:
    """Sample, verify, filter and train; returns the model's digest."""
    shards = problems(made, "train", 24, 10 * record.round + record.attempt)
    sampled, verified, kept, dropped, sources = [], [], [], [], []
    for shard in shards:
        rows, outcomes = written(made, shard, start, skill, 4, "train", 0.03)
        place = {"n": 4, "attempt": record.attempt}
        files = {"completions.parquet": (records.COMPLETIONS, rows)}
        sampled.append(publish(made, "sample", place, {"problems": [shard]}, {"policy": start}, files))
        said = judged(rows, outcomes)
        table = records.VERDICTS.table(said)
        counted = {"outcomes": {o: outcomes.count(o) for o in {*outcomes}}, **agreement_counts.counts(table, "countdown")}
        inputs = {"problems": [shard], "completions": [sampled[-1].digest]}
        verified.append(publish(made, "verify", {}, inputs, {}, {"verdicts.parquet": (records.VERDICTS, said)}, **counted))
        choose(rows, outcomes, kept, sources, dropped)
    files = {
        "examples_sft.parquet": (records.SFT, kept),
        "example_sources.parquet": (records.EXAMPLE_SOURCES, sources),
        "dropped.parquet": (records.DROPPED, dropped),
    }
    inputs = {"problems": shards, "completions": [p.digest for p in sampled], "verdicts": [p.digest for p in verified]}
    filtered = publish(
        made,
        "filter",
        {"round": record.round, "attempt": record.attempt},
        inputs,
        {},
        files,
        completions=len(kept) + len(dropped),
        kept=len(kept),
    )
    learned = {"examples": [*earlier, filtered.digest]}
    model = publish(
        made,
        "train",
        {"steps": record.round, "attempt": record.attempt},
        learned,
        {"start": start},
        model_files(f"{record.round}.{record.attempt}"),
    )
    chosen = Decided({"value": {"+": skill, HOSTILE[0]: 0.25}}, {"sampler.temperature": 0.5 + record.round / 10})
    decided = {"state.parquet": (records.STATE, deciding.rows_of("bandit", chosen).to_pylist())}
    steered = publish(made, "control", {"round": record.round, "attempt": record.attempt}, {}, {}, decided)
    note(record, "main/bandit", "control", [steered], made={"state": [steered.digest]})
    note(record, "main/sample", "sample", sampled, read={"problems": shards})
    stats = [made.small.store.stats(p.key, p.version) for p in verified]
    summed = {name: sum(one.get(name, 0) for one in stats) for name in stats[0] if agreement_counts.is_count(name)}
    note(record, "main/verify", "verify", verified, figures=agreement_counts.shares(summed))
    note(record, "main/filter", "filter", [filtered])
    note(record, "main/train", "train", [model], learned=learned)
    earlier.append(filtered.digest)
    return model.digest


PLAN = ((1, 1, 0.42, 0.01), (2, 1, 0.5, 0.02), (3, 1, 0.36, 0.03), (3, 2, 0.58, 0.09), (4, 1, 0.63, 0.24))
"""Round, attempt, skill, share of answers that are cut off."""


def build(home: Home, name: str = "nightly", held_out: int = 60) -> ReportHome:
    small = SmallHome(home, Store(home.store))
    made = ReportHome(home, small, random.Random(7))
    made.held = {split: problems(made, split, held_out) for split in ("validation", "gate", "test")}
    base = small.publish("adopt", {"name": "base"}, {}, {}, model_files("base")).digest
    folder = CampaignFolder(home, name)
    source = {"strategy": "lib.problems.countdown:Countdown"}
    recipe = {"phases": [{"name": "main", "role": "policy"}]}
    folder.create(Campaign(name, "expert_iteration", recipe, 3, ProblemPlan(source, {"train": 24}), {"policy": base}, rounds=4, attempts=2))
    zero = RoundRecord(name, 0, 1, "accepted", start={"policy": base})
    zero.decision = {"accepted": True, "sentence": "accepted: pass@1 0.300, the first champion"}
    zero.metrics = measured(made, zero, base, "validation", 0.3, 0.01)
    closing = [{"round": 0, "attempt": 1, "state": "accepted", **row} for row in measured(made, zero, base, "test", 0.3, 0.01)]
    read(made, zero, zero)
    folder.write_round(zero)
    champion, skill, earlier = base, 0.3, []
    for number, attempt, better, cut in PLAN:
        record = RoundRecord(name, number, attempt, start={"policy": champion}, seconds=112.0)
        model = trained(made, record, champion, skill, earlier)
        record.made["policy"] = model
        record.metrics = measured(made, record, model, "validation", better, cut)
        gate = [(record, model, better), (RoundRecord(name, 0, 1), champion, skill)]
        found = [items(made, measuring, digest, strength) for measuring, digest, strength in gate]
        record.decide({"policy": asdict(Gate().decide(*found, seed=3))})
        read(made, record, zero)
        closing += [
            {"round": number, "attempt": attempt, "state": record.state, **row}
            for row in measured(made, record, model, "test", better, cut)
        ]
        folder.write_round(record)
        if record.state == "accepted":
            champion, skill = model, better
    folder.write_test(closing)
    Spending(folder.path).add("all of it", Cost(31_400, 612.5, 700.0))
    return made


def items(made: ReportHome, record: RoundRecord, model: str, skill: float) -> pa.Table:
    """The gate's rows of a model."""
    measured(made, record, model, "gate", skill, 0.0)
    paths = [made.small.store.folder(ref) / "metric_items.parquet" for ref in record.stages["evaluate/gate"]["made"]["metric_items"]]
    return pa.concat_tables([pa.parquet.read_table(path) for path in paths])


def read(made: ReportHome, record: RoundRecord, zero: RoundRecord) -> None:
    """The round's alarms, as a round reads them."""
    held = [ref for refs in made.held.values() for ref in refs]
    record.alarms = Alarms().readings(look(record, zero, made.small.store, held, stop_strings=False))
    record.metrics = record.metrics + every.metric_rows(record.alarms, {**record.start, **record.made}["policy"])
