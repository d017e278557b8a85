"""Publishing: what stands in MLflow afterwards, and that no replay, kill or dead server loses or doubles anything."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time

import pytest

from lib import events, outbox, seeds
from lib.events import CampaignEvent, DatasetRef, EvaluateEvent, FinalEvent, Measure, ModelRef, RoundEvent
from lib.publisher import Publisher, publish
from lib.tracking import connect

NOBODY = "http://127.0.0.1:9"
"""The discard port: nobody listens."""


def model(name):
    digest = seeds.digest(name)
    return ModelRef("policy", digest, f"store/artifacts/{digest[:2]}/{digest}")


def table(name, context):
    digest = seeds.digest(name)
    return DatasetRef(name, context, digest, f"store/artifacts/{digest[:2]}/{digest}", 100, f"{name}/v1")


def story(campaign="demo"):
    tables = (table("completions", "sample"), table("completions", "verify"), table("examples_sft", "train"))
    measures = (Measure("pass@1", "all", 0.5, 0.01, 400), Measure("pass@1", "difficulty=3", 0.6, None, 200))
    start = model("r0")
    return [
        CampaignEvent(campaign, "star", seeds.digest("recipe"), 7, (start,), {"sampler.n": "8"}, "flow-1"),
        RoundEvent(campaign, 1, 0, tables, (start,), (model("r1"),), {"n": "8"}, {"train/loss": 0.5}, True, "up 0.1", "flow-1"),
        EvaluateEvent(campaign, 1, 0, model("r1"), "validation", measures, "flow-1"),
        RoundEvent(campaign, 2, 0, tables, (model("r1"),), (model("r2"),), {"n": "8"}, {"train/loss": 0.4}, False, "no gain", "flow-1"),
        FinalEvent(campaign, 2, "two rounds asked for"),
    ]


def put(home, *all_events):
    for event in all_events:
        events.put(home / "outbox", event)


def rows(home):
    """How many rows each of MLflow's tables has."""
    with sqlite3.connect(home / "mlflow.db") as database:
        names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        return {name: database.execute(f"select count(*) from {name}").fetchone()[0] for name in names}


def forget(home):
    for marker in (home / "outbox" / "published").iterdir():
        marker.unlink()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    put(folder, *story())
    assert publish(folder / "outbox", f"sqlite:///{folder}/mlflow.db").count == 5
    return folder


@pytest.fixture(scope="module")
def uri(home):
    return f"sqlite:///{home}/mlflow.db"


@pytest.fixture(scope="module")
def runs(home, uri):
    client = connect(uri)
    experiment = client.get_experiment_by_name("roundhouse/demo").experiment_id
    return {run.info.run_name: client.get_run(run.info.run_id) for run in client.search_runs([experiment])}  # a search leaves models out


def test_rounds_nest_in_the_campaign_and_evaluations_in_their_round(runs):
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
    assert parents == {
        "demo": None,
        "round 1": runs["demo"].info.run_id,
        "round 2": runs["demo"].info.run_id,
        "evaluate validation": runs["round 1"].info.run_id,
    }
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_a_round_carries_full_digests_the_gate_and_the_flow(runs):
    tags = {name.removeprefix("roundhouse."): value for name, value in runs["round 2"].data.tags.items()}
    assert tags["model_in.policy"] == seeds.digest("r1")
    assert tags["model_out.policy"] == seeds.digest("r2")
    assert (tags["round"], tags["attempt"], tags["recipe"], tags["flow_run"]) == ("2", "0", "star", "flow-1")
    assert (tags["decision"], tags["reason"]) == ("rejected", "no gain")


def test_the_round_that_made_a_model_does_not_read_it_and_the_evaluation_does(runs):
    made = {output.model_id for output in runs["round 1"].outputs.model_outputs}
    assert len(made) == 1
    assert made.isdisjoint(i.model_id for i in runs["round 1"].inputs.model_inputs)
    assert {i.model_id for i in runs["evaluate validation"].inputs.model_inputs} == made


def test_a_table_read_in_two_stages_is_one_input_with_both_contexts(runs):
    inputs = {entry.dataset.name: entry for entry in runs["round 1"].inputs.dataset_inputs}
    assert {tag.key: tag.value for tag in inputs["completions"].tags}["mlflow.data.context"] == "sample,verify"
    assert inputs["completions"].dataset.digest == seeds.digest("completions")[:36]
    assert json.loads(inputs["completions"].dataset.source)["uri"].endswith(seeds.digest("completions"))


