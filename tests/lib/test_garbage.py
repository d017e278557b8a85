"""What nothing needs goes, all else stays; what went is told from damage, and comes back under the same digest."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib import garbage, models, seeds, tombstone
from lib.campaign import CampaignFolder
from lib.errors import Collected, DamagedArtifact, UserError
from lib.home import Home
from lib.ledger import NAMED, Ledger
from lib.lineage import lineage
from lib.round_record import RoundRecord
from lib.store import Store
from tests.small_home import SmallHome, model_files, note, train

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = "model.safetensors"


def gone(found: list[garbage.Garbage]) -> set[str]:
    return {item.name for item in found}


def third_and_fourth(small: SmallHome) -> list[str]:
    """Two more accepted rounds, so that round 1's model is the champion no more; their models."""
    folder, made, start = CampaignFolder(small.home, "demo"), [], small.first
    for number in (3, 4):
        publication = train(small, f"model {number}", start, small.examples[1])
        record = RoundRecord("demo", number, 1, "accepted", start={"policy": start}, made={"policy": publication.digest})
        note(record, "main/train", "train", [publication], "model")
        folder.write_round(record)
        made.append(publication.digest)
        start = publication.digest
    return made


def test_base_champion_and_the_last_rounds_stay(small: SmallHome):
    assert gone(garbage.find(small.home, 2)) == {small.random}
    assert gone(garbage.find(small.home, 3)) == set(), "the base model's own start is that of the last three rounds"
    assert gone(garbage.find(small.home, 0)) == {small.random, small.second}
    assert gone(garbage.find(small.home, 1)) == {small.random}


def test_older_rounds_go_and_say_why(small: SmallHome):
    three, four = third_and_fourth(small)
    found = {item.name: item for item in garbage.find(small.home, 1)}
    assert found.keys() == {small.random, small.first, small.second}, f"{four[:8]} is the champion, {three[:8]} what it began with"
    told = found[small.second]
    assert told.maker == tombstone.Maker("demo", 2, "main/train")
    assert told.bytes == len("weights of second")
    assert told.why == "older than the last round, not the champion; the closing figures will lack it"
    assert gone(garbage.find(small.home, 3)) == {small.random}, "round 2 began with the first"


def test_a_dry_look_changes_nothing(small: SmallHome):
    before = {path: path.read_bytes() for path in small.home.store.glob("artifacts/**/*") if path.is_file()}
    assert garbage.find(small.home, 0)
    assert {path: path.read_bytes() for path in small.home.store.glob("artifacts/**/*") if path.is_file()} == before


def test_only_weights_go_and_the_rest_stands(small: SmallHome):
    before = {path for path in small.home.root.rglob("*") if path.is_file()}
    garbage.collect(small.home, 0)
    after = {path for path in small.home.root.rglob("*") if path.is_file()}
    folders = {small.store.folder(small.random), small.store.folder(small.second)}
    assert before - after == {folder / WEIGHTS for folder in folders}
    assert {path for path in after - before if path.parent.name != "locks" and "locks" not in path.parts} == {
        folder / tombstone.NAME for folder in folders
    }
    told = json.loads((small.store.folder(small.second) / tombstone.NAME).read_text())
    assert told["maker"] == {"campaign": "demo", "round": 2, "stage": "main/train"}
    assert told["files"][WEIGHTS]["bytes"] == len("weights of second")
    assert garbage.collect(small.home, 0) == []


def test_collected_is_no_damage(small: SmallHome):
    key = next(k for k in small.store.published_keys() if small.store.read(k, 1).digest == small.second)
    garbage.collect(small.home, 0)
    store = Store(small.home.store)
    said = r"were collected on 20..-..-..; make it again with: roundhouse rerun demo --round 2 --from main/train"
    with pytest.raises(Collected, match=said):
        store.verify(small.second)
    assert store.lookup(key) is None
    assert store.read(key, 1).digest == small.second, "the record stays"
    assert not store.is_lost(key)
    assert not (small.home.store / "quarantine").exists()
    store.set_damage_aside(small.second)
    assert store.folder(small.second).is_dir()
    (store.folder(small.second) / "config.json").write_text("{}")
    with pytest.raises(DamagedArtifact, match=r"config\.json does not match") as damage:
        store.verify(small.second)
    assert not isinstance(damage.value, Collected)


def test_weights_made_again_come_back_under_the_same_digest(small: SmallHome):
    before = models.identity(small.store.folder(small.second))
    garbage.collect(small.home, 0)
    assert models.identity(small.store.folder(small.second), small.store.gone(small.second)) == before, "keys know it as before"
    again = train(small, "second", small.first, small.examples[2], [small.warm])
    assert (again.digest, again.version) == (small.second, 2)
    assert small.store.lookup(again.key) == again
    assert models.identity(small.store.folder(small.second)) == before
    assert not (small.store.folder(small.second) / tombstone.NAME).exists()


def test_lineage_and_every_named_query_answer_as_before(small: SmallHome):
    def answers() -> list[Any]:
        with Ledger(small.home) as ledger:
            walks = [lineage(small.home, "model", name).to_dict() for name in (small.first, small.base)]
            tables = [ledger.query(question.sql).rows for question in NAMED.values()]
            return [walks, tables, ledger.query("SELECT * FROM job_models ORDER BY ALL").rows]

    before = answers()
    assert gone(garbage.collect(small.home, 0)) == {small.random, small.second}
    assert answers() == before
    assert lineage(small.home, "model", small.second).id == small.second


