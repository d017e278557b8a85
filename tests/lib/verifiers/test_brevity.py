"""Being short pays for what is right, and for nothing else."""

from lib import records
from lib.protocols import Tables
from lib.verifiers.brevity import Brevity
from tests.filter_stage import completion, problem
from tests.lib.verifiers.test_win_rates import Given


def rewards(lengths, says, weight=0.5):
    rows = [completion(name, completion_ids=[7] * length) for name, length in lengths.items()]
    tables = Tables(records.PROBLEMS.table([problem("p")]), records.COMPLETIONS.table(rows))
    verifier = Brevity(of=(Given(says=says),), weight=weight)
    made = verifier.verify(tables, {})
    assert made.num_rows == verifier.owes(tables)
    return {row["completion_id"]: (row["outcome"], row["score"]) for row in made.to_pylist()}


def test_the_shortest_right_one_earns_most_and_a_wrong_one_nothing():
    says = {"a": "correct", "b": "correct", "c": "correct", "d": "wrong"}
    assert rewards({"a": 10, "b": 20, "c": 15, "d": 1}, says) == {
        "a": ("correct", 1.5),
        "b": ("correct", 1.0),
        "c": ("correct", 1.25),  # half way
        "d": ("wrong", 0.0),
    }


def test_of_one_length_or_alone_nothing_is_added():
    assert rewards({"a": 10, "b": 10}, {"a": "correct", "b": "correct"}) == {"a": ("correct", 1.0), "b": ("correct", 1.0)}
    assert rewards({"a": 10, "b": 3}, {"a": "correct", "b": "wrong"})["a"] == ("correct", 1.0)


def test_what_is_undecided_counts_for_no_length():
    found = rewards({"a": 10, "b": 90, "c": 20}, {"a": "correct", "b": "undecided", "c": "correct"}, weight=1.0)
    assert found == {"a": ("correct", 2.0), "b": ("undecided", None), "c": ("correct", 1.0)}
