"""The report of a campaign: what it says, what it escapes, and that the same records give the same page."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.errors import UnknownName, UserError
from lib.home import Home
from lib.report import page
from lib.report.facts import gather
from tests.report_home import HOSTILE, build

pytestmark = pytest.mark.slow


class Seen(HTMLParser):
    """Tags, attributes and text of a page, read as a browser would."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    made = Home(tmp_path_factory.mktemp("report"))
    build(made)
    return made


@pytest.fixture(scope="module")
def written(home, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("out") / "a.html"
    page.write(home, "nightly", path)
    return path.read_text(encoding="utf-8")


def test_the_same_records_give_the_same_bytes_and_nothing_is_left_aside(home, written, tmp_path):
    page.write(home, "nightly", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == written
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


def test_it_opens_with_what_got_better_by_how_much_who_is_champion_and_what_rings(home):
    facts = gather(home, "nightly")
    assert re.fullmatch(
        r"On the test split pass@1 rose from 0\.\d+ to 0\.\d+: \+0\.\d+ \(95 % interval .* on the same 60 problems\)\.", facts["lead"]
    )
    told = " ".join(facts["summary"])
    assert "4 rounds of 4 in 5 attempts: the gate accepted 4 and rejected 1. The champion is the model of round 4" in told
    assert "Ringing in round 4: truncated share (alarm)" in told
    assert "31,400 sampled tokens and 612 device-seconds" in told


def test_figures_without_a_chart_stand_in_a_table_over_all_attempts(home, written):
    others = gather(home, "nightly")["others"]
    assert others["columns"] == ["base", "1", "2", "3", "3, attempt 2", "4"]
    assert others["rows"]
    shown = Seen(written).text
    assert "What else was measured on validation" in shown
    assert all(cell in shown for row in others["rows"] for cell in row["cells"].values())


def test_the_funnel_narrows_and_drop_reasons_add_up(home):
    facts = gather(home, "nightly")
    assert len(facts["funnel"]) == 5
    for row in facts["funnel"]:
        assert row["sampled"] == 96 >= row["correct"] >= row["kept"] == row["own"] > 0
        left_out = sum(reason["counts"].get((row["round"], row["attempt"]), 0) for reason in facts["dropped"])
        assert left_out == row["sampled"] - row["kept"]


def test_completions_are_drawn_by_a_seed_from_every_outcome_and_round_with_verdicts_and_fate(home):
    shown = gather(home, "nightly")["samples"]
    assert len(shown) == len({row["completion_id"] for row in shown}) == 200
    assert {row["outcome"] for row in shown} == {"correct", "wrong", "undecided"}
    assert {(row["round"], row["attempt"]) for row in shown} == {(1, 1), (2, 1), (3, 1), (3, 2), (4, 1)}
    assert all({verdict["verifier"] for verdict in row["verdicts"]} == {"countdown", "judge"} for row in shown)
    assert {row["fate"] for row in shown if row["outcome"] == "wrong"} == {"dropped by KeepCorrect: wrong"}
    assert {row["fate"] for row in shown if row["outcome"] == "correct"} <= {"kept", "dropped by CapPerProblem: over the cap"}


def test_what_models_wrote_is_shown_and_never_markup(written):
    seen = Seen(written)
    tags = [tag for tag, _ in seen.tags]
    assert tags.count("script") == tags.count("style") == 1
    assert not {"img", "iframe", "object", "embed", "base"} & {*tags}
    assert [name for _, attributes in seen.tags for name in attributes if name.startswith("on") or name == "style"] == []
    shown = [text for text in HOSTILE if text in seen.text]
    assert len(shown) >= 2, "the sample shows no planted text, so this proves nothing"
    assert not {"\x1b", "\x07", "\u202e"} & {*written}


def test_what_controllers_decided_stands_by_round_and_is_never_markup(home, written):
    (table,) = gather(home, "nightly")["controllers"]
    assert table["stage"] == "main/bandit"
    assert [row["what"] for row in table["rows"]] == ["sampler.temperature", "value[+]", f"value[{HOSTILE[0]}]"]
    assert table["rows"][0]["values"] == {(1, 1): "0.6", (2, 1): "0.7", (3, 1): "0.8", (3, 2): "0.8", (4, 1): "0.9"}
    seen = Seen(written)
    assert "What controllers decided" in seen.text
    assert f"value[{HOSTILE[0]}]" in seen.text


def test_nothing_is_asked_of_the_network(written):
    seen = Seen(written)
    policy = next(attributes["content"] for _, attributes in seen.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    links = [value for _, attributes in seen.tags for name, value in attributes.items() if name in ("href", "src", "action", "xlink:href")]
    assert {link[:1] for link in links if link != "data:,"} == {"#"}
    targets = {attributes["id"] for _, attributes in seen.tags if "id" in attributes}
    assert {link[1:] for link in links if link.startswith("#")} <= targets


def test_it_is_small_enough_to_send(written):
    assert len(written.encode()) < 400_000


@pytest.mark.parametrize("standing", ["in its rounds", "at its beginning", "stopped in round 1"])
def test_a_campaign_that_is_not_done_has_a_report_too(home, tmp_path, standing):
    shutil.copytree(home.root, tmp_path / "home")
    folder = tmp_path / "home" / "campaigns" / "nightly"
    (folder / "test.json").unlink()
    stopped = {"state": "running", "made": {}, "metrics": [], "decision": None, "decisions": {}, "alarms": []}
    for path in sorted(folder.glob("round-*/round.json")):
        record = json.loads(path.read_text())
        del record["stages"]["evaluate/test"]
        if standing == "in its rounds" or not record["round"]:
            path.write_text(json.dumps(record))
        elif standing == "stopped in round 1" and (record["round"], record["attempt"]) == (1, 1):
            path.write_text(json.dumps(record | stopped))
        else:
            shutil.rmtree(path.parent)
    page.write(Home(tmp_path / "home"), "nightly", tmp_path / "page.html")
    assert "Figures over the rounds" in Seen((tmp_path / "page.html").read_text(encoding="utf-8")).text
    facts = gather(Home(tmp_path / "home"), "nightly")
    assert facts["lead"].startswith("On validation ")
    assert any("It is not complete: closing figures on the test split" in line for line in facts["summary"])


def test_a_campaign_that_is_not_there_or_has_no_round_is_one_line(home):
    with pytest.raises(UnknownName, match=r"no campaign 'nightli'.*did you mean 'nightly'"):
        gather(home, "nightli")
    plan = ProblemPlan({"strategy": "lib.problems.countdown:Countdown"}, {"train": 4})
    CampaignFolder(home, "fresh").create(Campaign("fresh", "star", {}, 0, plan, {"policy": "b" * 64}))
    with pytest.raises(UserError, match="'fresh' has no finished round to report on; run one: roundhouse improve fresh"):
        page.write(home, "fresh", Path("/nowhere"))
