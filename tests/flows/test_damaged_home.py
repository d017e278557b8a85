"""A home that something has happened to: one line that names the file and the remedy, and no command writes to what it cannot read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cli import run
from lib.home import Home
from lib.problems.countdown import Countdown
from lib.recipe import load
from tests.flows.conftest import ROOT, command, environment
from tests.small_home import SmallHome, build

Spoil = Callable[[Path], object]


def write(path: str, text: str | bytes) -> Spoil:
    return lambda root: (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())


def change(path: str, **values: Any) -> Spoil:
    return lambda root: (root / path).write_text(json.dumps({**json.loads((root / path).read_text()), **values}))


def in_the_way(path: str) -> Spoil:
    """A file where a folder belongs."""

    def spoil(root: Path) -> None:
        if (root / path).is_dir():
            shutil.rmtree(root / path)
        (root / path).write_text("in the way")

    return spoil


def every(pattern: str, text: str) -> Spoil:
    return lambda root: [path.write_text(text) for path in root.glob(pattern)]


ROUND = "campaigns/demo/round-001/round.json"
LOOK = ("status demo", "lineage model demo", "query funnel", "improve demo --plan")


def said(home: Home, *words: str, **more: str) -> tuple[int, str]:
    ended = subprocess.run(
        command(home, *words), env=environment(home, None, **more), cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    return ended.returncode, ended.stderr.strip()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SmallHome:
    small = build(Home(tmp_path_factory.mktemp("whole")))
    counts = {"train": 4, "validation": 2, "gate": 4, "test": 2}
    problems = {"source": Countdown().model_dump(mode="json"), "counts": counts}
    change("campaigns/demo/campaign.json", recipe=load("no_filter")[0].dump(), problems=problems)(small.home.root)
    (small.home.campaigns / "demo" / "test.json").unlink()
    return small


@pytest.mark.parametrize(
    ("spoil", "asked", "line"),
    [
        (write("campaigns/demo/campaign.json", b"\xff\xfe"), LOOK[:2], "campaign.json is not readable JSON; restore it or remove it"),
        (write("campaigns/demo/campaign.json", ""), LOOK[:2], "campaign.json is not readable JSON (line 1); restore it or remove it"),
        (write("campaigns/demo/campaign.json", "[]"), LOOK[:2], "campaign.json is damaged (the whole: "),
        (
            change("campaigns/demo/campaign.json", recipe={"gate": None}),
            LOOK[3:],
            "campaign.json is damaged (recipe.phases: Field required)",
        ),
        (change("campaigns/demo/campaign.json", format=9), LOOK[:2], "has format 9, this roundhouse knows 1; use a newer one"),
        (write(ROUND, ""), LOOK, "round-001/round.json is not readable JSON (line 1); restore it or remove it"),
        (write(ROUND, "[]"), LOOK, "round-001/round.json is damaged (the whole: "),
        (write(ROUND, "{}"), LOOK, "round-001/round.json is damaged (campaign: Field required); restore it, or move it away"),
        (change(ROUND, stages=[1]), LOOK, "round-001/round.json is damaged (stages: Input should be a valid dictionary)"),
        (change(ROUND, invented_later=1), LOOK, "has 'invented_later', which this roundhouse does not know; use a newer one"),
        (write("campaigns/demo/test.json", "{"), LOOK[1:3], "test.json is not readable JSON (line 1); restore it or remove it"),
        (write("campaigns/demo/test.json", "[1]"), LOOK[1:3], "test.json is damaged (0: Input should be a valid dictionary)"),
        (write("store/format.json", '{"format": 9}'), ("improve demo --plan",), "has format 9, and this roundhouse knows 1"),
        (in_the_way("store"), ("query funnel", "improve demo --plan"), "something stands where roundhouse keeps a file or a folder of"),
        (in_the_way("outbox"), ("publish",), "something stands where roundhouse keeps a file or a folder of its own: move it away"),
        (every("store/by-key/*/1.json", "{}"), ("query funnel", "lineage model demo"), "is no record of the store; move it away"),
        (every("store/artifacts/*/*/**/completions.parquet", "PAR1"), ("query funnel",), "cannot be read"),
        (every("store/artifacts/*/*/.files.json", "{"), ("lineage model demo",), ".files.json is not readable JSON"),
    ],
)
def test_what_is_damaged_or_of_a_newer_roundhouse_is_named_in_one_line(
    spoil: Spoil, asked: tuple[str, ...], line: str, whole: SmallHome, home: Home, capsys: pytest.CaptureFixture[str], monkeypatch
):
    whole.copy(home)
    spoil(home.root)
    for words in asked:
        monkeypatch.setattr(sys, "argv", ["roundhouse", *words.split()])
        status = run()
        said_here = capsys.readouterr().err.strip()
        assert status == 1, words
        assert said_here.startswith("roundhouse: ") and line in said_here, words
        assert len(said_here.splitlines()) == 1, words


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ("{", "is not readable JSON"),
        ("[]", "is no event of the outbox; move it away"),
        (
            '{"id": "a", "at_ms": 1, "event": {"kind": "invented", "campaign": "demo"}}',
            "kind 'invented', which this roundhouse does not know",
        ),
        (
            '{"id": "a", "at_ms": 1, "event": {"kind": "final", "campaign": "demo", "mood": 1}}',
            "with other fields than this roundhouse knows",
        ),
    ],
)
def test_an_event_that_cannot_be_read_waits_and_is_named(event: str, line: str, home: Home):
    (home.outbox / "pending").mkdir(parents=True)
    (home.outbox / "pending" / "00000001-a.json").write_text(event)
    status, stderr = said(home, "publish")
    assert status == 1
    assert stderr.startswith("roundhouse: 1 event still waits, from ") and line in stderr
    assert len(stderr.splitlines()) == 1
    assert len(list((home.outbox / "pending").iterdir())) == 1


def test_progress_that_is_damaged_hides_nothing_else(whole: SmallHome, home: Home):
    whole.copy(home)
    (home.campaigns / "demo" / "progress.json").write_text("{")
    status, stderr = said(home, "status", "demo")
    assert (status, stderr) == (0, "")


@pytest.mark.parametrize("words", ["status", "improve x --plan", "query", "publish", "lineage model x"])
def test_a_home_that_is_a_file_is_named(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("ROUNDHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["roundhouse", *words.split()])
    assert run() == 1
    assert "is a file; set ROUNDHOUSE_HOME to a folder that can be written" in capsys.readouterr().err


needs_walls = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap to show a folder read-only")


def read_only(home: Home, words: str) -> subprocess.CompletedProcess[str]:
    closed = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(home.root), str(home.root), *command(home, *words.split())]
    return subprocess.run(closed, env=environment(home, None), cwd=ROOT, capture_output=True, text=True, timeout=280)


@needs_walls
@pytest.mark.parametrize("words", ["improve demo", "publish", "gc", "forget completion 012345"])
def test_a_home_on_a_read_only_disk_is_named(words: str, whole: SmallHome, home: Home):
    whole.copy(home)
    ended = read_only(home, words)
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"roundhouse: cannot write to {home.root}; set ROUNDHOUSE_HOME to a folder that can be written"


@needs_walls
def test_a_home_on_a_read_only_disk_can_be_looked_at(whole: SmallHome, home: Home):
    whole.copy(home)
    for words in ("status demo", "lineage model demo", "query funnel", "diff demo:1 2", "tables", "explain demo --round 1"):
        ended = read_only(home, words)
        assert (ended.returncode, ended.stderr) == (0, ""), (words, ended.stderr)
    assert "roundhouse: " not in read_only(home, "audit demo --offline").stderr


def test_a_server_that_is_not_there_is_one_line(whole: SmallHome, home: Home):
    whole.copy(home)
    status, stderr = said(home, "improve", "demo", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert status == 1
    assert stderr.splitlines()[-1].startswith("roundhouse: no Prefect server answers at http://127.0.0.1:9/api; start it, or unset")
    assert "Traceback" not in stderr
