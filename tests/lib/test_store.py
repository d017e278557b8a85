"""Artifacts by content."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib import artifacts, seeds
from lib.errors import DamagedArtifact, UserError
from lib.store import Publication, Store

KEY = "k" * 64


def publish(store: Store, text: str, key: str = KEY) -> Publication:
    with store.workspace() as out:
        (out / "part").mkdir()
        (out / "part" / "a.txt").write_text(text)
        (out / "b.txt").write_text("b")
        return store.publish(out, key, {"kind": "test"}, {"rows": 1}, {"seconds": 1.0})


def test_what_was_published_is_found_again(tmp_path: Path):
    made = publish(Store(tmp_path), "one")
    found = Store(tmp_path).lookup(KEY)
    assert found == made
    assert (Store(tmp_path).folder(made.digest) / "part" / "a.txt").read_text() == "one"
    assert Store(tmp_path).stats(KEY, 1) == {"seconds": 1.0}


def test_equal_content_is_stored_once_and_recorded_twice(tmp_path: Path):
    store = Store(tmp_path)
    first, second = publish(store, "one", "a" * 64), publish(store, "one", "b" * 64)
    assert first.digest == second.digest
    assert store.lookup("a" * 64).digest == store.lookup("b" * 64).digest
    assert len(list((tmp_path / "artifacts").glob("*/*"))) == 1


def test_another_result_under_a_key_is_a_new_version_and_keeps_the_old(tmp_path: Path):
    store = Store(tmp_path)
    first, second = publish(store, "one"), publish(store, "two")
    assert (first.version, second.version) == (1, 2)
    assert store.lookup(KEY).digest == second.digest
    store.verify(first.digest)


def test_a_reference_into_an_artifact_has_its_own_content(tmp_path: Path):
    store = Store(tmp_path)
    one, two = publish(store, "one"), publish(store, "two", "b" * 64)
    assert store.folders(one.digest) == [f"{one.digest}/part"]
    assert store.content(f"{one.digest}/part") != store.content(f"{two.digest}/part")
    assert store.content(one.digest) == one.digest


def test_a_changed_byte_is_found_and_the_artifact_goes_to_quarantine(tmp_path: Path):
    store = Store(tmp_path)
    made = publish(store, "one")
    file = store.folder(made.digest) / "part" / "a.txt"
    file.write_text("0ne")
    with pytest.raises(DamagedArtifact, match=r"part/a\.txt does not match"):
        Store(tmp_path).verify(made.digest)
    assert Store(tmp_path).lookup(KEY) is None
    assert Store(tmp_path).is_lost(KEY)
    assert any("0ne" in p.read_text() for p in (tmp_path / "quarantine").rglob("a.txt"))
    again = publish(Store(tmp_path), "one")
    assert again.digest == made.digest
    assert Store(tmp_path).lookup(KEY) == again


@pytest.mark.parametrize("change", ["delete a file", "add a file", "delete the folder", "edit the index"])
def test_every_other_damage_is_found_too(tmp_path: Path, change: str):
    store = Store(tmp_path)
    folder = store.folder(publish(store, "one").digest)
    if change == "delete a file":
        (folder / "b.txt").unlink()
    elif change == "add a file":
        (folder / "c.txt").write_text("c")
    elif change == "delete the folder":
        folder.rename(tmp_path / "elsewhere")
    else:
        index = json.loads((folder / ".files.json").read_text())
        index["files"]["b.txt"] = "0" * 64
        (folder / ".files.json").write_text(json.dumps(index))
    assert Store(tmp_path).lookup(KEY) is None


def test_an_edited_record_is_not_believed(tmp_path: Path):
    store = Store(tmp_path)
    publish(store, "one")
    path = tmp_path / "by-key" / KEY / "1.json"
    record = json.loads(path.read_text())
    record["ingredients"]["kind"] = "another"
    path.write_text(seeds.canonical(record))
    with pytest.raises(DamagedArtifact, match="was altered"):
        store.read(KEY, 1)
    assert store.lookup(KEY) is None


def test_a_damaged_newest_version_gives_way_to_the_older_one(tmp_path: Path):
    store = Store(tmp_path)
    first, second = publish(store, "one"), publish(store, "two")
    (store.folder(second.digest) / "b.txt").write_text("x")
    assert Store(tmp_path).lookup(KEY) == first


def test_a_stage_that_wrote_nothing_is_not_published(tmp_path: Path):
    store = Store(tmp_path)
    with store.workspace() as out, pytest.raises(DamagedArtifact, match="without writing"):
        store.publish(out, KEY, {}, {}, {})
    assert store.lookup(KEY) is None


def test_a_store_of_a_newer_format_is_refused(tmp_path: Path):
    (tmp_path / "format.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="has format 99"):
        Store(tmp_path)


def test_a_lost_version_is_never_given_again(tmp_path: Path):
    store = Store(tmp_path)
    lost = publish(store, "one")
    (store.folder(lost.digest) / "b.txt").write_text("x")
    assert Store(tmp_path).lookup(KEY) is None
    remade = publish(Store(tmp_path), "two")
    assert (lost.version, remade.version) == (1, 2)
    assert Store(tmp_path).versions(KEY) == [2]


@pytest.mark.parametrize("digest", ["", "..", None, 5, "intact"])
def test_an_altered_record_moves_nothing_but_itself(tmp_path: Path, digest: str | int | None):
    store = Store(tmp_path)
    other = publish(store, "one", "b" * 64)
    made = publish(store, "two")
    path = tmp_path / "by-key" / KEY / "1.json"
    record = json.loads(path.read_text())
    record["output"]["digest"] = other.digest if digest == "intact" else digest
    path.write_text(seeds.canonical(record))
    assert Store(tmp_path).lookup(KEY) is None
    assert Store(tmp_path).lookup("b" * 64) == other
    store.verify(made.digest)


def test_a_record_whose_seal_was_made_anew_still_names_no_folder_of_ours(tmp_path: Path):
    store = Store(tmp_path)
    publish(store, "one")
    path = tmp_path / "by-key" / KEY / "1.json"
    record = json.loads(path.read_text())
    del record["record"]
    record["output"] = {"digest": "../../by-key", "rows": {}}
    path.write_text(seeds.canonical({**record, "record": seeds.digest(record)}))
    with pytest.raises(DamagedArtifact, match="was altered"):
        store.read(KEY, 1)


@pytest.mark.parametrize("content", [b"\xff{", b"[]", b'{"record": NaN}', b""])
def test_a_garbled_record_is_set_aside(tmp_path: Path, content: bytes):
    store = Store(tmp_path)
    publish(store, "one")
    (tmp_path / "by-key" / KEY / "1.json").write_bytes(content)
    assert store.lookup(KEY) is None
    assert store.is_lost(KEY)


def test_figures_that_are_not_numbers_are_kept(tmp_path: Path):
    store = Store(tmp_path)
    with store.workspace() as out:
        (out / "b.txt").write_text("b")
        store.publish(out, KEY, {}, {}, {"loss": float("nan"), "steps": 1})
    assert store.stats(KEY, 1)["steps"] == 1


@pytest.mark.parametrize("theirs", ["whole", "damaged"])
def test_what_another_process_put_in_place_meanwhile_is_taken_if_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str):
    store, real = Store(tmp_path), artifacts._moved

    def overtaken(folder: Path, target: Path) -> bool:
        monkeypatch.setattr(artifacts, "_moved", real)
        shutil.copytree(folder, target)
        if theirs == "damaged":
            (target / "b.txt").write_text("x")
        return real(folder, target)

    monkeypatch.setattr(artifacts, "_moved", overtaken)
    made = publish(store, "one")
    assert Store(tmp_path).lookup(KEY) == made
    assert (tmp_path / "quarantine").exists() == (theirs == "damaged")


PUBLISHER = """
import sys, time
from pathlib import Path
from lib.store import Store
root, me = Path(sys.argv[1]), sys.argv[2]
store = Store(root)
(root / f"ready-{me}").touch()
while len(list(root.glob("ready-*"))) < 4:
    time.sleep(0.001)