def test_a_round_that_a_recipe_names_stays(small: SmallHome):
    third_and_fourth(small)
    folder = CampaignFolder(small.home, "demo")
    folder.create(replace(folder.load(), recipe={"phases": [{"trainer": {"start_from": "round:1"}}]}))
    assert gone(garbage.find(small.home, 1)) == {small.random, small.second}


def test_what_an_unfinished_round_has_made_stays(small: SmallHome):
    folder = CampaignFolder(small.home, "demo")
    three = train(small, "three", small.random, small.examples[1])
    record = RoundRecord("demo", 3, 1, "running", start={"policy": small.first}, made={"policy": three.digest})
    note(record, "main/train", "train", [three], "model")
    folder.write_round(record)
    assert gone(garbage.find(small.home, 0)) == {small.second}, "it was trained from the random model"


def test_a_model_on_no_record_stays_while_its_round_may_still_come(small: SmallHome):
    digest = unrecorded(small, "demo r3 main/train")
    assert digest not in gone(garbage.find(small.home, 0))
    old = unrecorded(small, "demo r1 main/train")
    foreign = unrecorded(small, "model r0 main/train")
    begun = unrecorded(small, "begun r0 main/train")
    found = {item.name: item.why for item in garbage.find(small.home, 0)}
    assert (found[old], found[foreign]) == ("no round has it on record", "it belongs to no campaign")
    assert begun in found
    (small.home.campaigns / "begun").mkdir()
    (small.home.campaigns / "begun" / "campaign.lock").touch()
    assert begun not in gone(garbage.find(small.home, 0)), "a campaign that has yet to begin"


def unrecorded(small: SmallHome, label: str) -> str:
    with small.store.workspace() as out:
        for name, text in model_files(label).items():
            (out / name).write_text(text)
        return small.store.publish(out, seeds.digest(label), {"kind": "train"}, {}, {"label": label}).digest


def test_a_campaign_that_runs_keeps_everything(small: SmallHome):
    with CampaignFolder(small.home, "demo").hold(wait=False):
        assert gone(garbage.find(small.home, 0)) == set()
    assert gone(garbage.find(small.home, 0)) == {small.random, small.second}


def test_scratch_goes_once_its_job_is_done_or_its_campaign_is_gone(small: SmallHome):
    done = next(iter(small.store.published_keys()))
    for place in (f"demo/{done}", "demo/unfinished", "lost/unfinished"):
        (small.home.scratch / place).mkdir(parents=True)
        (small.home.scratch / place / "answers.jsonl").write_text("12345")
    found = [(item.name, item.bytes, item.why) for item in garbage.find(small.home, 9)]
    assert found == [(f"demo/{done}", 5, "its job is done"), ("lost/unfinished", 5, "its campaign is gone")]
    with small.store.key_lock("unfinished", wait=True):
        assert gone(garbage.collect(small.home, 9)) == {f"demo/{done}"}, "somebody works at the other"
    assert gone(garbage.collect(small.home, 9)) == {"lost/unfinished"}
    assert [path.name for path in small.home.scratch.glob("*/*")] == ["unfinished"]


def test_a_kill_between_tombstone_and_removal_leaves_a_whole_store(small: SmallHome):
    shutil.copytree(small.store.folder(small.second), small.home.root / "kept")
    small.store.collect(small.second, [WEIGHTS], None)
    shutil.copy(small.home.root / "kept" / WEIGHTS, small.store.folder(small.second) / WEIGHTS)  # as if it had not gone yet
    Store(small.home.store).verify(small.second)
    assert gone(garbage.collect(small.home, 0)) == {small.random, small.second}
    with pytest.raises(Collected):
        small.store.verify(small.second)


DYING = """
import os, signal, sys
from pathlib import Path
from lib import garbage
from lib.home import Home

touched = 0

def die(event, given):
    global touched
    changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir") or (event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR))
    if changes and str(given[0]).startswith(sys.argv[1]):
        touched += 1
        if touched == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
garbage.collect(Home(Path(sys.argv[1])), 0)
"""


def test_a_kill_at_any_change_of_the_disk_leaves_a_whole_store_and_the_next_one_goes_on(small: SmallHome, tmp_path: Path):
    kills = 0
    while True:
        there = small.copy(Home(tmp_path / f"home-{kills}"))
        words = [sys.executable, "-c", DYING, str(there.home.root), str(kills + 1)]
        dying = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        store = Store(there.home.store)
        for folder in there.home.store.glob("artifacts/*/*"):
            try:
                store.verify(folder.name)
            except Collected:
                assert folder.name in {small.random, small.second}
        assert gone(garbage.collect(there.home, 0)) <= {small.random, small.second}
        assert not [path for name in (small.random, small.second) if (path := store.folder(name) / WEIGHTS).exists()]
        if dying.returncode == 0:
            break
        assert dying.returncode == -signal.SIGKILL, dying.stderr
        kills += 1
    assert kills >= 4, "a tombstone's two steps and a removal, of two models"


def test_a_damaged_campaign_is_named_and_nothing_goes(small: SmallHome):
    (small.home.campaigns / "demo" / "campaign.json").write_text("{")
    with pytest.raises(UserError, match=r"campaign\.json"):
        garbage.collect(small.home, 0)
    assert (small.store.folder(small.second) / WEIGHTS).is_file()
