"""Kill everything, again and again: does a campaign still end as if nothing had happened?

A small campaign (a tiny model, two rounds of two phases with four shards each and a gate that promotes) is run once
undisturbed. Then it is run in fresh homes while SIGKILL falls on it at moments drawn from the seed: on the command, the
stage's child, the flow inside a publication or while events go to MLflow, the worker and its flow run, the Prefect server,
the MLflow server. After each kill the same is started again, until the campaign is complete; then the next one begins. At
the end of each campaign everything that it tells is compared with the undisturbed one: digests by stage and shard, rows,
round records, lineage, MLflow; and nothing may be double, locked, running or left over.

    python bench/faults.py [--kills 200] [--seed 0] [--slice SECONDS] [--quick]

With --slice it stops after that time, and the same command goes on; so it does after Ctrl-C. What it found is in
bench/out/faults.json; a campaign that differs keeps its home in bench/out/faults.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import faults_story as stories  # noqa: E402
from bench.faults_place import prefect  # noqa: E402
from bench.faults_siege import Ground, Siege, besiege  # noqa: E402
from lib.environment import quiet_environment  # noqa: E402
from lib.home import Home  # noqa: E402

OUT = ROOT / "bench" / "out"
CYCLE = {"command": 12, "worker": 5, "server": 3, "mlflow": 5}
"""The kinds of campaigns in turn, and how many blows each is meant to get."""

FEW = {"command": 5, "worker": 2, "server": 1, "mlflow": 2}
"""The same for a sample, so that ten kills meet every target."""

State = dict[str, Any]


def main() -> None:
    """Go on with the campaign of faults, and report when it has its kills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slice", type=float, help="stop after this many seconds; the same command goes on")
    parser.add_argument("--quick", action="store_true", help="four kills of one campaign, in a folder of their own")
    asked = parser.parse_args()
    name = "faults-quick" if asked.quick else "faults"
    found = run(OUT, name, 4 if asked.quick else asked.kills, asked.seed, asked.slice)
    print(report(found))
    if found["problems"]:
        sys.exit(1)


def run(out: Path, name: str, kills: int, seed: int, seconds: float | None = None) -> State:
    """Go on until there are enough kills, or for so long; what was found so far is in OUT/NAME.json, too."""
    quiet_environment()
    until = time.monotonic() + (seconds or float("inf"))
    folder, kept = out / name, out / f"{name}-state.json"
    folder.mkdir(parents=True, exist_ok=True)
    state = _resumed(kept, folder, seed)

    def keep(siege: Siege | None = None) -> bool:
        kept.write_text(json.dumps(state, indent=1))
        return time.monotonic() < until

    server = prefect(Home(folder / "server"))
    with server.running():
        _copy_database(folder)
        ground = Ground(folder, _model(folder), server, seed)
        calm = _calm(ground, state, folder / "calm.json")
        while _kills(state) < kills and keep():
            siege = _next(state, FEW if kills <= 2 * sum(FEW.values()) else CYCLE, kills)
            _one(siege, ground, state, calm, keep)
            keep()
    found = summed(state, kills)
    (out / f"{name}.json").write_text(json.dumps(found, indent=2))
    return found


def _resumed(kept: Path, folder: Path, seed: int) -> State:
    """The state of an earlier slice, unless the code or the seed is another now."""
    fresh = {"seed": seed, "code": code_digest(), "sieges": [], "calm": {}}
    if kept.exists():
        state = json.loads(kept.read_text())
        if (state["seed"], state["code"]) == (fresh["seed"], fresh["code"]):
            return state
        print("another seed, or the code has changed since: starting over")
    shutil.rmtree(folder)
    folder.mkdir()
    return fresh


