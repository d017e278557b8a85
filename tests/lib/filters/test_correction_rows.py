from lib.filters.correction_rows import CorrectionRows
from lib.protocols import Builder
from tests.filter_stage import completion, filtered, verdict

COMPLETIONS = [
    completion("wrong", completion_ids=[11]),
    completion("right", completion_ids=[12]),
    completion("mended", prompt_ids=[1, 11, 9], completion_ids=[13], parent_id="wrong", turn=1),
    completion("still", prompt_ids=[1, 11, 9], completion_ids=[14], parent_id="wrong", turn=1, sample_index=1),
    completion("spoilt", prompt_ids=[1, 12, 9], completion_ids=[15], parent_id="right", turn=1),
    completion("open", completion_ids=[16]),
]
VERDICTS = [verdict("wrong", "wrong"), verdict("right"), verdict("mended"), verdict("still", "wrong"), verdict("spoilt", "wrong")]
VERDICTS += [verdict("open", "undecided")]


def test_a_correction_is_learned_behind_the_attempt_that_it_corrects(tmp_path):
    result = filtered(tmp_path, [CorrectionRows()], COMPLETIONS, VERDICTS)
    (row,) = result.rows("examples_sft")
    assert row["input_ids"] == [1, 11, 9, 13]
    assert row["labels"] == [-100, -100, -100, 13]
    assert result.sources == {("mended", "whole"), ("wrong", "prompt")}
    assert result.dropped == {"wrong": "wrong", "right": "corrects nothing", "still": "wrong", "spoilt": "wrong", "open": "undecided"}


def test_any_right_solution_of_the_problem_can_stand_behind_a_wrong_attempt(tmp_path):
    result = filtered(tmp_path, [CorrectionRows(targets="any", n=2)], COMPLETIONS, VERDICTS)
    assert sorted(row["input_ids"] for row in result.rows("examples_sft")) == [[1, 11, 9, 12], [1, 11, 9, 13]]
    assert ("mended", "prompt") in result.sources  # whose prompt it is
    assert result.dropped == {"wrong": "wrong", "still": "wrong", "spoilt": "wrong", "open": "undecided"}
    one = filtered(tmp_path / "one", [CorrectionRows(targets="any")], COMPLETIONS, VERDICTS)
    assert len(one.rows("examples_sft")) == 1


def test_without_attempts_that_were_followed_there_is_nothing_to_learn(tmp_path):
    result = filtered(tmp_path, [CorrectionRows()], COMPLETIONS[:2], VERDICTS[:2])
    assert result.stats["examples"] == 0
    assert result.dropped == {"wrong": "wrong", "right": "corrects nothing"}


def test_it_is_a_builder():
    assert isinstance(CorrectionRows(), Builder)
