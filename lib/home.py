"""Where everything that runs make is kept: one folder, `data/` here unless ROUNDHOUSE_HOME names another."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from lib.addresses import shown
from lib.errors import UserError


@dataclass(frozen=True, slots=True)
class Home:
    """The folders below one ROUNDHOUSE_HOME."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def campaigns(self) -> Path:
        return self.root / "campaigns"

    @property
    def comparisons(self) -> Path:
        return self.root / "comparisons"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox"

    @property
    def scratch(self) -> Path:
        """CAMPAIGN/KEY/…: what a job keeps for its next try, should it be cut off."""
        return self.root / "scratch"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def index(self) -> Path:
        """What only saves reading the store through, and can be removed at any time."""
        return self.root / "index"

    @property
    def mlflow_files(self) -> Path:
        """What runs keep as files, beside the home's own MLflow database."""
        return self.root / "mlartifacts"

    @property
    def writable(self) -> bool:
        """Whether it is more than a copy to look at, on a disk or in a folder that is closed to this user."""
        return os.access(self.root, os.W_OK)

    @property
    def prefect(self) -> Path:
        return self.root / "prefect"

    @property
    def up(self) -> Path:
        """What `roundhouse up` knows and logs."""
        return self.root / "up"

    @property
    def mlflow_uri(self) -> str:
        """MLFLOW_TRACKING_URI if it is set, else a sqlite file in this home."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def prefect_pages(self) -> str:
        """Where a person opens Prefect's pages: the server that PREFECT_API_URL names, else the one that `roundhouse up` ran last.

        Empty where there is neither, for a private server goes with the command that started it. Without credentials.
        """
        given = os.environ.get("PREFECT_UI_URL") or os.environ.get("PREFECT_API_URL", "").removesuffix("/api")
        with contextlib.suppress(OSError, ValueError, KeyError):
            private = json.loads((self.prefect / "server.json").read_text(encoding="utf-8"))["url"]
            given = "" if f"{given}/api" == private else given
        with contextlib.suppress(OSError, ValueError, KeyError, StopIteration):
            services = json.loads((self.up / "state.json").read_text(encoding="utf-8"))["services"]
            given = given or next(str(service["address"]) for service in services if service["name"] == "prefect")
        return shown(given)


def current() -> Home:
    """The home that ROUNDHOUSE_HOME names, or ./data, to write to.

    Raises UserError if the folder cannot be made or written.
    """
    home = to_read()
    try:
        home.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {home.root}: {error.strerror}; set ROUNDHOUSE_HOME to a folder that can be written") from None
    if not home.writable:
        raise UserError(f"cannot write to {home.root}; set ROUNDHOUSE_HOME to a folder that can be written")
    return home


def to_read() -> Home:
    """The same home to look at alone: it may be closed to writing, as an auditor's copy is. Raises UserError if it is a file."""
    root = Path(os.environ.get("ROUNDHOUSE_HOME") or "data").expanduser().resolve()
    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is a file; set ROUNDHOUSE_HOME to a folder that can be written")
    return Home(root)
