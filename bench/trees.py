"""What a tree search finds beside independent completions, at equal calls of the model: the share of held-out problems solved.

    python bench/trees.py [--quick] [--seeds 0 1 2] [--problems 400] [--train 1000] [--split validation] [--model FOLDER]

Every contestant draws 32 completions of each problem with one warm-started model:

independent    32 completions, none of which sees another
outcome        a tree of 8 x 4, searched by the verdict on each draw (UCT, mean)
value          a tree of 8 x 4, searched by a value model of partial answers (ReST-MCTS*'s rules), which learned from a tree over
               training problems that was searched by outcomes: targets are shares of right continuations

A problem is found if one of its completions is right. The ratio of a tree's share to the independent one's stands beside the
paired difference over problems with its 95 % bootstrap interval. Trees draw fewer tokens for the same calls, since what a
node's children share is drawn once; tokens a problem are in the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib import records, seeds, statistics, tables  # noqa: E402
from lib.engines.classifier import Classifier  # noqa: E402
from lib.engines.huggingface import Huggingface  # noqa: E402
from lib.filters.tree_steps import TreeSteps  # noqa: E402
from lib.problems.countdown import Countdown as Problems  # noqa: E402
from lib.protocols import Machine, Tables, Work, silent  # noqa: E402
from lib.samplers.independent import Independent  # noqa: E402
from lib.samplers.tree import Tree  # noqa: E402
from lib.stages import filter as filtering  # noqa: E402
from lib.trainers.step_value import StepValue  # noqa: E402
from lib.verifiers.countdown import Countdown  # noqa: E402
from lib.verifiers.process import Process  # noqa: E402

OUT = ROOT / "bench" / "out"
BY_OUTCOME = Tree(simulations=8, branch=4, value=Countdown(), separator=";", widening=0.5)
BY_VALUE = Tree(
    simulations=8,
    branch=4,
    value=Process(role="value", separator=";", ending="<eos>", aggregate="last"),
    value_of="step",
    separator=";",
    exploration=0.7,
    log_factor=2,
    backup="rest_mcts",
    widening=0.5,
)
CONTESTANTS = {"independent": Independent(n=BY_OUTCOME.n), "outcome": BY_OUTCOME, "value": BY_VALUE}


def base(home: Path, seed: int, steps: list[str]) -> Path:
    """The folder of a warm-started model, made unless it is there."""
    out = home / f"model-{seed}"
    if not (out / "config.json").is_file():
        words = ["model", "new", str(out), "--seed", str(seed), *steps]
        environment = {**os.environ, "ROUNDHOUSE_HOME": str(home)}
        subprocess.run([sys.executable, "-m", "flows.cli", *words], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return out


def value_model(model: Path, count: int, seed: int, steps: int) -> tuple[Path, dict[str, float]]:
    """A value model that learned from trees over training problems; its folder and the closing figures of its training."""
    folder = Path(tempfile.mkdtemp(dir=OUT))
    given, out = folder / "given", folder / "filtered"
    for made in (given, out):
        made.mkdir()
    problems = Problems().problems("train", count, seed=seed)
    engines = {"policy": Huggingface().open(model, "base", Machine())}
    completions, nodes = BY_OUTCOME.sample_nodes(Tables(problems), engines, seeds.seed_of(seed, "train"), silent)
    verdicts = Countdown().verify(Tables(problems, completions), {})
    found = ((problems, records.PROBLEMS), (completions, records.COMPLETIONS), (nodes, records.NODES), (verdicts, records.VERDICTS))
    for table, spec in found:
        tables.write(table, spec, given / f"{spec.name}.parquet")
    settings = {"filters": [TreeSteps(kind="soft", separator=";").model_dump(mode="json")]}
    filtering.run(Work(settings, {spec.name: [given] for _, spec in found}, {}, seed, Machine()), out)
    examples = tables.read([out / "examples_step.parquet"], records.STEP)
    trainer = StepValue(loss="mse", steps=steps, learning_rate=1e-3)
    figures = trainer.train({"start": model}, examples, folder / "value", seed, Machine())
    return folder / "value", {**figures, "examples": examples.num_rows}


def measured(model: Path, value: Path, problems: pa.Table, seed: int) -> dict[str, dict[str, Any]]:
    """Contestant → whether each problem was found, tokens drawn a problem and seconds."""
    engines = {"policy": Huggingface().open(model, "base", Machine()), "value": Classifier().open(value, "value", Machine())}
    results = {}
    for name, sampler in CONTESTANTS.items():
        started = time.process_time()
        given = Tables(problems)
        nodes = records.NODES.empty()
        if isinstance(sampler, Tree):
            completions, nodes = sampler.sample_nodes(given, engines, seeds.seed_of(seed, "held out"), silent)
        else:
            completions = sampler.sample(given, engines, seeds.seed_of(seed, "held out"), silent)
        seconds = time.process_time() - started
        outcomes = Countdown().verify(Tables(problems, completions), {})["outcome"].to_pylist()
        right = np.array(outcomes).reshape(problems.num_rows, -1) == "correct"
        shared = dict(zip(nodes["completion_id"].to_pylist(), nodes["tokens"].to_pylist(), strict=True))
        drawn = sum(map(len, completions["completion_ids"].to_pylist())) - sum(shared.get(p, 0) for p in nodes["parent"].to_pylist())
        results[name] = {"found": right.any(1), "right": float(right.mean()), "tokens": drawn / problems.num_rows, "cpu_seconds": seconds}
    return results


def compared(results: dict[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    """The figures of every contestant, and of the trees against independent completions."""
    alone = results["independent"]["found"]
    figures = {}
    for name, result in results.items():
        figures[name] = {**result, "found": float(result["found"].mean())}
        if name != "independent":
            low, high = statistics.paired_bootstrap([float(a) - float(b) for a, b in zip(result["found"], alone, strict=True)], seed)
            ratio = float(result["found"].mean() / alone.mean()) if alone.any() else None
            figures[name] |= {"ratio": ratio, "difference": float(result["found"].mean() - alone.mean()), "interval": [low, high]}
    return figures


def show(seed: int, figures: dict[str, Any]) -> None:
    print(f"\nseed {seed:<10}{'found':>8}{'ratio':>8}{'difference':>12}{'95 % from':>11}{'to':>8}{'right':>8}{'tokens':>9}{'CPU s':>8}")
    for name, one in figures.items():
        start = f"{name:15}{one['found']:8.3f}"
        versus = " " * 39
        if "interval" in one:
            low, high = one["interval"]
            versus = f"{one['ratio'] or float('nan'):8.3f}{one['difference']:+12.3f}{low:+11.3f}{high:+8.3f}"
        print(f"{start}{versus}{one['right']:8.3f}{one['tokens']:9.1f}{one['cpu_seconds']:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="A tree search against independent completions.")
    parser.add_argument("--quick", action="store_true", help="one seed, few problems, barely trained models: shows that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--problems", type=int, default=400)
    parser.add_argument("--train", type=int, default=1000, help="training problems that the value model learns from")
    parser.add_argument("--split", default="validation", choices=("validation", "gate", "test"))
    parser.add_argument("--model", type=Path, help="a trained Countdown model; otherwise one is warmed up for each seed")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    home = Path(os.environ.get("ROUNDHOUSE_HOME") or OUT / ("trees-quick" if asked.quick else "trees"))
    for folder in (home, OUT):
        folder.mkdir(parents=True, exist_ok=True)
    problems = Problems().problems(asked.split, 20 if asked.quick else asked.problems, seed=0)
    found = {}
    for seed in [0] if asked.quick else asked.seeds:
        model = asked.model or base(home, seed, ["--steps", "20"] if asked.quick else [])
        value, trained = value_model(model, 20 if asked.quick else asked.train, seed, 4 if asked.quick else 400)
        found[seed] = compared(measured(model, value, problems, seed), seed) | {"value_training": trained}
        show(seed, {name: found[seed][name] for name in CONTESTANTS})
    written = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "split": asked.split,
        "problems": problems.num_rows,
        "quick": asked.quick,
    }
    (OUT / "trees.json").write_text(json.dumps({**written, "seeds": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
