"""`roundhouse audit` over a real campaign with MLflow: made once, copied, and changed in one place each time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib import events, forgetting, garbage, outbox
from lib.campaign import CampaignFolder
from lib.home import Home
from lib.ledger import Ledger
from lib.round_events import round_event
from lib.store import Store
from lib.tracking import connect, experiment_name, model_name
from tests.audited_home import audited, delete, edited, flip, folder_of, job_of, named, record_of, swap
from tests.flows.conftest import ROOT, SMALL, command, environment
from tests.flows.telling import told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAME = "aud"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, server: str, model: Path) -> Home:
    """Two rounds that keep whatever was written, the second run again with other settings."""
    home = Home(tmp_path_factory.mktemp("audited") / "home")
    begin = ("improve", NAME, "--recipe", "no_filter", "--model", str(model), *SMALL, "--set", "trainer.replay=[]", "--rounds", "2")
    for words in (begin, ("rerun", NAME, "--round", "2", "--set", "trainer.steps=3"), ("improve", NAME)):
        done = subprocess.run(command(home, *words), env=environment(home, server), cwd=ROOT, capture_output=True, text=True, timeout=800)
        assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    shutil.copytree(made.root, tmp_path / "home", ignore=shutil.ignore_patterns("prefect"))
    return Home(tmp_path / "home")


def look(home: Home) -> list[tuple[str, str]]:
    return named(audited(home, NAME, offline=False))


def test_a_campaign_with_a_rerun_passes_and_everything_was_looked_at(home: Home):
    report = audited(home, NAME, offline=False)
    assert (named(report), report.unchecked, report.unpublished, report.notes) == ([], [], [], [])
    assert report.counts["rounds"] == 4  # the superseded one too
    assert report.counts["completions"] == report.counts["examples"] == 2 * 40 * 8  # the rerun reused what was filtered
    assert report.counts["held_out_problems"] == 8 + 16 + 8
    assert report.counts["mlflow_runs"] > 10
    assert report.counts["rows_owed"] > 10


def artifact(stage: str, file: str) -> Callable[[Home], Path]:
    return lambda home: folder_of(home, 2, stage, NAME) / file


def by_key(home: Home) -> Path:
    job = job_of(home, 1, "main/filter", NAME)
    return home.store / "by-key" / job["key"] / f"{job['version']}.json"


def figure(record: Any) -> None:
    record["metrics"][0]["value"] += 0.25


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (
            lambda home: flip(artifact("main/sample", "completions.parquet")(home), 10**9),
            "digests",
            "round 2 main/sample), completions.parquet:",
        ),
        (
            lambda home: flip(artifact("main/train", "model.safetensors")(home)),
            "digests",
            "main/train), model.safetensors: expected sha256",
        ),
        (lambda home: delete(folder_of(home, 1, "main/verify", NAME)), "digests", "round 1 main/verify): expected its files"),
        (
            lambda home: edited(artifact("main/train", ".files.json")(home), lambda index: index["files"].popitem()),
            "digests",
            "main/train), .files.json: expected a list whose sha256 is",
        ),
        (
            lambda home: edited(by_key(home), lambda record: record["output"].update(rows={})),
            "records",
            "round 1 main/filter): expected a record sealed by its own sha256, found one that was altered",
        ),
    ],
    ids=["table", "weights", "shard", "manifest", "record"],
)
def test_a_change_below_the_records_is_named_alone(home: Home, change: Callable[[Home], object], check: str, says: str):
    change(home)
    found = look(home)
    assert [one[0] for one in found] == [check]
    assert says in found[0][1]


def test_artifacts_in_each_other_s_place_are_both_named(home: Home):
    swap(folder_of(home, 1, "main/sample", NAME), folder_of(home, 2, "main/sample", NAME))
    found = look(home)
    assert [check for check, _ in found] == ["digests", "digests"]
    assert "round 1 main/sample" in found[0][1] and "round 2 main/sample" in found[1][1]


def test_a_record_of_a_round_that_was_changed_no_longer_agrees_with_its_tables_nor_with_mlflow(home: Home):
    edited(record_of(home, 1, NAME), figure)
    checks = [check for check, _ in look(home)]
    assert checks[0] == "rounds"
    assert set(checks) == {"rounds", "mlflow_story"}


def test_a_decision_that_was_changed_is_another_event(home: Home):
    edited(record_of(home, 1, NAME), lambda record: record["decision"].update(sentence="accepted: for it is the best"))
    found = look(home)
    assert [check for check, _ in found] == ["rounds", "mlflow_story"]
    assert "round-001/round.json: expected the decision, models and figures of its event" in found[0][1]
    assert "MLflow run 'round 1': expected tag reason to be 'accepted: for it is the best'" in found[1][1]


class Mlflow:
    """A home's own MLflow, to be changed."""

    def __init__(self, home: Home) -> None:
        self.client = connect(home.mlflow_uri)
        self.experiment = self.client.get_experiment_by_name(experiment_name(NAME)).experiment_id

    def run(self, kind: str, **tags: str) -> str:
        where = " and ".join(f"tags.`roundhouse.{name}` = '{value}'" for name, value in {"kind": kind, **tags}.items())
        return str(self.client.search_runs([self.experiment], where)[0].info.run_id)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda told: told.client.set_tag(told.run("round", round="1"), "roundhouse.model_out.policy", "0" * 64),
            "MLflow run 'round 1': expected tag model_out.policy to be '",
        ),
        (
            lambda told: told.client.log_metric(told.run("evaluate", round="1", split="validation"), "validation/pass_at_1", 0.9, step=1),
            "MLflow run 'evaluate validation': expected metric validation/pass_at_1 to be 0.0, found 0.9",
        ),
        (
            lambda told: told.client.log_metric(told.run("campaign"), "validation/pass_at_1", 0.9, step=1),
            "MLflow run 'aud': expected validation/pass_at_1 of round 1 to be 0.0, found 0.9",
        ),
        (
            lambda told: told.client.set_registered_model_alias(model_name(NAME, "policy"), "champion", "1"),
            "MLflow model aud.policy alias champion: expected version ",
        ),
        (
            lambda told: told.client.set_model_version_tag(model_name(NAME, "policy"), "2", "roundhouse.digest", "0" * 64),
            "MLflow model aud.policy version 2: expected digest ",
        ),
        (lambda told: told.client.delete_run(told.run("round", round="1")), "MLflow: expected a run for round 1 (event "),
    ],
    ids=["tag", "metric", "curve", "alias", "version", "run"],
)
def test_what_was_changed_in_mlflow_is_named_alone(home: Home, change: Callable[[Mlflow], object], says: str):
    change(Mlflow(home))
    found = look(home)
    assert [check for check, _ in found] == ["mlflow_story"]
    assert says in found[0][1]


