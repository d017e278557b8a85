import random

import pyarrow as pa
import pytest

from lib import records
from lib.errors import UnknownName, UserError
from lib.gate import Gate


def items(values, metric="pass_at_1"):
    rows = values.items() if isinstance(values, dict) else ((f"p{i:03d}", v) for i, v in enumerate(values))
    return records.METRIC_ITEMS.table(
        [
            {"model_id": "m", "split": "gate", "evaluator": "PassAtK", "metric": metric, "problem_id": name, "value": value}
            for name, value in rows
        ]
    )


def drawn(shares, seed, n=400):
    """Pass rates of 8 samples per problem; a shift in `shares` moves every problem."""
    draw = random.Random(seed)
    hard = random.Random(0)
    return [sum(draw.random() < min(1, hard.random() * shares) for _ in range(8)) / 8 for _ in range(n)]


def test_the_first_model_becomes_champion():
    decision = Gate().decide(items([0.25, 0.5]), None, seed=0)
    assert decision.accepted
    assert decision.sentence == "accepted: pass@1 0.375 on 2 problems, the first champion"


def test_a_clear_gain_is_accepted_and_the_sentence_says_by_how_much():
    decision = Gate().decide(items(drawn(0.7, 1)), items(drawn(0.45, 2)), seed=0)
    assert decision.accepted
    assert decision.low < decision.difference < decision.high
    assert decision.low < decision.bound
    assert decision.sentence == (
        f"accepted: pass@1 {decision.new:.3f} against the champion's {decision.champion:.3f} on the same 400 problems, a difference of "
        f"{decision.difference:+.3f} (95 % interval {decision.low:+.3f} to {decision.high:+.3f}); it may be worse by 0.02 at most, and "
        f"is better by {decision.bound:.3f} or more with 95 % confidence; "
        f"400 problems like these can tell a difference of {decision.smallest_effect:.2g}, and none much smaller"
    )


def test_a_clear_loss_is_rejected_with_the_bound_that_decided():
    decision = Gate().decide(items(drawn(0.45, 1)), items(drawn(0.7, 2)), seed=0)
    assert not decision.accepted
    said = (
        f"may be worse by 0.02 at most, and all that can be said is that it is worse by {-decision.bound:.3f} at most with 95 % confidence"
    )
    assert said in decision.sentence


def test_the_margin_decides_between_equal_models():
    even = items([0.0, 1.0] * 20), items([1.0, 0.0] * 20)
    assert not Gate(margin=0.02).decide(*even, seed=0).accepted
    assert Gate(margin=0.5).decide(*even, seed=0).accepted
    same = Gate(margin=0.02).decide(items([0.5] * 40), items([0.5] * 40), seed=0)
    assert same.accepted
    assert same.sentence.endswith("and is no worse with 95 % confidence; no problem came out otherwise")


def test_the_one_sided_bound_decides_and_not_the_printed_interval():
    new, champion = items(drawn(0.5, 1)), items(drawn(0.5, 2))
    found = Gate().decide(new, champion, seed=0)
    between = -(found.low + found.bound) / 2
    assert found.low < -between < found.bound
    assert Gate(margin=between).decide(new, champion, seed=0).accepted


def test_more_problems_show_smaller_effects():
    few = Gate().decide(items(drawn(0.5, 1, 100)), items(drawn(0.5, 2, 100)), seed=0)
    many = Gate().decide(items(drawn(0.5, 1, 1600)), items(drawn(0.5, 2, 1600)), seed=0)
    assert many.smallest_effect == pytest.approx(few.smallest_effect / 4, rel=0.25)


def test_the_decision_is_a_function_of_rows_and_seed():
    new, champion = items(drawn(0.5, 1)), items(drawn(0.5, 2))
    assert Gate().decide(new, champion, seed=4) == Gate().decide(new.take(list(range(399, -1, -1))), champion, seed=4)
    assert Gate().decide(new, champion, seed=4) != Gate().decide(new, champion, seed=5)


def test_a_further_metric_can_reject():
    good, bad = drawn(0.7, 1), drawn(0.3, 2)
    new = pa.concat_tables([items(good), items(bad, "pass_at_8")])
    champion = pa.concat_tables([items(bad), items(good, "pass_at_8")])
    assert Gate().decide(new, champion, seed=0).accepted
    decision = Gate(must_not_regress=(("pass_at_8", 0.05),)).decide(new, champion, seed=0)
    assert not decision.accepted
    assert decision.sentence.startswith("rejected: pass@8")


def test_other_problems_are_refused():
    with pytest.raises(UserError, match="1 problems with 'pass_at_1' in common, of 2 and 2"):
        Gate().decide(items({"a": 1.0, "b": 0.0}), items({"b": 1.0, "c": 0.0}), seed=0)


def test_a_few_undecided_problems_may_be_missing():
    decision = Gate().decide(items(drawn(0.5, 1)[:390]), items(drawn(0.5, 2)), seed=0)
    assert decision.n == 390


def test_two_values_of_a_problem_are_refused():
    twice = pa.concat_tables([items([1.0, 0.0])] * 2)
    with pytest.raises(UserError, match="several values of 'pass_at_1' per problem"):
        Gate().decide(twice, None, seed=0)


def test_a_metric_without_values_is_named_with_the_near_miss():
    with pytest.raises(UnknownName, match=r"no metric 'pass_at1'.*did you mean 'pass_at_1'"):
        Gate(metric="pass_at1").decide(items([1.0]), None, seed=0)


def test_further_metrics_that_hold_are_told_with_how_far_they_may_have_fallen():
    good = drawn(0.7, 1)
    new = pa.concat_tables([items(good), items(good, "pass_at_8")])
    champion = pa.concat_tables([items(drawn(0.45, 2)), items(good, "pass_at_8")])
    decision = Gate(must_not_regress=(("pass_at_8", 0.05),)).decide(new, champion, seed=0)
    assert decision.accepted
    assert decision.sentence.endswith("; pass@8 holds, +0.000, and is no worse (0.05 at most)")
