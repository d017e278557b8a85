"""Rounds by the clock, on a real server with a real worker: one `roundhouse up` for all of these, in the order that they stand in."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flows import owned
from lib.campaign import CampaignFolder
from lib.home import Home
from lib.round_record import RoundRecord
from tests.flows.conftest import ROOT, SMALL
from tests.flows.living import DEADLINE_SECONDS, Living, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory, elsewhere: Path, model: Path) -> Iterator[Living]:
    """A home with a worker, and a campaign of seconds that no round was made of yet."""
    made = Living(Home(tmp_path_factory.mktemp("scheduled") / "home"))
    made.home.root.mkdir()
    try:
        printed = made.start(elsewhere)
        shown = [urllib.request.Request(url, headers={"Accept": "text/html"}) for url in re.findall(r"http://\S+", printed)]
        assert [urllib.request.urlopen(page, timeout=60).status for page in shown] == [200, 200, 200]
        begun = made.run(
            "improve", "beats", "--model", str(model), "--recipe", "no_filter", "--set", "trainer.replay=[]", *SMALL, "--rounds", "0"
        )
        assert begun.returncode == 0, begun.stderr
        yield made
    finally:
        made.end()


def rounds(living: Living) -> list[RoundRecord]:
    return [record for record in CampaignFolder(living.home, "beats").finished() if record.round]


def test_all_of_it_answers_and_a_second_one_is_told_who_runs_it(living: Living):
    said = json.loads(living.run("up", "--check", "--json").stdout)
    assert [row["answers"] for row in said] == [True] * 4
    refused = living.run("up")
    assert refused.returncode == 1
    assert living.process is not None
    assert f"process {living.process.pid} runs `roundhouse up`" in refused.stderr


def test_other_commands_of_the_home_use_its_server(living: Living):
    assert [run["state_name"] for run in living.flow_runs("improve")] == ["Completed"]


def test_what_prefect_yaml_names_is_deployed_with_a_stated_limit(living: Living):
    found = {row["name"]: row["concurrency_options"]["collision_strategy"] for row in living.asked("deployments", {})}
    assert found == {"next-round": "CANCEL_NEW", "improve": "ENQUEUE", "evaluate": "ENQUEUE", "audit": "ENQUEUE"}
    assert {row["global_concurrency_limit"]["limit"] for row in living.asked("deployments", {})} == {1}


def test_a_schedule_that_cannot_be_read_is_refused(living: Living):
    for words, said in (
        (["--cron", "at noon"], "is no cron line"),
        (["--every", "0h"], "cannot be read"),
        (["--every", "fast"], "cannot be read"),
    ):
        refused = living.run("schedule", "beats", *words)
        assert refused.returncode == 1
        assert len(refused.stderr.strip().splitlines()) == 1 and said in refused.stderr
    assert living.run("schedule").stdout.strip() == "nothing is scheduled"
    assert "say when with --cron or --every" in living.run("schedule", "beats", "--audit").stderr


def test_a_schedule_says_its_next_times_and_goes_again(living: Living):
    assert living.run("schedule", "beats", "--cron", "0 1 * * *").stdout.count(" 01:00:00 ") == 3
    (row,) = json.loads(living.run("schedule", "beats", "--every", "6h", "--json").stdout)
    assert (row["campaign"], row["flow"], row["when"], len(row["next"])) == ("beats", "next-round", "every 6h", 3)
    both = living.run("schedule", "beats", "--audit", "--cron", "0 6 * * *").stdout
    assert "beats: next-round, every 6h" in both and "beats: audit, 0 6 * * * (" in both
    assert "audit" not in living.run("schedule", "beats", "--audit", "--off").stdout
    off = living.run("schedule", "beats", "--off")
    assert off.stdout.strip() == "beats is not scheduled"


def every(living: Living, deployment: str, seconds: int) -> None:
    """A schedule beside `roundhouse schedule`, as a person makes one in the UI; 0 takes all of them away."""
    (found,) = living.asked("deployments", {"deployments": {"name": {"any_": [deployment]}}})
    schedules = [{"active": True, "schedule": {"interval": seconds}, "parameters": {"campaign": "beats"}}] if seconds else []
    living.request("PATCH", f"deployments/{found['id']}", {"schedules": schedules})


def test_two_schedules_of_one_campaign_never_make_two_rounds_at_once_nor_one_twice(living: Living):
    assert living.run("schedule", "beats", "--every", "10s").returncode == 0
    every(living, "next-round", 10)  # a deployment with a limit of its own, for the same campaign
    eventually(lambda: len(rounds(living)) >= 3 and skipped(living), "no three rounds and no skipped beat")
    every(living, "next-round", 0)
    assert living.run("schedule", "beats", "--off").returncode == 0
    eventually(lambda: not owned.flow_runs(living.mark), "rounds go on without a schedule")

    runs = living.flow_runs("next-round")
    assert all(run["auto_scheduled"] for run in runs)
    assert [run["state"] for run in runs if run["state_name"] not in ("Completed", "Skipped", "Cancelled")] == []
    made = rounds(living)
    assert [record.round for record in made] == list(range(1, len(made) + 1))
    begun = sorted((run for run in living.flow_runs("round") if run["start_time"]), key=lambda run: str(run["start_time"]))
    assert len(begun) == len(made)
    assert [(one, other) for one, other in pairwise(begun) if one["end_time"] > other["start_time"]] == []
    worked = [run["id"] for run in runs if run["state_name"] == "Completed"]
    assert Counter(record.root_flow_run for record in made) == Counter(worked)


def skipped(living: Living) -> list[dict[str, Any]]:
    """Beats that found the campaign held by the other deployment's run."""
    runs = [run for run in living.flow_runs("next-round") if run["state_name"] == "Skipped"]
    assert all("is being run by process" in run["state"]["message"] for run in runs)
    return runs


