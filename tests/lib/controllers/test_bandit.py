import math

import pytest

from lib import records
from lib.controllers.bandit import Bandit
from lib.deciding import Seen
from lib.errors import UserError
from tests.filter_stage import completion, problem

LAST = r"([-+*/])\d+=\d+$"


def problems(**categories):
    """NAME=category and answer, a problem each."""
    return records.PROBLEMS.table([problem(name, category=told, answer=told) for name, told in categories.items()])


def before(advantages, uniform=(), undecided=(), **categories):
    """The tables of a filter stage: problem → advantages of its completions, and problems of completions that were dropped."""
    examples = [
        {
            "example_id": f"{name}{i}",
            "problem_id": name,
            "group_id": name,
            "input_ids": [1],
            "labels": [1],
            "old_logprobs": [0.0],
            "reward": 0.0,
            "advantage": advantage,
            "pass_rate": 0.5,
        }
        for name, values in advantages.items()
        for i, advantage in enumerate(values)
    ]
    dropped = [(name, "zero variance") for name in uniform] + [(name, "undecided") for name in undecided]
    return {
        "main/filter": {
            "problems": problems(**categories),
            "completions": records.COMPLETIONS.table([completion(f"c-{name}", name) for name, _ in dropped]),
            "dropped": records.DROPPED.table(
                [{"unit": "completion", "id": f"c-{name}", "filter": "f", "reason": reason} for name, reason in dropped]
            ),
            "examples_group": records.GROUP.table(examples),
        }
    }


def moved(bandit, state, seen_before, **categories):
    categories = categories or {"p": "a", "q": "b"}
    return bandit.decide(Seen(problems(**categories), before=seen_before, state=state, seed=1)).state["value"]


def test_a_value_moves_by_the_mean_advantage_of_its_arm():
    advantages = {"p": [1.7320508] * 2 + [-0.5773503] * 6}  # 8 answers, 2 right: mean |A| = 0.8660254
    found = moved(Bandit(count=1), {"value": {"a": 0.4, "b": 0.4}}, before(advantages, p="a", q="b"))
    assert found == pytest.approx({"a": 0.6330127, "b": 0.2}, abs=1e-6)


def test_an_arm_that_was_not_drawn_keeps_its_value_where_that_is_asked():
    found = moved(Bandit(count=1, decay=False), {"value": {"a": 0.4, "b": 0.4}}, before({"p": [1.0]}, p="a"))
    assert found == pytest.approx({"a": 0.7, "b": 0.4})


def test_uniform_groups_pay_nothing_and_undecided_completions_do_not_count():
    found = moved(Bandit(count=1), {}, before({"p": [1.0, -1.0]}, uniform=["r", "r2"], undecided=["u"], p="a", r="a", r2="a", u="a"))
    assert found["a"] == pytest.approx(0.5 * (2 / 4))


def test_the_first_round_draws_arms_alike():
    found = Bandit(count=1).decide(Seen(problems(p="a", q="b", r="b"), seed=1)).state
    assert found["value"] == {"a": 0.0, "b": 0.0}
    assert found["chance"] == pytest.approx({"a": 0.5, "b": 0.5})


def test_arms_are_drawn_by_the_boltzmann_law_of_their_values():
    many = {f"p{i}": "ab"[i % 2] for i in range(8000)}
    found = Bandit(count=2000, temperature=0.4, decay=False).decide(
        Seen(problems(**many), before=before({"z": [0.0]}, z="c"), state={"value": {"a": 0.4, "b": 0.0}}, seed=3)
    )
    share = math.e / (math.e + 1)  # exp(0.4 / 0.4) against exp(0)
    assert found.state["chance"] == pytest.approx({"a": share, "b": 1 - share})
    assert found.state["drawn"]["a"] / 2000 == pytest.approx(share, abs=4 * (share * (1 - share) / 2000) ** 0.5)


def test_problems_inside_an_arm_are_drawn_uniformly_and_none_twice():
    given = problems(**{f"p{i}": "a" for i in range(10)})
    times = dict.fromkeys(given["problem_id"].to_pylist(), 0)
    for seed in range(400):
        chosen = Bandit(count=4).decide(Seen(given, seed=seed)).problems
        assert len(set(chosen)) == 4
        for name in chosen:
            times[name] += 1
    assert all(100 < n < 220 for n in times.values())  # 160 expected, 9.8 the deviation


def test_an_arm_that_is_empty_gives_way():
    chosen = Bandit(count=9).decide(Seen(problems(p="a", q="b", r="b"), seed=1)).problems
    assert sorted(chosen) == ["p", "q", "r"]


def test_the_draw_does_not_hang_on_the_order_of_the_rows():
    rows = {f"p{i}": "ab"[i % 2] for i in range(50)}
    one = Bandit(count=9).decide(Seen(problems(**rows), seed=5)).problems
    other = Bandit(count=9).decide(Seen(problems(**dict(reversed(rows.items()))), seed=5)).problems
    assert one == other


def test_a_pattern_in_the_gold_answer_names_the_arm():
    given = problems(p="5+3=8;8*2=16", q="9-4=5", r="no sums")
    assert set(Bandit(count=3, arm=LAST).decide(Seen(given)).state["value"]) == {"*", "-", "other"}


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(UserError, match="no pattern"):
        Bandit(count=1, arm="(")
