import pytest

from lib.errors import UnknownName, UserError
from lib.recordings.judges import judges, names
from lib.verifiers.answer import Answer
from lib.verifiers.countdown import Countdown
from lib.verifiers.instructions import Instructions


def test_the_sets_own_verifiers_judge_where_none_is_named():
    assert judges([], (Answer(), Countdown()), {}) == (Answer(), Countdown())


def test_a_verifier_is_found_by_the_name_of_its_module():
    assert judges(["countdown", "answer"], (Answer(),), {}) == (Countdown(), Answer())
    assert {"answer", "countdown"} <= set(names())
    assert "verdicts" not in names()


def test_settings_change_named_and_own_verifiers_alike():
    for named, own in ((["instructions"], ()), ([], (Instructions(),))):
        assert judges(named, own, {"instructions.mode": "loose"}) == (Instructions(mode="loose"),)


def test_a_wrong_name_says_the_near_miss():
    with pytest.raises(UnknownName, match="no verifier 'anwser' in lib/verifiers; did you mean 'answer'"):
        judges(["anwser"], (), {})
    with pytest.raises(UnknownName, match="no setting 'mood' on Instructions; did you mean 'mode'"):
        judges(["instructions"], (), {"instructions.mood": "loose"})
    with pytest.raises(UnknownName, match=r"no verifier 'answer' for --set answer\.x"):
        judges(["countdown"], (), {"answer.x": "1"})


def test_a_value_that_does_not_fit_is_one_line():
    with pytest.raises(UserError, match=r"setting instructions\.mode: Input should be 'strict' or 'loose'; got 'lax'"):
        judges(["instructions"], (), {"instructions.mode": "lax"})
