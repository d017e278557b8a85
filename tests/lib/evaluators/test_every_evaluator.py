"""What holds of every evaluator, whoever adds one."""

import importlib
from pathlib import Path

import pytest

from lib import evaluators
from lib.protocols import Evaluator
from lib.roles import judges_of
from lib.samplers.independent import Independent
from lib.strategy import in_module, load
from lib.verifiers.likelihood import Likelihood
from tests.evaluated import drawn, figures

MODULES = [f"lib.evaluators.{path.stem}" for path in sorted(Path(evaluators.__file__).parent.glob("*.py"))]
EVERY = [found for name in MODULES if (found := in_module(name, "evaluate")) is not None]


def made(evaluator, **settings):
    given = {"sampler": Independent(n=8), "scorer": Likelihood(name="s", measure="p_true", model="base")}
    needed = {name: value for name, value in given.items() if name in evaluator.model_fields}
    return evaluator(**needed, **settings)


SOME = drawn({"a": [0.9] * 4 + [0.2] * 4, "b": [0.5] * 8}, a="ccwcwwuc", b="wcwwcwcw")


def test_every_module_with_an_evaluator_is_found():
    with_one = [m for m in MODULES if any(hasattr(v, "evaluate") for v in vars(importlib.import_module(m)).values() if isinstance(v, type))]
    assert {found.__module__ for found in EVERY} == {*with_one}
    assert len(EVERY) >= 15


@pytest.mark.parametrize("evaluator", EVERY)
def test_it_survives_the_round_trip_through_json(evaluator):
    own = made(evaluator, name="own")
    assert load(own.model_dump(mode="json")) == own
    assert isinstance(own, Evaluator)


@pytest.mark.parametrize("evaluator", EVERY)
def test_what_it_writes_for_single_problems_it_has_told_and_its_name_begins_everything(evaluator):
    plain, named = figures(made(evaluator), SOME), figures(made(evaluator, name="own"), SOME)
    assert [*named] == [f"own_{metric}" for metric in plain]
    assert all(row["stderr"] is None or row["stderr"] >= 0 for row in plain.values())


@pytest.mark.parametrize("evaluator", EVERY)
def test_nothing_to_measure_is_no_error(evaluator):
    found = made(evaluator).evaluate(drawn(a="", b=""))
    assert not {row["value"] for row in found.items if not row["metric"].endswith("_left_out")} - {0.0}
    assert {row["value"] for row in found.metrics if row["metric"].endswith("_left_out")} <= {1.0}


@pytest.mark.parametrize("evaluator", EVERY)
def test_a_scorer_verifies_after_those_that_say_what_is_correct(evaluator):
    own = made(evaluator, verifiers=(Likelihood(name="gold", model="base"),))
    names = [judge.name for judge in judges_of(own)]
    assert names[0] == "gold"
    assert names[1:] == ([own.scorer.name] if getattr(own, "scorer", None) else [])
