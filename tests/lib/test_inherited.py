"""What a round takes over from the rounds before it besides models."""

from lib import recipe as recipes
from lib.inherited import changed, inherited, left_by
from lib.round_record import RoundRecord


def stage(verb: str, made: dict, read: dict, learned: dict | None = None) -> dict:
    return {"verb": verb, "jobs": [{"digest": f"of {verb}"}], "made": made, "read": read, "learned": learned or {}}


def first(state: str = "s", dropped: str = "d") -> RoundRecord:
    filtered = stage("filter", {"examples_group": ["e"], "dropped": [dropped]}, {"problems": ["p"], "completions": ["c/0", "c/1"]})
    return RoundRecord("one", 1, 1, "accepted", stages={"main/bandit": stage("control", {"state": [state]}, {}), "main/filter": filtered})


def test_a_controller_takes_over_its_own_state_and_the_tables_that_it_needs_of_what_it_reads():
    sec = recipes.load("sec")[0]
    assert inherited(sec, 2, left_by([first()])) == {
        "main/bandit": {"state": ["s"]},
        "main/filter": {"problems": ["p"], "completions": ["c/0", "c/1"], "dropped": ["d"], "examples_group": ["e"]},
    }
    assert inherited(sec, 1, left_by([RoundRecord("one", 0, 1, "accepted", stages=first().stages)])) == {}
    assert inherited(recipes.load("grpo")[0], 2, left_by([first()])) == {}


def test_what_the_round_before_left_otherwise_is_named():
    second = RoundRecord("one", 2, 1, inherited=inherited(recipes.load("sec")[0], 2, left_by([first()])))
    assert changed(second, [first()]) == []
    assert changed(second, [first(state="other")]) == ["state of main/bandit"]
    assert changed(second, [first(dropped="other")]) == ["dropped of main/filter"]
    assert len(changed(second, [])) == 5
    assert changed(RoundRecord("one", 2, 1), [first(state="other")]) == []


def test_examples_may_be_of_the_round_itself_of_earlier_ones_or_made_by_its_own_training():
    def trained(number: int, *learned: str) -> RoundRecord:
        read = {"examples_sft": [f"e{number}"], "completions": [f"c{number}"]}
        return RoundRecord("one", number, 1, stages={"main/train": stage("train", {}, read, {"examples": [*learned], "replay": ["warm"]})})

    before = [trained(0, "e0"), trained(1, "e1"), trained(2, "e1", "e2")]
    for learned in (["e3"], ["e1", "e2", "e3"], ["of train"]):
        assert changed(trained(3, *learned), before) == []
    for learned in (["e0", "e3"], ["e4"], ["c1", "e3"]):
        assert changed(trained(3, *learned), before) == ["examples of main/train"]
