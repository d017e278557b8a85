import pytest

from lib.filters.keep import Keep
from lib.filters.refined_pairs import RefinedPairs
from tests.filter_stage import completion, filtered, verdict

OUTCOMES = ["correct", "wrong", "undecided", None]


def family(original, refined):
    completions = [completion("o"), completion("r", parent_id="o", turn=1, prompt_ids=[1, 2, 7, 8, 5], completion_ids=[3])]
    verdicts = [verdict(name, outcome) for name, outcome in (("o", original), ("r", refined)) if outcome]
    return completions, verdicts


def test_a_refinement_that_turned_right_beats_its_original_after_the_originals_prompt(tmp_path):
    result = filtered(tmp_path, [RefinedPairs()], *family("wrong", "correct"))
    (row,) = result.rows("examples_pair")
    assert (row["chosen_input_ids"], row["chosen_labels"]) == ([1, 2, 3], [-100, -100, 3])
    assert (row["rejected_input_ids"], row["rejected_labels"]) == ([1, 2, 7, 8], [-100, -100, 7, 8])
    assert (row["chosen_score"], row["rejected_score"], row["strategy"]) == (1.0, 0.0, "refined")
    assert result.sources == {("r", "chosen"), ("o", "rejected")}


@pytest.mark.parametrize(
    ("original", "refined", "reason"),
    [
        ("correct", "wrong", "no better"),
        ("correct", "correct", "no better"),
        ("wrong", "undecided", "undecided"),
        ("undecided", "correct", "original undecided"),
        (None, "correct", "original no verdict"),
        ("wrong", None, "no verdict"),
    ],
)
def test_anything_else_makes_no_pair(tmp_path, original, refined, reason):
    assert filtered(tmp_path, [RefinedPairs()], *family(original, refined)).dropped == {"o": "not refined", "r": reason}


def test_a_better_score_can_be_enough(tmp_path):
    completions, _ = family(None, None)
    verdicts = [verdict("o", None, "s", score=0.5), verdict("r", None, "s", score=0.75)]
    strict = filtered(tmp_path / "strict", [RefinedPairs(verifier="s")], completions, verdicts)
    assert strict.dropped["r"] == "not turned right"
    assert filtered(tmp_path / "loose", [RefinedPairs(verifier="s", turned=False)], completions, verdicts).kept == {"o", "r"}
    far = filtered(tmp_path / "far", [RefinedPairs(verifier="s", turned=False, min_margin=0.5)], completions, verdicts)
    assert far.dropped["r"] == "no better"


def test_an_original_that_fell_or_was_not_given_is_no_rival(tmp_path):
    completions, verdicts = family("wrong", "correct")
    fell = filtered(tmp_path / "fell", [Keep(where="turn > 0"), RefinedPairs()], completions, verdicts)
    assert fell.dropped == {"o": "predicate", "r": "no original"}
    assert filtered(tmp_path / "gone", [RefinedPairs()], completions[1:], verdicts[1:]).dropped == {"r": "no original"}


def test_a_chain_of_refinements_pairs_each_with_the_one_before(tmp_path):
    completions = [completion("a"), completion("b", parent_id="a"), completion("c", parent_id="b")]
    verdicts = [verdict(name, None, "s", score=i / 4) for i, name in enumerate("abc")]
    result = filtered(tmp_path, [RefinedPairs(verifier="s", turned=False)], completions, verdicts)
    assert result.sources == {("b", "chosen"), ("a", "rejected"), ("c", "chosen"), ("b", "rejected")}
