import pytest

from lib.errors import UnknownName
from lib.filters.keep_correct import KeepCorrect
from tests.filter_stage import completion, filtered, verdict

COMPLETIONS = [completion(name) for name in ("right", "wrong", "torn", "open", "bare")]
VERDICTS = [
    verdict("right"),
    verdict("right", verifier="style"),
    verdict("wrong", "wrong"),
    verdict("torn"),
    verdict("torn", "wrong", verifier="style"),
    verdict("open", "undecided"),
    verdict("open", "wrong", verifier="style"),
]


def test_all_verdicts_must_be_correct_and_the_rest_keep_their_reason(tmp_path):
    result = filtered(tmp_path, [KeepCorrect()], COMPLETIONS, VERDICTS)
    assert result.kept == {"right"}
    assert result.dropped == {"wrong": "wrong", "torn": "wrong", "open": "undecided", "bare": "no verdict"}


def test_one_verifier_can_be_asked_alone(tmp_path):
    assert filtered(tmp_path, [KeepCorrect(verifier="v")], COMPLETIONS, VERDICTS).kept == {"right", "torn"}


def test_a_verifier_that_judged_nothing_is_an_error(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'style'"):
        filtered(tmp_path, [KeepCorrect(verifier="styl")], COMPLETIONS, VERDICTS)
