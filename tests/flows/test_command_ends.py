"""A command ends although Prefect still waits for a server that will never answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from tests.flows.conftest import ROOT

SAYS_AND_ENDS = """
import sys
from flows.cli import end_within
from prefect.events import emit_event
emit_event("roundhouse.round.failed", resource={"prefect.resource.id": "roundhouse.campaign.lost"})
print("said")
if len(sys.argv) > 1:
    end_within(float(sys.argv[1]), 3)
"""


@pytest.mark.slow
def test_a_command_ends_with_its_status_although_an_event_is_never_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and says nothing
        environment = {
            "PREFECT_API_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/api",
            "PREFECT_HOME": str(tmp_path),
            "PYTHONPATH": ".",
        }
        words = [sys.executable, "-c", SAYS_AND_ENDS]
        with pytest.raises(subprocess.TimeoutExpired):  # Prefect alone goes on waiting
            subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, timeout=40)
        began = time.monotonic()
        ended = subprocess.run([*words, "2"], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (3, "said\n"), ended.stderr
    assert time.monotonic() - began < 60
