import pytest

from lib import agreement, records
from lib.agreement import Confusion
from tests.filter_stage import verdict


def table(*rows):
    return records.VERDICTS.table(list(rows))


def test_two_verifiers_meet_over_the_completions_that_both_judged():
    said = table(
        verdict("a", "correct", "x"),
        verdict("a", "wrong", "y"),
        verdict("b", "wrong", "x"),
        verdict("b", "wrong", "y"),
        verdict("c", "correct", "x"),
    )
    (found,) = agreement.pairwise(said)
    assert (found.first, found.second) == ("x", "y")
    assert dict(found.counts) == {("correct", "wrong"): 1, ("wrong", "wrong"): 1}
    assert (found.agreed, found.total) == (1, 2)


def test_steps_rivals_and_scorers_are_no_outcomes():
    said = table(
        verdict("a", "correct", "x"),
        verdict("a", "wrong", "x", step=0),
        verdict("a", "wrong", "x", rival_id="b"),
        verdict("a", None, "scorer", score=0.3),
    )
    assert agreement.outcomes(said) == {"x": {"correct": 1}}
    assert agreement.pairwise(said) == []


def test_two_undecided_do_not_agree():
    said = table(verdict("a", "undecided", "x"), verdict("a", "undecided", "y"))
    assert agreement.pairwise(said)[0].agreed == 0


def test_undecided_share_is_of_a_verifiers_own_outcomes():
    said = table(verdict("a", "undecided", "x"), verdict("b", "wrong", "x"), verdict("a", "correct", "y"))
    assert agreement.undecided_share(said) == {"x": 0.5, "y": 0.0}


def test_the_order_of_rows_changes_nothing():
    rows = [verdict(f"c{i}", ("correct", "wrong", "undecided")[i % 3], name) for i in range(9) for name in ("x", "y", "z")]
    assert agreement.pairwise(table(*rows)) == agreement.pairwise(table(*reversed(rows)))


def test_precision_and_recall_take_the_first_judge_as_the_truth():
    counts = {
        ("correct", "correct"): 8,
        ("wrong", "correct"): 2,
        ("correct", "undecided"): 3,
        ("correct", "wrong"): 1,
        ("undecided", "correct"): 5,
    }
    quality = Confusion("gold", "judge", counts).quality
    assert (quality.precision.found, quality.precision.of) == (8, 10)
    assert (quality.recall.found, quality.recall.of) == (8, 12)


@pytest.mark.parametrize(
    ("found", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_intervals_have_their_published_values(found, of, low, high):
    interval = agreement.share(found, of).interval
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_a_share_of_none_is_unknown():
    assert agreement.share(0, 0).value is None


def test_a_matrix_has_a_row_for_each_outcome_that_occurs():
    rows = Confusion("label", "answer", {("correct", "wrong"): 2, ("wrong", "wrong"): 1}).rows()
    assert rows == [
        {"label": "correct", "correct": 0, "wrong": 2, "undecided": 0},
        {"label": "wrong", "correct": 0, "wrong": 1, "undecided": 0},
    ]
