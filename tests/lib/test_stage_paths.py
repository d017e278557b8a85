"""Which stages of a round a person means."""

import pytest

from lib.errors import UnknownName, UserError
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.stage_paths import named, paths
from lib.trainers.sft import Sft

TWO = Recipe(
    phases=(Phase(name="main", sampler=Independent(), trainer=Sft()), Phase(name="second", sampler=Independent())),
    evaluators=(PassAtK(),),
)


def test_a_round_has_the_stages_of_every_phase_and_the_splits_that_it_measures():
    stages = ["sample", "verify", "filter"]
    wanted = [*(f"main/{stage}" for stage in stages), "main/train", *(f"second/{stage}" for stage in stages)]
    assert paths(TWO) == [*wanted, "evaluate/validation", "evaluate/gate"]
    assert paths(TWO.model_copy(update={"gate": None}))[-1] == "evaluate/validation"


def test_a_stage_is_found_by_its_name_its_path_or_its_phase():
    assert named(TWO, "train") == named(TWO, "main/train") == named(TWO, "train", "main") == ("main/train",)
    assert named(TWO, "sample", "second") == named(TWO, "second/sample") == ("second/sample",)
    assert named(TWO, "evaluate") == ("evaluate/validation", "evaluate/gate")
    assert named(TWO, "gate", "evaluate") == named(TWO, "gate") == ("evaluate/gate",)


def test_what_the_first_round_alone_has_is_no_stage_of_a_later_one():
    first = Phase(name="first", first_round_only=True, sampler=Independent())
    recipe = Recipe(phases=(first, Phase(name="main", sampler=Independent())), evaluators=(PassAtK(),))
    assert named(recipe, "sample", "first", 1) == ("first/sample",)
    assert named(recipe, "sample", None, 2) == ("main/sample",)
    with pytest.raises(UnknownName, match="no phase 'first' in this round"):
        named(recipe, "sample", "first", 2)


@pytest.mark.parametrize(
    ("stage", "phase", "kind", "said"),
    [
        ("trian", None, UnknownName, "no stage 'trian' in this round; did you mean 'main/train'"),
        ("train", "second", UnknownName, "no stage 'train' in this round"),
        ("train", "mian", UnknownName, "no phase 'mian' in this round; did you mean 'main'"),
        ("sample", None, UserError, "several phases have a stage 'sample': main/sample, second/sample; name one with --phase"),
        ("test", "evaluate", UserError, "measured once"),
        ("evaluate/test", None, UserError, "measured once"),
    ],
)
def test_what_is_no_stage_is_refused_with_what_there_is(stage: str, phase: str | None, kind: type[UserError], said: str):
    with pytest.raises(kind, match=said):
        named(TWO, stage, phase)
