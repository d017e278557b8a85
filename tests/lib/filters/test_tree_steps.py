import pytest

from lib.errors import UnknownName
from lib.filters.keep import Keep
from lib.filters.tree_steps import TreeSteps
from tests.filter_stage import completion, filtered, node, verdict

SEMICOLON, A, B, C, END = 9, 3, 4, 5, 2
RIGHT, WRONG = [A, SEMICOLON, B, SEMICOLON, C, END], [A, SEMICOLON, C, END]


def text(ids):
    return "".join({SEMICOLON: ";", A: "a", B: "b", C: "c"}.get(i, "") for i in ids)


def tree():
    """a; → b; → c, right; below a; also c, wrong; and a; once more."""
    draws = {
        "d1": (RIGHT, node("d1", tokens=2)),
        "d2": (RIGHT, node("d2", "d1", 2, 4)),
        "d3": (RIGHT, node("d3", "d2", 3, 6)),
        "d4": (WRONG, node("d4", "d1", 2, 4)),
        "d5": (WRONG, node("d5", tokens=2, visits=0, value=None)),
    }
    completions = [completion(name, completion_ids=ids, text=text(ids)) for name, (ids, _) in draws.items()]
    verdicts = [verdict(name, "correct" if ids is RIGHT else "wrong") for name, (ids, _) in draws.items()]
    return {"completions": completions, "verdicts": verdicts, "nodes": [made for _, made in draws.values()]}


def taught(result):
    return {tuple(row["input_ids"]): (row["step"], row["position"], row["target"]) for row in result.rows("examples_step")}


def test_every_step_is_an_example_that_ends_with_it_and_has_its_value(tmp_path):
    result = filtered(tmp_path, [TreeSteps(separator=";")], **tree())
    assert taught(result) == {
        (1, 2, A, SEMICOLON): (1, 3, pytest.approx(1 / 3)),
        (1, 2, A, SEMICOLON, B, SEMICOLON): (2, 5, pytest.approx(2 / 3)),
        (1, 2, *RIGHT): (3, 7, pytest.approx(1.0)),
        (1, 2, *WRONG): (2, 5, pytest.approx(1 / 3 - (2 / 3) / 3)),
    }
    assert result.dropped == {}
    assert result.stats["examples"] == 4


def test_draws_of_one_step_share_its_example(tmp_path):
    result = filtered(tmp_path, [TreeSteps(separator=";")], **tree())
    first = next(row["example_id"] for row in result.rows("examples_step") if row["step"] == 1)
    assert {row["completion_id"] for row in result.rows("example_sources") if row["example_id"] == first} == {"d1", "d5"}


def test_shares_of_right_continuations_can_be_the_targets(tmp_path):
    soft = filtered(tmp_path / "soft", [TreeSteps(separator=";", kind="soft")], **tree())
    assert taught(soft)[1, 2, A, SEMICOLON][2] == 0.5  # d1 and d2 right, d4 and d5 wrong
    hard = filtered(tmp_path / "hard", [TreeSteps(separator=";", kind="hard")], **tree())
    assert taught(hard)[1, 2, A, SEMICOLON][2] == 1.0


def test_what_fell_still_tells_of_the_others(tmp_path):
    given = tree()
    result = filtered(tmp_path, [Keep(where="completion_id <> 'd2'"), TreeSteps(separator=";")], **given)
    assert taught(result)[1, 2, A, SEMICOLON] == (1, 3, pytest.approx(1 / 3))
    assert (1, 2, A, SEMICOLON, B, SEMICOLON) not in taught(result)
    assert result.dropped == {"d2": "predicate"}


def test_what_is_undecided_or_of_no_tree_is_dropped(tmp_path):
    given = tree()
    given["verdicts"] = [verdict(f"d{i}", "undecided" if i == 3 else "wrong") for i in range(1, 6)]
    given["completions"].append(completion("other"))
    result = filtered(tmp_path, [TreeSteps(separator=";")], **given)
    assert result.dropped == {
        "d1": "undecided",
        "d2": "undecided",
        "d3": "undecided",
        "d4": "undecided",
        "d5": "undecided",
        "other": "no node",
    }


def test_one_verifier_can_be_the_one_that_counts(tmp_path):
    given = tree()
    given["verdicts"] += [verdict(f"d{i}", "correct", "kind") for i in range(1, 6)]
    result = filtered(tmp_path / "one", [TreeSteps(separator=";", verifier="kind")], **given)
    assert taught(result)[1, 2, *WRONG][2] == 1.0
    with pytest.raises(UnknownName, match="no verifier 'kin'"):
        filtered(tmp_path / "other", [TreeSteps(verifier="kin")], **given)
