"""Scheduled rounds of a tiny campaign, back to back, for an hour: no overlap, no missed round, flat memory and open files.

`roundhouse up` and `roundhouse schedule` do the work, in a fresh home, as a person would use them. The schedule beats every
ten seconds, which is sooner than a round ends, so that a beat either starts the next round or is skipped. Every ten seconds
the memory (PSS, which shares out what processes share) and the open files of each process are noted.

    python bench/soak.py [--minutes 60] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil

from flows import owned
from flows.up_services import read_state
from lib.campaign import CampaignFolder
from lib.environment import quiet_environment
from lib.home import Home
from lib.small_model import SmallLlama

OUT = Path(__file__).parent / "out" / "soak.json"
ROOT = Path(__file__).resolve().parent.parent
BEAT_SECONDS = 10
LOOK_SECONDS = 10.0
SMALL = ["--recipe", "no_filter", "--count", "40", "--held-out", "8", "--set", "trainer.steps=4", "--set", "trainer.replay=[]"]
GROWTH, SLACK_MB = 1.10, 10.0
"""Memory is called flat where the median of the last quarter is at most so much above that of the first after warming up."""
LASTING_MINUTES = 30.0
"""What is shorter says nothing about memory."""
WARM_SECONDS = 300.0
"""What a server still loads and caches in its first minutes is no leak."""


def main() -> None:
    """Soak, check, print a table, and write it to bench/out/; exit status 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help="two minutes: shows that it runs, not that it lasts")
    asked = parser.parse_args()
    minutes = 2.0 if asked.quick else asked.minutes
    quiet_environment()
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_LOCAL_STORAGE_PATH", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix="roundhouse-soak-"))
    try:
        found = soaked(folder, minutes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(found)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1))
    sys.exit(0 if all(found["holds"].values()) else 1)


def soaked(folder: Path, minutes: float) -> dict[str, Any]:
    """Run the schedule for so long in a fresh home, and say what became of it."""
    home = Home(folder / "home")
    os.environ |= {"ROUNDHOUSE_HOME": str(home.root), "PYTHONPATH": str(ROOT)}
    SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=32).build(made(folder / "model"), 0)
    ports = [str(port) for port in free_ports(2)]
    up = subprocess.Popen(words("up", "--prefect-port", ports[0], "--mlflow-port", ports[1], "--json"), stdout=subprocess.PIPE, cwd=ROOT)
    try:
        wait_until_up(home, up)
        roundhouse("improve", "soak", "--model", str(folder / "model"), *SMALL, "--rounds", "0")
        roundhouse("schedule", "soak", "--every", f"{BEAT_SECONDS}s")
        mark = read_state(home)["mark"]
        looks = watched(home, up.pid, mark, minutes * 60)
        roundhouse("schedule", "soak", "--off")
        while owned.flow_runs(mark):
            time.sleep(1)
        runs = flow_runs(f"http://127.0.0.1:{ports[0]}/api")
        figures = judged(home, runs, looks, lasting=minutes >= LASTING_MINUTES)
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=120)
    figures["holds"]["nothing of it runs on"] = not owned.marked(mark)
    return {"machine": platform.platform(), "cores": os.cpu_count(), "minutes": minutes, **figures, "looks": looks}


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def words(*asked: str) -> list[str]:
    return [sys.executable, "-m", "flows.cli", *asked]


def roundhouse(*asked: str) -> None:
    subprocess.run(words(*asked), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def wait_until_up(home: Home, up: subprocess.Popen[bytes]) -> None:
    while subprocess.run(words("up", "--check"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        if up.poll() is not None:
            sys.exit(f"roundhouse up ended; its logs were in {home.up}")
        time.sleep(2)


def watched(home: Home, up: int, mark: str, seconds: float) -> list[dict[str, Any]]:
    """Memory and open files of every process, every ten seconds."""
    looks: list[dict[str, Any]] = []
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        pids = {row["name"]: row["pid"] for row in read_state(home)["services"]}
        runs = owned.flow_runs(mark)
        looks.append(
            {
                "seconds": round(now, 1),
                "up": measured(up, deep=False),
                "prefect server": measured(pids["prefect"], deep=True),
                "mlflow": measured(pids["mlflow"], deep=True),
                "worker": measured(pids["worker"], deep=False),
                "flow run": {"pid": runs[0], **found} if runs and (found := measured(runs[0], deep=True)) else None,
                "runs at once": len(runs),
            }
        )
        time.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - begun - now)))
    return looks


