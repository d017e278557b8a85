import pytest

from lib.errors import UserError
from lib.filters.group_advantages import GroupAdvantages
from tests.filter_stage import completion, filtered, token_scores, verdict


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


def test_the_population_deviation_gives_advantages_of_mean_size_one_at_a_half(tmp_path):
    exact = GroupAdvantages(divisor="k", constant=1e-12)
    result = filtered(tmp_path / "quarter", [exact], *group([1, 1] + [0] * 6))
    assert in_order(result) == pytest.approx([1.7320508] * 2 + [-0.5773503] * 6, abs=1e-6)
    assert sum(abs(a) for a in in_order(result)) / 8 == pytest.approx(0.8660254, abs=1e-6)  # 2 sqrt(p (1 - p)) at p = 1/4
    sampled = filtered(tmp_path / "sampled", [GroupAdvantages(constant=1e-12)], *group([1, 1] + [0] * 6))
    assert sum(abs(a) for a in in_order(sampled)) / 8 == pytest.approx(0.8100926, abs=1e-6)
    half = filtered(tmp_path / "half", [exact], *group([1, 0] * 4))
    assert [abs(a) for a in in_order(half)] == pytest.approx([1.0] * 8)


def test_reinforce_plus_plus_whitens_over_all_groups(tmp_path):
    completions = [completion(name, problem) for name, problem in (("a", "p"), ("b", "p"), ("c", "q"), ("d", "r"))]
    verdicts = [verdict(name, "correct" if name in "ad" else "wrong") for name in "abcd"]
    result = filtered(tmp_path, [GroupAdvantages(kind="reinforce++", divisor="k", constant=1e-12)], completions, verdicts)
    assert advantages(result) == pytest.approx({"a": 1.0, "b": -1.0, "c": -1.0, "d": 1.0})
    assert sorted(row["pass_rate"] for row in result.rows("examples_group")) == [0.0, 0.5, 0.5, 1.0]


@pytest.mark.parametrize(("correct", "factor"), [(6, 0.5), (11, 0.75), (16, 1.0), (10, 0.7), (2, 0.5), (18, 1.0)])
def test_adpo_scales_the_advantages_of_what_is_seldom_solved_down(tmp_path, correct, factor):
    rewards = [1] * correct + [0] * (20 - correct)
    plain = filtered(tmp_path / "plain", [GroupAdvantages(kind="dr_grpo")], *group(rewards))
    scaled = filtered(tmp_path / "scaled", [GroupAdvantages(kind="dr_grpo", adpo=True)], *group(rewards))
    assert in_order(scaled) == pytest.approx([factor * a for a in in_order(plain)], abs=1e-12)


def test_correct_is_what_verifiers_with_an_outcome_say(tmp_path):
    completions, verdicts = group([1, 0, 0.5])
    told = filtered(tmp_path / "told", [GroupAdvantages()], completions, verdicts).rows("examples_group")
    assert {row["reward"]: row["correct"] for row in told} == {1.0: True, 0.0: False, 0.5: False}
    assert {row["weight"] for row in told} == {None}
    scores = [verdict(f"c{i}", None, "scorer", score=float(i)) for i in range(3)]
    scored = filtered(tmp_path / "scored", [GroupAdvantages(verifier="scorer")], completions, scores).rows("examples_group")
    assert {row["correct"] for row in scored} == {None}
    assert {row["pass_rate"] for row in scored} == {0.0}


def test_what_is_undecided_is_in_no_pass_rate_though_a_scorer_values_it(tmp_path):
    completions = [completion(f"c{i}") for i in range(4)]
    told = [verdict(f"c{i}", outcome) for i, outcome in enumerate(["correct", "wrong", "undecided"])]
    scores = [verdict(f"c{i}", None, "scorer", score=float(i)) for i in range(4)]
    rows = filtered(tmp_path, [GroupAdvantages(verifier="scorer")], completions, [*told, *scores]).rows("examples_group")
    assert {row["reward"]: row["correct"] for row in rows} == {0.0: True, 1.0: False, 2.0: None, 3.0: None}
    assert {row["pass_rate"] for row in rows} == {0.5}


def test_token_scores_become_the_reference_of_labelled_tokens(tmp_path):
    completions, verdicts = group([1, 0, 0.5], completion_ids=[5, 6, 7], logprobs=[-1.0, -2.0, -3.0])
    completions[0]["loss_mask"] = [1, 0, 1]
    scores = [token_scores("c0", [-0.5, -1.5, -2.5]), token_scores("c1", [-4.0, -5.0, -6.0])]
    rows = filtered(tmp_path, [GroupAdvantages()], completions, verdicts, token_scores=scores).rows("examples_group")
    assert {row["reward"]: row["reference_logprobs"] for row in rows} == {1.0: [-0.5, -2.5], 0.0: [-4.0, -5.0, -6.0], 0.5: None}


def test_two_references_for_one_completion_are_refused(tmp_path):
    scores = [token_scores("c0", [-1.0, -1.0], model) for model in ("one", "two")]
    with pytest.raises(UserError, match="1 completions have token scores by several models"):
        filtered(tmp_path, [GroupAdvantages()], *group([1, 0]), token_scores=scores)


@pytest.mark.parametrize("kind", ["grpo", "dr_grpo", "rloo", "reinforce++"])
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
