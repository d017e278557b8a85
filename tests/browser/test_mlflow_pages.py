"""What an auditor finds in MLflow by clicking: from the campaign to a round, what it read, its models, and their versions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.home import Home
from lib.round_record import RoundRecord, read_round
from lib.small_model import SmallLlama
from tests.browser.looking import Look, chromium, looking
from tests.flows.conftest import SMALL, command, environment
from tests.mlflow_server import mlflow_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]

SETTLED = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.assistant.panelOpen_v1": "false",
}
"""What MLflow remembers of a person who has chosen `Model training` and closed its assistant."""

LIGHT = {"databricks-dark-mode-pref": "light", "_mlflow_dark_mode_toggle_enabled": "false"}

DARK = {"databricks-dark-mode-pref": "dark", "_mlflow_dark_mode_toggle_enabled": "true"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home of a campaign of two rounds."""
    chromium()
    folder = tmp_path_factory.mktemp("seen")
    model = folder / "tiny"
    model.mkdir()
    SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=32).build(model, 0)
    home = Home(folder / "home")
    words = ["improve", "seen", "--model", str(model), "--recipe", "no_filter", "--set", "trainer.replay=[]", *SMALL, "--rounds", "2"]
    ran = subprocess.run(command(home, *words), env=environment(home, None), cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return home


@pytest.fixture(scope="module")
def mlflow(home: Home) -> Iterator[str]:
    """The address of the MLflow server that `roundhouse up` would run."""
    with mlflow_server(home.root) as address:
        yield address


@pytest.fixture(scope="module")
def records(home: Home) -> list[RoundRecord]:
    return [read_round(home.campaigns / "seen" / f"round-00{number}" / "round.json") for number in (1, 2)]


def remember(look: Look, **settings: str) -> None:
    """Let MLflow's pages find what they keep in a browser."""
    code = f"for (const [name, value] of Object.entries({json.dumps(settings)})) localStorage.setItem(name, value)"
    look.page.context.add_init_script(code)


def unfold(look: Look) -> None:
    """MLflow folds a long description."""
    look.page.get_by_text("Show more", exact=True).first.click()


def walk_to_version(look: Look, mlflow: str, records: list[RoundRecord], name: str) -> None:
    """From the experiments to the newest version of the model, by links alone."""
    last = records[-1]
    remember(look, **SETTLED)
    look.page.goto(f"{mlflow}/#/experiments")
    look.page.get_by_role("link", name="roundhouse/seen").first.click()
    look.follow("seen")

    look.sees("Campaign seen")
    unfold(look)
    look.keep(f"mlflow-campaign-{name}")
    look.follow("round 2")

    look.sees("this recipe has no gate")
    unfold(look)
    read = last.stages["main/sample"]["made"]["completions"][0]
    for text in ("From samples to examples", "verdict wrong 320", last.start["policy"], last.made["policy"], read):
        look.sees(text)
    look.sees(f"({read[:36]})")  # the dataset input, as MLflow has it
    look.sees(f"roundhouse lineage model {last.made['policy'][:12]}")
    look.keep(f"mlflow-round-{name}")

    look.follow("seen.policy version 3")
    for text in ("Version 3", "champion", "candidate", records[0].made["policy"]):
        look.sees(text)
    look.sees(last.made["policy"])
    look.keep(f"mlflow-version-{name}")


def test_an_auditor_clicks_from_the_campaign_to_every_digest_and_back(mlflow: str, records: list[RoundRecord]):
    with looking() as look:
        remember(look, **LIGHT)
        walk_to_version(look, mlflow, records, "desktop-light")
        look.follow("seen.policy version 2")
        look.sees("Version 2")
        look.sees(records[0].made["policy"])
        look.follow("round 1")
        look.sees(records[0].start["policy"])
        unfold(look)
        look.follow("seen")
        look.sees("Campaign seen")
        assert look.hosts == {"127.0.0.1"}, "a page asked for something elsewhere"


def test_on_a_phone_in_the_dark_the_same_links_lead_to_the_same_digests(mlflow: str, records: list[RoundRecord]):
    with looking(390, 844) as look:
        remember(look, **DARK)
        walk_to_version(look, mlflow, records, "phone-dark")
        assert look.page.evaluate("document.body.className").count("dark-mode")
