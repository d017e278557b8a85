"""What recipes that need no more than a verifier, a filter or a loss of their own leave on their artifacts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest

from lib import recipe as recipes
from lib.home import Home
from lib.ledger import Ledger
from lib.lineage_rows import example
from tests.flows.round_tables import Row, by_id, completions_of, figures, made, outcomes

SETTINGS = {
    "efficiency": ["--set", "sampler.n=32"],  # enough that some group has right answers of two lengths
    "online_grpo": ["--set", "trainer.iterations=3"],
}


def sharpening_sft(shared: Home, record: Row) -> None:
    completions = by_id(shared, record, "main/sample")
    verdicts = made(shared, record, "main/verify", "verdicts")
    assert {row["verifier"] for row in verdicts} == {"likelihood"}  # no gold answer was looked at
    scores = {row["completion_id"]: row["score"] for row in verdicts}
    for name, score in scores.items():
        assert score == pytest.approx(sum(completions[name]["logprobs"]), rel=1e-3, abs=1e-3)
    best: dict[str, float] = defaultdict(lambda: float("-inf"))
    for name, row in completions.items():
        if row["finish_reason"] == "stop":
            best[row["problem_id"]] = max(best[row["problem_id"]], scores[name])
    learned = {row["completion_id"] for row in made(shared, record, "main/filter", "example_sources")}
    assert {completions[name]["problem_id"]: scores[name] for name in learned} == best


def majority_vote(shared: Home, record: Row) -> None:
    completions = by_id(shared, record, "main/sample")
    assert {row["verifier"] for row in made(shared, record, "main/verify", "verdicts")} == {"majority"}
    groups = defaultdict(list)
    for row in completions.values():
        groups[row["problem_id"]].append(row["text"] if row["finish_reason"] == "stop" else None)
    learned = [completions[row["completion_id"]] for row in made(shared, record, "main/filter", "example_sources")]
    assert learned
    for row in learned:
        votes = Counter(text for text in groups[row["problem_id"]] if text)
        assert votes[row["text"]] == max(votes.values()) >= 3
    assert len({row["problem_id"] for row in learned}) == len(learned)


def efficiency(shared: Home, record: Row) -> None:
    examples = made(shared, record, "main/filter", "examples_group")
    assert max(row["reward"] for row in examples) == pytest.approx(1.5)
    right = [row for row in examples if row["reward"] >= 1]
    by_group = defaultdict(list)
    for row in right:
        by_group[row["group_id"]].append((sum(label >= 0 for label in row["labels"]), row["advantage"]))
    told = [sorted(rows) for rows in by_group.values() if len({length for length, _ in rows}) > 1]
    assert told, "no group had right answers of two lengths"
    for rows in told:
        assert rows[0][1] > rows[-1][1]


def no_filter_equal(shared: Home, record: Row) -> None:
    completions, said = by_id(shared, record, "main/sample"), outcomes(shared, record, "main/verify")
    right = defaultdict(set)
    for name, row in completions.items():
        if said[name] == "correct":
            right[row["problem_id"]].add(row["text"])
    kept = [row["completion_id"] for row in made(shared, record, "main/filter", "example_sources")]
    assert _counts(completions[name]["problem_id"] for name in kept) == {p: min(4, len(texts)) for p, texts in right.items()}
    assert {said[name] for name in kept} == {"correct", "wrong"}
    assert figures(shared, record, "main/train")["examples"] == len(kept)


def nft(shared: Home, record: Row) -> None:
    examples = made(shared, record, "main/filter", "examples_group")
    assert {row["correct"] for row in examples} == {True, False}
    for row in examples:
        assert 0 < row["pass_rate"] < 1
        assert len(row["old_logprobs"]) == sum(label >= 0 for label in row["labels"])
    trained = figures(shared, record, "main/train")
    assert trained["examples"] == len(examples)
    assert abs(trained["kl_old"]) < 0.1  # the ratios are to the model that sampled


def nft_positives(shared: Home, record: Row) -> None:
    recipe, rival = (recipes.load(name)[0].dump() for name in ("nft_positives", "nft"))
    assert recipe["phases"][0]["trainer"].pop("neg_weight") == 0
    assert rival["phases"][0]["trainer"].pop("neg_weight") == 1
    assert recipe == rival, "they differ in the weight of negatives alone"
    assert {row["correct"] for row in made(shared, record, "main/filter", "examples_group")} == {True, False}


def self_sampled_whole(shared: Home, record: Row) -> None:
    said = outcomes(shared, record, "main/verify")
    sources = made(shared, record, "main/filter", "example_sources")
    assert sources
    assert {said[row["completion_id"]] for row in sources} == {"correct"}
    partial, whole = (recipes.load(name)[0] for name in ("self_sampled_partial", "self_sampled_whole"))
    assert partial.phases[0].pipeline[-1] == whole.phases[0].pipeline[-1], "both learn alike"
    assert partial.phases[0].pipeline[0] == whole.phases[0].pipeline[0], "both sample alike"


def sppo(shared: Home, record: Row) -> None:
    rates = {
        row["completion_id"]: row["score"] for row in made(shared, record, "main/verify", "verdicts") if row["verifier"] == "win_rates"
    }
    completions = by_id(shared, record, "main/sample")
    by_problem = defaultdict(list)
    for name, row in completions.items():
        by_problem[row["problem_id"]].append(rates[name])
    for found in by_problem.values():
        assert sum(found) == pytest.approx(len(found) / 2)
    pairs = made(shared, record, "main/filter", "examples_pair")
    assert pairs
    for pair in pairs:
        found = by_problem[pair["problem_id"]]
        assert (pair["chosen_win"], pair["rejected_win"]) == (max(found), min(found))
    for side in ("chosen", "rejected"):  # the reference is the model that sampled, so its log-probabilities are those kept
        names = {
            row["example_id"]: row["completion_id"] for row in made(shared, record, "main/filter", "example_sources") if row["part"] == side
        }
        for pair in pairs:
            kept = completions[names[pair["example_id"]]]["logprobs"]
            assert pair[f"{side}_reference_logprobs"] == pytest.approx(kept, abs=1e-4)
    # at the start each side's loss is (eta (P - 1/2))²; four small steps later it is near that still
    expected = sum(0.5 * sum((4 * (pair[f"{side}_win"] - 0.5)) ** 2 for side in ("chosen", "rejected")) for pair in pairs) / len(pairs)
    assert figures(shared, record, "main/train")["loss_first"] == pytest.approx(expected, rel=0.1)


def self_sampled_partial(shared: Home, record: Row) -> None:
    sources = {row["completion_id"]: row["example_id"] for row in made(shared, record, "main/filter", "example_sources")}
    examples = {row["example_id"]: row for row in made(shared, record, "main/filter", "examples_sft")}
    beginnings, whole = by_id(shared, record, "main/prefixes"), by_id(shared, record, "main/sample")
    able, said = outcomes(shared, record, "main/verify_prefixes"), outcomes(shared, record, "main/verify")
    partial = [name for name in sources if name in beginnings]
    assert partial
    assert len(partial) < len(sources)
    for name in partial:
        row, parent = beginnings[name], whole[beginnings[name]["parent_id"]]
        assert (able[name], said[parent["completion_id"]]) == ("correct", "wrong")
        learned = [label for label in examples[sources[name]]["labels"] if label >= 0]
        assert learned == parent["completion_ids"][: len(learned)] == row["completion_ids"]
        longer = [other for other in beginnings.values() if other["parent_id"] == row["parent_id"] and other["step"] > row["step"]]
        assert all(able[other["completion_id"]] == "wrong" for other in longer)
    assert "largest_share" in figures(shared, record, "main/train")


def online_grpo(shared: Home, record: Row) -> None:
    assert "main/sample" not in record["stages"]
    completions = {row["completion_id"]: row for row in made(shared, record, "main/train", "completions")}
    start = record["start"]["policy"]
    assert {row["model_id"] for row in completions.values()} == {start, f"{start}+1", f"{start}+2"}
    examples = made(shared, record, "main/train", "examples_group")
    groups = defaultdict(list)
    for row in examples:
        groups[row["group_id"]].append(row["advantage"])
    assert all(sum(found) == pytest.approx(0, abs=1e-6) for found in groups.values())
    told = figures(shared, record, "main/train")
    assert (told["steps"], told["completions"]) == (12, len(completions))
    assert record["stages"]["main/train"]["learned"] == {"examples": [record["made"]["policy"]]}
    with Ledger(shared) as ledger:
        found = example(ledger, examples[0]["example_id"])
    kinds = [(node.kind, node.relation) for node in found.children]
    assert ("completion", "made of (whole)") in kinds
    assert [node.id for node in found.children if node.kind == "model"] == [record["made"]["policy"]]
    judged = next(node for node in found.children if node.kind == "completion").children
    assert "countdown" in {node.id for node in judged if node.kind == "verdict"}


def test_time(shared: Home, record: Row) -> None:
    metrics = {row["metric"]: row for row in record["metrics"] if row["split"] == "validation" and row["slice"] == "all"}
    assert metrics["adapted_found"]["n"] == metrics["unadapted_found"]["n"] == 8
    model = record["made"]["policy"]
    drawn = [rows for job in record["stages"]["evaluate/validation"]["jobs"] if (rows := completions_of(shared, job["digest"]))]
    assert {row["model_id"] for rows in drawn for row in rows} == {model, f"{model}+1"}  # as it is, and adapted copies of it
    adapted = next(rows for rows in drawn if any(row["model_id"] != model for row in rows))
    seeds = sorted((row["problem_id"], row["seed"]) for row in adapted)
    plain = [rows for rows in drawn if rows is not adapted and len(rows) == len(adapted) == 32]
    assert len({problem for problem, _ in seeds}) == 8
    assert plain


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values))
