"""What a person may get wrong: one line that names the thing and the remedy, a status that is not zero, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli import run, trouble
from flows.rerunning import Asked
from lib.errors import UserError
from lib.home import Home
from lib.store import Store
from tests.begun_campaign import begun, ended
from tests.flows.conftest import ROOT, command, environment


def said(home: Home, *words: str, **more: str) -> tuple[int, str]:
    ended = subprocess.run(
        command(home, *words), env=environment(home, None, **more), cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    return ended.returncode, ended.stderr.strip()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("improve", "x", "--recipe", "starr"), "no recipe 'starr' in lib/recipes; a file's name must end in .py; did you mean 'star'?"),
        (("improve", "x", "--recipe", "./gone.py"), "no recipe file gone.py"),
        (("improve", "x", "--set", "sampler.m=3"), "no setting 'm' in 'sampler.m'"),
        (("improve", "x", "--set", "sampler.n"), "--set sampler.n: write it as NAME=VALUE"),
        (("improve", "x", "--set", "sampler.n=0"), "setting sampler.n: Input should be greater than or equal to 1; got 0"),
        (("improve", "a/b"), "'a/b' cannot name a campaign"),
        (("status", "gone"), "no campaign 'gone'"),
        (("rerun", "gone", "--round", "1", "--from", "train"), "no campaign 'gone'"),
        (("lineage", "model", "gone"), "gone"),
        (("lineage", "moddel", "gone"), "did you mean 'model'?"),
        (("audit", "gone"), "no campaign 'gone'"),
        (("report", "gone"), "no campaign 'gone'"),
        (("diff", "gone:1", "2"), "no campaign 'gone'"),
        (("diff", "gone", "2"), "'gone' names no round; give CAMPAIGN:ROUND, such as first:2"),
        (("export", "bundle", "gone", "./bundle"), "no campaign 'gone'"),
        (("export", "model", "gone", "./model"), "no campaign 'gone'"),
        (("forget", "completion", "gone"), "is too short to find a completion by; give at least 6 characters"),
        (("forget", "problem", "0123456789"), "0123456789"),
        (("query", "SELECT nothing FROM nowhere"), "nowhere"),
        (("compare", "--recipes", "star,starr"), "did you mean 'star'"),
        (("compare", "--recipes", "star,star"), "two of the recipes have the same name"),
        (("improve", "x", "--recipe", "star", "--set", "sampler.n=3"), "say which: phases.0.stages.0.run.0.n or phases.0.stages.2.run.0.n"),
        (("improve", "x", "--model", "./gone", "--recipe", "grpo"), "no model folder './gone'; give a folder written by save_pretrained"),
        (("improve", "x", "--model", "./gone"), "no model folder './gone'; give a folder written by save_pretrained"),
        (
            ("improve", "x", "--model", ".", "--warm-start", "warm_start_roles"),
            "--warm-start is for the built-in model; leave one of them out",
        ),
        (("improve", "x", "--model", "."), "leave them out with --set 'trainer.replay=[]'"),
        (("improve", "x", "--set", "gate.metric=pass_at_3"), "no metric 'pass_at_3' of the evaluators for the gate"),
        (("improve", "x", "--set", "evaluators=[]", "--plan"), "the recipe has no evaluators"),
        (("improve", "x", "--set", "trainer.start_from=round:x"), "no model reference 'round:x' for trainer.start_from"),
        (("model", "new", "./pyproject.toml"), "pyproject.toml is a file; give a new folder"),
    ],
)
def test_a_mistake_is_one_line_and_writes_no_campaign(
    home: Home, words: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ROUNDHOUSE_HOME", str(home.root))
    monkeypatch.setattr(sys, "argv", ["roundhouse", *words])
    assert run() == 1
    stderr = capsys.readouterr().err.strip()
    assert stderr.startswith("roundhouse: ")
    assert line in stderr
    assert len(stderr.splitlines()) == 1
    assert not list(home.campaigns.glob("*/campaign.json"))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: [p.unlink() for p in f.glob("tokenizer*")], "tokenizer"),
        (lambda f: (f / "chat_template.jinja").unlink(), "chat template"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "has only pickled weights"),
    ],
)
@pytest.mark.slow
def test_a_model_folder_that_cannot_be_used_says_what_to_do(run, home: Home, model: Path, tmp_path: Path, spoil, line: str):
    folder = tmp_path / "spoilt"
    shutil.copytree(model, folder)
    spoil(folder)
    ended = run("improve", "x", "--model", str(folder), "--recipe", "iterative_dpo")
    assert ended.returncode == 1
    assert line in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not (home.campaigns / "x" / "campaign.json").exists()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    status, stderr = said(Home(tmp_path / "file" / "home"), "improve", "x")
    assert status == 1
    assert "set ROUNDHOUSE_HOME to a folder that can be written" in stderr


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = ", "cannot be imported: SyntaxError: invalid syntax"),
        ("raise ValueError('two\\nlines')", "cannot be imported: ValueError: two lines"),
        ("import a_friend_who_is_away", "cannot be imported: ModuleNotFoundError: No module named 'a_friend_who_is_away'"),
        ("RECIPE = 3", "has no RECIPE = Recipe(...); add one"),
        ("from lib.recipe import Recipe\nRECIPE = Recipe(phases=(), evaluators=(), speed=3)", "no setting 'speed' on Recipe"),
        (
            "from lib.samplers.independent import Independent\nIndependent(n='many')",
            "validation error for Independent n Input should be a valid integer",
        ),
        ("from lib.recipe import Phase\nPhase(sampler=3)", "sampler Input should be a valid dictionary or instance of Strategy"),
    ],
)
def test_a_recipe_file_that_is_wrong_is_one_line(text: str, line: str, home: Home, tmp_path: Path):
    (tmp_path / "mine.py").write_text(text)
    status, stderr = said(home, "improve", "x", "--recipe", str(tmp_path / "mine.py"))
    assert status == 1
    assert stderr.startswith("roundhouse: ") and line in stderr
    assert len(stderr.splitlines()) == 1
    assert not list(home.campaigns.glob("*/campaign.json"))


def test_a_time_limit_that_is_none_is_refused_before_anything_starts(home: Home):
    status, stderr = said(home, "improve", "x", ROUNDHOUSE_TIMEOUT_SECONDS="soon")
    assert status == 1
    assert stderr.startswith("roundhouse: ROUNDHOUSE_TIMEOUT_SECONDS=soon: write seconds")
    assert len(stderr.splitlines()) == 1
    assert not home.prefect.exists()


def test_a_store_of_a_newer_format_is_refused(home: Home):
    home.store.mkdir(parents=True)
    (home.store / "format.json").write_text(json.dumps({"format": 99}))
    status, stderr = said(home, "improve", "x", "--plan")
    assert status == 1
    assert "has format 99" in stderr


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.ENOSPC, "the disk that holds /x/y is full; free some space and run the same command again"),
        (errno.EDQUOT, "the disk that holds /x/y is full"),
        (errno.EROFS, "/x/y: Read-only file system; make it accessible to you, or set ROUNDHOUSE_HOME"),
        (errno.EACCES, "/x/y: Permission denied; make it accessible to you"),
    ],
)
def test_a_disk_that_is_full_or_closed_is_named(number: int, line: str):
    assert (trouble(OSError(number, os.strerror(number), "/x/y")) or "").startswith(line)
    assert trouble(OSError(errno.EBADF, "no user's trouble")) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 400 kilobytes, where the machine allows mounting one."""
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(mount)], capture_output=True).returncode:
        pytest.skip("needs a machine where this user may mount a file system")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_is_one_line_and_the_store_stays_whole(small_disk: Path):
    store = Store(small_disk / "store")
    with pytest.raises((UserError, OSError)) as raised, store.workspace() as out:
        (out / "big").write_bytes(b"x" * 300_000)
        store.publish(out, "a" * 64, {}, {}, {})
        (out / "rest").mkdir(parents=True)
        (out / "rest" / "big").write_bytes(b"x" * 300_000)
    assert "No space left" in str(raised.value) or "is full" in str(raised.value)
    assert not list((small_disk / "store" / "tmp").iterdir())
    found = Store(small_disk / "store").lookup("a" * 64)
    assert found is not None


