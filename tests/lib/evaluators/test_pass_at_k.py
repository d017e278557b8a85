import pytest

from lib import records
from lib.errors import UserError
from lib.evaluators.pass_at_k import PassAtK
from lib.protocols import Tables
from lib.samplers.independent import Independent
from tests.filter_stage import completion, problem, verdict


def drawn(**outcomes):
    """Tables in which problem NAME has one completion per letter: c correct, w wrong, u undecided, n no verdict, e error."""
    completions, verdicts = [], []
    word = {"c": "correct", "w": "wrong", "u": "undecided", "e": "wrong"}
    for name, letters in outcomes.items():
        for i, letter in enumerate(letters):
            finish = {"e": "error", "w": "length"}.get(letter, "stop")
            completions.append(completion(f"{name}{i}", name, finish_reason=finish, text=f" t{i % 2} "))
            if letter in word:
                verdicts.append(verdict(f"{name}{i}", word[letter]))
    return Tables(
        records.PROBLEMS.table([problem(name, difficulty=3.0) for name in outcomes]),
        records.COMPLETIONS.table(completions),
        records.VERDICTS.table(verdicts),
    )


def measured(evaluator, tables):
    return {row["metric"]: row for row in evaluator.evaluate(tables).metrics}


def two(k=(1, 2)):
    return PassAtK(k=k, sampler=Independent(n=4))


def test_pass_at_k_is_the_mean_over_problems_with_its_standard_error():
    found = measured(two(), drawn(a="ccww", b="wwww", c="cccc"))
    assert found["pass_at_1"]["value"] == pytest.approx(0.5)
    assert found["pass_at_1"]["stderr"] == pytest.approx((0.25 / 3) ** 0.5)
    assert found["pass_at_2"]["value"] == pytest.approx((5 / 6 + 0 + 1) / 3)
    assert found["pass_at_2"]["n"] == 3
    assert found["pass_at_1"] | {"value": 0, "stderr": 0} == {
        "evaluator": "PassAtK",
        "metric": "pass_at_1",
        "slice": "all",
        "value": 0,
        "n": 3,
        "stderr": 0,
    }


def test_undecided_completions_count_neither_way():
    found = measured(two(), drawn(a="cwun", b="cuue"))
    assert found["pass_at_1"]["value"] == pytest.approx((0.5 + 1.0) / 2)
    assert (found["pass_at_2"]["value"], found["pass_at_2"]["n"]) == (1.0, 1)
    assert found["pass_at_2_left_out"]["value"] == 0.5
    assert found["pass_at_1_left_out"]["value"] == 0.0
    assert (found["undecided_share"]["value"], found["undecided_share"]["n"]) == (5 / 8, 2)
    assert found["undecided_share"]["stderr"] == pytest.approx(1 / 8)  # shares of 1/2 and 3/4 among as many


def test_what_it_is_read_beside_is_there():
    found = measured(two(), drawn(a="cccw", b="wwww"))
    assert found["truncated_share"]["value"] == 5 / 8
    assert found["mean_tokens"]["value"] == 2.0
    assert found["distinct_correct"]["value"] == 1.0  # 2 texts among the 3 correct of a, none of b


def test_items_give_a_value_per_problem():
    items = two((1,)).evaluate(drawn(b="cwww", a="uuuu")).items
    assert [(i["metric"], i["problem_id"], i["value"]) for i in items] == [
        ("undecided_share", "a", 1.0),
        ("undecided_share", "b", 0.0),
        ("truncated_share", "a", 0.0),
        ("truncated_share", "b", 0.75),
        ("mean_tokens", "a", 2.0),
        ("mean_tokens", "b", 2.0),
        ("pass_at_1_left_out", "a", 1.0),
        ("pass_at_1_left_out", "b", 0.0),
        ("pass_at_1", "b", 0.25),
        ("distinct_correct", "a", 0.0),
        ("distinct_correct", "b", 1.0),
    ]


def test_rows_fit_the_tables():
    found = two().evaluate(drawn(a="ccww"))
    filled = {"model_id": "m", "split": "test"}
    assert records.METRICS.table([row | filled for row in found.metrics]).num_rows == len(found.metrics)
    assert records.METRIC_ITEMS.table([row | filled for row in found.items]).num_rows == len(found.metrics) == 8


def test_nothing_sampled_measures_nothing():
    assert set(measured(two(), drawn(a=""))) == {"pass_at_1_left_out", "pass_at_2_left_out", "distinct_correct"}


def test_a_k_beyond_the_samples_is_refused():
    with pytest.raises(UserError, match=r"k=8 needs as many samples, and sampler\.n is 4"):
        PassAtK(k=(1, 8), sampler=Independent(n=4))
    with pytest.raises(UserError, match="k=0"):
        PassAtK(k=(0,))


def test_it_survives_the_round_trip_through_json():
    assert PassAtK.model_validate_json(two().model_dump_json()) == two()
