"""What the recipes that search a tree leave on their artifacts, and no other method would."""

from __future__ import annotations

from collections import defaultdict

import pytest

from lib import records
from lib.home import Home
from tests.flows.round_tables import Row, by_id, made, outcomes


def rest_mcts(shared: Home, record: Row) -> None:
    drawn, said = by_id(shared, record, "search/sample"), outcomes(shared, record, "search/verify")
    nodes = {node["completion_id"]: node for node in made(shared, record, "search/sample", "nodes")}
    _draws_continue_their_parents(drawn, nodes)
    learned = {row["completion_id"] for row in made(shared, record, "search/filter", "example_sources")}
    taught = {row["completion_id"] for row in made(shared, record, "value/filter", "example_sources")}
    assert learned
    assert taught == set(drawn) > learned  # the policy and the value model learn from one tree
    made_models = {path: record["stages"][path]["made"]["model"] for path in ("first_value/train", "value/train")}
    assert [record["made"]["value"]] == made_models["value/train"] != made_models["first_value/train"]
    expected = _inferred(drawn, nodes, said)
    examples = made(shared, record, "value/filter", "examples_step")
    assert {tuple(row["input_ids"]): row["target"] for row in examples} == {step: pytest.approx(v) for step, v in expected.items()}
    assert all(row["position"] == len(row["input_ids"]) - 1 for row in examples)
    assert len({row["target"] for row in examples}) > 2
    for problem in {row["problem_id"] for row in drawn.values()}:
        first = [nodes[name]["visits"] for name, row in drawn.items() if row["problem_id"] == problem and nodes[name]["parent"] is None]
        assert sum(first) == 4


def mcts_dpo(shared: Home, record: Row) -> None:
    drawn = by_id(shared, record, "main/sample")
    nodes = {node["completion_id"]: node for node in made(shared, record, "main/sample", "nodes")}
    _draws_continue_their_parents(drawn, nodes)
    sides: dict[str, Row] = defaultdict(dict)
    for source in made(shared, record, "main/filter", "example_sources"):
        sides[source["example_id"]][source["part"]] = source["completion_id"]
    pairs = made(shared, record, "main/filter", "examples_pair")
    assert pairs
    assert any(pair["split_pos"] > len(drawn[sides[pair["example_id"]]["chosen"]]["prompt_ids"]) for pair in pairs)
    for pair in pairs:
        chosen, rejected = (nodes[sides[pair["example_id"]][side]] for side in ("chosen", "rejected"))
        split = pair["split_pos"]
        assert chosen["parent"] == rejected["parent"]
        assert pair["chosen_input_ids"][:split] == pair["rejected_input_ids"][:split]
        assert pair["chosen_input_ids"][split:] != pair["rejected_input_ids"][split:]
        assert pair["chosen_score"] > pair["rejected_score"]
        both = chosen["visits"] + rejected["visits"]
        assert pair["epsilon"] == pytest.approx(min(0.5, rejected["visits"] / both) if both else 0.5)
        for side in ("chosen", "rejected"):
            labelled = sum(label != records.IGNORED for label in pair[f"{side}_labels"])
            assert len(pair[f"{side}_reference_logprobs"]) == labelled


def _draws_continue_their_parents(drawn: dict[str, Row], nodes: dict[str, Row]) -> None:
    assert set(drawn) == set(nodes)
    for name, node in nodes.items():
        if node["parent"] is not None:
            shared = nodes[node["parent"]]["tokens"]
            assert drawn[name]["completion_ids"][:shared] == drawn[node["parent"]]["completion_ids"][:shared]
            assert node["tokens"] > shared or drawn[name]["finish_reason"] == "error"


def _inferred(drawn: dict[str, Row], nodes: dict[str, Row], said: dict[str, str]) -> dict[tuple[int, ...], float]:
    """Every step, with its prompt, and its value by the rule of ReST-MCTS*: by what any draw that begins with it came to."""
    steps = {}
    for name, node in nodes.items():
        prompt, ids = drawn[name]["prompt_ids"], drawn[name]["completion_ids"][: node["tokens"]]
        steps[drawn[name]["problem_id"], tuple(prompt), tuple(ids)] = node["depth"]
    lengths = {name: len([piece for piece in row["text"].split(";") if piece.strip()]) for name, row in drawn.items()}
    below: dict[tuple, list[str]] = {
        step: [name for name, row in drawn.items() if row["problem_id"] == step[0] and _made_below(name, step, drawn, nodes)]
        for step in steps
    }
    spans, values = {}, {}
    for step, depth in sorted(steps.items(), key=lambda item: item[1]):
        problem, prompt, ids = step
        above = next(
            (other for other in steps if steps[other] == depth - 1 and other[0] == problem and other[2] == ids[: len(other[2])]), None
        )
        ways = [max(lengths[name] - depth, 0) for name in below[step] if said[name] == "correct"]
        spans[step] = min(ways) + 1 if ways else spans.get(above, 1)
        before = values.get(above, 0.0)
        values[step] = max(before + (1 if ways else -1) * (1 - before) / spans[step], 0.0)
    return {(*prompt, *ids): value for (_, prompt, ids), value in values.items()}


def _made_below(name: str, step: tuple, drawn: dict[str, Row], nodes: dict[str, Row]) -> bool:
    """Whether a draw's own node is a step or lies below it."""
    ids = drawn[name]["completion_ids"][: nodes[name]["tokens"]]
    return tuple(ids[: len(step[2])]) == step[2]