@pytest.mark.slow
def test_a_command_on_a_full_disk_warns_and_ends_in_one_line(small_disk: Path, server: str):
    (small_disk / "big").write_bytes(b"x" * 400 * 1024)
    status, stderr = said(Home(small_disk / "home"), "improve", "x", PREFECT_API_URL=server)
    assert status == 1, stderr
    warned, *_, told = stderr.splitlines()
    assert warned.startswith("roundhouse: what is still to run may take ") and "0 bytes free" in warned
    assert told.startswith("roundhouse: ") and "free some space" in told
    assert "Traceback" not in stderr


def test_a_damaged_campaign_is_one_line(home: Home):
    (home.campaigns / "one").mkdir(parents=True)
    (home.campaigns / "one" / "campaign.json").write_text("{}")
    for words in (("status", "one"), ("improve", "one"), ("improve", "one", "--plan")):
        status, stderr = said(home, *words)
        assert status == 1
        assert "campaign.json is damaged (" in stderr
        assert len(stderr.splitlines()) == 1


def test_the_console_entry_point_says_an_error_in_one_line(home: Home):
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["roundhouse"]
    assert named == "flows.cli:main"
    module, _, function = named.partition(":")
    code = f"import sys; sys.argv = ['roundhouse', 'status', 'gone']; from {module} import {function}; {function}()"
    ended = subprocess.run([sys.executable, "-c", code], env=environment(home, None), cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("roundhouse: no campaign 'gone'")
    assert len(ended.stderr.splitlines()) == 1


def test_help_imports_nothing_heavy(home: Home):
    code = (
        "import sys; sys.argv = ['roundhouse', '--help']\n"
        "from flows import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = [m for m in ('torch', 'pyarrow', 'pydantic', 'prefect', 'mlflow', 'duckdb', 'numpy') if m in sys.modules]\n"
        "print(heavy, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=environment(home, None), cwd=ROOT, capture_output=True, text=True)
    assert "improve" in ended.stdout
    assert ended.stderr.strip() == "[]"


def test_a_round_that_is_run_again_cannot_name_the_model_of_a_later_one(home: Home):
    folder = begun(home)
    ended(folder, 1)
    for settings in ("sampler.model=round:1", 'filters=[{"strategy": "KeepCorrect", "from": "round:2"}]'):
        with pytest.raises(UserError, match=r"round 1 comes before the model of round [12]; name an earlier one, or base"):
            Asked(folder.name, 1, settings=[settings]).checked(folder)
    ended(folder, 2)
    changes = {"sampler.model": "round:1", "trainer.replay": "[]"}
    assert Asked(folder.name, 2, settings=[f"{path}={value}" for path, value in changes.items()]).checked(folder)[1] == changes