def test_what_waits_in_the_outbox_is_not_yet_published_and_no_mismatch(home: Home):
    folder = CampaignFolder(home, NAME)
    record = folder.record(1)
    told = Mlflow(home)
    told.client.delete_run(told.run("round", round="1"))
    (home.outbox / "published" / record.event).unlink()
    assert events.put(home.outbox, round_event(record, folder.load(), Store(home.store))) == record.event
    report = audited(home, NAME, offline=False)
    assert named(report) == []
    assert report.unpublished == ["round 1 is not yet published; take it to MLflow with: roundhouse publish"]
    assert len(outbox.pending(home.outbox)) == 1


def test_weights_that_were_collected_are_told_and_pass(home: Home):
    assert garbage.collect(home, keep=0)
    report = audited(home, NAME, offline=False)
    assert named(report) == []
    assert report.collected


def command_in(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(home, *words), env=environment(home, None), cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_the_command_exits_with_one_and_names_each_mismatch_on_a_line(home: Home):
    (home.root / "mlflow.db").unlink()
    unreached = command_in(home, "audit", NAME)
    assert (unreached.returncode, unreached.stderr) == (1, "")
    assert unreached.stdout.startswith("not checked: MLflow at sqlite:///")
    assert "there is no such file; start it, or check the artifacts alone with --offline" in unreached.stdout
    flip(folder_of(home, 1, "main/sample", NAME) / "completions.parquet")
    found = command_in(home, "audit", NAME, "--offline")
    assert found.returncode == 1
    assert [line.partition(" ")[0] for line in found.stdout.splitlines()] == ["mismatch:", *["note:"] * 3, "audit"]


FLOW = """
import json, sys
from flows.auditing import audit
state = audit('aud', return_state=True)
print(json.dumps([state.type.value, state.message or '']))
"""


def test_the_flow_fails_with_the_first_mismatch_and_tells_prefect(home: Home, server: str):
    outcomes = []
    for spoil in (lambda: None, lambda: flip(folder_of(home, 1, "main/sample", NAME) / "completions.parquet")):
        spoil()
        done = subprocess.run(
            [sys.executable, "-c", FLOW], env=environment(home, server), cwd=ROOT, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr
        outcomes.append(json.loads(done.stdout.splitlines()[-1]))
    assert [state for state, _ in outcomes] == ["COMPLETED", "FAILED"]
    assert outcomes[1][1].startswith("the audit of aud failed; artifact ")
    assert "main/sample), completions.parquet: expected sha256" in outcomes[1][1]
    passed, failed = told(server, NAME, 2, "audit.")
    assert (passed["event"], failed["event"]) == ("roundhouse.audit.passed", "roundhouse.audit.failed")
    assert failed["payload"]["mismatches"] == 1


def test_diff_of_two_rounds_tells_what_differs(home: Home):
    said = json.loads(command_in(home, "diff", "aud:1", "2", "--json").stdout)
    assert [row["setting"] for row in said["settings"]] == ["phases.0.trainer.steps"]
    assert {row["problems"]: row["shared"] for row in said["data"]} == {"train": 0, "validation": 8, "test": 8}
    assert said["code"] == said["versions"] == []
    assert {row["what"]: row["a"] for row in said["funnel"]}["sampled"] == 320
    assert all(row["difference"] == pytest.approx(row["b"] - row["a"]) for row in said["metrics"])
    shown = command_in(home, "diff", "aud:1", "aud:2")
    assert shown.returncode == 0, shown.stderr
    assert "settings that differ" in shown.stdout
    refused = command_in(home, "diff", "aud", "aud:2")
    assert (refused.returncode, refused.stderr) == (1, "roundhouse: 'aud' names no round; give CAMPAIGN:ROUND, such as first:2\n")


def test_what_is_deployed_is_the_flow_with_its_parameters():
    import yaml

    from flows.auditing import audit

    deployed = {d["name"]: d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}["audit"]
    assert deployed["entrypoint"] == "flows.auditing.audit"
    assert set(deployed["parameters"]) <= set(audit.parameters.properties)


def test_what_was_forgotten_is_noted_and_the_next_round_begins_without_it(home: Home, server: str):
    with Ledger(home) as ledger:
        (row,) = ledger.rows("SELECT completion_id FROM completions JOIN example_sources USING (completion_id) ORDER BY 1 LIMIT 1")
    one = forgetting.forget(home, "completion", row["completion_id"])
    report = audited(home, NAME, offline=False)
    assert named(report) == []
    assert len(report.notes) == len(one.artifacts) and all(f"completion {one.id} was forgotten" in note for note in report.notes)
    assert one.learned

    on = subprocess.run(
        command(home, "improve", NAME, "--rounds", "3"),
        env=environment(home, server),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert on.returncode == 0, on.stderr
    assert look(home) == []
