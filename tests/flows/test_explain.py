"""What a dry run foresees and what `explain` tells of the past, each ingredient of a key by a change that makes it so."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.forecast import forecast, grouped
from lib.campaign import CampaignFolder
from lib.explain import Explanation, Place, span
from lib.files import read_json, write_json
from lib.home import Home
from lib.job import Label
from lib.store import Publication, Store
from lib.strategy import UserCode
from tests.flows.conftest import ROOT, command, environment

pytestmark = pytest.mark.slow

HELPER = "def scale(model, factor):\n    next(model.parameters()).data.mul_(factor)\n"

TWO = '''"""A trainer of no learning, so that a round takes a second."""
import helper
from typing import ClassVar
from lib.evaluators.pass_at_k import PassAtK
from lib.gate import Gate
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.strategy import Strategy

class Scaled(Strategy):
    learns_from: ClassVar[str] = "sft"
    start_from: str = "previous"
    def train(self, models, examples, out, seed, machine):
        from lib import models as m
        model = m.load_model(models["start"], dtype="float32", device="cpu")
        helper.scale(model, 1.01)
        m.save(model, models["start"], out)
        return {}

SHORT = Independent(n=2, max_new_tokens=4)
RECIPE = Recipe(
    phases=(Phase(sampler=SHORT, trainer=Scaled()),), evaluators=(PassAtK(k=(1,), sampler=SHORT),), gate=Gate(margin=2.0)
)
'''

Row = dict[str, Any]


@pytest.fixture(scope="module")
def begun(server: str, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a campaign `two` of two rounds, in two shards, and a campaign `other` that shares its first round."""
    place = tmp_path_factory.mktemp("explained")
    (place / "two.py").write_text(TWO)
    (place / "helper.py").write_text(HELPER)
    home = Home(place / "home")
    words = ("--recipe", str(place / "two.py"), "--model", str(model), "--count", "600", "--held-out", "8")
    for name, rounds in (("two", "2"), ("other", "1")):
        ran = subprocess.run(
            command(home, "improve", name, *words, "--rounds", rounds),
            env=environment(home, server),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert ran.returncode == 0, ran.stderr
    return home


@pytest.fixture
def two(begun: Home, tmp_path: Path) -> Iterator[CampaignFolder]:
    """The campaign `two` in a copy of that home, to be changed."""
    shutil.copytree(begun.root, tmp_path / "copy")
    yield CampaignFolder(Home(tmp_path / "copy"), "two")
    UserCode.allow(None)


def fates(rows: list[Row]) -> dict[str, str]:
    """Stage, and part of an evaluation → its shards' fate, where they share one."""
    return {row["stage"]: row["fate"] for row in grouped(rows)}


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """Path → size and time of change, for all but what Python compiles."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.is_file()} | {
        str(path): (0, 0) for path in paths if path.is_dir()
    }


def settings(folder: CampaignFolder, **values: Any) -> None:
    write_json(folder.path / "campaign.json", {**read_json(folder.path / "campaign.json"), **values})


def job_of(folder: CampaignFolder, number: int, stage: str, index: int = 0) -> Row:
    return folder.record(number).stages[stage]["jobs"][index]


def publish_again(store: Store, digest: str, key: str, ingredients: dict[str, Any], change: Callable[[Path], None]) -> Publication:
    """A copy of an artifact, changed, under a key."""
    with store.workspace() as out:
        shutil.copytree(store.folder(digest), out, dirs_exist_ok=True)
        change(out)
        return store.publish(out, key, ingredients, {}, {})


def test_nothing_changed_is_all_reused_and_a_dry_run_leaves_no_trace(two: CampaignFolder):
    before = everything(two.home.root)
    rows = forecast(two, 2)
    assert {row["fate"] for row in rows} == {"reused"}
    assert [(row["stage"], row["shard"]) for row in rows[:5]] == [
        ("main/sample", "1/2"),
        ("main/sample", "2/2"),
        ("main/verify", "1/2"),
        ("main/verify", "2/2"),
        ("main/filter", "1/1"),
    ]
    assert "evaluate/gate sample of the champion" in fates(rows)
    assert everything(two.home.root) == before


def test_a_stage_that_is_asked_for_runs_and_what_follows_depends_on_it(two: CampaignFolder):
    found = fates(forecast(two, 2, ["main/filter"]))
    assert found["main/sample"] == found["main/verify"] == found["evaluate/gate evaluate of the champion"] == "reused"
    assert found["main/filter"] == "runs: asked for"
    assert found["main/train"] == "depends on what main/filter will produce"
    assert found["evaluate/gate sample"] == "depends on what main/train will produce"


def test_a_changed_setting_is_named_with_its_values(two: CampaignFolder):
    found = fates(forecast(two, 2, changes={"sampler.n": "3"}))
    assert found["main/sample"] == "runs: setting sampler.n: 2 → 3; 1200 of 1800 completions are there already"
    assert found["main/verify"] == "depends on what main/sample will produce"
    found = fates(forecast(two, 2, changes={"evaluators.0.sampler.n": "3"}))
    assert found["main/train"] == "reused"
    assert found["evaluate/validation sample"].startswith("runs: setting sampler.n: 2 → 3")
    assert found["evaluate/gate sample of the champion"].startswith("runs: setting sampler.n: 2 → 3")
    assert set(fates(forecast(two, 2, changes={"gate.margin": "1"})).values()) == {"reused"}


def test_a_module_of_the_users_own_is_named(two: CampaignFolder):
    (two.path / "code" / "helper.py").write_text(HELPER + "# changed\n")
    found = fates(forecast(two, 2))
    assert found["main/train"] == "runs: code of helper"
    assert found["main/filter"] == "reused"


def test_an_input_is_named_with_the_stage_that_made_it(two: CampaignFolder):
    store = Store(two.home.store)
    job = job_of(two, 2, "main/sample", 1)
    made = store.read(job["key"], job["version"])
    publish_again(store, made.digest, made.key, made.ingredients, lambda out: (out / "more.txt").write_text("other content"))
    rows = forecast(two, 2)
    assert [row["fate"] for row in rows[:4]] == ["reused", "reused", "reused", "runs: input completions, made by main/sample"]


@pytest.mark.parametrize("part", ["weights", "tokenizer", "chat template", "configuration"])
def test_each_part_of_a_model_is_named(two: CampaignFolder, part: str):
    def change(out: Path) -> None:
        if part == "weights":
            from safetensors.numpy import load_file, save_file

            tensors = load_file(out / "model.safetensors")
            save_file({name: values + 1 for name, values in tensors.items()}, out / "model.safetensors", metadata={"format": "pt"})
        elif part == "chat template":
            (out / "chat_template.jinja").write_text((out / "chat_template.jinja").read_text() + " ")
        else:
            file, name = ("tokenizer.json", "added") if part == "tokenizer" else ("config.json", "initializer_range")
            write_json(out / file, {**read_json(out / file), name: 0.5})

    store = Store(two.home.store)
    other = publish_again(store, two.load().base["policy"], "0" * 64, {}, change)
    settings(two, base={"policy": other.digest})
    assert fates(forecast(two, 1))["main/sample"] == f"runs: {part} of policy"


def test_the_seed_is_named(two: CampaignFolder):
    settings(two, seed=7)
    assert fates(forecast(two, 2))["main/sample"] == "runs: seed"


def test_a_version_is_named(two: CampaignFolder):
    store = Store(two.home.store)
    job = job_of(two, 2, "main/train")
    made = store.read(job["key"], job["version"])
    older = {**made.ingredients, "versions": {**made.ingredients["versions"], "torch": "1.0"}}
    before = publish_again(store, made.digest, "1" * 64, older, lambda out: None)
    record = two.record(2)
    record.stages["main/train"]["jobs"][0] |= {"key": before.key, "version": before.version}
    two.write_round(record)
    shutil.rmtree(store.root / "by-key" / made.key)
    version = made.ingredients["versions"]["torch"]
    assert fates(forecast(two, 2))["main/train"] == f"runs: version of torch: '1.0' → '{version}'"


def test_what_is_damaged_is_made_again_shard_by_shard_and_left_where_it_lies(two: CampaignFolder):
    store = Store(two.home.store)
    file = store.folder(job_of(two, 2, "main/sample", 1)["digest"]) / "completions.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    before = everything(two.home.root)
    rows = forecast(two, 2)
    assert [row["fate"] for row in rows[:5]] == [
        "reused",
        "runs: its artifact is missing or damaged",
        "reused",
        "depends on what main/sample will produce",
        "depends on what main/verify will produce",
    ]
    assert everything(two.home.root) == before


def test_a_damaged_model_is_said_once_and_stops_what_reads_it(two: CampaignFolder):
    weights = Store(two.home.store).folder(two.load().base["policy"]) / "model.safetensors"
    weights.unlink()
    assert fates(forecast(two, 1))["main/sample"].startswith("cannot run: artifact ")


def test_many_shards_of_one_fate_are_one_row():
    rows = [{"stage": "main/sample", "part": "", "shard": f"{n + 1}/40", "fate": "reused", "kept": 0, "owed": 0} for n in range(40)]
    assert grouped(rows) == [{"stage": "main/sample", "shard": "1-40/40", "fate": "reused"}]
    rows[3]["fate"] = "runs: seed"
    assert [row["shard"] for row in grouped(rows)] == ["1-3,5-40/40", "4/40"]
    assert span(["1/1"]) == "1/1"


@pytest.mark.parametrize(
    "label", [Label("a", 1, "p", "s"), Label("a-b", 12, "p", "a b", 3, 4, 9), Label("a", 1, "evaluate", "gate", 1, 1, 2, "verify")]
)
def test_a_place_is_read_back_from_its_label(label: Label):
    assert Place.of(label.stage_path, str(label)) == Place(label.stage_path, label.part, label.shard, label.shards)


def test_a_round_is_explained_by_what_differs_from_the_round_before(two: CampaignFolder):
    explanation = Explanation(two, two.record(2))
    rows = {(row["stage"], row["part"], row["shard"]): row for row in explanation.rows()}
    assert explanation.against == "round 1"
    sample = rows["main/sample", "", "2/2"]
    assert (sample["fate"], sample["because"]) == ("ran", ["input problems", "weights of policy", "seed"])
    assert sample["made_by"] == "two r2 main/sample 2/2"
    assert sample["at"].endswith("+00:00")
    assert sample["seconds"] >= sample["device_seconds"] > 0
    assert sample["key"] == job_of(two, 2, "main/sample", 1)["key"]
    assert rows["main/verify", "", "1/2"]["because"] == ["input completions, made by main/sample", "input problems"]
    assert rows["main/train", "", "1/1"]["because"] == ["input examples, made by main/filter", "weights of start", "seed"]
    assert rows["evaluate/validation", "sample", "1/1"]["because"] == ["weights of policy"]
    assert rows["main/filter", "", "1/1"]["device_seconds"] == 0


def test_the_first_round_ran_for_it_had_not_run_before(two: CampaignFolder):
    explanation = Explanation(two, two.record(1))
    main = [row["because"] for row in explanation.rows() if row["stage"].startswith("main/")]
    assert main == [["it had not run before"]] * len(main)


def test_a_campaign_with_the_same_beginning_reused_what_the_other_made(two: CampaignFolder):
    other = CampaignFolder(two.home, "other")
    rows = Explanation(other, other.record(1)).rows()
    assert {(row["fate"], row["made_by"].split()[0]) for row in rows if row["stage"].startswith("main/")} == {("reused", "two")}


def test_the_commands_print_lines_and_json_and_one_line_for_what_is_not_there(two: CampaignFolder, server: str):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**environment(two.home, None), "COLUMNS": "80"}
        return subprocess.run(command(two.home, *words), env=env, cwd=ROOT, capture_output=True, text=True, timeout=100)

    told = run("explain", "two", "--round", "2", "--stage", "sample")
    assert told.stdout.splitlines()[2] == "main/sample 1-2/2  ran: input problems; weights of policy; seed"
    whole = json.loads(run("explain", "two", "--round", "2", "--json").stdout)
    assert whole["against"] == "round 1"
    assert len(whole["jobs"]) == sum(len(stage["jobs"]) for stage in two.record(2).stages.values())
    rows = json.loads(run("rerun", "two", "--round", "2", "--set", "sampler.n=3", "--dry-run", "--json").stdout)
    assert [row["shard"] for row in rows[:2]] == ["1/2", "2/2"]
    for words, said in (
        (("explain", "tow", "--round", "1"), "no campaign 'tow'"),
        (("explain", "two", "--round", "9"), "no round '9' in campaign 'two'"),
        (("explain", "two", "--round", "2", "--stage", "trian"), "no stage 'trian'"),
        (("rerun", "two", "--round", "2"), "name a stage with --from, or change a setting with --set"),
        (("rerun", "two", "--round", "2", "--from", "train", "--phase", "mian", "--dry-run"), "no phase 'mian'"),
        (("rerun", "two", "--round", "2", "--from", "trian"), "no stage 'trian'"),
        (("rerun", "two", "--round", "2", "--from", "evaluate/test"), "measured once"),
        (("rerun", "two", "--round", "2", "--set", "sampler.nn=3"), "no setting 'nn' in 'sampler.nn'; did you mean 'n'"),
        (("rerun", "two", "--round", "2", "--set", "sampler"), "write it as NAME=VALUE"),
    ):
        refused = run(*words)
        assert refused.returncode == 1, words
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1
