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

SIZES = {"desktop": (1400, 1000), "phone": (390, 844)}

SETTLED = {"mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true", "mlflow.assistant.panelOpen_v1": "false"}
"""What MLflow remembers of a person who has closed its assistant."""

SHADES = {
    "light": {"databricks-dark-mode-pref": "light", "_mlflow_dark_mode_toggle_enabled": "false"},
    "dark": {"databricks-dark-mode-pref": "dark", "_mlflow_dark_mode_toggle_enabled": "true"},
}


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


def follow(look: Look, words: str) -> None:
    """Click a link of a page of ours; MLflow opens these beside the page, and that is gone on with."""
    with look.page.context.expect_page() as opened:
        look.page.locator("a[target=_blank]").get_by_text(words, exact=True).locator("visible=true").first.click()
    look.go_on(opened.value)


def unfold(look: Look) -> None:
    """MLflow folds a long description."""
    look.page.get_by_text("Show more", exact=True).first.click()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shade", SHADES)
def test_an_auditor_clicks_from_the_campaign_to_every_digest_and_back(mlflow: str, records: list[RoundRecord], size: str, shade: str):
    first, second = records
    with looking(*SIZES[size]) as look:
        remembered = json.dumps(SETTLED | SHADES[shade])
        look.page.context.add_init_script(f"for (const [name, value] of Object.entries({remembered})) localStorage.setItem(name, value)")
        look.page.goto(f"{mlflow}/#/experiments?workflowType=machine_learning")
        look.page.get_by_role("link", name="roundhouse/seen").first.click()
        follow(look, "seen")

        look.sees("Campaign seen")
        unfold(look)
        look.keep(f"mlflow-{size}-{shade}-1-campaign")
        follow(look, "round 2")

        look.sees(str(second.decision["sentence"]).partition(": ")[2])
        unfold(look)
        look.sees("From samples to examples")
        for digest in (second.start["policy"], second.made["policy"], second.stages["main/sample"]["made"]["completions"][0]):
            look.sees(digest)
        look.sees(f"roundhouse lineage model {second.made['policy'][:12]}")
        look.sees("examples_sft (" + second.stages["main/filter"]["made"]["examples_sft"][0][:8])
        look.keep(f"mlflow-{size}-{shade}-2-round")
        back = look.page.url

        follow(look, "seen.policy version 3")
        look.sees("Version 3")
        look.sees("champion")
        look.sees("candidate")
        look.sees(second.made["policy"])
        look.keep(f"mlflow-{size}-{shade}-3-version")
        follow(look, "seen.policy version 2")
        look.sees("Version 2")
        look.sees(first.made["policy"])
        follow(look, "round 1")
        look.sees("round 1")
        assert look.page.url != back
        unfold(look)
        look.sees(first.made["policy"])
        follow(look, "seen")
        look.sees("Campaign seen")
        assert look.hosts == {"127.0.0.1"}, "a page asked for something elsewhere"
