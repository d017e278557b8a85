"""Sampling: useful tokens per CPU-second of our loop against transformers' `generate`, side by side in one run.

    python bench/sample.py [--quick] [--only TASK] [--model FOLDER] [--repeats N]

countdown      the built-in model, 8 answers to each of 512 Countdown problems, at most 24 tokens, all of like length
geometric-1m   a Llama of 0.9 M parameters, 256 prompts of 14 to 51 tokens x 8, at most 128 tokens, lengths geometric with mean 45
geometric-5m   the same with a Llama of 5.0 M parameters

Useful tokens are those up to and including the end of text. `generate` runs at 8, 16, 32 and 64 problems a batch, prompts
sorted by length as ours are; sizes more than 15 % behind the best in the first repeat are not repeated. Each contestant is
a process of its own with one thread; they take turns, and their CPU time is counted, so that load on the machine disturbs
little. The two samples are compared prompt by prompt: differences in length and token counts must have mean zero (z-tests).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.sample_models import EOS, VOCABULARY, prepare_countdown, prepare_geometric  # noqa: E402
from lib import models, seeds  # noqa: E402
from lib.engines.huggingface import Huggingface  # noqa: E402
from lib.protocols import Engine, Machine, Request  # noqa: E402

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OUT = ROOT / "bench" / "out"
BATCHES, SAMPLES = (8, 16, 32, 64), 8
TASKS = {
    "countdown": {"problems": 512, "limit": 24, "target": 1.4},
    "geometric-1m": {"problems": 256, "limit": 128, "target": 2.8},
    "geometric-5m": {"problems": 256, "limit": 128, "target": 2.3},
}


def prepared(task: str, given: Path | None) -> list[list[int]]:
    """Write the task's model; returns its prompts."""
    folder, count = OUT / f"sample-{task}", TASKS[task]["problems"]
    if task == "countdown":
        return prepare_countdown(folder, given, count)
    return prepare_geometric(folder, task, count, TASKS[task]["limit"])


def contend(folder: Path, task: str, batch: int, problems: int) -> None:
    """Answer each line with the figures of a repeat; `check` with the largest error of our log-probabilities."""
    import torch

    torch.set_num_threads(1)
    prompts = json.loads((folder / "prompts.json").read_text())[:problems]
    limit = TASKS[task]["limit"]
    if batch:
        _tokenizer = models.load_tokenizer(folder / "model")  # not used, but whoever samples has one in memory
        sample = partial(generated, models.load_model(folder / "model", dtype="float32", device="cpu"), limit, batch)
    else:
        engine = Huggingface().open(folder / "model", task, Machine())
        sample = partial(ours, engine, limit)
    sample(prompts[:4], 0)  # what is done once per process is not measured
    for line in sys.stdin:
        if line.strip() == "check":
            print(json.dumps({"largest_logprob_error": logprob_error(folder, engine, prompts[:32], limit)}), flush=True)
            continue
        started = time.process_time()
        answers = sample(prompts, int(line))
        spent = time.process_time() - started
        lengths = [len(answer) for group in answers for answer in group]
        np.save(folder / f"counts-{batch}.npy", counts(answers))
        figures = {"tokens": sum(lengths), "cpu_seconds": spent, "mean_length": statistics.mean(lengths)}
        print(json.dumps({**figures, "peak_mb": peak_mb()}), flush=True)


def ours(engine: Engine, limit: int, prompts: list[list[int]], repeat: int) -> list[list[list[int]]]:
    requests = [Request(p, tuple(seeds.seed_of(repeat, i, s) for s in range(SAMPLES))) for i, p in enumerate(prompts)]
    results = engine.sample(requests, temperature=1.0, top_p=1.0, max_new_tokens=limit, report=lambda done, total: None)
    return [[sampled.ids for sampled in group] for group in results]


def generated(model: PreTrainedModel, limit: int, batch: int, prompts: list[list[int]], repeat: int) -> list[list[list[int]]]:
    import torch

    torch.manual_seed(repeat)
    answers: list[list[list[int]]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        width = len(prompts[places[0]])
        ids = torch.tensor([[0] * (width - len(prompts[i])) + prompts[i] for i in places])
        mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in places])
        settings = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": limit}
        rows = model.generate(input_ids=ids, attention_mask=mask, num_return_sequences=SAMPLES, **settings)[:, width:].tolist()
        for row, place in zip(rows, np.repeat(places, SAMPLES), strict=True):
            answers[place].append(row[: row.index(EOS) + 1] if EOS in row else row)
    return answers


def logprob_error(folder: Path, engine: Engine, prompts: list[list[int]], limit: int) -> float:
    import torch

    model = models.load_model(folder / "model", dtype="float32", device="cpu")
    worst = 0.0
    requests = [Request(prompt, (seeds.seed_of("check", i),)) for i, prompt in enumerate(prompts)]
    results = engine.sample(requests, temperature=1.0, top_p=1.0, max_new_tokens=limit, report=lambda done, total: None)
    for prompt, (sampled,) in zip(prompts, results, strict=True):
        with torch.inference_mode():
            forced = model(torch.tensor([prompt + sampled.ids]), use_cache=False).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        error = forced.gather(1, torch.tensor(sampled.ids)[:, None])[:, 0] - torch.tensor(sampled.logprobs)
        worst = max(worst, error.abs().max().item())
    return worst


