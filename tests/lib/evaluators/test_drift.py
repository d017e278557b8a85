import math

import pytest

from lib.errors import UserError
from lib.evaluators.drift import Drift
from lib.samplers.independent import Independent
from tests.evaluated import given, items, values
from tests.filter_stage import completion, verdict


def scored(own, reference, outcomes=None, model="base"):
    """Completions by name, the first letter their problem, with their tokens' log-probabilities under both models."""
    rows = [completion(name, name[0], completion_ids=[1] * len(told), logprobs_at_1=told) for name, told in own.items()]
    token_scores = [{"completion_id": name, "model_id": model, "logprobs": told} for name, told in reference.items()]
    verdicts = [verdict(name, outcome) for name, outcome in (outcomes or dict.fromkeys(own, "correct")).items()]
    return given(rows, verdicts, token_scores=token_scores)


HALF, QUARTER, REST = math.log(0.5), math.log(0.25), math.log(0.75)


def test_both_estimators_have_the_known_values_on_single_tokens():
    # π = (1/2, 1/2) draws each outcome once, π_ref = (1/4, 3/4)
    tables = scored({"a0": [HALF], "b0": [HALF]}, {"a0": [QUARTER], "b0": [REST]})
    assert items(Drift(), tables, "kl_k1") == pytest.approx({"a": 0.6931472, "b": -0.4054651}, abs=1e-6)
    assert items(Drift(), tables, "kl_k3") == pytest.approx({"a": 0.1931472, "b": 0.0945349}, abs=1e-6)
    found = values(Drift(), tables)
    assert (found["kl_k1"], found["kl_k3"]) == pytest.approx((0.1438410, 0.1438410), abs=1e-6)


def test_tokens_add_up_within_a_completion():
    tables = scored({"a0": [HALF, HALF], "a1": [HALF]}, {"a0": [QUARTER, QUARTER], "a1": [HALF]})
    found = values(Drift(), tables)
    assert found["kl_k1"] == pytest.approx(math.log(2))
    assert found["kl_k1_per_token"] == pytest.approx(2 * math.log(2) / 3)


def test_the_gap_of_right_and_wrong_is_over_problems_that_have_both():
    own = {"a0": [-1.0, -1.0], "a1": [-4.0], "b0": [-2.0]}
    tables = scored(own, {}, {"a0": "correct", "a1": "wrong", "b0": "correct"})
    found = values(Drift(), tables)
    assert (found["likelihood_correct"], found["likelihood_wrong"], found["value_gap"]) == (-2.0, -4.0, 2.0)
    assert found["value_gap_per_token"] == pytest.approx(3.0)
    assert items(Drift(), tables, "value_gap") == {"a": 2.0}
    assert "kl_k1" not in found


def test_what_an_engine_did_not_tell_is_left_out():
    tables = scored({"a0": None or []}, {"a0": []})
    assert values(Drift(), tables) == {}


def test_what_would_be_no_divergence_is_refused():
    with pytest.raises(UserError, match=r"sampler\.temperature is 0\.7, and KL is measured on draws from the model itself; set it to 1"):
        Drift(sampler=Independent(temperature=0.7))
    with pytest.raises(UserError, match="the reference scored other tokens than were sampled"):
        Drift().evaluate(scored({"a0": [HALF, HALF]}, {"a0": [HALF]}))
    two = scored({"a0": [HALF]}, {"a0": [HALF]})
    both = [{"completion_id": "a0", "model_id": model, "logprobs": [HALF]} for model in ("base", "other")]
    with pytest.raises(UserError, match="2 models scored the completions' tokens"):
        Drift().evaluate(given(two.completions.to_pylist(), [], token_scores=both))
