"""A real disk that fills while a campaign runs: one line, nothing half-published, and with room the same command goes on.

The disk is a small file system in memory that bubblewrap mounts for one process and its children, so the commands are run,
and the files looked at, by that process.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.home import Home
from tests.flows.conftest import ROOT, command, digests, environment

RECIPE = Path(__file__).with_name("unsteady.py")
SMALL = ("--count", "12", "--held-out", "4")

MEGABYTE = 1_000_000

INSIDE = """
import json, subprocess, sys
for line in sys.stdin:
    words, env, cwd = json.loads(line)
    ended = subprocess.run(words, env=env, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    print(json.dumps([ended.returncode, ended.stdout, ended.stderr]), flush=True)
"""

WHOLE = """
import json, sys
from pathlib import Path
from lib.store import Store
root = Path(sys.argv[1])
assert not list((root / "tmp").iterdir()) if (root / "tmp").exists() else True, "something half-made is left"
store = Store(root)
for key in store.published_keys():
    for version in store.versions(key):
        store.verify(store.read(key, version).digest)
assert not (root / "quarantine").exists()
print(len(store.published_keys()))
"""

DIGESTS = """
import json, sys
from pathlib import Path
from lib.home import Home
from tests.flows.conftest import digests
print(json.dumps(digests(Home(Path(sys.argv[1])), "unsteady")))
"""

SWEEP = """
import sys
from pathlib import Path
from lib import outbox
from lib.errors import UserError
from lib.store import Store
disk = Path(sys.argv[1])
filler = disk / "filler"

def leave(pages):
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - pages * 4096))

def tried(act):
    try:
        return act()
    except (UserError, OSError) as error:
        assert "full" in str(error) or "No space left" in str(error), error
    finally:
        filler.unlink()

made = []
for pages in range(20):
    store = Store(disk / f"store{pages}")
    with store.workspace() as out:
        (out / "rows").write_bytes(b"x" * 9000)
        leave(pages)
        published = tried(lambda: store.publish(out, "a" * 64, {"kind": "sample"}, {}, {"seconds": 1.0}))
    assert not list((store.root / "tmp").iterdir()), pages
    assert (Store(store.root).lookup("a" * 64) is not None) == (published is not None), pages
    assert not (store.root / "quarantine").exists()
    box = disk / f"outbox{pages}"
    box.mkdir()
    leave(pages)
    put = tried(lambda: outbox.put(box, {"campaign": "one", "text": "x" * 5000}))
    assert [queued.id for queued in outbox.pending(box)] == ([put] if put else []), pages
    assert not list(box.rglob(".0*")), "half an event is left"
    made.append((published is not None, put is not None))
assert made[0] == (False, False) and made[-1] == (True, True), made
print(len(made))
"""


class Disk:
    """A file system of a given size, and the process that sees it."""

    def __init__(self, folder: Path, size: int) -> None:
        self.home = Home(folder)
        words = ["bwrap", "--dev-bind", "/", "/", "--size", str(size), "--tmpfs", str(folder), "--die-with-parent"]
        self._inside = subprocess.Popen(
            [*words, sys.executable, "-c", INSIDE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        assert self._inside.stdin is not None and self._inside.stdout is not None
        self._inside.stdin.write(json.dumps([words, env, str(ROOT)]) + "\n")
        self._inside.stdin.flush()
        return subprocess.CompletedProcess(words, *json.loads(self._inside.stdout.readline()))

    def python(self, code: str, *words: str) -> str:
        ended = self.run([sys.executable, "-c", code, *words], environment(self.home, None))
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def close(self) -> None:
        self._inside.communicate(timeout=60)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, server: str, model: Path) -> Home:
    """The same campaign on a disk with room."""
    home = Home(tmp_path_factory.mktemp("calm"))
    words = command(home, "improve", "--recipe", str(RECIPE), "--model", str(model), *SMALL, "--rounds", "1")
    ended = subprocess.run(words, env=environment(home, server), cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return home


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if shutil.which("bwrap") is None:
        pytest.skip("needs bubblewrap to mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = Disk(folder, 60 * MEGABYTE)
    yield made
    made.close()


def test_a_store_and_an_outbox_that_run_out_at_any_write_hold_all_of_it_or_nothing(disk: Disk):
    assert disk.python(SWEEP, str(disk.home.root)) == "20"


@pytest.mark.slow
def test_a_disk_that_fills_in_sample_and_in_train_is_one_line_each_and_ends_the_same(disk: Disk, calm: Home, server: str, model: Path):
    filler = disk.home.root / "filler"
    words = command(disk.home, "improve", "--recipe", str(RECIPE), "--model", str(model), *SMALL, "--rounds", "1")
    for stage, keys in (("SAMPLE", 8), ("TRAIN", 11)):
        ended = disk.run(words, environment(disk.home, server, **{f"FILL_IN_{stage}": str(filler)}))
        assert ended.returncode == 1, ended.stderr
        assert "Traceback" not in ended.stderr, ended.stderr
        line = ended.stderr.strip().splitlines()[-1]
        assert line.startswith("roundhouse: no space left on the disk"), ended.stderr
        assert "free some and run the same command again" in line
        disk.python("import os, sys; os.remove(sys.argv[1])", str(filler))
        assert int(disk.python(WHOLE, str(disk.home.store))) >= keys
    away = disk.run(words, environment(disk.home, server, MLFLOW_TRACKING_URI="http://127.0.0.1:9"))
    assert away.returncode == 0, away.stderr
    assert json.loads(disk.python(DIGESTS, str(disk.home.root))) == digests(calm, "unsteady")

    disk.python(
        "import sys; sys.path.insert(0, 'tests/flows'); from unsteady import fill_the_disk; fill_the_disk(sys.argv[1])", str(filler)
    )
    full = disk.run(command(disk.home, "publish"), environment(disk.home, None))
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr, full.stderr
    assert len(full.stderr.strip().splitlines()) == 1, full.stderr
    disk.python("import os, sys; os.remove(sys.argv[1])", str(filler))
    delivered = disk.run(command(disk.home, "publish"), environment(disk.home, None))
    assert delivered.returncode == 0, delivered.stderr
    assert (
        disk.python(
            "import sys; from pathlib import Path; print(len(list(Path(sys.argv[1]).iterdir())))", str(disk.home.outbox / "pending")
        )
        == "0"
    )
