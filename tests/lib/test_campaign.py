"""A campaign on disk."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from lib import campaign as campaigns
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.errors import Held, UnknownName, UserError
from lib.home import Home
from lib.round_record import RoundRecord


def begun(home: Home, name: str = "one") -> CampaignFolder:
    folder = CampaignFolder(home, name)
    plan = ProblemPlan({"strategy": "lib.problems.countdown:Countdown"}, {"train": 4}, exclude=("d/shard-000",))
    folder.create(Campaign(name, "star", {"phases": []}, 3, plan, {"policy": "b"}, {"base": ("e",)}))
    return folder


def test_a_campaign_is_read_as_it_was_written(home: Home):
    folder = begun(home)
    assert folder.load().problems.exclude == ("d/shard-000",)
    assert folder.load().replay == {"base": ("e",)}
    assert campaigns.names(home) == ["one"]


def test_an_unknown_campaign_names_the_near_miss(home: Home):
    begun(home, "nightly")
    with pytest.raises(UnknownName, match="did you mean 'nightly'"):
        CampaignFolder(home, "nightli").load()


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a" * 64, "a b"])
def test_a_name_that_could_leave_the_folder_is_refused(home: Home, name: str):
    with pytest.raises(UserError, match="cannot name a campaign"):
        CampaignFolder(home, name)


def test_it_goes_on_to_what_it_was_last_asked_for_and_never_back(home: Home):
    folder = begun(home)
    assert folder.goal == 3
    for asked, goal in ((5, 5), (1, 5), (4, 5)):
        folder.aim(asked)
        assert CampaignFolder(home, "one").goal == goal
    (folder.path / "goal.json").write_text('{"rounds": 9}')
    with pytest.raises(UserError, match=r"goal.json holds no number of rounds; restore it or remove it"):
        _ = folder.goal


def test_rounds_come_in_order_and_unfinished_ones_do_not_count(home: Home):
    folder = begun(home)
    for number, attempt, state in ((2, 1, "running"), (1, 2, "accepted"), (1, 1, "rejected"), (0, 1, "accepted")):
        folder.write_round(RoundRecord("one", number, attempt, state=state))
    assert [(r.round, r.attempt) for r in folder.rounds()] == [(0, 1), (1, 1), (1, 2), (2, 1)]
    assert [(r.round, r.attempt) for r in folder.finished()] == [(0, 1), (1, 1), (1, 2)]
    assert folder.record(1).attempt == 2
    with pytest.raises(UnknownName, match="no round '7'"):
        folder.record(7)


def test_a_rejected_round_leaves_previous_and_champion_as_they_were():
    campaign = Campaign("one", "star", {}, 0, ProblemPlan({}, {}), {"policy": "b", "judge": "j"})
    finished = [
        RoundRecord("one", 0, 1, "accepted"),
        RoundRecord("one", 1, 1, "accepted", made={"policy": "m1"}),
        RoundRecord("one", 2, 1, "rejected", made={"policy": "m2"}),
    ]
    found = campaigns.models_by_reference(campaign, finished)
    assert found["base"] == {"policy": "b", "judge": "j"}
    assert found["previous"] == found["champion"] == {"policy": "m1", "judge": "j"}
    assert found["round:2"] == found["latest"] == {"policy": "m2", "judge": "j"}


def test_a_round_that_began_with_the_latest_model_stands_while_that_is_the_same(home: Home):
    campaign = begun(home).load()
    recipe = {"phases": [{"trainer": {"start_from": "latest"}}, {"trainer": {"reference": "round:1"}}]}
    rejected = RoundRecord("one", 1, 1, state="rejected", start={"policy": "b"}, made={"policy": "m1"})
    known = campaigns.models_by_reference(campaign, [rejected])
    two = RoundRecord("one", 2, 1, start=known["previous"], besides=campaigns.besides(recipe, known))
    assert two.besides == {"latest": {"policy": "m1"}, "round:1": {"policy": "m1"}}
    assert campaigns.stands(two, known)
    rejected.made = {"policy": "another"}  # run again, and rejected again: previous is what it was
    again = campaigns.models_by_reference(campaign, [rejected])
    assert again["previous"] == known["previous"]
    assert not campaigns.stands(two, again)
    assert campaigns.stands(RoundRecord("one", 2, 1, start=again["previous"], besides=campaigns.besides({}, known)), again)


def test_a_rerun_knows_the_record_that_it_took_the_place_of(home: Home):
    folder = begun(home)
    first, second = RoundRecord("one", 1, 1, event="a", seconds=1.0), RoundRecord("one", 1, 1, event="b", supersedes="a")
    folder.write_round(first)
    folder.supersede(second)
    folder.supersede(RoundRecord("one", 1, 1, event="c", supersedes="b"))
    assert folder.superseded(folder.record(1)) == second
    assert folder.superseded(second) == first
    assert folder.superseded(first) is None


def test_a_superseded_record_is_kept_beside_its_place(home: Home):
    folder = begun(home)
    for seconds in (1.0, 2.0):
        folder.write_round(RoundRecord("one", 1, 1, seconds=seconds))
        folder.set_aside(folder.record(1))
    kept = sorted(p.name for p in (folder.path / "round-001").iterdir())
    assert kept == ["round.superseded-1.json", "round.superseded-2.json"]
    assert folder.rounds() == []


def hold(home: Home, ready, go) -> None:
    with CampaignFolder(home, "one").hold(wait=False):
        ready.set()
        go.wait(30)


def test_who_holds_a_campaign_is_said_and_a_death_frees_it(home: Home):
    folder = begun(home)
    context = multiprocessing.get_context("fork")
    ready, go = context.Event(), context.Event()
    other = context.Process(target=hold, args=(home, ready, go))
    other.start()
    assert ready.wait(30)
    with pytest.raises(Held, match=f"is being run by process {other.pid} on .*--wait"), folder.hold(wait=False):
        pass
    assert folder.holder()["pid"] == other.pid
    other.kill()
    other.join()
    with folder.hold(wait=False):
        assert folder.path.exists()
    assert folder.holder() is None


def test_a_users_recipe_is_copied_with_the_modules_beside_it_that_it_imports(home: Home, tmp_path: Path):
    (tmp_path / "mine.py").write_text("import helper\nfrom deeper import x\n")
    (tmp_path / "helper.py").write_text("def f():\n    import nested\n")
    for name in ("deeper", "nested", "unrelated"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    copy = begun(home).copy_code(tmp_path / "mine.py")
    assert sorted(p.name for p in copy.parent.iterdir()) == ["deeper.py", "helper.py", "mine.py", "nested.py"]


def test_a_garbled_record_is_named(home: Home):
    folder = begun(home)
    folder.write_round(RoundRecord("one", 1, 1))
    folder.round_path(1, 1).write_text("{")
    with pytest.raises(UserError, match=r"round-001/round\.json is not readable JSON"):
        folder.rounds()


def test_a_campaign_of_a_newer_format_is_refused(home: Home):
    folder = begun(home)
    text = (folder.path / "campaign.json").read_text().replace('"format": 1', '"format": 9')
    (folder.path / "campaign.json").write_text(text)
    with pytest.raises(UserError, match="has format 9"):
        folder.load()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda values: {}, r"campaign\.json is damaged \(.*required\)"),
        (lambda values: [], r"campaign\.json is damaged \(the whole: "),
        (lambda values: {k: v for k, v in values.items() if k != "seed"}, r"damaged \(seed: Field required"),
        (lambda values: {**values, "sead": 1}, r"damaged \(sead: Unexpected"),
        (lambda values: {**values, "problems": {**values["problems"], "counts": 3}}, r"damaged \(problems\.counts: "),
    ],
)
def test_a_damaged_campaign_is_one_line_that_names_the_field(home: Home, spoil, said: str):
    folder = begun(home)
    path = folder.path / "campaign.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=said) as raised:
        folder.load()
    assert "\n" not in str(raised.value)


def look(home: Home, stop) -> None:
    while not stop.is_set():
        CampaignFolder(home, "one").holder()


def test_looking_who_holds_a_campaign_never_keeps_anybody_from_running_it(home: Home):
    folder = begun(home)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    lookers = [context.Process(target=look, args=(home, stop)) for _ in range(2)]
    for process in lookers:
        process.start()
    try:
        for _ in range(50):
            with folder.hold(wait=False):
                assert folder.holder()["pid"] == os.getpid()
    finally:
        stop.set()
        for process in lookers:
            process.join(10)
    assert [process.exitcode for process in lookers] == [0, 0]


def test_nobody_holds_a_campaign_that_was_never_run(home: Home):
    assert begun(home).holder() is None
    assert not (home.campaigns / "one" / "campaign.lock").exists()