def counts(answers: list[list[list[int]]]) -> np.ndarray:
    """(P, V + 1): how often each token stands in the answers to each prompt, and last their length together."""
    rows = [np.bincount([token for answer in group for token in answer], minlength=VOCABULARY) for group in answers]
    return np.array([[*row, row.sum()] for row in rows])


def peak_mb() -> float:
    """This process's peak resident memory; getrusage would count what it was before exec too."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024


class Contestant:
    """A child process and the figures that it has given."""

    def __init__(self, task: str, batch: int, problems: int) -> None:
        self.batch, self.name = batch, f"generate {batch} x {SAMPLES}" if batch else "ours"
        self.rates: list[float] = []
        self.last: dict[str, Any] = {}
        command = [sys.executable, __file__, "--contend", task, str(batch), str(problems)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line: str) -> dict[str, Any]:
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline() if self.process.stdout else ""
        if not answer:
            raise SystemExit(f"{self.name} ended with exit code {self.process.wait()}")
        return dict(json.loads(answer))


def compare(task: str, batches: tuple[int, ...], problems: int, repeats: int) -> dict[str, Any]:
    """All contestants in turns; the figures of each, and of ours against the best of the others."""
    mine, *others = everyone = [Contestant(task, batch, problems) for batch in (0, *batches)]
    running = others
    for repeat in range(repeats):
        for contestant in (mine, *running):
            contestant.last = contestant.ask(str(repeat))
            contestant.rates.append(contestant.last["tokens"] / contestant.last["cpu_seconds"])
        running = [other for other in others if other.rates[0] >= 0.85 * max(o.rates[0] for o in others)]
    best = max(running, key=lambda other: statistics.median(other.rates))
    checked = mine.ask("check")
    for contestant in everyone:
        contestant.process.communicate()
    ours_and_theirs = [np.load(OUT / f"sample-{task}" / f"counts-{batch}.npy") for batch in (0, best.batch)]
    return {
        "contestants": [{"name": c.name, "tokens_per_cpu_second": c.rates, **c.last} for c in everyone],
        "best": best.name,
        "ratio": statistics.median(mine.rates) / statistics.median(best.rates),
        "target": TASKS[task]["target"],
        "memory": mine.last["peak_mb"] / best.last["peak_mb"],
        "p_same_distribution": p_value(*ours_and_theirs),
        **checked,
    }


def p_value(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The smallest p-value, times their number, over the columns of per-prompt counts (P, V + 1) that are common enough."""
    common = ((ours + theirs).sum(0) >= 200) & ((ours - theirs).std(0) > 0)
    difference = (ours - theirs)[:, common]
    z = difference.mean(0) / (difference.std(0, ddof=1) / math.sqrt(len(difference)))
    return min(1.0, float(common.sum()) * math.erfc(float(np.abs(z).max()) / math.sqrt(2)))


def show(task: str, result: dict[str, Any]) -> None:
    print(f"\n{task:16}{'tok/CPU-s':>10}{'min':>9}{'max':>9}{'n':>3}{'peak MB':>9}{'mean length':>13}")
    for c in result["contestants"]:
        rates = c["tokens_per_cpu_second"]
        middle = f"{statistics.median(rates):10.0f}{min(rates):9.0f}{max(rates):9.0f}{len(rates):3}"
        print(f"{c['name']:16}{middle}{c['peak_mb']:9.0f}{c['mean_length']:13.1f}")
    speed = f"{result['ratio']:.2f} (target {result['target']}), peak memory {result['memory']:.2f}"
    print(f"ours / {result['best']}: {speed}, same distribution p = {result['p_same_distribution']:.2f},")
    print(f"log-probabilities within {result['largest_logprob_error']:.0e} of teacher forcing")


def main() -> None:
    parser = argparse.ArgumentParser(description="Our sampling loop against generate.")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 32 problems, one repeat, two batch sizes")
    parser.add_argument("--only", choices=sorted(TASKS), help="one task alone, beside the figures of the others")
    parser.add_argument("--model", type=Path, help="a trained Countdown model; otherwise one is warmed up here")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contend", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contend:
        task, batch, problems = given.contend
        contend(OUT / f"sample-{task}", task, int(batch), int(problems))
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    kept = OUT / "sample.json"
    results = {**json.loads(kept.read_text())} if given.only and kept.is_file() else {}
    for task in [given.only] if given.only else TASKS:
        folder = OUT / f"sample-{task}"
        prompts = prepared(task, given.model)
        (folder / "prompts.json").write_text(json.dumps(prompts))
        problems, batches, repeats = (32, BATCHES[:2], 1) if given.quick else (TASKS[task]["problems"], BATCHES, given.repeats)
        results[task] = {**compare(task, batches, problems, repeats), "quick": given.quick}
        show(task, results[task])
    named = (line.split(": ")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    versions = [f"{name} {version(name)}" for name in ("torch", "transformers")]
    machine = ", ".join([next(named, platform.machine()), f"Python {platform.python_version()}", *versions])
    kept.write_text(json.dumps({**results, "machine": machine}, indent=2) + "\n")
    print(f"\n{machine}; figures in {kept}")


if __name__ == "__main__":
    main()
