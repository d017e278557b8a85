from lib.filters.keep_correct import KeepCorrect
from lib.filters.sft_rows import SftRows
from tests.filter_stage import completion, filtered, token_scores, verdict

HINTED = completion("hinted", prompt_ids=[1, 9, 9], completion_ids=[5, 6], parent_id="plain")
PLAIN = completion("plain", prompt_ids=[1, 2, 3], completion_ids=[4])


def test_a_row_is_the_sampled_ids_with_the_loss_on_the_completion(tmp_path):
    masked = completion("m", prompt_ids=[1, 2], completion_ids=[7, 8, 9], loss_mask=[1, 0, 1], finish_reason="length")
    (row,) = filtered(tmp_path, [SftRows()], [masked]).rows("examples_sft")
    assert row["input_ids"] == [1, 2, 7, 8, 9]
    assert row["labels"] == [-100, -100, 7, -100, 9]
    assert row["weight"] == 1.0


def test_own_prompts_are_kept_unless_asked_otherwise(tmp_path):
    result = filtered(tmp_path, [SftRows()], [HINTED])
    assert result.rows("examples_sft")[0]["input_ids"] == [1, 9, 9, 5, 6]
    assert result.sources == {("hinted", "whole")}


def test_a_hinted_answer_is_learnt_from_the_prompt_of_its_dropped_parent(tmp_path):
    verdicts = [verdict("plain", "wrong"), verdict("hinted")]
    result = filtered(tmp_path, [KeepCorrect(), SftRows(prompt="parent")], [HINTED, PLAIN], verdicts)
    (row,) = result.rows("examples_sft")
    assert row["input_ids"] == [1, 2, 3, 5, 6]
    assert row["labels"] == [-100, -100, -100, 5, 6]
    assert result.sources == {("hinted", "whole"), ("plain", "prompt")}
    assert result.dropped == {"plain": "wrong"}


def test_a_parent_that_was_not_given_leaves_the_own_prompt(tmp_path):
    result = filtered(tmp_path, [SftRows(prompt="parent")], [HINTED])
    assert result.rows("examples_sft")[0]["input_ids"] == [1, 9, 9, 5, 6]


def test_an_example_is_named_by_its_content(tmp_path):
    runs = [filtered(tmp_path / name, [SftRows(prompt=name)], [HINTED, PLAIN], seed=seed) for seed, name in enumerate(("own", "parent"))]
    own, parent = ({row["completion_id"]: row["example_id"] for row in run.rows("example_sources")} for run in runs)
    assert own["plain"] == next(
        r["example_id"] for r in runs[1].rows("example_sources") if r["part"] == "whole" and r["completion_id"] == "plain"
    )
    assert own["hinted"] not in parent.values()


def test_token_scores_go_with_the_prompt_that_they_were_made_after(tmp_path):
    scores = [token_scores("hinted", [-1.0, -2.0]), token_scores("plain", [-3.0])]
    own = filtered(tmp_path / "own", [SftRows()], [HINTED, PLAIN], token_scores=scores).rows("examples_sft")
    assert sorted(row["reference_logprobs"] for row in own) == [[-3.0], [-1.0, -2.0]]
    parent = filtered(tmp_path / "parent", [SftRows(prompt="parent")], [HINTED, PLAIN], token_scores=scores).rows("examples_sft")
    assert {tuple(row["input_ids"]): row["reference_logprobs"] for row in parent} == {(1, 2, 3, 5, 6): None, (1, 2, 3, 4): [-3.0]}


def test_scores_of_other_tokens_are_no_reference(tmp_path):
    (row,) = filtered(tmp_path, [SftRows()], [PLAIN], token_scores=[token_scores("plain", [-1.0, -2.0])]).rows("examples_sft")
    assert row["reference_logprobs"] is None


def test_examples_can_count_alike_whatever_their_length(tmp_path):
    rows = [completion("a", completion_ids=[3]), completion("b", completion_ids=[3, 4, 5, 6, 7], loss_mask=[1, 1, 1, 0, 0])]
    weights = {
        row["input_ids"][-1]: row["weight"] for row in filtered(tmp_path / "a", [SftRows(weigh="examples")], rows).rows("examples_sft")
    }
    assert weights == {3: 2.0, 7: 2 / 3}  # 1 and 3 labelled tokens, 2 in the mean
    assert {row["weight"] for row in filtered(tmp_path / "b", [SftRows()], rows).rows("examples_sft")} == {1.0}
