"""The README's chapters on auditing and giving away, typed as they stand beside a `roundhouse up`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lib.home import Home
from lib.ledger import Ledger
from tests.flows.conftest import ROOT, SMALL
from tests.flows.living import DEADLINE_SECONDS, Living, eventually, free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Living]:
    """A home that is up, with two rounds of a campaign that learns whatever was written."""
    found = Living(Home(tmp_path_factory.mktemp("audited") / "home"))
    try:
        found.start(tmp_path_factory.mktemp("elsewhere"))
        made = found.run(
            "improve", "first", "--recipe", "no_filter", "--model", str(model), *SMALL, "--set", "trainer.replay=[]", "--rounds", "2"
        )
        assert made.returncode == 0, made.stderr
        yield found
    finally:
        found.end()


def blocks(chapter: str) -> list[list[list[str]]]:
    """The words of each line of each block of commands."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    return [[shlex.split(line, comments=True) for line in block.strip().splitlines()] for block in text.split("```")[1::2]]


def typed(living: Living, cwd: Path, words: list[str]) -> str:
    """What a line prints."""
    module = {"roundhouse": "flows.cli", "prefect": "prefect"}[words[0]]
    more = {"PREFECT_API_URL": living.api} if words[0] == "prefect" else {}
    ran = subprocess.run(
        [sys.executable, "-m", module, *words[1:]],
        env={**living.environment, **more},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert ran.returncode == 0, f"{shlex.join(words)}: {ran.stderr}{ran.stdout}"
    return ran.stdout


def test_every_line_of_the_chapter_audit_does_what_it_says(living: Living, tmp_path: Path):
    looking, scheduling = blocks("Audit")
    *lines, page = looking
    told = {shlex.join(words): typed(living, tmp_path, words) for words in lines}
    assert "everything is as it was" in told["roundhouse audit first"]
    assert json.loads(told["roundhouse audit first --offline --json"])["passed"] is True
    assert "sampled" in told["roundhouse query funnel"]
    packed = tmp_path / "first-audit.tar.gz"
    subprocess.run(["tar", "-xzf", packed, "-C", tmp_path], check=True)
    (bundle,) = tmp_path.glob("*/verify.py")
    assert subprocess.run([sys.executable, "-I", "-S", bundle.name], cwd=bundle.parent).returncode == 0
    assert (living.home.campaigns / "first" / "report.html").is_file()

    assert page[:2] == ["mlflow", "ui"]
    uri = page[-1].replace("sqlite:///data/", f"sqlite:///{living.home.root}/")
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--port", str(port)],
        env=living.environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/health"), "mlflow ui never answered")
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # its workers too
        server.wait()

    run, schedule = scheduling
    typed(living, tmp_path, run)
    typed(living, tmp_path, schedule)
    assert [flow["state_type"] for flow in living.flow_runs("audit")] == ["COMPLETED"]
    (deployed,) = living.asked("deployments", {"deployments": {"name": {"any_": ["first"]}}})
    assert (deployed["parameters"], [row["schedule"]["cron"] for row in deployed["schedules"]]) == ({"campaign": "first"}, ["0 6 * * *"])


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10).is_success
    except httpx.HTTPError:
        return False


def test_every_line_of_the_chapter_on_giving_away_does_what_it_says(living: Living, tmp_path: Path):
    (lines,) = blocks("Give away, and forget")
    with Ledger(living.home) as ledger:
        (row,) = ledger.rows("SELECT completion_id FROM example_sources ORDER BY 1 LIMIT 1")
    for words in lines:
        if words[:3] == ["roundhouse", "forget", "completion"]:
            words[3] = row["completion_id"][:12]
        typed(living, tmp_path, words)
    loads = """import datasets, transformers
assert datasets.load_dataset("./examples", split="train").num_rows == 2 * 320
transformers.AutoModelForCausalLM.from_pretrained("./champion")"""
    loaded = subprocess.run([sys.executable, "-c", loads], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert loaded.returncode == 0, loaded.stderr
