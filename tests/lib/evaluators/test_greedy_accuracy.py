from lib import records
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.protocols import Tables
from tests.filter_stage import completion, problem, verdict


def test_it_is_the_share_of_decided_problems_that_are_correct():
    outcomes = {"a": "correct", "b": "wrong", "c": "correct", "d": "undecided"}
    tables = Tables(
        records.PROBLEMS.table([problem(name) for name in outcomes]),
        records.COMPLETIONS.table([completion(f"c{name}", name) for name in outcomes]),
        records.VERDICTS.table([verdict(f"c{name}", outcome) for name, outcome in outcomes.items()]),
    )
    metrics, items = GreedyAccuracy().evaluate(tables)
    assert [(row["metric"], row["value"], row["n"]) for row in metrics] == [
        ("greedy_accuracy", 2 / 3, 3),
        ("undecided_share", 0.25, 4),
    ]
    own = [(row["metric"], row["problem_id"], row["value"]) for row in items]
    assert own[:3] == [("greedy_accuracy", "a", 1.0), ("greedy_accuracy", "b", 0.0), ("greedy_accuracy", "c", 1.0)]
    assert own[3:] == [("undecided_share", name, float(name == "d")) for name in "abcd"]


def test_it_samples_once_at_temperature_0():
    assert (GreedyAccuracy().sampler.n, GreedyAccuracy().sampler.temperature) == (1, 0.0)
