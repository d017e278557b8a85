import pytest

from lib.filters.best_worst_pairs import BestWorstPairs
from tests.filter_stage import completion, filtered, token_scores, verdict


def scored(**scores):
    """Completions r* are correct, w* wrong, with these scores."""
    outcome = {"r": "correct", "w": "wrong", "u": "undecided"}
    return [completion(n) for n in scores], [verdict(n, outcome[n[0]], score=s) for n, s in scores.items()]


def pairs(result):
    return {(row["chosen_score"], row["rejected_score"]) for row in result.rows("examples_pair")}


def test_the_best_correct_meets_the_worst_wrong(tmp_path):
    result = filtered(tmp_path, [BestWorstPairs()], *scored(r1=0.7, r2=0.9, w1=0.1, w2=0.3, u1=0.0))
    assert result.sources == {("r2", "chosen"), ("w1", "rejected")}
    assert pairs(result) == {(0.9, 0.1)}
    assert result.dropped == {"r1": "not chosen", "w2": "not chosen", "u1": "undecided"}


def test_more_pairs_are_disjoint_and_respect_the_margin(tmp_path):
    rows = scored(r1=0.7, r2=0.9, r3=0.5, w1=0.1, w2=0.3, w3=0.45)
    assert pairs(filtered(tmp_path / "a", [BestWorstPairs(max_pairs=5)], *rows)) == {(0.9, 0.1), (0.7, 0.3), (0.5, 0.45)}
    result = filtered(tmp_path / "b", [BestWorstPairs(max_pairs=5, min_margin=0.1)], *rows)
    assert pairs(result) == {(0.9, 0.1), (0.7, 0.3)}
    assert result.dropped == {"r3": "not chosen", "w3": "not chosen"}
    assert result.stats["score_gap"] == pytest.approx((0.8 + 0.4) / 2)


def test_a_problem_without_both_kinds_has_no_pair(tmp_path):
    completions, verdicts = scored(r1=1.0, r2=1.0)
    alone = [completion("w", "q"), completion("bare", "q")]
    result = filtered(tmp_path, [BestWorstPairs()], completions + alone, [*verdicts, verdict("w", "wrong")])
    assert result.dropped == {"r1": "no rival", "r2": "no rival", "w": "no rival", "bare": "no verdict"}
    assert result.stats["examples"] == 0


def test_rivals_answer_the_same_prompt(tmp_path):
    completions = [completion("r", prompt_ids=[1, 9]), completion("w")]
    result = filtered(tmp_path, [BestWorstPairs()], completions, [verdict("r"), verdict("w", "wrong")])
    assert result.dropped == {"r": "no rival", "w": "no rival"}


def test_each_prompt_of_a_problem_has_its_own_ranking(tmp_path):
    completions = [completion(name, prompt_ids=[1, int(name[1])]) for name in ("r1", "w1", "r2", "w2")]
    verdicts = [verdict("r1"), verdict("w1", "wrong"), verdict("r2", score=0.5), verdict("w2", "wrong", score=0.25)]
    assert pairs(filtered(tmp_path, [BestWorstPairs()], completions, verdicts)) == {(1.0, 0.0), (0.5, 0.25)}


def test_both_sides_carry_their_ids_and_labels(tmp_path):
    completions = [completion("r", completion_ids=[3]), completion("w", completion_ids=[4, 5], loss_mask=[1, 0])]
    (row,) = filtered(tmp_path, [BestWorstPairs()], completions, [verdict("r"), verdict("w", "wrong")]).rows("examples_pair")
    assert (row["chosen_input_ids"], row["chosen_labels"]) == ([1, 2, 3], [-100, -100, 3])
    assert (row["rejected_input_ids"], row["rejected_labels"]) == ([1, 2, 4, 5], [-100, -100, 4, -100])
    assert (row["strategy"], row["chosen_score"], row["rejected_score"]) == ("best_worst", 1.0, 0.0)


def test_ties_fall_by_the_seed(tmp_path):
    completions = [completion(name) for name in ("r1", "r2", "r3", "w1", "w2", "w3")]
    verdicts = [verdict(c["completion_id"], "correct" if c["completion_id"][0] == "r" else "wrong") for c in completions]
    chosen = [
        filtered(tmp_path / str(i), [BestWorstPairs()], completions, verdicts, seed=seed).kept for i, seed in enumerate((0, 0, 1, 2, 3))
    ]
    assert chosen[0] == chosen[1]
    assert len({frozenset(names) for names in chosen}) > 1


def test_each_side_takes_its_own_token_scores_for_its_reference(tmp_path):
    scores = [token_scores("r1", [-1.0, -2.0]), token_scores("w1", [-3.0, -4.0])]
    (row,) = filtered(tmp_path / "both", [BestWorstPairs()], *scored(r1=1.0, w1=0.0), token_scores=scores).rows("examples_pair")
    assert (row["chosen_reference_logprobs"], row["rejected_reference_logprobs"]) == ([-1.0, -2.0], [-3.0, -4.0])
    (row,) = filtered(tmp_path / "one", [BestWorstPairs()], *scored(r1=1.0, w1=0.0), token_scores=scores[1:]).rows("examples_pair")
    assert (row["chosen_reference_logprobs"], row["rejected_reference_logprobs"]) == (None, [-3.0, -4.0])
