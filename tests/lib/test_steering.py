"""A phase with the settings that its controllers decided."""

import pytest

from lib.controllers.schedule import Schedule
from lib.errors import UserError
from lib.recipe import Phase, Stage
from lib.samplers.independent import Independent
from lib.steering import probed, steered
from lib.trainers.sft import Sft

SLOTS = Phase(name="first", controllers=(Schedule(setting="sampler.n"),), sampler=Independent(n=8), trainer=Sft(steps=3))
FULL = Phase(
    stages=(Stage(verb="sample", run=(Independent(n=8),)), Stage(verb="verify"), Stage(verb="train", run=(Sft(steps=3),))),
)


@pytest.mark.parametrize("phase", [SLOTS, FULL])
def test_a_setting_is_changed_and_nothing_else(phase: Phase):
    found = steered(phase, {"sampler.temperature": 0.5, "trainer.steps": 4}, "mine")
    assert [stage.run for stage in found.pipeline if stage.verb in ("sample", "train")] == [
        (Independent(temperature=0.5),),
        (Sft(steps=4),),
    ]
    assert steered(found, {"sampler.temperature": 1.0, "trainer.steps": 3}, "mine") == phase


def test_a_path_of_a_stage_is_one_of_the_phase():
    assert steered(FULL, {"stages.0.run.0.n": 3}, "mine").stages[0].run == (Independent(n=3),)


@pytest.mark.parametrize("settings", [{"sampler.temprature": 0.5}, {"sampler.n": "many"}, {"samplers.n": 3}, {"engine.dtype": "float32"}])
def test_what_the_phase_has_not_is_refused_with_controller_and_path(settings: dict):
    with pytest.raises(UserError) as refused:
        steered(SLOTS, settings, "mine")
    path = next(iter(settings))
    assert "'mine'" in str(refused.value)
    assert path.partition(".")[0] in str(refused.value)
    assert "phase 'first'" in str(refused.value)


@pytest.mark.parametrize("field", ["name", "role", "controllers"])
def test_what_a_phase_is_is_not_decided(field: str):
    with pytest.raises(UserError, match=field):
        steered(SLOTS, {field: "other"}, "mine")


def test_a_probe_is_what_comes_before_filters():
    assert [stage.verb for stage in probed(SLOTS)] == ["sample", "verify"]
    assert [stage.verb for stage in probed(Phase(trainer=Sft(steps=3)))] == []
