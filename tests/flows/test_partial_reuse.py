"""A round sampled again with more samples or another token limit: what is missing is drawn, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib import records, tables
from lib.home import Home
from lib.store import Store
from tests.flows.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROBLEMS = 520
"""Enough for several shards, of different sizes."""
FEW = ["--set", "sampler.n=2", "--set", "sampler.max_new_tokens=6"]
MANY = ["--set", "sampler.n=5", "--set", "sampler.max_new_tokens=12"]
MORE_MEASURED = ["--set", "evaluators.0.sampler.n=12"]


def begin(run: Run, name: str, model: Path, *settings: str, **environment: str) -> None:
    plain = ["--recipe", "no_filter", "--set", "trainer.replay=[]", "--set", "trainer.steps=4", "--rounds", "1"]
    words = ["improve", name, "--model", str(model), "--count", str(PROBLEMS), "--held-out", "8", *plain, *settings]
    done = run(*words, **environment)
    assert done.returncode == 0, done.stderr


def stages(home: Home, name: str, number: int) -> dict[str, Any]:
    return json.loads((home.campaigns / name / f"round-{number:03d}" / "round.json").read_text())["stages"]


def sampled(home: Home, name: str, stage: str = "main/sample", number: int = 1) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The completions of a stage's jobs, in order, and what was measured while each was made."""
    store = Store(home.store)
    jobs = [job for job in stages(home, name, number)[stage]["jobs"] if (store.folder(job["digest"]) / "completions.parquet").exists()]
    paths = [store.folder(job["digest"]) / "completions.parquet" for job in jobs]
    return tables.read(paths, records.COMPLETIONS), [store.stats(job["key"], job["version"]) for job in jobs]


def assert_alike(one: pa.Table, other: pa.Table) -> None:
    rounded = ["logprobs", "logprobs_at_1", "entropy_mean"]
    assert one.drop_columns(rounded).equals(other.drop_columns(rounded))
    for name in rounded:
        for a, b in zip(one[name].to_pylist(), other[name].to_pylist(), strict=True):
            assert a == pytest.approx(b, abs=1e-4)


def total(stats: list[dict[str, Any]], name: str) -> int:
    return sum(one.get(name, 0) for one in stats)


def test_a_rerun_with_more_samples_and_a_higher_limit_draws_what_is_missing(run: Run, home: Home, model: Path, tmp_path: Path):
    begin(run, "tiny", model, *FEW)
    first, before = sampled(home, "tiny")
    assert len({one["tokens"] for one in before}) > 1
    asked = ["rerun", "tiny", "--round", "1", *MANY]

    foreseen = json.loads(run(*asked, "--dry-run", "--json").stdout)[0]
    stood = first.num_rows - total(before, "truncated")
    assert foreseen["fate"] == "runs: setting sampler.max_new_tokens: 6 → 12; setting sampler.n: 2 → 5"
    assert 0 < foreseen["kept"] < foreseen["owed"]

    done = run(*asked)
    assert done.returncode == 0, done.stderr
    again, stats = sampled(home, "tiny")
    assert (total(stats, "kept"), total(stats, "drawn")) == (stood, again.num_rows - stood)
    assert 0 < stood < again.num_rows == PROBLEMS * 5
    assert total(stats, "tokens") - total(stats, "tokens_sampled") == total(before, "tokens")
    from_where = {name for one in stats for name in one["kept_from"]}
    assert from_where <= {path.relative_to(home.store / "by-key").with_suffix("").as_posix() for path in home.store.glob("by-key/*/*.json")}

    elsewhere = Home(tmp_path / "elsewhere")
    begin(run, "fresh", model, *MANY, ROUNDHOUSE_HOME=str(elsewhere.root))
    fresh, whole = sampled(elsewhere, "fresh")
    assert_alike(again, fresh)
    assert total(whole, "tokens") == total(whole, "tokens_sampled") == total(stats, "tokens")
    assert not total(whole, "kept")


def test_another_campaign_takes_them_too_but_not_where_forced_nor_what_is_damaged(run: Run, home: Home, model: Path):
    begin(run, "two", model, "--set", "sampler.n=2")
    begin(run, "three", model, "--set", "sampler.n=3", *MORE_MEASURED)
    three, stats = sampled(home, "three")
    assert (total(stats, "kept"), total(stats, "drawn")) == (PROBLEMS * 2, PROBLEMS)
    _, stats = sampled(home, "three", "evaluate/validation", 0)
    assert (total(stats, "kept"), total(stats, "drawn")) == (8 * 8, 8 * 4), "the base model is measured on more samples, not on others"

    forced = run("rerun", "three", "--round", "1", "--from", "sample")
    assert forced.returncode == 0, forced.stderr
    anew, stats = sampled(home, "three")
    assert_alike(anew, three)
    assert not total(stats, "kept") and total(stats, "tokens_sampled") == total(stats, "tokens")

    for file in {*home.store.glob("artifacts/*/*/completions.parquet")}:
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    begin(run, "four", model, "--set", "sampler.n=4")
    four, stats = sampled(home, "four")
    assert not total(stats, "kept")
    assert set(three["completion_id"].to_pylist()) < set(four["completion_id"].to_pylist())
