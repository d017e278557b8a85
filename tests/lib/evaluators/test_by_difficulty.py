from lib import records
from lib.evaluators.by_difficulty import ByDifficulty
from lib.protocols import Tables
from tests.filter_stage import completion, problem, verdict


def test_each_difficulty_and_category_has_its_own_pass_at_1():
    asked = [
        problem("a", difficulty=3.0, category="plus"),
        problem("b", difficulty=3.0, category="times"),
        problem("c", difficulty=4.5),
        problem("d", difficulty=5.0),
    ]
    outcomes = {"a": ["correct", "wrong"], "b": ["correct", "correct"], "c": ["wrong", "undecided"], "d": ["undecided"]}
    rows = [(f"{name}{i}", name, outcome) for name, found in outcomes.items() for i, outcome in enumerate(found)]
    tables = Tables(
        records.PROBLEMS.table(asked),
        records.COMPLETIONS.table([completion(c, p) for c, p, _ in rows]),
        records.VERDICTS.table([verdict(c, outcome) for c, _, outcome in rows]),
    )
    metrics, items = ByDifficulty().evaluate(tables)
    assert {(row["slice"], row["value"], row["n"]) for row in metrics} == {
        ("category=plus", 0.5, 1),
        ("category=times", 1.0, 1),
        ("difficulty=3", 0.75, 2),
        ("difficulty=4.5", 0.0, 1),
    }
    assert {row["metric"] for row in metrics} == {"pass_at_1"}
    assert items == []
