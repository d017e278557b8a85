"""Who plays which part: found in strategies however deep, and named so that two models of a role stay apart."""

from pathlib import Path

import pytest

from lib import casting
from lib.casting import Part
from lib.engines.scripted import Scripted
from lib.errors import UnknownName
from lib.protocols import Machine
from lib.samplers.independent import Independent
from lib.verifiers.answer import Answer
from lib.verifiers.judge import Judge
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.mix import Mix


def test_parts_are_found_in_strategies_within_strategies_each_once():
    inner = Mix(name="inner", of=(Likelihood(model="base"), Likelihood(name="again", model="base")))
    found = casting.parts([Independent(), Answer(), Mix(of=(inner, Judge(role="judge")))])
    assert found == [Part("policy"), Part("policy", "base"), Part("judge")]


@pytest.mark.parametrize(("part", "name"), [(Part("policy"), "policy"), (Part("judge", "external:a@b"), "judge@external:a@b")])
def test_a_part_is_named_by_its_role_and_an_unusual_reference(part, name):
    assert part.name == name
    assert casting.role_of(name) == part.role


def test_a_part_that_nobody_plays_is_named():
    engine = Scripted().open(Path(), "m", Machine())
    assert casting.engine_of({"policy": engine}, "policy") is engine
    assert casting.scorer_of({"policy@base": engine}, "policy", "base") is engine
    with pytest.raises(UnknownName, match="no model for role 'policy@bse' in this stage; did you mean 'policy@base'"):
        casting.sampler_of({"policy@base": engine}, "policy", "bse")
