import pytest

from lib import records
from lib.protocols import Tables, Verifier
from lib.verifiers.countdown import Countdown
from lib.verifiers.first_wrong_step import FirstWrongStep
from tests.filter_stage import completion, problem


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("8+1=9;9*5=45", "correct", "0"),
        ("8+1=9;9+5=45", "wrong", "2"),
        ("8*5=40;40+5=45", "wrong", "1"),
        ("8*5=41;41+1=42", "wrong", "1"),
        ("8+1=9", "wrong", "1"),
        ("", "wrong", "1"),
    ],
)
def test_the_reason_is_the_number_of_the_first_wrong_step(text, outcome, reason):
    row = problem("p", "1,5,8>45:", task="countdown")
    tables = Tables(records.PROBLEMS.table([row]), records.COMPLETIONS.table([completion("c", text=text)]))
    (made,) = FirstWrongStep().verify(tables, {}).to_pylist()
    assert (made["outcome"], made["reason"]) == (outcome, reason)
    (exact,) = Countdown().verify(tables, {}).to_pylist()
    assert exact["outcome"] == outcome


def test_what_cannot_be_judged_is_undecided():
    problems = records.PROBLEMS.table([problem("p", "1,5,8>45:"), problem("q", "How many?")])
    asked = [completion("e", finish_reason="error"), completion("u", "q")]
    tables = Tables(problems, records.COMPLETIONS.table(asked))
    assert FirstWrongStep().verify(tables, {})["outcome"].to_pylist() == ["undecided"] * 2
    assert FirstWrongStep().owes(tables) == 2


def test_it_is_a_verifier():
    assert isinstance(FirstWrongStep(), Verifier)