def measured(pid: int, *, deep: bool) -> dict[str, float] | None:
    """PSS and RSS in MB and open files of a process, its descendants included where asked; None if it ended meanwhile."""
    try:
        process = psutil.Process(pid)
        family = [process, *(process.children(recursive=True) if deep else [])]
        memory = [one.memory_full_info() for one in family]
        files = sum(one.num_fds() for one in family)
    except psutil.Error:
        return None
    return {"pss": round(sum(m.pss for m in memory) / 1e6, 2), "rss": round(sum(m.rss for m in memory) / 1e6, 2), "files": files}


def flow_runs(api: str) -> list[dict[str, Any]]:
    """Every run of the deployment that is over, in order of its start."""
    found: list[dict[str, Any]] = []
    while True:
        asked = {
            "deployments": {"name": {"any_": ["soak"]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED", "CANCELLED", "FAILED", "CRASHED", "RUNNING", "PENDING"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 200,
            "offset": len(found),
        }
        page = httpx.post(f"{api}/flow_runs/filter", json=asked, timeout=60.0).raise_for_status().json()
        found += page
        if not page:
            return found


def judged(home: Home, runs: list[dict[str, Any]], looks: list[dict[str, Any]], *, lasting: bool) -> dict[str, Any]:
    """What held: rounds from the campaign's own records, runs from Prefect, memory and files from the looks."""
    folder = CampaignFolder(home, "soak")
    rounds = [record for record in folder.finished() if record.round]
    made_by = Counter(record.root_flow_run for record in rounds)
    worked = sorted((run for run in runs if run["state_name"] == "Completed"), key=lambda run: str(run["start_time"]))
    quarters = {name: quartered(name, looks) for name in ("up", "prefect server", "mlflow", "worker", "flow run")}
    seconds = [record.seconds for record in rounds]
    failed = [run for run in runs if run["state_name"] not in ("Completed", "Cancelled", "Skipped")]
    return {
        "runs": dict(Counter(run["state_name"] for run in runs)),
        "failed": [(run["state"] or {}).get("message") for run in failed],
        "rounds": len(rounds),
        "seconds a round": {"first quarter": middle(quarter(seconds, 0)), "last quarter": middle(quarter(seconds, 3))},
        "quarters": quarters,
        "holds": {
            "rounds were made": len(rounds) > 0,
            "no two runs at once": all(one["end_time"] <= other["start_time"] for one, other in pairwise(worked)),
            "no round is missing or double": [record.round for record in rounds] == list(range(1, len(rounds) + 1)),
            "every run that was not skipped made one round": all(made_by[run["id"]] == 1 for run in worked) and len(worked) == len(rounds),
            "no run failed": not failed,
            **({f"flat: {name}": is_flat(values) for name, values in quarters.items()} if lasting else {}),
        },
    }


def quarter(values: list[Any], which: int) -> list[Any]:
    size = len(values) // 4
    return values[which * size : (which + 1) * size] if size else values


def middle(values: list[float]) -> float | None:
    return round(statistics.median(values), 2) if values else None


def quartered(name: str, looks: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the first and the last quarter of what follows the warm-up, or of all where it was not longer."""
    warm = [look for look in looks if look["seconds"] > WARM_SECONDS] or looks
    values = [look[name] for look in warm if look[name] is not None]
    if name == "flow run":  # each lives for a round only, so what counts is the most that each had
        lives = [[value for value in values if value["pid"] == pid] for pid in dict.fromkeys(value["pid"] for value in values)]
        values = [{what: max(value[what] for value in life) for what in ("pss", "rss", "files")} for life in lives]
    return {what: [middle([v[what] for v in quarter(values, which)]) for which in (0, 3)] for what in ("pss", "rss", "files")}


def is_flat(values: dict[str, list[float | None]]) -> bool:
    first, last = values["pss"]
    early, late = values["files"]
    if first is None or last is None or early is None or late is None:
        return False
    return last <= first * GROWTH + SLACK_MB and late <= early + 5


def show(found: dict[str, Any]) -> None:
    print(f"{found['minutes']:.0f} minutes on {found['cores']} cores: {found['rounds']} rounds; runs {found['runs']}")
    print(*found["failed"], sep="\n", end="\n" if found["failed"] else "")
    print(f"seconds a round: {found['seconds a round']}")
    print(f"{'':<16}{'PSS MB first':>14}{'last':>8}{'files first':>14}{'last':>8}")
    for name, values in found["quarters"].items():
        print(f"{name:<16}{values['pss'][0]!s:>14}{values['pss'][1]!s:>8}{values['files'][0]!s:>14}{values['files'][1]!s:>8}")
    for claim, holds in found["holds"].items():
        print(f"{'yes' if holds else 'NO ':<4}{claim}")


if __name__ == "__main__":
    main()
