"""Every recipe runs a round end to end, and leaves its own signature on the artifacts."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib import recipe as recipes
from lib import records, tables
from lib.home import Home
from lib.store import Store
from tests.flows.conftest import command, environment

pytestmark = pytest.mark.slow

SHORT = {"star": "phases.0.stages.5.run.0.steps=4", "warm_start": "trainer.steps=4"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One home for all recipes: they share the warm start by content."""
    return Home(tmp_path_factory.mktemp("recipes"))


def round_of(shared: Home, server: str, name: str) -> dict[str, Any]:
    words = ["improve", name, "--recipe", name, "--count", "100", "--held-out", "8", "--warm-steps", "600", "--rounds", "1"]
    words += ["--set", SHORT.get(name, "trainer.steps=4")]
    ended = subprocess.run(command(shared, *words), env=environment(shared, server), capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    record: dict[str, Any] = json.loads((shared.campaigns / name / "round-001" / "round.json").read_text())
    return record


def made(shared: Home, record: dict[str, Any], stage: str, table: str) -> pa.Table:
    store = Store(shared.store)
    references = record["stages"][stage]["made"].get(table, [])
    return tables.read([store.folder(r) / f"{table}.parquet" for r in references], records.TABLES[table])


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_runs_and_signs_its_artifacts(shared: Home, server: str, name: str):
    record = round_of(shared, server, name)
    assert record["state"] in ("accepted", "rejected")
    assert record["made"]["policy"] != record["start"]["policy"]
    SIGNATURES[name](shared, record)


def expert_iteration(shared: Home, record: dict[str, Any]) -> None:
    texts = defaultdict(list)
    sources = made(shared, record, "main/filter", "example_sources").to_pylist()
    completions = {c["completion_id"]: c for c in made(shared, record, "main/sample", "completions").to_pylist()}
    verdicts = {v["completion_id"]: v["outcome"] for v in made(shared, record, "main/verify", "verdicts").to_pylist()}
    for source in sources:
        assert verdicts[source["completion_id"]] == "correct"
        texts[completions[source["completion_id"]]["problem_id"]].append(completions[source["completion_id"]]["text"])
    assert texts
    assert all(len(found) == len(set(found)) <= 4 for found in texts.values())
    dropped = made(shared, record, "main/filter", "dropped")
    assert len(sources) + dropped.num_rows == len(completions)


def star(shared: Home, record: dict[str, Any]) -> None:
    hinted = made(shared, record, "main/sample_hinted", "completions").to_pylist()
    first = {c["completion_id"]: c for c in made(shared, record, "main/sample", "completions").to_pylist()}
    assert hinted
    assert all(c["prompt_ids"] != first[c["parent_id"]]["prompt_ids"] for c in hinted)
    examples = {e["example_id"]: e for e in made(shared, record, "main/filter", "examples_sft").to_pylist()}
    prompts = [s for s in made(shared, record, "main/filter", "example_sources").to_pylist() if s["part"] == "prompt"]
    assert prompts, "no hinted completion was right, so nothing was rationalised"
    for source in prompts:
        asked = first[source["completion_id"]]["prompt_ids"]
        assert examples[source["example_id"]]["input_ids"][: len(asked)] == asked


def iterative_dpo(shared: Home, record: dict[str, Any]) -> None:
    pairs = made(shared, record, "main/filter", "examples_pair").to_pylist()
    assert pairs
    for pair in pairs:
        asked = [n for n, label in enumerate(pair["chosen_labels"]) if label == records.IGNORED]
        assert [pair["chosen_input_ids"][n] for n in asked] == [pair["rejected_input_ids"][n] for n in asked]
        assert pair["chosen_score"] > pair["rejected_score"]


def grpo(shared: Home, record: dict[str, Any]) -> None:
    groups = defaultdict(list)
    for row in made(shared, record, "main/filter", "examples_group").to_pylist():
        groups[row["group_id"]].append(row)
        assert len(row["old_logprobs"]) == sum(label != records.IGNORED for label in row["labels"])
    assert groups
    for rows in groups.values():
        assert sum(row["advantage"] for row in rows) == pytest.approx(0, abs=1e-6)
        assert 0 < rows[0]["pass_rate"] < 1


def no_filter(shared: Home, record: dict[str, Any]) -> None:
    assert made(shared, record, "main/filter", "examples_sft").num_rows == made(shared, record, "main/sample", "completions").num_rows


def warm_only(shared: Home, record: dict[str, Any]) -> None:
    assert next(iter(record["stages"])) == "main/train"
    job = record["stages"]["main/train"]["jobs"][0]
    stats = Store(shared.store).stats(job["key"], job["version"])
    assert (stats["examples"], stats["replayed"]) == (0, 2500)


def warm_start(shared: Home, record: dict[str, Any]) -> None:
    completions = made(shared, record, "main/sample", "completions")
    assert set(completions["ids_source"].to_pylist()) == {"retokenised"}
    assert made(shared, record, "main/filter", "dropped").num_rows == 0


SIGNATURES = {f.__name__: f for f in (expert_iteration, star, iterative_dpo, grpo, no_filter, warm_only, warm_start)}


def test_no_recipe_holds_a_loop_or_an_if():
    for name in recipes.names():
        text = (Path("lib/recipes") / f"{name}.py").read_text()
        assert not any(word in text for word in ("\nfor ", "\nif ", "\nwhile ", "\ndef "))
        assert len(text.splitlines()) <= 60
