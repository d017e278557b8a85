import pytest

from lib import records
from lib.protocols import Tables, Verifier
from lib.verifiers.score_shaping import ScoreShaping
from tests.filter_stage import completion, problem, verdict

COMPLETIONS = [completion(name) for name in ("right", "wrong", "open")] + [
    completion("mended", parent_id="wrong", turn=1),
    completion("spoilt", parent_id="right", turn=1),
    completion("kept", parent_id="right", turn=1),
    completion("after-open", parent_id="open", turn=1),
    completion("orphan", parent_id="gone", turn=1),
]
OUTCOMES = {"right": "correct", "wrong": "wrong", "open": "undecided", "mended": "correct", "spoilt": "wrong", "kept": "correct"}
VERDICTS = [verdict(name, said) for name, said in OUTCOMES.items()] + [verdict("after-open"), verdict("orphan")]


def shaped(verdicts=VERDICTS, completions=COMPLETIONS, **settings):
    tables = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(completions), records.VERDICTS.table(verdicts))
    made = ScoreShaping(**settings).verify(tables, {})
    assert made.num_rows == ScoreShaping(**settings).owes(tables)
    return {row["completion_id"]: row["score"] for row in made.to_pylist()}


UNDECIDED = {"open": None, "after-open": None, "orphan": None}


@pytest.mark.parametrize(
    ("settings", "rewards"),
    [
        ({"stage": 1}, {"right": 0, "wrong": 0, "mended": 1, "spoilt": 0, "kept": 1}),
        ({"stage": 2, "alpha": 0}, {"right": 1, "wrong": 0, "mended": 1, "spoilt": 0, "kept": 1}),
        ({"stage": 2, "alpha": 2.0}, {"right": 1, "wrong": 0, "mended": 3, "spoilt": -2, "kept": 1}),
    ],
)
def test_progress_is_paid_for_in_the_second_stage_and_first_attempts_are_left_alone_in_the_first(settings, rewards):
    assert shaped(**settings) == {**rewards, **UNDECIDED}


def test_scores_of_the_named_verifier_count():
    scored = [verdict("right", None, "rm", score=0.25), verdict("kept", None, "rm", score=0.75)]
    found = shaped([*VERDICTS, *scored], [COMPLETIONS[0], COMPLETIONS[5]], verifier="rm", alpha=1.0)
    assert found == {"right": 0.25, "kept": 1.25}


def test_a_correction_alone_is_not_taken_for_a_first_attempt():
    assert shaped(completions=[COMPLETIONS[-1]]) == {"orphan": None}


def test_it_is_a_verifier():
    assert isinstance(ScoreShaping(), Verifier)
