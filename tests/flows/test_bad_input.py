"""What a person may get wrong: one line that names the thing and the remedy, a status that is not zero, nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.home import Home
from tests.flows.conftest import ROOT, command, environment


def said(home: Home, *words: str, **more: str) -> tuple[int, str]:
    ended = subprocess.run(
        command(home, *words), env=environment(home, None, **more), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return ended.returncode, ended.stderr.strip()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("improve", "x", "--recipe", "starr"), "no recipe 'starr' in lib/recipes; a file's name must end in .py; did you mean 'star'?"),
        (("improve", "x", "--recipe", "./gone.py"), "no recipe file gone.py"),
        (("improve", "x", "--set", "sampler.m=3"), "no setting 'm' in 'sampler.m'"),
        (("improve", "x", "--set", "sampler.n"), "--set sampler.n: write it as NAME=VALUE"),
        (("improve", "x", "--set", "sampler.n=0"), "greater than or equal to 1"),
        (("improve", "a/b"), "'a/b' cannot name a campaign"),
        (("status", "gone"), "no campaign 'gone'"),
        (("rerun", "gone", "--round", "1", "--from", "train"), "no campaign 'gone'"),
        (("lineage", "model", "gone"), "gone"),
        (("query", "SELECT nothing FROM nowhere"), "nowhere"),
        (("compare", "--recipes", "star,starr"), "did you mean 'star'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_no_campaign(home: Home, words: tuple[str, ...], line: str):
    status, stderr = said(home, *words)
    assert status == 1
    assert stderr.startswith("roundhouse: ")
    assert line in stderr
    assert len(stderr.splitlines()) == 1
    assert not list(home.campaigns.glob("*/campaign.json"))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: shutil.rmtree(f), "no model folder"),
        (lambda f: [p.unlink() for p in f.glob("tokenizer*")], "tokenizer"),
        (lambda f: (f / "chat_template.jinja").unlink(), "chat template"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "safetensors"),
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
    status, stderr = said(Home(tmp_path / "file" / "home"), "status")
    assert status == 1
    assert "set ROUNDHOUSE_HOME to a folder that can be written" in stderr


def test_a_store_of_a_newer_format_is_refused(home: Home):
    home.store.mkdir(parents=True)
    (home.store / "format.json").write_text(json.dumps({"format": 99}))
    status, stderr = said(home, "improve", "x", "--plan")
    assert status == 1
    assert "has format 99" in stderr


def test_a_full_disk_is_one_line_and_the_store_stays_whole(tmp_path: Path):
    """A real full disk: a file system of two megabytes, where the machine allows mounting one."""
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(mount)], capture_output=True).returncode:
        pytest.skip("needs a machine where this user may mount a file system")
    try:
        from lib.errors import UserError
        from lib.store import Store

        store = Store(mount / "store")
        with pytest.raises((UserError, OSError)) as raised, store.workspace() as out:
            (out / "big").write_bytes(b"x" * 300_000)
            store.publish(out, "a" * 64, {}, {}, {})
            (out / "rest").mkdir(parents=True)
            (out / "rest" / "big").write_bytes(b"x" * 300_000)
        assert "No space left" in str(raised.value) or "is full" in str(raised.value)
        assert not list((mount / "store" / "tmp").iterdir())
        found = Store(mount / "store").lookup("a" * 64)
        assert found is not None
    finally:
        subprocess.run(["umount", str(mount)], check=True)


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
