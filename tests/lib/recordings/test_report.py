from lib import records
from lib.recordings import report
from lib.recordings.report import Judged
from tests.filter_stage import completion, problem, verdict


def judged(labels, verdicts, names=("a", "b")):
    problems = [problem("p", source_id="task/10"), problem("q", source_id="task/9"), problem("r", text="no id")]
    places = {"a": "p", "b": "q", "c": "r"}
    completions = [completion(name, places[name], model_id="recorded:m") for name in names]
    tables = (records.PROBLEMS.table(problems), records.COMPLETIONS.table(completions))
    return Judged(*tables, records.VERDICTS.table(labels), records.VERDICTS.table(verdicts))


def label(name, outcome, column="label", **fields):
    return verdict(name, outcome, f"recorded:{column}", **fields)


def test_disagreements_come_with_problem_sample_and_reason_in_the_order_of_the_set():
    found = judged([label("a", "correct"), label("b", "wrong")], [verdict("a", "wrong", reason="'1' is not '2'"), verdict("b", "correct")])
    (matrix,) = report.with_labels(found)
    rows = report.disagreements(found, matrix)
    assert [(row["problem"], row["sample"], row["label"], row["outcome"]) for row in rows] == [
        ("task/9", 0, "wrong", "correct"),
        ("task/10", 0, "correct", "wrong"),
    ]
    assert rows[1]["reason"] == "'1' is not '2'"


def test_a_problem_without_an_id_is_called_by_its_prompt():
    found = judged([label("c", "correct")], [verdict("c", "wrong")], names=("c",))
    assert report.disagreements(found, report.with_labels(found)[0])[0]["problem"] == "no id"


def test_a_verifier_with_a_labels_name_is_set_against_that_label_alone():
    labels = [label("a", "correct", column) for column in ("strict", "loose")]
    found = judged(labels, [verdict("a", verifier=name) for name in ("x_strict", "x_loose")])
    assert [(matrix.first, matrix.second) for matrix in report.with_labels(found)] == [
        ("recorded:loose", "x_loose"),
        ("recorded:strict", "x_strict"),
    ]


def test_without_such_names_every_label_meets_every_verifier():
    labels = [label("a", "correct", column) for column in ("one", "two")]
    assert len(report.with_labels(judged(labels, [verdict("a", verifier="x"), verdict("a", verifier="y")]))) == 4


def test_recorded_scores_are_no_labels():
    assert report.with_labels(judged([label("a", None, "reward", score=0.5)], [verdict("a")])) == []


def test_reasons_are_counted_without_their_particulars():
    found = judged([], [verdict("a", "wrong", reason="'3' is not '4'"), verdict("b", "wrong", reason="'10,000' is not '7'")])
    assert report.reasons(found) == [{"verifier": "v", "outcome": "wrong", "reason": "… is not …", "count": 2}]


def test_counts_have_the_share_undecided_and_scorers_only_a_mean():
    said = [
        verdict("a", "undecided", "x"),
        verdict("b", "correct", "x", score=1.0),
        verdict("a", None, "y", score=0.5),
        verdict("b", None, "y", score=1.0),
    ]
    x, y = report.counts(judged([], said))
    assert (x["correct"], x["undecided"], x["share undecided"], x["mean score"]) == (1, 1, 0.5, 1.0)
    assert (y["share undecided"], y["mean score"]) == (None, 0.75)


def test_parts_are_counted_from_the_labels_steps_and_the_verifiers_share():
    labels = [
        label("a", "wrong", score=2 / 3),
        *(label("a", outcome, step=step) for step, outcome in enumerate(("correct", "correct", "wrong"))),
    ]
    found = judged(labels, [verdict("a", "wrong", score=1 / 3)])
    row = report.parts(found, report.with_labels(found)[0])
    assert (row["parts"], row["right by label"], row["right by verifier"]) == (3, 2, 1)


def test_a_label_without_parts_has_none_to_count():
    found = judged([label("a", "wrong")], [verdict("a", "wrong")])
    assert report.parts(found, report.with_labels(found)[0]) is None
