import pytest

from lib.filters.sibling_pairs import SiblingPairs
from tests.filter_stage import completion, filtered, node, token_scores


def family(**fields):
    """Two first steps, and below the first three more of two tokens each."""
    draws = {
        "a": ([3, 4, 5], node("a", tokens=2, visits=6, value=0.75)),
        "b": ([6, 7, 8], node("b", tokens=2, visits=2, value=0.25)),
        "c": ([3, 4, 9, 9, 1], node("c", "a", 2, 4, visits=3, value=1.0)),
        "d": ([3, 4, 8, 9, 2, 2], node("d", "a", 2, 4, visits=1, value=0.0)),
        "e": ([3, 4, 7, 9], node("e", "a", 2, 4, visits=1, value=0.5)),
    }
    completions = [completion(name, completion_ids=ids, **fields) for name, (ids, _) in draws.items()]
    return {"completions": completions, "nodes": [made for _, made in draws.values()]}


def by_chosen(result):
    names = {example: name for name, part, example in sources(result) if part == "chosen"}
    return {names[row["example_id"]]: row for row in result.rows("examples_pair")}


def sources(result):
    return [(row["completion_id"], row["part"], row["example_id"]) for row in result.rows("example_sources")]


def test_the_best_step_stands_against_the_worst_after_the_same_tokens(tmp_path):
    result = filtered(tmp_path, [SiblingPairs()], **family())
    assert result.sources == {("a", "chosen"), ("b", "rejected"), ("c", "chosen"), ("d", "rejected")}
    assert result.dropped == {"e": "not chosen"}
    first, second = by_chosen(result)["a"], by_chosen(result)["c"]
    assert (first["split_pos"], second["split_pos"]) == (2, 4)
    assert (second["chosen_input_ids"], second["rejected_input_ids"]) == ([1, 2, 3, 4, 9, 9], [1, 2, 3, 4, 8, 9])
    assert second["chosen_labels"] == [-100, -100, 3, 4, 9, 9]
    assert (second["chosen_score"], second["rejected_score"], second["strategy"]) == (1.0, 0.0, "siblings")


def test_epsilon_is_how_seldom_the_better_step_was_visited(tmp_path):
    found = by_chosen(filtered(tmp_path, [SiblingPairs()], **family()))
    assert found["a"]["epsilon"] == pytest.approx(1 / (6 / 2 + 1))
    assert found["c"]["epsilon"] == pytest.approx(1 / (3 / 1 + 1))


@pytest.mark.parametrize(("visits", "epsilon"), [((1, 3), 0.5), ((0, 0), 0.5), ((2, 0), 0.0), ((0, 2), 0.5)])
def test_epsilon_is_one_half_at_most(tmp_path, visits, epsilon):
    given = family()
    made = [node("a", tokens=2, visits=visits[0], value=0.75), node("b", tokens=2, visits=visits[1], value=0.25)]
    assert by_chosen(filtered(tmp_path, [SiblingPairs()], given["completions"][:2], nodes=made))["a"]["epsilon"] == epsilon


def test_the_rollout_can_be_learned_too(tmp_path):
    found = by_chosen(filtered(tmp_path, [SiblingPairs(learn="rollout")], **family()))["c"]
    assert (found["chosen_input_ids"], found["rejected_input_ids"]) == ([1, 2, 3, 4, 9, 9, 1], [1, 2, 3, 4, 8, 9, 2, 2])


@pytest.mark.parametrize(("learn", "count"), [("step", 4), ("rollout", 5)])
def test_reference_log_probabilities_go_as_far_as_the_tokens(tmp_path, learn, count):
    given = family()
    scores = [token_scores(c["completion_id"], [-float(i) for i in range(len(c["completion_ids"]))]) for c in given["completions"]]
    found = by_chosen(filtered(tmp_path, [SiblingPairs(learn=learn)], token_scores=scores, **given))["c"]
    assert found["chosen_reference_logprobs"] == [-float(i) for i in range(count)]
    assert len(found["rejected_reference_logprobs"]) == sum(label != -100 for label in found["rejected_labels"])
    masked = family(loss_mask=None)
    masked["completions"][2]["loss_mask"] = [0, 0, 1, 1, 1]
    found = by_chosen(filtered(tmp_path / "masked", [SiblingPairs(learn=learn)], token_scores=scores, **masked))["c"]
    assert found["chosen_reference_logprobs"] == [-float(i) for i in range(2, count)]


def test_steps_of_equal_value_or_tokens_and_without_a_value_make_no_pair(tmp_path):
    given = family()
    values = {"a": None, "b": 0.25, "c": 0.5, "d": 0.5, "e": 0.5}
    nodes = [made | {"value": values[made["completion_id"]]} for made in given["nodes"]]
    result = filtered(tmp_path / "values", [SiblingPairs()], given["completions"], nodes=[*nodes])
    assert result.dropped == {"a": "no value", "b": "no rival", "c": "no rival", "d": "no rival", "e": "no rival"}
    same = [completion(name, completion_ids=[3, 4, 9]) for name in "ab"]
    result = filtered(tmp_path / "same", [SiblingPairs()], same, nodes=given["nodes"][:2])
    assert result.dropped == {"a": "not chosen", "b": "not chosen"}


def test_the_margin_must_be_reached(tmp_path):
    result = filtered(tmp_path, [SiblingPairs(min_margin=0.6)], **family())
    assert result.kept == {"c", "d"}
    assert result.dropped == {"a": "not chosen", "b": "not chosen", "e": "not chosen"}


def test_steps_of_other_trees_and_what_has_no_node_are_not_siblings(tmp_path):
    given = family()
    given["completions"][1]["group_id"] = "another tree"
    given["completions"].append(completion("f"))
    result = filtered(tmp_path, [SiblingPairs()], **given)
    assert result.dropped == {"a": "no rival", "b": "no rival", "e": "not chosen", "f": "no node"}
