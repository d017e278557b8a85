import pytest

from lib.filters.group_advantages import GroupAdvantages
from tests.filter_stage import completion, filtered, verdict


def group(rewards, **fields):
    completions = [completion(f"c{i}", **fields) for i in range(len(rewards))]
    verdicts = [verdict(f"c{i}", "correct" if r == 1 else "wrong", score=r) for i, r in enumerate(rewards)]
    return completions, verdicts


def advantages(result):
    by_example = {row["example_id"]: row["completion_id"] for row in result.rows("example_sources")}
    return {by_example[row["example_id"]]: row["advantage"] for row in result.rows("examples_group")}


def in_order(result):
    return [value for _, value in sorted(advantages(result).items())]


def test_rloo_is_the_reward_less_the_mean_of_the_others(tmp_path):
    result = filtered(tmp_path, [GroupAdvantages(kind="rloo")], *group([1, 0, 0, 1, 0.5]))
    assert in_order(result) == pytest.approx([0.625, -0.625, -0.625, 0.625, 0], abs=1e-12)


def test_dr_grpo_is_the_reward_less_the_mean(tmp_path):
    result = filtered(tmp_path, [GroupAdvantages(kind="dr_grpo")], *group([1, 1] + [0] * 6))
    assert in_order(result) == pytest.approx([0.75] * 2 + [-0.25] * 6)
    assert sum(abs(a) for a in in_order(result)) / 8 == pytest.approx(0.375)  # 2p(1-p) at p = 1/4


def test_grpo_divides_by_the_sample_deviation_and_a_constant(tmp_path):
    result = filtered(tmp_path, [GroupAdvantages()], *group([1, 1] + [0] * 6))
    s = 0.4629100498862757
    assert in_order(result) == pytest.approx([0.75 / (s + 1e-4)] * 2 + [-0.25 / (s + 1e-4)] * 6, abs=1e-12)
    assert in_order(result) == pytest.approx([1.6201852] * 2 + [-0.5400617] * 6, rel=3e-4)
    assert {row["pass_rate"] for row in result.rows("examples_group")} == {0.25}


def test_undecided_completions_are_left_out_of_the_group(tmp_path):
    completions, verdicts = group([1, 0])
    completions += [completion("open"), completion("bare")]
    result = filtered(tmp_path, [GroupAdvantages(kind="dr_grpo")], completions, [*verdicts, verdict("open", "undecided")])
    assert advantages(result) == {"c0": 0.5, "c1": -0.5}
    assert result.dropped == {"open": "undecided", "bare": "no verdict"}


@pytest.mark.parametrize("rewards", [[1, 1, 1], [0, 0], [0.3, 0.3]])
def test_a_uniform_group_teaches_nothing(tmp_path, rewards):
    result = filtered(tmp_path / "drop", [GroupAdvantages()], *group(rewards))
    assert set(result.dropped.values()) == {"zero variance"}
    kept = filtered(tmp_path / "keep", [GroupAdvantages(drop_uniform=False)], *group(rewards))
    assert in_order(kept) == [0.0] * len(rewards)


@pytest.mark.parametrize("kind", ["grpo", "dr_grpo", "rloo"])
def test_a_group_of_one_has_no_rival(tmp_path, kind):
    result = filtered(tmp_path, [GroupAdvantages(kind=kind, drop_uniform=False)], *group([1]))
    assert result.dropped == {"c0": "no rival"}


def test_there_is_one_log_probability_per_labelled_token(tmp_path):
    completions, verdicts = group([1, 0, 0.5], completion_ids=[5, 6, 7])
    completions[0] |= {"loss_mask": [1, 0, 1], "logprobs": [-1.0, -2.0, -3.0], "logprobs_at_1": [-0.5, -1.5, -2.5]}
    completions[2] |= {"logprobs_at_1": [-0.25, -1.0, -4.0]}
    rows = filtered(tmp_path, [GroupAdvantages()], completions, verdicts).rows("examples_group")
    found = {row["reward"]: (row["labels"], row["old_logprobs"]) for row in rows}
    assert found[1.0] == ([-100, -100, 5, -100, 7], [-0.5, -2.5])
    assert found[0.5][1] == [-0.25, -1.0, -4.0]
    assert found[0.0] == ([-100, -100, 5, 6, 7], [-0.5, -0.5, -0.5])


def test_a_completion_without_log_probabilities_cannot_be_weighed(tmp_path):
    completions, verdicts = group([1, 0, 0])
    completions[2]["logprobs"] = []
    result = filtered(tmp_path, [GroupAdvantages(kind="dr_grpo")], completions, verdicts)
    assert result.dropped == {"c2": "no log-probabilities"}
    assert in_order(result) == [0.5, -0.5]


def test_log_probabilities_of_another_temperature_are_not_the_models_own(tmp_path):
    completions, verdicts = group([1, 0, 1, 0])
    for row in completions[:2]:
        row["temperature"] = 0.7
    completions[1]["logprobs_at_1"] = [-0.5] * len(completions[1]["completion_ids"])
    assert filtered(tmp_path, [GroupAdvantages()], completions, verdicts).dropped == {"c0": "no log-probabilities"}
