"""What a process counts on is not collected beside it, and nobody finds, makes or gives away a model while somebody collects."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from lib import export_model, garbage
from lib.errors import Collected
from lib.in_use import InUse, collecting, in_use
from tests.lib.test_garbage import WEIGHTS, gone
from tests.small_home import SmallHome

ROOT = Path(__file__).resolve().parents[2]


def test_a_model_that_a_process_counts_on_stays_until_it_ends(small: SmallHome):
    key = next(k for k in small.store.published_keys() if small.store.read(k, 1).digest == small.second)
    code = (
        "import sys; from pathlib import Path; from lib.home import Home; from lib.in_use import InUse; from lib.store import Store\n"
        "home = Home(Path(sys.argv[1])); store = Store(home.store)\n"
        "used = InUse(home.locks); print(used.find(lambda: store.lookup(sys.argv[2])).digest, flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(small.home.root), key]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == small.second
    assert gone(garbage.collect(small.home, 0)) == {small.random}
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=30)
    assert in_use(small.home.locks) == set()
    assert gone(garbage.collect(small.home, 0)) == {small.second}
    assert list((small.home.locks / "in-use").iterdir()) == []


def test_a_model_that_is_kept_stays_until_its_keeper_is_done(small: SmallHome):
    used = InUse(small.home.locks)
    used.keep(small.second, small.store.verify)
    assert gone(garbage.collect(small.home, 0)) == {small.random}
    used.close()
    assert gone(garbage.collect(small.home, 0)) == {small.second}
    with pytest.raises(Collected):
        used.keep(small.second, small.store.verify)
    assert in_use(small.home.locks) == set()


def test_a_model_is_not_given_away_while_somebody_collects(small: SmallHome, tmp_path: Path):
    with ThreadPoolExecutor(1) as pool:
        with collecting(small.home.locks):
            giving = pool.submit(export_model.write, small.home, small.second, tmp_path / "given")
            with suppress(TimeoutError):
                giving.exception(timeout=0.5)
            small.store.collect(small.second, [WEIGHTS], None)
        with pytest.raises(Collected):
            giving.result(timeout=60)
    assert not (tmp_path / "given").exists()
    assert in_use(small.home.locks) == set()


def test_nothing_is_found_while_somebody_collects(small: SmallHome):
    used, found = InUse(small.home.locks), threading.Event()

    def look() -> None:
        used.find(lambda: None)
        found.set()

    with collecting(small.home.locks):
        thread = threading.Thread(target=look)
        thread.start()
        assert not found.wait(0.2)
    assert found.wait(30)
    thread.join()
