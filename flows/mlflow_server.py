"""The MLflow server over a home's own database and artifacts, in a process of its own: one worker, on loopback."""

from __future__ import annotations

import os
import sys

from lib.tracking import connect, sqlite_file


def main(tracking_uri: str, port: str) -> None:
    """Make the tables in one step where there are none, then become the server."""
    connect(tracking_uri)
    database = sqlite_file(tracking_uri)
    artifacts = ["--artifacts-destination", str(database.parent / "mlartifacts")] if database else []
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # no round needs its job queue, which is several processes more
    words = ["server", "--backend-store-uri", tracking_uri, *artifacts, "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *words])


if __name__ == "__main__":
    main(*sys.argv[1:])
