"""What the first recipes and their controls leave on their artifacts, and no other method would."""

from __future__ import annotations

from collections import defaultdict

import pytest

from lib import records
from lib.home import Home
from tests.flows.round_tables import Row, by_id, figures, made, outcomes


def expert_iteration(shared: Home, record: Row) -> None:
    texts = defaultdict(list)
    sources = made(shared, record, "main/filter", "example_sources")
    completions, said = by_id(shared, record, "main/sample"), outcomes(shared, record, "main/verify")
    for source in sources:
        assert said[source["completion_id"]] == "correct"
        texts[completions[source["completion_id"]]["problem_id"]].append(completions[source["completion_id"]]["text"])
    assert texts
    assert all(len(found) == len(set(found)) <= 4 for found in texts.values())
    assert len(sources) + len(made(shared, record, "main/filter", "dropped")) == len(completions)


def star(shared: Home, record: Row) -> None:
    hinted = made(shared, record, "main/sample_hinted", "completions")
    first = by_id(shared, record, "main/sample")
    assert hinted
    assert all(c["prompt_ids"] != first[c["parent_id"]]["prompt_ids"] for c in hinted)
    examples = {e["example_id"]: e for e in made(shared, record, "main/filter", "examples_sft")}
    prompts = [s for s in made(shared, record, "main/filter", "example_sources") if s["part"] == "prompt"]
    assert prompts, "no hinted completion was right, so nothing was rationalised"
    for source in prompts:
        asked = first[source["completion_id"]]["prompt_ids"]
        assert examples[source["example_id"]]["input_ids"][: len(asked)] == asked


def iterative_dpo(shared: Home, record: Row) -> None:
    pairs = made(shared, record, "main/filter", "examples_pair")
    assert pairs
    for pair in pairs:
        asked = [n for n, label in enumerate(pair["chosen_labels"]) if label == records.IGNORED]
        assert [pair["chosen_input_ids"][n] for n in asked] == [pair["rejected_input_ids"][n] for n in asked]
        assert pair["chosen_score"] > pair["rejected_score"]


def grpo(shared: Home, record: Row) -> None:
    groups = defaultdict(list)
    for row in made(shared, record, "main/filter", "examples_group"):
        groups[row["group_id"]].append(row)
        assert len(row["old_logprobs"]) == sum(label != records.IGNORED for label in row["labels"])
    assert groups
    for rows in groups.values():
        assert sum(row["advantage"] for row in rows) == pytest.approx(0, abs=1e-6)
        assert 0 < rows[0]["pass_rate"] < 1


def no_filter(shared: Home, record: Row) -> None:
    assert len(made(shared, record, "main/filter", "examples_sft")) == len(made(shared, record, "main/sample", "completions"))


def warm_only(shared: Home, record: Row) -> None:
    assert next(iter(record["stages"])) == "main/train"
    told = figures(shared, record, "main/train")
    assert (told["examples"], told["replayed"]) == (0, 2500)


def warm_start(shared: Home, record: Row) -> None:
    completions = made(shared, record, "main/sample", "completions")
    assert {row["ids_source"] for row in completions} == {"retokenised"}
    assert made(shared, record, "main/filter", "dropped") == []
