"""What every test runs in: quiet, offline, one thread, and nothing written to the user's own folders.

The environment is set here, at import, because torch, Prefect and MLflow read it when they are first imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from lib.home import Home, current

SCRATCH = Path(tempfile.mkdtemp(prefix="roundhouse-tests-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)

os.environ.update(
    {
        "OMP_NUM_THREADS": "1",  # torch's own threads too
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HOME": str(SCRATCH / "huggingface"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_HOME": str(SCRATCH / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(SCRATCH / "prefect" / "storage"),
        "ROUNDHOUSE_HOME": str(SCRATCH / "home"),
    }
)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with Ctrl-C ignored, and so would its children
for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_PROFILE"):
    os.environ.pop(name, None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty ROUNDHOUSE_HOME of this test's own."""
    monkeypatch.setenv("ROUNDHOUSE_HOME", str(tmp_path / "home"))
    return current()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real public problems and model outputs; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("ROUNDHOUSE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} of recorded problems and completions; name one in ROUNDHOUSE_TEST_DATA")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A slow test may take as long as campaigns do beside others; pyproject's limit is for the fast ones."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1200))
