"""What the warm start of the built-in model stands on."""

from flows.begin import warm_ground
from lib import plan
from lib.engines.classifier import Classifier
from lib.engines.huggingface import Huggingface
from lib.engines.scripted import Scripted
from lib.job import Result
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent


def test_the_engines_of_a_warm_starts_recipe_are_those_that_its_stages_use():
    phase = Phase(stages=(Stage(verb="sample", run=(Independent(),)),))
    warm = Recipe(phases=(phase,), evaluators=(), engine=Huggingface(), engines={"policy": Scripted(), "value": Classifier()})
    (job,) = plan.sample_jobs(phase, phase.pipeline[0], Result({}), warm_ground("one", 7, warm, ("p/0",), "m"))
    assert job.settings["engines"] == {"policy": Scripted().model_dump(mode="json")}
    assert "engine" not in job.settings
    assert job.models == {"policy": "m"}
