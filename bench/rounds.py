"""What three rounds of expert iteration gain, seed by seed, beside its controls; and whether one seed gives one result.

For every seed: the base model, expert_iteration, warm_only (the same training steps on the warm-start data alone) and
no_filter (the filter taken out), on the test split, with paired differences over the same problems. Campaigns continue
where they stopped, so the command can be stopped and given again; with --twice the first seed is run again in an empty
home and every artifact digest is compared. The home is bench/out/rounds unless ROUNDHOUSE_HOME is set.

    python bench/rounds.py [--seeds 0 1 2] [--rounds 3] [--twice] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
METRICS = ("pass_at_1", "pass_at_8", "greedy_accuracy")
RECIPES = "expert_iteration,warm_only,no_filter"
QUICK = ["--count", "60", "--held-out", "20", "--warm-steps", "20", "--set", "trainer.steps=5"]


def main() -> None:
    """Run what is missing, then print one table for all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--twice", action="store_true", help="run the first seed again in another home, and compare digests")
    parser.add_argument("--quick", action="store_true", help="small campaigns of one seed: shows that it runs")
    asked = parser.parse_args()
    home = Path(os.environ.get("ROUNDHOUSE_HOME") or HERE / "out" / ("rounds-quick" if asked.quick else "rounds"))
    seeds = [0] if asked.quick else asked.seeds
    options = ["--rounds", "1" if asked.quick else str(asked.rounds), *(QUICK if asked.quick else [])]
    found = {seed: compared(home, seed, options) for seed in seeds}
    report(found)
    written = {"machine": platform.platform(), "cores": os.cpu_count(), "seeds": {str(s): f for s, f in found.items()}}
    if asked.twice or asked.quick:
        written["same digests"] = same(home, seeds[0], options)
        print(f"\nseed {seeds[0]} again in another home: {'every artifact the same' if written['same digests'] else 'DIFFERENT artifacts'}")
    (HERE / "out").mkdir(exist_ok=True)
    (HERE / "out" / "rounds.json").write_text(json.dumps(written, indent=2))


def compared(home: Path, seed: int, options: list[str]) -> dict[str, Any]:
    """What `roundhouse compare --json` says of one seed, and the seconds it took this time."""
    started = time.perf_counter()
    words = ["compare", "--recipes", RECIPES, "--name", f"seed{seed}", "--seed", str(seed), "--seeds", "1", "--json", *options]
    said = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        env={**os.environ, "ROUNDHOUSE_HOME": str(home)},
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {**json.loads(said.stdout), "seconds": time.perf_counter() - started}


def report(found: dict[int, dict[str, Any]]) -> None:
    """Two markdown tables: test figures, and paired differences."""
    print("\n| seed | model | pass@1 | pass@8 | greedy |\n|---|---|---|---|---|")
    for seed, values in found.items():
        for recipe in dict.fromkeys(row["recipe"] for row in values["test"]):
            figures = {row["metric"]: f"{row['value']:.3f} ± {row['stderr']:.3f}" for row in values["test"] if row["recipe"] == recipe}
            print(f"| {seed} | {recipe} | " + " | ".join(figures[metric] for metric in METRICS) + " |")
    print("\n| seed | difference | metric | value | 95 % from | to | problems |\n|---|---|---|---|---|---|---|")
    for seed, values in found.items():
        for row in values["differences"]:
            numbers = ("" if row[name] is None else f"{row[name]:+.3f}" for name in ("difference", "low", "high"))
            print(f"| {seed} | {row['new']} − {row['old']} | {row['metric']} | " + " | ".join(numbers) + f" | {row['problems']} |")


def same(home: Path, seed: int, options: list[str]) -> bool:
    """Whether the seed's campaigns in an empty home end in the same artifacts, stage by stage."""
    again = home.with_name(f"{home.name}-again")
    compared(again, seed, options)
    return digests(home, seed) == digests(again, seed)


def digests(home: Path, seed: int) -> dict[str, list[str]]:
    """Campaign, round and stage → the digests of its artifacts."""
    found = {}
    for path in sorted((home / "campaigns").glob(f"seed{seed}-*/*/round.json")):
        record = json.loads(path.read_text())
        for stage, values in record["stages"].items():
            found[f"{path.parent.parent.name}/{path.parent.name}/{stage}"] = [job["digest"] for job in values["jobs"]]
    return found


if __name__ == "__main__":
    main()