def test_figures_stand_in_the_evaluation_and_as_curves_in_the_campaign(runs):
    assert runs["evaluate validation"].data.metrics == {
        "validation/pass_at_1": 0.5,
        "validation/pass_at_1/stderr": 0.01,
        "validation/pass_at_1/n": 400,
        "validation/pass_at_1/difficulty_3": 0.6,
        "validation/pass_at_1/difficulty_3/n": 200,
    }
    assert runs["demo"].data.metrics == {"validation/pass_at_1": 0.5}
    assert runs["round 1"].data.metrics == {"train/loss": 0.5}


def test_a_rejected_round_is_the_candidate_and_the_champion_stays(uri):
    client = connect(uri)
    for alias, name in (("candidate", "r2"), ("champion", "r1")):
        assert client.get_model_version_by_alias("demo.policy", alias).tags["roundhouse.digest"] == seeds.digest(name)


def test_no_path_of_this_machine_is_in_tags_parameters_or_pointers(home):
    with sqlite3.connect(home / "mlflow.db") as database:
        for name in ("tags", "params", "datasets", "input_tags", "model_version_tags", "logged_model_tags"):
            found = database.execute(f"select * from {name}").fetchall()
            assert found
            assert str(home) not in repr(found)


def test_every_run_has_a_page_beside_the_database(home):
    pages = [path.read_text() for path in (home / "mlartifacts" / "demo").glob("*/artifacts/lineage.md")]
    titles = ["# demo", "# demo: round 1", "# demo: round 1 measured on validation", "# demo: round 2"]
    assert sorted(page.splitlines()[0] for page in pages) == titles


def test_a_replay_adds_nothing_even_after_its_markers_are_lost(home, uri):
    before = rows(home)
    put(home, *story())
    assert publish(home / "outbox", uri).count == 0
    forget(home)
    put(home, *story())
    assert publish(home / "outbox", uri).count == 5
    assert rows(home) == before


def test_an_event_that_a_kill_left_half_written_is_completed_without_doubles(home, uri, runs):
    before = rows(home)
    client = connect(uri)
    for name in ("round 1", "round 2"):  # all but the last step was done
        client.update_run(runs[name].info.run_id, "RUNNING")
    forget(home)
    put(home, *story())
    assert publish(home / "outbox", uri).failed == 0
    changed = {name for name, count in rows(home).items() if count != before[name]}
    assert changed <= {"metrics"}, "figures are logged again at the time of the new event, and only they"
    assert client.get_model_version_by_alias("demo.policy", "champion").tags["roundhouse.digest"] == seeds.digest("r1")


def test_a_rerun_of_a_round_is_a_run_of_its_own_and_its_evaluation_is_its_child(home, uri):
    first = events.put(home / "outbox", story("other")[1])
    rerun = RoundEvent("other", 1, 0, (), (model("r0"),), (model("r1 again"),), {}, {}, True, "up 0.2", "flow-2", first)
    put(home, rerun, EvaluateEvent("other", 1, 0, model("r1 again"), "gate", ()))
    assert publish(home / "outbox", uri).failed == 0
    client = connect(uri)
    experiment = client.get_experiment_by_name("roundhouse/other").experiment_id
    found = {run.info.run_id: run.data.tags for run in client.search_runs([experiment])}
    (again,) = [run_id for run_id, tags in found.items() if tags.get("roundhouse.supersedes") == first]
    (gate,) = [tags for tags in found.values() if tags["mlflow.runName"] == "evaluate gate"]
    assert gate["mlflow.parentRunId"] == again


def test_changed_settings_of_a_campaign_that_goes_on_become_tags(home, uri):
    for n in ("8", "16"):
        put(home, CampaignEvent("third", "star", seeds.digest(n), 7, (), {"sampler.n": n}))
    assert publish(home / "outbox", uri).failed == 0
    client = connect(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("roundhouse/third").experiment_id])
    assert run.data.params["sampler.n"] == "8"
    assert run.data.tags["roundhouse.changed.sampler.n"] == "16"


