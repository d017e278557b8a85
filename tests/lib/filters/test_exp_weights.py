import math

import pytest

from lib.errors import UserError
from lib.filters.exp_weights import ExpWeights
from lib.filters.keep_correct import KeepCorrect
from tests.filter_stage import completion, filtered, verdict

COMPLETIONS = [completion(name) for name in ("right", "wrong", "half", "open", "bare")]
VERDICTS = [verdict("right"), verdict("wrong", "wrong"), verdict("half", "wrong", score=0.5), verdict("open", "undecided")]


def weights(result):
    owner = {row["example_id"]: row["completion_id"] for row in result.rows("example_sources") if row["part"] == "whole"}
    return {owner[row["example_id"]]: row["weight"] for row in result.rows("examples_sft")}


def test_a_weight_is_the_exponential_of_the_score_over_tau(tmp_path):
    result = filtered(tmp_path, [ExpWeights(tau=0.4)], COMPLETIONS, VERDICTS)
    assert weights(result) == pytest.approx({"right": math.exp(2.5), "wrong": 1.0, "half": math.exp(1.25)})
    assert weights(result)["right"] == pytest.approx(12.1825, abs=1e-4)
    assert result.dropped == {"open": "undecided", "bare": "no verdict"}


def test_a_scorer_can_weigh_what_another_verifier_kept(tmp_path):
    scores = [verdict(name, None, "rm", score=-2.0) for name in ("right", "wrong")]
    result = filtered(tmp_path, [KeepCorrect(verifier="v"), ExpWeights(tau=1, verifier="rm")], COMPLETIONS, VERDICTS + scores)
    assert weights(result) == pytest.approx({"right": math.exp(-2)})


def test_rows_are_those_of_sft_with_a_parents_prompt_too(tmp_path):
    hinted = completion("hinted", prompt_ids=[1, 9, 9], completion_ids=[5, 6], parent_id="bare")
    result = filtered(tmp_path, [ExpWeights(prompt="parent")], [hinted, completion("bare")], [verdict("hinted")])
    (row,) = result.rows("examples_sft")
    assert row["input_ids"] == [1, 2, 5, 6]
    assert result.sources == {("hinted", "whole"), ("bare", "prompt")}
    assert result.dropped == {"bare": "no verdict"}


def test_a_weight_past_all_measure_is_refused(tmp_path):
    with pytest.raises(UserError, match="set a larger tau"):
        filtered(tmp_path, [ExpWeights(tau=0.01)], COMPLETIONS, VERDICTS)


def test_no_completions_make_no_examples(tmp_path):
    assert filtered(tmp_path, [ExpWeights()], []).stats["examples"] == 0
