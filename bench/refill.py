"""Refilling: CPU seconds of the sampling loop with rows of several batches going on together, against each batch on its own.

    python bench/refill.py [--quick] [--repeats N]

A Llama of 0.9 M parameters, 8 answers to a prompt of 14 to 51 tokens, lengths geometric with mean 45, cut at 128 tokens (batches
of about 130 rows) or at 1,000 (batches of 23). Each contestant is a process of its own with one thread; they take turns.
The tokens of both are compared: where batches differ, rounding may change one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

OUT = ROOT / "bench" / "out"
TASK, SAMPLES = "geometric-1m", 8
PROBLEMS = {128: 256, 1000: 128}
"""How many problems for each limit."""
CONTESTANTS = {"refilling": 1.0, "not": 0.0}
"""What the share of rows that steps aside is multiplied by."""


def contend(limit: int, problems: int, times: float) -> None:
    """Print the CPU seconds of one run, the tokens drawn and their digest."""
    import torch

    from bench.sample_models import prepare_geometric
    from lib import decoding
    from lib.engines.huggingface import Huggingface
    from lib.protocols import Machine, Request

    torch.set_num_threads(1)
    decoding.SET_ASIDE *= times
    folder = OUT / f"refill-{limit}"
    prompts = prepare_geometric(folder, TASK, max(PROBLEMS.values()), limit)[:problems]
    engine = Huggingface().open(folder / "model", TASK, Machine())
    requests = [Request(prompt, tuple(place * SAMPLES + s for s in range(SAMPLES))) for place, prompt in enumerate(prompts)]
    started = time.process_time()
    results = engine.sample(requests, temperature=1.0, top_p=1.0, max_new_tokens=limit, report=lambda done, total: None)
    spent = time.process_time() - started
    ids = [sampled.ids for group in results for sampled in group]
    told = {"cpu_seconds": spent, "tokens": sum(map(len, ids)), "digest": hashlib.sha256(json.dumps(ids).encode()).hexdigest()}
    print(json.dumps(told))


def run(limit: int, problems: int, times: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--contend", str(limit), str(problems), str(times)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description="Sampling with freed places refilled, and without.")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 16 problems, one repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--contend", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contend:
        contend(int(given.contend[0]), int(given.contend[1]), float(given.contend[2]))
        return
    results: dict[str, Any] = {}
    print(f"{'limit':>6}{'refilling':>11}{'not':>8}{'ratio':>7}  same tokens")
    for limit, problems in PROBLEMS.items():
        turns = range(1 if given.quick else given.repeats)
        each = [{name: run(limit, 16 if given.quick else problems, times) for name, times in CONTESTANTS.items()} for _ in turns]
        seconds = {name: [one[name]["cpu_seconds"] for one in each] for name in CONTESTANTS}
        ratio = statistics.median(one["refilling"]["cpu_seconds"] / one["not"]["cpu_seconds"] for one in each)
        same = all(one["refilling"]["digest"] == one["not"]["digest"] for one in each)
        middle = {name: statistics.median(values) for name, values in seconds.items()}
        results[str(limit)] = {"cpu_seconds": seconds, "ratio": ratio, "same_tokens": same, "quick": given.quick}
        print(f"{limit:6}{middle['refilling']:11.2f}{middle['not']:8.2f}{ratio:7.2f}  {'yes' if same else 'no'}", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "refill.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
