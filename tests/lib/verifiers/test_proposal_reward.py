import pytest

from lib import records
from lib.protocols import Tables, Verifier
from lib.verifiers.proposal_reward import ProposalReward
from tests.filter_stage import completion, problem, verdict

KNOWN = (("r_zero", (0.2, 0.6, 1.0, 0.4)), ("spell", (0.0561348, 0.4867523, 1.0, 0.1978987)), ("azr", (0.9, 0.7, 0.5, 0.2)))


def given(right, answers=10, **fields):
    """A proposal of each name whose problem has so many right answers of `answers`."""
    born = [problem(f"born-{name}", source="proposed", parent_ids=[name]) for name in right]
    proposals = [completion(name, "context", role="proposer", text=name, **fields) for name in right]
    replies = [completion(f"{name}-{i}", f"born-{name}", loss_mask=[0, 1]) for name in right for i in range(answers)]
    said = [
        verdict(f"{name}-{i}", "correct" if i < count else "wrong", "majority") for name, count in right.items() for i in range(answers)
    ]
    return [problem("context"), *born], [*proposals, *replies], said


def rewards(settings, problems, completions, verdicts):
    tables = Tables(records.PROBLEMS.table(problems), records.COMPLETIONS.table(completions), records.VERDICTS.table(verdicts))
    made = ProposalReward(**settings).verify(tables, {})
    assert made.num_rows == ProposalReward(**settings).owes(tables)
    return {row["completion_id"]: row["score"] for row in made.to_pylist()}


@pytest.mark.parametrize(("form", "worked_out"), KNOWN)
def test_the_reward_is_a_function_of_the_share_of_right_answers(form, worked_out):
    made = rewards({"form": form}, *given({"a": 1, "b": 3, "c": 5, "d": 8}))
    assert list(made.values()) == pytest.approx(list(worked_out), abs=1e-6)


@pytest.mark.parametrize(("form", "never", "always"), [("r_zero", 0, 0), ("spell", 0, 0), ("azr", 0, 0), ("agent0", 0.05, 0.05)])
def test_what_is_never_or_always_solved_is_worth_nothing_but_its_calls(form, never, always):
    assert rewards({"form": form}, *given({"a": 0, "b": 10})) == pytest.approx({"a": never, "b": always})


def test_agent0_counts_tool_calls_and_repetition():
    problems, completions, verdicts = given({"a": 3, "b": 5})
    for row in completions:
        if row["problem_id"] == "born-a":
            row |= {"completion_ids": list(range(12)), "logprobs": [0.0] * 12, "loss_mask": [0, 1] * 6}  # six calls count as four
        if row["completion_id"] in "ab":
            row["text"] = "same"
    made = rewards({"form": "agent0", "repetition": 1.0}, problems, completions, verdicts)
    assert made == pytest.approx({"a": 0.3 + 0.2 - 1.0, "b": 0.5 + 0.05 - 1.0})


def test_what_became_no_problem_is_penalised_and_what_cannot_be_known_is_undecided():
    problems, completions, verdicts = given({"a": 5, "open": 0})
    completions += [
        completion("x", "context", role="proposer", text="x"),
        completion("e", "context", role="proposer", finish_reason="error"),
    ]
    verdicts = [row | {"outcome": "undecided"} if row["completion_id"].startswith("open") else row for row in verdicts]
    assert rewards({}, problems, completions, verdicts) == {"a": 1.0, "open": None, "x": -1.0, "e": None}


def test_equal_proposals_share_a_problem_and_its_rate():
    problems, completions, verdicts = given({"a": 5})
    problems[1]["parent_ids"] = ["a", "twin"]
    completions.append(completion("twin", "context", role="proposer", text="a"))
    assert rewards({"repetition": 0.5}, problems, completions, verdicts) == {"a": 0.5, "twin": 0.5}


def test_it_is_a_verifier():
    assert isinstance(ProposalReward(), Verifier)