def code_digest() -> str:
    """Of everything that the campaign runs."""
    files = [path for part in ("flows", "tasks", "lib") for path in sorted((ROOT / part).rglob("*.py"))]
    files += [ROOT / "prefect.yaml", ROOT / "bench" / "faults_recipe.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _copy_database(folder: Path) -> None:
    """Keep the migrated database of the Prefect server for the homes that have a server of their own."""
    if not (folder / "prefect.db").exists():
        with sqlite3.connect(folder / "server" / "prefect" / "prefect.db") as source, sqlite3.connect(folder / "prefect.db") as target:
            source.backup(target)


def _model(folder: Path) -> Path:
    """A tiny model folder, randomly initialised, made in a process of its own."""
    model = folder / "tiny"
    if not (model / "config.json").exists():
        model.mkdir(exist_ok=True)
        build = "SmallLlama(hidden_size=16, layers=1, heads=2, intermediate_size=32).build(Path(sys.argv[1]), 0)"
        code = f"import sys; from pathlib import Path; from lib.small_model import SmallLlama; {build}"
        subprocess.run([sys.executable, "-c", code, str(model)], check=True, cwd=ROOT)
    return model


def _calm(ground: Ground, state: State, path: Path) -> stories.Story:
    """The story of the undisturbed campaign, run once, and what its jobs took."""
    if not path.exists():
        siege = Siege(0, "command", 0)
        shutil.rmtree(siege.home(ground).root, ignore_errors=True)
        story = besiege(siege, ground, lambda: True)
        if story is None or siege.problems:
            raise SystemExit(f"the undisturbed campaign failed: {siege.problems}")
        files = sorted(siege.home(ground).store.glob("by-key/*/*.stats.json"), key=lambda p: p.stat().st_mtime_ns)
        stats = {p.parent.name: json.loads(p.read_text()) for p in files}
        # the first job waits until the libraries are imported, which is no work of its own
        jobs = {key: 0.0 if stat["label"].endswith("base/adopt") else stat["seconds"] for key, stat in stats.items()}
        state["calm"] = {"seconds": siege.seconds, "jobs": jobs, "problems": stories.doubles(story)}
        path.write_text(json.dumps(story))
        print(f"undisturbed: {siege.seconds:.0f} s, {len(stats)} jobs of {sum(jobs.values()):.1f} s")
    ground.seconds = state["calm"]["jobs"]
    ground.opening = max(1.0, state["calm"]["seconds"] - sum(ground.seconds.values()))
    return json.loads(path.read_text())


def _next(state: State, sizes: dict[str, int], kills: int) -> dict[str, Any]:
    """The campaign that was left, or a new one."""
    if not state["sieges"] or state["sieges"][-1]["is_over"]:
        kind = list(sizes)[len(state["sieges"]) % len(sizes)]
        blows = min(sizes[kind], kills - _kills(state))
        state["sieges"].append(asdict(Siege(1 + len(state["sieges"]), kind, blows)))
    return state["sieges"][-1]


def _one(values: dict[str, Any], ground: Ground, state: State, calm: stories.Story, keep: Any) -> None:
    """Go on with one campaign; its values stand in the state after each blow."""
    siege = Siege(**values)

    def struck() -> bool:
        values.update(asdict(siege))
        last = siege.struck[-1]
        print(
            f"kill {_kills(state):4}  campaign {siege.number} ({siege.kind})  {last['target']}  {last['stage']}  {last['place']}",
            flush=True,
        )
        return bool(keep())

    story = besiege(siege, ground, struck)
    if siege.is_over or siege.problems:
        if story is not None:
            siege.problems += stories.differences(calm, story) + stories.doubles(story)
        siege.is_over = True
        print(
            f"campaign {siege.number} ({siege.kind}): {siege.starts} starts, {siege.seconds:.0f} s", *siege.problems, sep="\n  ", flush=True
        )
        if not siege.problems:
            shutil.rmtree(siege.home(ground).root)
    values.update(asdict(siege))


def _kills(state: State) -> int:
    return sum(len(siege["struck"]) for siege in state["sieges"])


def summed(state: State, kills: int) -> State:
    """The figures of the report."""
    over = [siege for siege in state["sieges"] if siege["is_over"]]
    struck = [blow for siege in state["sieges"] for blow in siege["struck"]]
    calm = state["calm"]
    lost = sum(blow["lost"] for siege in over for blow in siege["struck"])
    return {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "seed": state["seed"],
        "kills": len(struck),
        "wanted": kills,
        "campaigns": len(over),
        "by target": dict(Counter(blow["target"] for blow in struck).most_common()),
        "by stage": dict(Counter(blow["stage"].partition(" ")[2] or blow["stage"] for blow in struck).most_common()),
        "in publish": dict(Counter(blow["place"] for blow in struck if blow["place"]).most_common()),
        "missed": sum(siege["missed"] for siege in state["sieges"]),
        "starts": sum(siege["starts"] for siege in over),
        "failed by themselves": dict(Counter(line for siege in over for line in siege["said"]).most_common()),
        "job seconds redone per cent": round(100 * lost / max(1e-9, len(over) * sum(calm["jobs"].values())), 1),
        "wall time per cent of undisturbed": round(100 * sum(s["seconds"] for s in over) / max(1e-9, len(over) * calm["seconds"]), 1),
        "undisturbed seconds": round(calm["seconds"], 1),
        "files cut off before they got their names": sum(siege["asides"] for siege in over),
        "problems": [*calm["problems"], *(f"campaign {siege['number']}: {line}" for siege in over for line in siege["problems"])],
    }


def report(found: State) -> str:
    """What a person reads at the end."""
    lines = [f"{found['kills']} kills of {found['wanted']} in {found['campaigns']} campaigns, which were started {found['starts']} times"]
    for name in ("by target", "by stage", "in publish", "failed by themselves"):
        lines.append(f"{name}: " + ", ".join(f"{what} {count}" for what, count in found[name].items()))
    lines.append(f"work redone: {found['job seconds redone per cent']} % of the job seconds of the undisturbed campaigns")
    lines.append(f"wall time: {found['wall time per cent of undisturbed']} % of theirs, starting again included")
    lines.append("every campaign ended as the undisturbed one" if not found["problems"] else "PROBLEMS")
    return "\n".join([*lines, *found["problems"]])


if __name__ == "__main__":
    main()