def test_a_champion_is_evaluated_by_its_deployment(living: Living):
    watched = prefect(living, "deployment run evaluate/evaluate -p campaign=beats --watch")
    assert watched.returncode == 0, watched.stdout
    (run,) = living.flow_runs("evaluate")
    (table,) = living.asked("artifacts", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}, "type": {"any_": ["table"]}}})
    figures = {(row["metric"], row["slice"]): row["value"] for row in json.loads(table["data"])}
    champion = [record for record in rounds(living) if record.state == "accepted"][-1]
    assert figures == {(row["metric"], row["slice"]): row["value"] for row in champion.metrics if row["split"] == "validation"}


def prefect(living: Living, words: str) -> subprocess.CompletedProcess[str]:
    environment = {**living.environment, "PREFECT_API_URL": living.api}
    command = [sys.executable, "-m", "prefect", *words.split()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS)


def test_the_readme_chapter_does_what_it_says(living: Living, tmp_path: Path):
    chapter = (ROOT / "README.md").read_text().split("\n## Schedule\n")[1].split("\n## ")[0]
    block = chapter.split("```")[1]
    lines = [line for line in block.splitlines() if line and not line.startswith("roundhouse up  ")]
    assert len(lines) == len(block.strip().splitlines()) - 1  # `up` itself runs already
    sooner = " --recipe no_filter --count 40 --held-out 8 --warm-steps 4 --set trainer.steps=4"
    typed = [line.partition("  #")[0].rstrip() + (sooner if line.startswith("roundhouse improve") else "") for line in lines]
    script = "\n".join(
        ["set -eu", f'roundhouse() {{ {sys.executable} -m flows.cli "$@"; }}', f'prefect() {{ {sys.executable} -m prefect "$@"; }}', *typed]
    )
    script = script.replace("127.0.0.1:4200", f"127.0.0.1:{living.ports[0]}")
    followed = subprocess.run(
        ["bash", "-c", script], env=living.environment, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert followed.returncode == 0, followed.stderr + followed.stdout
    nightly = CampaignFolder(living.home, "nightly")
    assert [record.round for record in nightly.finished()] == [0, 1]


def test_a_stop_in_the_middle_of_a_round_ends_all_of_it_and_the_next_start_goes_on(living: Living, elsewhere: Path):
    before, mark = len(rounds(living)), living.mark
    assert living.run("schedule", "beats", "--every", "10s").returncode == 0
    eventually(lambda: holder(living), "no round began")
    assert living.stop(signal.SIGINT) == 0
    assert not owned.marked(mark)
    assert CampaignFolder(living.home, "beats").holder() is None
    assert living.run("up", "--check").returncode == 1

    living.start(elsewhere)  # the schedule is still there
    assert [run["state"] for run in living.flow_runs("next-round") if run["state_type"] not in ("COMPLETED", "CANCELLED", "CRASHED")] == []
    eventually(lambda: len(rounds(living)) >= before + 2, "the next round never came")
    made = rounds(living)
    assert [record.round for record in made] == list(range(1, len(made) + 1))
    assert Counter(record.root_flow_run for record in made).most_common(1)[0][1] == 1
    assert living.stop(signal.SIGTERM) == 0
    assert not owned.marked(mark)


def holder(living: Living) -> bool:
    who = CampaignFolder(living.home, "beats").holder()
    return who is not None and Path(f"/proc/{who['pid']}").exists()
