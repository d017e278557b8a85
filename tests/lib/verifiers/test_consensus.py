import pytest

from lib import records
from lib.protocols import Tables, Verifier
from lib.verifiers.consensus import Consensus
from tests.filter_stage import completion, problem


def judged(*said, **settings):
    rows = [completion("a"), completion("other")]
    rows += [completion(f"s{i}", parent_id="a", role="check", turn=1, text=text) for i, text in enumerate(said)]
    rows.append(completion("mend", parent_id="a", turn=1, text="0"))
    tables = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(rows))
    made = Consensus(**settings).verify(tables, {})
    assert made.num_rows == Consensus(**settings).owes(tables)
    return {row["completion_id"]: (row["score"], row["reason"]) for row in made.to_pylist()}


@pytest.mark.parametrize(
    ("said", "score"),
    [(["0"] * 8, 1.0), (["0", "0", "0", "2", "2", "1", "0", "0"], 0.625), (["0", "1"], 0.5), (["2", "2", "1", "no", "22", ""], 2 / 3)],
)
def test_the_score_is_the_share_of_what_most_assessments_say(said, score):
    found = judged(*said)
    assert list(found) == ["a"]
    assert found["a"][0] == pytest.approx(score)


def test_of_equal_shares_the_first_word_is_named():
    assert judged("2", "1")["a"] == (0.5, "1 of 2 say 1")


def test_too_few_readable_assessments_are_undecided():
    assert judged("2", "x")["a"] == (None, "1 readable assessments")


def test_it_is_a_verifier():
    assert isinstance(Consensus(), Verifier)
