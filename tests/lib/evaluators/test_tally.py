import pytest

from lib import records
from lib.evaluators.tally import Tally, tallies
from lib.protocols import Tables
from tests.filter_stage import completion, problem, verdict


def tally(n, c):
    return Tally("p", None, None, n, n, c, c, 0, 0)


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [(10, 3, 4, 5 / 6), (8, 6, 3, 1.0), (8, 0, 3, 0.0), (8, 3, 1, 3 / 8), (8, 1, 8, 1.0), (8, 0, 8, 0.0), (1, 1, 1, 1.0)],
)
def test_pass_at_k_has_the_known_values(n, c, k, value):
    assert tally(n, c).pass_at(k) == pytest.approx(value, abs=1e-12)


def test_the_worst_verdict_on_the_whole_completion_counts():
    texts = {"a": "2+3=5", "b": " 2+3=5\n", "c": "x", "d": "y"}
    verdicts = [
        verdict("a"),
        verdict("a", "wrong", step=1),
        verdict("a", "undecided", rival_id="b"),
        verdict("a", None, verifier="scorer"),
        verdict("b"),
        verdict("c"),
        verdict("c", "wrong", verifier="w"),
        verdict("d", "undecided", verifier="w"),
        verdict("d", "wrong"),
    ]
    completions = [completion(name, text=text) for name, text in texts.items()]
    (found,) = tallies(
        Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(completions), records.VERDICTS.table(verdicts))
    )
    assert (found.drawn, found.decided, found.correct, found.distinct_correct) == (4, 3, 2, 1)
