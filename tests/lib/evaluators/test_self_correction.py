import pytest

from lib.evaluators.self_correction import SelfCorrection
from lib.samplers.independent import Independent
from tests.evaluated import figures, given, items, values
from tests.filter_stage import completion, verdict


def chains(**counts):
    """Problem → (right then right, right then wrong, wrong then right, wrong then wrong) pairs; a text changes with its outcome."""
    rows, verdicts = [], []
    for name, numbers in counts.items():
        for kind, number in zip(("cc", "cw", "wc", "ww"), numbers, strict=True):
            for i in range(number):
                ids = [f"{name}-{kind}-{i}-{turn}" for turn in (1, 2)]
                for turn, (own, outcome) in enumerate(zip(ids, kind, strict=True)):
                    parent = ids[0] if turn else None
                    rows.append(completion(own, name, turn=turn, parent_id=parent, sample_index=i, text=outcome))
                    verdicts.append(verdict(own, {"c": "correct", "w": "wrong"}[outcome]))
    return given(rows, verdicts)


def measuring(**settings):
    return SelfCorrection(sampler=Independent(), **settings)


KNOWN = {"a": (81, 9, 5, 5), "b": (40, 10, 20, 30), "c": (10, 10, 8, 72)}  # a = 0.9, 0.5, 0.2; b = 0.9, 0.8, 0.5; d = 0.5, 0.4, 0.1


def test_the_decomposition_has_the_known_values():
    found = values(measuring(), chains(**KNOWN))
    wanted = {
        "acc_1": 1.6 / 3,
        "acc_2": 0.5466667,
        "cl_2": 0.81875,
        "cs_2": 0.2357143,
        "rss_2": 0.5267857,
        "delta_2": 0.0133333,
        "right_to_wrong_2": 0.0966667,
        "wrong_to_right_2": 0.11,
    }
    assert {metric: found[metric] for metric in wanted} == pytest.approx(wanted, abs=1e-6)
    assert found["acc_2"] == pytest.approx(found["acc_1"] * found["cl_2"] + (1 - found["acc_1"]) * found["cs_2"])
    assert found["edit_rate_2"] == pytest.approx((14 + 30 + 18) / 300)


def test_errors_are_over_problems():
    found = figures(measuring(), chains(**KNOWN))
    residuals = [(kept - 0.81875 * a) / (1.6 / 3) for kept, a in ((0.81, 0.9), (0.4, 0.5), (0.1, 0.2))]
    assert found["cl_2"]["stderr"] == pytest.approx((sum(r * r for r in residuals) / 2 / 3) ** 0.5)
    step = 1e-6

    def rss(first, second):
        return (second - first**2) / (2 * first * (1 - first))

    first, second = found["acc_1"]["value"], found["acc_2"]["value"]
    slopes = [(rss(first + step, second) - rss(first, second)) / step, (rss(first, second + step) - rss(first, second)) / step]
    linear = [slopes[0] * a + slopes[1] * b for a, b in ((0.9, 0.86), (0.5, 0.6), (0.2, 0.18))]
    mean = sum(linear) / 3
    assert found["rss_2"]["stderr"] == pytest.approx((sum((x - mean) ** 2 for x in linear) / 2 / 3) ** 0.5, rel=1e-4)


def test_a_critique_between_two_attempts_is_none_itself_and_each_attempt_is_set_against_the_one_before():
    rows = [
        completion("1", turn=0),
        completion("k", turn=1, parent_id="1", role="critic"),
        completion("2", turn=2, parent_id="k"),
        completion("3", turn=3, parent_id="2"),
    ]
    tables = given(rows, [verdict("1", "wrong"), verdict("k", "wrong"), verdict("2"), verdict("3", "wrong")])
    found = values(measuring(turns=3), tables)
    assert [found[f"acc_{turn}"] for turn in (1, 2, 3)] == [0.0, 1.0, 0.0]
    assert (found["delta_2"], found["delta_3"], found["cs_2"], found["cl_3"]) == (1.0, -1.0, 1.0, 0.0)
    assert not {"rss_2", "rss_3", "cl_2", "cs_3"} & found.keys()


def test_pairs_that_are_undecided_at_one_end_are_left_out():
    rows = [completion("1"), completion("2", turn=1, parent_id="1")]
    tables = given(rows, [verdict("1", "undecided"), verdict("2")])
    assert values(measuring(), tables) == {"acc_2": 1.0}
    assert items(measuring(), tables, "acc_2") == {"p": 1.0}


def test_a_parent_that_is_its_own_child_is_no_endless_walk():
    rows = [completion("1", parent_id="2"), completion("2", parent_id="1")]
    assert values(measuring(), given(rows, [verdict("1"), verdict("2")]))["acc_2"] == 1.0
