"""What recipes with controllers leave: settings and problems that follow from recorded tables by other code than decided them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest

from lib import recipe as recipes
from lib import records, tables
from lib.campaign import CampaignFolder
from lib.home import Home
from lib.store import Store
from tests.flows.round_tables import Row, made

ROUNDS = {"sec": 2, "uniform_curriculum": 2}
"""Recipes whose signature is in a later round than the first."""

SETTINGS = {
    "b_star": [
        "--set",
        "controllers.0.temperatures=[0.6,1.0,1.4]",
        "--set",
        "controllers.0.n=8",
        "--set",
        "controllers.0.probe_problems=40",
    ],
    "frontier": ["--set", "controllers.0.low=0.01", "--set", "controllers.0.n=64", "--set", "sampler.n=64"],
    "sec": ["--set", "controllers.0.count=40"],
    "uniform_curriculum": ["--set", "controllers.0.count=40"],
}
"""What must be small, or fit a model that solves little."""


def _probed(shared: Home, record: Row, stage: str, part: str, table: str) -> list[pa.Table]:
    """A table of each job that a controller's probes had for a part, in order."""
    store = Store(shared.store)
    jobs = [job for job in record["stages"][stage]["jobs"] if f"{stage} {part}" in job["label"]]
    return [tables.read(sorted(store.folder(job["digest"]).rglob(f"{table}.parquet")), records.TABLES[table]) for job in jobs]


def _state(shared: Home, record: Row, stage: str) -> dict[str, Any]:
    return {row["key"]: json.loads(row["value"]) for row in made(shared, record, stage, "state")}


def _correct(verdicts: Iterable[Row]) -> set[str]:
    return {row["completion_id"] for row in verdicts if row["outcome"] == "correct"}


def _plain(name: str) -> dict[str, Any]:
    """A recipe without its controllers."""
    values = recipes.load(name)[0].dump()
    values["phases"][0]["controllers"] = []
    return values


def rft_online(shared: Home, record: Row) -> None:
    assert [*record["stages"]][:4] == ["main/sample", "main/verify", "main/filter", "main/train"]
    assert {row["temperature"] for row in made(shared, record, "main/sample", "completions")} == {1.0}
    right = _correct(made(shared, record, "main/verify", "verdicts"))
    sources = [row["completion_id"] for row in made(shared, record, "main/filter", "example_sources")]
    assert sources
    assert set(sources) <= right


def b_star(shared: Home, record: Row) -> None:
    assert _plain("b_star") == _plain("rft_online"), "they differ in the controller alone"
    (problems,) = _probed(shared, record, "main/balance", "subset", "problems")
    scores: dict[float, float] = {}
    samples, verdicts = (_probed(shared, record, "main/balance", *which) for which in (("sample", "completions"), ("verify", "verdicts")))
    for completions, judged in zip(samples, verdicts, strict=True):
        right = _correct(judged.to_pylist())
        texts = defaultdict(set)
        for row in completions.to_pylist():
            if row["completion_id"] in right:
                texts[row["problem_id"]].add(" ".join(row["text"].split()))
        (temperature,) = set(completions["temperature"].to_pylist())
        scores[temperature] = sum(min(len(found) / 8, 1) for found in texts.values()) / problems.num_rows
    assert len(scores) > 1
    best = next(temperature for temperature in sorted(scores) if scores[temperature] == max(scores.values()))
    assert {row["temperature"] for row in made(shared, record, "main/sample", "completions")} == {best}
    assert _state(shared, record, "main/balance")["score"] == pytest.approx({f"{t:g}": score for t, score in scores.items()})


def frontier(shared: Home, record: Row) -> None:
    plain = _plain("frontier")
    assert plain.pop("problems")["numbers"] == 4
    assert {**plain, "problems": None} == _plain("grpo"), "they differ in the controller and the problems alone"
    assert CampaignFolder(shared, record["campaign"]).load().problems.source["numbers"] == 4
    low, high = 0.01, 0.8  # as the run sets them
    (completions,), (judged,) = (
        _probed(shared, record, "main/frontier", *which) for which in (("sample", "completions"), ("verify", "verdicts"))
    )
    right, drawn = _correct(judged.to_pylist()), defaultdict(list)
    for row in completions.to_pylist():
        drawn[row["problem_id"]].append(row["completion_id"] in right)
    band = {problem for problem, rows in drawn.items() if low <= sum(rows) / len(rows) <= high}
    assert 0 < len(band) < len(drawn)
    assert {row["problem_id"] for row in made(shared, record, "main/sample", "completions")} == band


def uniform_curriculum(shared: Home, record: Row) -> None:
    assert _plain("uniform_curriculum") == _plain("sec"), "they differ in the controller alone"
    state = _state(shared, record, "main/bandit")
    assert len({*state["value"].values()}) > 1, "the arms were paid alike, so that an even draw shows nothing"
    assert list(state["chance"].values()) == pytest.approx([1 / len(state["chance"])] * len(state["chance"]), rel=1e-5)
    assert len(made(shared, record, "main/sample", "completions")) == 8 * sum(state["drawn"].values()) == 8 * 40


def sec(shared: Home, record: Row) -> None:
    assert _plain("sec") == _plain("grpo"), "they differ in the controller alone"
    assert record["round"] == 2
    first: Row = json.loads(CampaignFolder(shared, record["campaign"]).round_path(1, 1).read_text())
    was, now = (_state(shared, one, "main/bandit") for one in (first, record))
    assert set(was["value"].values()) == {0.0}
    paid = _payments(shared, first)
    assert any(sum(found) for found in paid.values()), "no group of round 1 had right and wrong answers, so that nothing was paid"
    expected = {arm: 0.5 * sum(paid.get(arm, [0.0])) / len(paid.get(arm, [0.0])) for arm in now["value"]}  # a = 0.5, from 0
    assert now["value"] == pytest.approx(expected)
    total = sum(math.exp(value / 0.4) for value in now["value"].values())
    assert now["chance"] == pytest.approx({arm: math.exp(value / 0.4) / total for arm, value in now["value"].items()})
    drawn = {row["problem_id"] for row in made(shared, record, "main/sample", "completions")}
    arms = [arm for problem, arm in _arms_of(shared, record).items() if problem in drawn]
    assert len(arms) == len(drawn) == 40
    assert now["drawn"] == {arm: arms.count(arm) for arm in now["drawn"]}


def _arms_of(shared: Home, record: Row) -> dict[str, str]:
    """Problem → the last operation of its worked solution, of all that the controller had to choose from."""
    store = Store(shared.store)
    paths = [store.folder(ref) / "problems.parquet" for ref in record["stages"]["main/bandit"]["read"]["problems"]]
    last = {row["problem_id"]: row["answer"].split(";")[-1] for row in tables.read(paths, records.PROBLEMS).to_pylist()}
    return {problem: next(sign for sign in step if sign in "+-*/") for problem, step in last.items()}


def _payments(shared: Home, record: Row) -> dict[str, list[float]]:
    """Arm → |A| of every completion that was given one, 0 in groups that came out all alike."""
    arms = _arms_of(shared, record)
    found = defaultdict(list)
    for row in made(shared, record, "main/filter", "examples_group"):
        found[arms[row["problem_id"]]].append(abs(row["advantage"]))
    of = {row["completion_id"]: row["problem_id"] for row in made(shared, record, "main/sample", "completions")}
    for row in made(shared, record, "main/filter", "dropped"):
        if row["reason"] == "zero variance":
            found[arms[of[row["id"]]]].append(0.0)
    return found
