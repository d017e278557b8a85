import pytest

from lib.errors import UserError
from lib.filters.best_worst_pairs import BestWorstPairs
from lib.filters.keep_correct import KeepCorrect
from lib.filters.sft_rows import SftRows
from tests.filter_stage import completion, filtered, verdict

SAMPLED = completion("a")
RETOKENISED = completion("b", ids_source="retokenised", logprobs=[])


def test_tokens_made_from_text_are_refused_unless_allowed_by_name(tmp_path):
    with pytest.raises(UserError, match=r"the tokens of 1 completions were made from their text.*SftRows\(allow_retokenised=True\)"):
        filtered(tmp_path / "no", [SftRows()], [SAMPLED, RETOKENISED])
    assert filtered(tmp_path / "yes", [SftRows(allow_retokenised=True)], [SAMPLED, RETOKENISED]).kept == {"a", "b"}


def test_they_are_refused_by_the_builder_that_comes_by_itself(tmp_path):
    with pytest.raises(UserError, match="made from their text"):
        filtered(tmp_path, [KeepCorrect()], [RETOKENISED], [verdict("b")])


def test_a_builder_that_cannot_allow_them_says_so(tmp_path):
    with pytest.raises(UserError, match="BestWorstPairs needs them; end in SftRows"):
        filtered(tmp_path, [BestWorstPairs()], [SAMPLED, RETOKENISED], [verdict("a"), verdict("b", "wrong")])


def test_those_that_were_dropped_before_are_no_reason_to_refuse(tmp_path):
    told = [verdict("a"), verdict("b", "wrong")]
    assert filtered(tmp_path, [KeepCorrect()], [SAMPLED, RETOKENISED], told).kept == {"a"}


def test_worked_solutions_were_never_sampled_and_need_no_leave(tmp_path):
    assert filtered(tmp_path, [], [completion("a", ids_source="retokenised", role="reference")]).kept == {"a"}