@pytest.mark.parametrize("address", [NOBODY, "nonsense://x", "sqlite:////proc/nowhere/mlflow.db", "sqlite:////proc/version"])
def test_an_mlflow_that_fails_is_one_line_at_once_and_loses_nothing(tmp_path, uri, address):
    put(tmp_path, *story("late"))
    began = time.monotonic()
    published = publish(tmp_path / "outbox", address)
    assert time.monotonic() - began < 5
    assert (published.count, published.failed) == (0, 5)
    assert published.reason.startswith(f"MLflow at {address}: ")
    assert "\n" not in published.reason
    assert publish(tmp_path / "outbox", uri).failed == 0


def test_a_campaign_that_fails_does_not_hold_up_another(tmp_path, uri):
    outbox.put(tmp_path / "outbox", {"kind": "merger", "campaign": "from the future"})
    put(tmp_path, *story("healthy"))
    published = publish(tmp_path / "outbox", uri)
    assert (published.count, published.failed) == (5, 1)
    assert "kind 'merger'" in published.reason


def test_the_publisher_takes_events_while_others_are_put_and_the_rest_at_the_end(tmp_path, uri):
    publisher = Publisher(tmp_path / "outbox", uri, pytest.fail)
    for event in story("threaded"):
        put(tmp_path, event)
        publisher.kick()
    put(tmp_path, EvaluateEvent("threaded", 2, 0, model("r2"), "test", ()))
    assert publisher.close(60)
    assert outbox.pending(tmp_path / "outbox") == []


def test_a_dead_mlflow_is_reported_once_and_does_not_stop_the_round(tmp_path):
    said = []
    publisher = Publisher(tmp_path / "outbox", NOBODY, said.append)
    for event in story():
        put(tmp_path, event)
        publisher.kick()
        time.sleep(0.1)
    assert publisher.close(60)
    assert len(said) == 1
    assert "wait in the outbox" in said[0]
    assert len(outbox.pending(tmp_path / "outbox")) == 5


def test_an_empty_outbox_costs_no_import_of_mlflow(tmp_path):
    code = f"""
import pathlib, sys
from lib.publisher import Publisher, publish
folder = pathlib.Path({str(tmp_path)!r})
publisher = Publisher(folder, "sqlite:///never.db", print)
publisher.kick()
assert publisher.close(10) and publish(folder, "sqlite:///never.db").count == 0
sys.exit("mlflow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


PUBLISHING = """
import os, pathlib, signal, sys, time
import mlflow.store.tracking.sqlalchemy_store, mlflow.store.model_registry.sqlalchemy_store
from lib import outbox
from lib.publisher import publish
from lib.tracking import connect
folder = pathlib.Path(sys.argv[1]) / "outbox"
uri = f"sqlite:///{sys.argv[1]}/mlflow.db"
"""


def publishing(home, code):
    """A process that runs code with MLflow imported; prints what the code prints."""
    script = [sys.executable, "-W", "ignore", "-c", PUBLISHING + code, str(home)]
    return subprocess.Popen(script, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_never_publish_an_event_twice(tmp_path):
    put(tmp_path, *story())
    both = [publishing(tmp_path, "print(publish(folder, uri).count)") for _ in range(2)]
    assert sum(int(process.communicate(timeout=200)[0]) for process in both) == 5
    assert rows(tmp_path)["runs"] == 4


KILLING = """
kills = 0
while outbox.pending(folder):
    heard, said = os.pipe()
    child = os.fork()  # a new interpreter for each kill would spend its time on imports
    if child == 0:
        connect(uri).search_experiments()
        os.write(said, b"x")
        publish(folder, uri)
        os._exit(0)
    os.read(heard, 1)
    time.sleep(0.01 * 1.2**kills)  # later each time, so that it ends on a slow machine too
    os.kill(child, signal.SIGKILL)
    kills += os.waitpid(child, 0)[1] == signal.SIGKILL
print(kills)
"""


@pytest.mark.slow
def test_kills_at_many_moments_leave_the_same_record_as_none(tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    put(calm, *story())
    assert publish(calm / "outbox", f"sqlite:///{calm}/mlflow.db").count == 5
    put(killed, *story())
    kills = int(publishing(killed, KILLING).communicate(timeout=280)[0])
    assert kills >= 5
    assert rows(killed) == rows(calm)
