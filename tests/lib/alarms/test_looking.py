"""What alarms look at, gathered from artifacts of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib import keys, records
from lib.alarms.looking import look
from lib.alarms.seen import Part
from lib.home import Home
from lib.round_record import RoundRecord
from lib.stages import evaluate, filter, sample, train, verify
from lib.store import Store
from tests.filter_stage import completion, problem
from tests.small_home import SmallHome, note

STOP = 1
MODEL = {"model.safetensors": "weights", "config.json": '{"eos_token_id": 1}', "tokenizer_config.json": "{}"}


@pytest.fixture
def small(tmp_path: Path) -> SmallHome:
    home = Home(tmp_path)
    return SmallHome(home, Store(home.store))


def answers(small, model, rows, values, seed=0):
    """An evaluation on validation: completions and a value of pass_at_1 for each problem."""
    drawn = [completion(f"c{seed}{n}", "p", model_id=model, role="policy", **row) for n, row in enumerate(rows)]
    sampled = small.publish("sample", {"seed": seed}, {}, {}, {"completions.parquet": (records.COMPLETIONS, drawn)})
    place = {"model_id": model, "split": "validation", "evaluator": "PassAtK", "metric": "pass_at_1"}
    items = [{**place, "problem_id": f"p{n}", "value": value} for n, value in enumerate(values)]
    measured = small.publish("evaluate", {"seed": seed}, {}, {}, {"metric_items.parquet": (records.METRIC_ITEMS, items)})
    record = RoundRecord("c", seed, 1, start={"policy": model})
    note(record, "evaluate/validation", "evaluate", [sampled, measured], "metric_items")
    return record


def test_completions_and_figures_are_held_against_the_base_models(small):
    model = small.publish("adopt", {}, {}, {}, MODEL).digest
    base = answers(small, model, [{"completion_ids": [7, STOP], "entropy_mean": 0.5}], [0.0, 0.5, 0.5])
    rows = [
        {"completion_ids": [7, 8, 9, STOP], "entropy_mean": 0.1},
        {"completion_ids": [7, 8, 9, 9], "finish_reason": "length", "entropy_mean": 0.2},
        {"completion_ids": [7, 8], "entropy_mean": 0.3},  # stopped by something else than an end of text
        {"completion_ids": [], "finish_reason": "error"},
        {"completion_ids": [7, STOP], "temperature": 0.0, "entropy_mean": 0.0},  # greedy: not among the sampled
    ]
    seen = look(answers(small, model, rows, [1.0, 1.0, 0.5], seed=1), base, small.store, (), stop_strings=False)
    assert seen.drawn is not None and seen.drawn_base is not None
    assert (seen.drawn.completions, seen.drawn.truncated, seen.drawn.unended) == (3, 1, 2)
    assert seen.drawn.mean_tokens == pytest.approx(10 / 3)
    assert (seen.drawn.entropy, seen.drawn_base.entropy) == (pytest.approx(0.2), 0.5)
    assert seen.changes["pass_at_1"].mean == pytest.approx(0.5)
    assert seen.changes["pass_at_1"].stderr == pytest.approx((0.25 / 3) ** 0.5)
    assert look(base, base, small.store, (), stop_strings=True).drawn.unended is None


def test_examples_of_held_out_problems_are_found_by_id_and_by_prompt(small):
    held = small.publish(
        "problems", {}, {}, {}, {"shard-000/problems.parquet": (records.PROBLEMS, [problem("h", "2 plus 2?"), problem("i", "1?")])}
    )
    drawn = small.publish(
        "problems", {"n": 1}, {}, {}, {"shard-000/problems.parquet": (records.PROBLEMS, [problem("p", "2  PLUS\n2?"), problem("q", "9?")])}
    )
    example = {"input_ids": [1], "labels": [1], "weight": 1.0}
    rows = [{"example_id": f"e{n}", "problem_id": name, **example} for n, name in enumerate(("p", "p", "q", "i"))]
    dropped = [{"unit": "completion", "id": "x", "filter": "Decontaminate", "reason": "held out: same problem"}]
    files = {"examples_sft.parquet": (records.SFT, rows), "dropped.parquet": (records.DROPPED, dropped)}
    filtered = small.publish("filter", {}, {}, {}, files, stats={"completions": 8, "kept": 4})
    record = RoundRecord("c", 1, 1, start={"policy": "m"})
    note(record, "main/sample", "sample", [], "completions")
    record.stages["main/sample"]["read"] = {"problems": small.store.folders(drawn.digest)}
    note(record, "main/filter", "filter", [filtered], "examples_sft")
    note(record, "main/train", "train", [], "model")
    record.stages["main/train"]["learned"] = {"examples": [filtered.digest]}
    seen = look(record, record, small.store, small.store.folders(held.digest), stop_strings=False)
    assert seen.overlap is not None
    assert (seen.overlap.met, seen.overlap.learned, seen.overlap.kept_out, seen.overlap.held_out) == (3, 4, 1, 2)
    assert seen.kept == Part(4, 8)


def test_verdicts_are_counted_over_shards(small):
    shards = [
        small.publish("verify", {"shard": n}, {}, {}, {"verdicts.parquet": (records.VERDICTS, [])}, stats=stats)
        for n, stats in enumerate(
            (
                {"outcomes": {"correct": 5, "undecided": 1}, "gold/answer/judge/both": 3, "gold/answer/judge/said": 4},
                {"outcomes": {"wrong": 4}, "gold/answer/judge/both": 2, "gold/answer/judge/said": 2},
            )
        )
    ]
    record = RoundRecord("c", 1, 1, start={"policy": "m"})
    note(record, "main/verify", "verify", shards, "verdicts")
    seen = look(record, record, small.store, (), stop_strings=False)
    assert seen.undecided == Part(1, 10)
    assert [(gold.verifier, gold.gold, gold.both, gold.said) for gold in seen.gold] == [("judge", "answer", 5, 6)]


def test_a_training_that_sampled_for_itself_tells_what_was_kept_and_undecided(small):
    stats = {"completions": 8, "kept": 6, "outcomes": {"correct": 5, "wrong": 1, "undecided": 2}}
    dropped = [{"unit": "completion", "id": "x", "filter": "Decontaminate", "reason": "held out: same problem"}]
    trained = small.publish("train", {}, {}, {}, {**MODEL, "dropped.parquet": (records.DROPPED, dropped)}, stats=stats)
    record = RoundRecord("c", 1, 1, start={"policy": "m"})
    note(record, "main/train", "train", [trained], "model")
    seen = look(record, record, small.store, (), stop_strings=False)
    assert (seen.kept, seen.undecided, seen.overlap.kept_out) == (Part(6, 8), Part(2, 8), 1)


@pytest.mark.parametrize("stage", [sample, verify, filter, train, evaluate])
def test_no_stage_reaches_the_alarms_so_no_content_key_knows_them(stage):
    reached, _ = keys.closure([stage.__name__])
    assert reached
    assert [name for name in reached if name.startswith(("lib.alarms", "lib.report"))] == []
