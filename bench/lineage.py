"""The four questions of `roundhouse lineage` over 1, 3 and 10 million completions: does each take less than two seconds?

One home (bench/lineage_home.py) grows from ten rounds to thirty to a hundred. At each size the first question of all pays
for noting where the ids are; then each question is asked three times, of the middle round, in a process of its own each
time: the call alone (lib.lineage.lineage, with the imports done and the home not yet looked at) and the whole command.
The best of the three counts, with its CPU time beside it, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.lineage_home import CAMPAIGN, LongHome  # noqa: E402
from lib.campaign import CampaignFolder  # noqa: E402
from lib.home import Home  # noqa: E402
from lib.store import Store  # noqa: E402

OUT = ROOT / "bench" / "out" / "lineage.json"
ROWS, ROUNDS = 10_000_000, 100
QUICK_ROWS, QUICK_ROUNDS = 100_000, 10
SHARES = (0.1, 0.3, 1.0)
REPEATS = 3
LIMIT_SECONDS = 2.0

CALL = """
import json, sys, time
from pathlib import Path
from lib import ledger
from lib.home import Home
from lib.lineage import lineage
wall, cpu = time.perf_counter(), time.process_time()
walk = lineage(Home(Path(sys.argv[1])), sys.argv[2], sys.argv[3])
print(json.dumps({"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu, "nodes": len(walk.to_rows())}))
"""


def ids(home: Home) -> dict[str, str]:
    """A model, an example that it learned from, a completion of that and its problem, from the middle of the campaign."""
    store, records = Store(home.store), CampaignFolder(home, CAMPAIGN).finished()
    record = records[len(records) // 2]
    folder = store.folder(record.stages["main/filter"]["jobs"][0]["digest"])
    example = pq.read_table(folder / "examples_sft.parquet", columns=["example_id", "problem_id"]).slice(100, 1).to_pylist()[0]
    sources = pq.read_table(folder / "example_sources.parquet", filters=[("example_id", "=", example["example_id"])]).to_pylist()
    made = {"model": record.made["policy"], "example": example["example_id"], "completion": sources[0]["completion_id"]}
    return {**made, "problem": example["problem_id"]}


def asked(home: Home, kind: str, name: str) -> dict[str, Any]:
    """One question in fresh processes: the best of several calls, and of several commands."""
    environment = {**os.environ, "ROUNDHOUSE_HOME": str(home.root), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    calls, commands = [], []
    for _ in range(REPEATS):
        words = [sys.executable, "-c", CALL, str(home.root), kind, name]
        said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environment).stdout
        calls.append(_told(said))
        before, started = os.times(), time.perf_counter()
        words = [sys.executable, "-m", "flows.cli", "lineage", kind, name, "--json"]
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True, cwd=ROOT, env=environment)
        seconds, after = time.perf_counter() - started, os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        commands.append({"command_seconds": seconds, "command_cpu_seconds": spent})
    best = min(calls, key=lambda one: one["seconds"]) | min(commands, key=lambda one: one["command_seconds"])
    return {"kind": kind, **best}


def _told(said: str) -> dict[str, Any]:
    """The last line, for DuckDB shows a program that is given as text (-c) how far it is."""
    return json.loads(said.splitlines()[-1])


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measured(long: LongHome, rounds: int) -> dict[str, Any]:
    """Grow to so many rounds and ask."""
    started, cpu = time.perf_counter(), time.process_time()
    long.grow(rounds)
    built = {"build_seconds": time.perf_counter() - started, "build_cpu_seconds": time.process_time() - cpu}
    shutil.rmtree(long.home.index, ignore_errors=True)
    names = ids(long.home)
    words = [sys.executable, "-c", CALL, str(long.home.root), "problem", names["problem"]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environment)
    noted = _told(first.stdout)
    time.sleep(6)  # what changed just now is not noted
    return {
        "rows": rounds * long.per_round,
        "rounds": rounds,
        **built,
        "first_seconds": noted["seconds"],
        "first_cpu_seconds": noted["cpu_seconds"],
        "artifacts": len(list(long.home.store.glob("artifacts/*/*"))),
        "store_mb": size_of(long.home.store) / 1e6,
        "index_mb": size_of(long.home.index) / 1e6,
        "load": os.getloadavg()[0],
        "questions": [asked(long.home, kind, name) for kind, name in names.items()],
    }


def show(results: list[dict[str, Any]]) -> None:
    print(f"{'rows':>11} {'question':<11}{'call s':>8}{'CPU s':>8}{'to first':>10}{'nodes':>8}{'command s':>11}{'CPU s':>8}")
    for result in results:
        for question, first in zip(result["questions"], results[0]["questions"], strict=True):
            ratio = question["cpu_seconds"] / first["cpu_seconds"]
            timed = f"{question['seconds']:8.2f}{question['cpu_seconds']:8.2f}{ratio:10.2f}{question['nodes']:8}"
            whole = f"{question['command_seconds']:11.2f}{question['command_cpu_seconds']:8.2f}"
            print(f"{result['rows']:11,} {question['kind']:<11}{timed}{whole}")
    for r in results:
        print(
            f"{r['rows']:,} rows, {r['rounds']} rounds, {r['artifacts']:,} artifacts: store {r['store_mb']:,.0f} MB, index "
            f"{r['index_mb']:,.0f} MB made in {r['first_seconds']:.1f} s ({r['first_cpu_seconds']:.1f} CPU s) by the first question; "
            f"load {r['load']:.1f}"
        )
    slow = [f"{q['kind']} at {r['rows']:,}" for r in results for q in r["questions"] if q["cpu_seconds"] > LIMIT_SECONDS]
    print(f"over {LIMIT_SECONDS:g} CPU seconds: {', '.join(slow) or 'none'}; `to first`: CPU time of the call against the smallest size")


def main() -> None:
    parser = argparse.ArgumentParser(description="Lineage over millions of completions.")
    parser.add_argument("--quick", action="store_true", help="a smoke run: a hundred thousand completions, nothing kept")
    parser.add_argument("--rows", type=int, help="completions of the largest size")
    parser.add_argument("--rounds", type=int, help="its rounds")
    parser.add_argument(
        "--home", type=Path, help="build it here and leave it, or go on with what is there; a temporary folder unless given"
    )
    given = parser.parse_args()
    rows = given.rows or (QUICK_ROWS if given.quick else ROWS)
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS)
    with tempfile.TemporaryDirectory(prefix="roundhouse-lineage-") as aside:
        long = LongHome(Home((given.home or Path(aside)).resolve()), rows // rounds)
        there = len(CampaignFolder(long.home, CAMPAIGN).rounds())
        sizes = sorted({max(1, there, round(share * rounds)) for share in (SHARES[-1:] if given.quick else SHARES)})
        results = [measured(long, size) for size in sizes]
    if not given.quick:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps({"machine": machine(), "sizes": results}, indent=2) + "\n")
    show(results)
    print(machine())


def machine() -> str:
    named = (line.split(": ")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    return ", ".join([next(named, platform.machine()), f"Python {platform.python_version()}", f"duckdb {version('duckdb')}"])


if __name__ == "__main__":
    main()
