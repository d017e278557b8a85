"""From a controller to its jobs."""

from dataclasses import replace

import pytest

from lib import plan, probing
from lib.controllers.balance import Balance
from lib.controllers.bandit import Bandit
from lib.errors import UserError
from lib.job import Result
from lib.recipe import Phase
from lib.samplers.independent import Independent
from lib.steering import steered
from lib.trainers.sft import Sft
from tests.lib.test_plan import GROUND

BALANCE = Balance(temperatures=(0.5, 1.0), probe_problems=9)
PHASE = Phase(controllers=(BALANCE,), sampler=Independent(n=8), trainer=Sft(steps=3))
READ = Result({"problems": ("s/0",)})


def sampling(settings):
    phase = steered(PHASE, settings, "balance")
    return probing.probe_jobs(phase, "balance", phase.pipeline[0], READ, replace(GROUND, problems=("s/0",)))[0]


def test_probes_differ_in_their_settings_alone():
    cold, warm = (sampling(settings) for settings in probing.probes(BALANCE))
    assert (cold.settings["sampler"]["temperature"], warm.settings["sampler"]["temperature"]) == (0.5, 1.0)
    assert (cold.settings["sampler"]["n"], cold.seed, cold.models, cold.inputs) == (16, warm.seed, warm.models, warm.inputs)


def test_a_probe_does_not_draw_as_the_stage_itself_will():
    stage = plan.sample_jobs(PHASE, PHASE.pipeline[0], READ, GROUND)[0]
    assert sampling({}).seed != stage.seed


def test_jobs_of_a_controller_are_its_parts():
    subset = probing.subset_job(PHASE, "balance", BALANCE, GROUND)
    decide = probing.decide_job(PHASE, "balance", BALANCE, [], GROUND)
    assert [(job.label.stage_path, job.label.part) for job in (subset, sampling({}), decide)] == [
        ("main/balance", "subset"),
        ("main/balance", "sample"),
        ("main/balance", ""),
    ]
    assert subset.settings == {"count": 9}


def test_the_decision_reads_its_probes_apart():
    probes = [Result({"completions": (f"c{i}",), "verdicts": (f"v{i}",)}, (READ,)) for i in range(2)]
    job = probing.decide_job(PHASE, "balance", BALANCE, probes, GROUND)
    assert job.inputs == {
        "problems": ("p/0", "p/1"),
        "probed": ("s/0",),
        "completions.0": ("c0",),
        "verdicts.0": ("v0",),
        "completions.1": ("c1",),
        "verdicts.1": ("v1",),
    }
    assert (job.needs_device, job.models) == (False, {})


def test_the_decision_reads_the_round_before_and_its_own_state():
    filtered = Result({"examples_group": ("g",), "dropped": ("g",)}, (Result({"problems": ("q/0",), "completions": ("c",)}),))
    before = {"main/filter": filtered, "main/bandit": Result({"state": ("s",), "problems": ("s/0",)})}
    job = probing.decide_job(PHASE, "bandit", Bandit(count=3), [], replace(GROUND, before=before))
    assert job.inputs == {
        "problems": ("p/0", "p/1"),
        "state": ("s",),
        "problems of main/filter": ("q/0",),
        "completions of main/filter": ("c",),
        "dropped of main/filter": ("g",),
        "examples_group of main/filter": ("g",),
    }


def test_the_first_round_has_nothing_before_it():
    assert probing.decide_job(PHASE, "bandit", Bandit(count=3), [], GROUND).inputs == {"problems": ("p/0", "p/1")}


def test_a_stage_that_the_round_before_has_not_is_named():
    with pytest.raises(UserError, match="reads 'main/filter'"):
        probing.decide_job(PHASE, "bandit", Bandit(count=3), [], replace(GROUND, before={"main/verify": Result({})}))