for i in range(25):
    for key, text in ((f"{me}{i:02}".rjust(64, "0"), f"equal {i}"), ("k" * 64, f"of {me}: {i}")):
        with store.workspace() as out:
            (out / "part").mkdir()
            (out / "part" / "a.txt").write_text(text)
            print(key, store.publish(out, key, {}, {}, {"by": me}).version, me)
"""


def test_four_processes_publish_at_once_and_nothing_is_lost_or_overwritten(tmp_path: Path):
    Store(tmp_path)
    command = [sys.executable, "-c", PUBLISHER, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    running = [subprocess.Popen([*command, str(n)], env=env, stdout=subprocess.PIPE, text=True) for n in range(4)]
    said = [process.communicate(timeout=200)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    made = [tuple(line.split()) for text in said for line in text.splitlines()]
    assert len(set(made)) == len({(key, version) for key, version, _ in made}) == 200
    store = Store(tmp_path)
    assert store.versions(KEY) == list(range(1, 101))
    for key, version, by in made:
        store.verify(store.read(key, int(version)).digest)
        assert store.stats(key, int(version)) == {"by": by}
    assert len(list((tmp_path / "artifacts").glob("*/*"))) == 125
    assert not (tmp_path / "quarantine").exists()
    assert not any((tmp_path / "tmp").iterdir())


def test_workspaces_of_processes_that_run_no_more_are_dropped(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = platform.node()
    dropped = [f"{ended.pid}-{here}-{'a' * 32}", f"{ended.pid}-{'b' * 32}"]
    kept = [f"{os.getpid()}-{here}-{'a' * 32}", f"{ended.pid}-{here}-elsewhere-{'a' * 32}", "notes"]
    for name in (*dropped, *kept):
        (tmp_path / "tmp" / name).mkdir(parents=True)
        (tmp_path / "tmp" / name / "half.txt").write_text("x")
    Store(tmp_path)
    assert sorted(p.name for p in (tmp_path / "tmp").iterdir()) == sorted(kept)


KILLED = """
import os, signal, sys
from pathlib import Path
from lib import store as module
from lib.store import Store
at = sys.argv[2]
real = Path.rename if at == "rename" else module.write_atomically
def die(*args, **more):
    if at == "after-rename":
        done = rename(*args, **more); os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
rename = Path.rename
if at in ("rename", "after-rename"): Path.rename = die
else: module.write_atomically = die
store = Store(Path(sys.argv[1]))
with store.workspace() as out:
    (out / "b.txt").write_text("b")
    store.publish(out, "k" * 64, {}, {}, {})
"""


@pytest.mark.parametrize("at", ["rename", "after-rename", "record"])
def test_a_kill_while_publishing_leaves_nothing_that_counts(tmp_path: Path, at: str):
    Store(tmp_path)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), at], env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    assert ended.returncode == -signal.SIGKILL
    store = Store(tmp_path)
    assert store.lookup("k" * 64) is None
    assert not list((tmp_path / "tmp").glob("*"))
    with store.workspace() as out:
        (out / "b.txt").write_text("b")
        made = store.publish(out, "k" * 64, {}, {}, {})
    assert store.lookup("k" * 64) == made


def test_keys_are_found_again_by_their_base_key(tmp_path: Path):
    store = Store(tmp_path)
    for _ in range(2):
        store.index("b" * 64, KEY)
        store.index("b" * 64, "a" * 64)
    assert Store(tmp_path).indexed("b" * 64) == ["a" * 64, KEY]
    assert store.indexed("c" * 64) == []
