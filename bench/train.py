"""Training: tokens per CPU-second of every objective of ours against TRL's SFTTrainer, side by side in one run.

    python bench/train.py [--quick] [--only TASK] [--repeats N] [--afresh]

even         completions of 45 tokens after prompts of 14 to 51, so that little is padding for anybody
geometric    completions of 1 to 384 tokens, geometric with mean 45

A Llama of 0.9 M parameters sees 1,024 texts, 32 a step (as many tokens a step where TRL packs them, into blocks of 512): once for
a rate alone, three times by Sft and TRL's, after which they have learned most of what there is to learn (a text's entropy is ln 4,
1.386 a token). Tokens are those of the texts, prompts among them and padding not. Each contestant is a process of its own with
one thread; they take turns, and their CPU time is counted, so that load on the machine disturbs little. The likelihood of
held-out texts is compared over the turns, each with an order of its own: ours must be no more than two standard errors of the
mean difference behind. Figures are kept as they come, and a run that was broken off goes on; --afresh begins anew.

Targets: every objective at least as fast as plain SFTTrainer; Sft on geometric lengths 1.3 times as fast as SFTTrainer, plain
and packing.
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
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.train_rows import TASKS, Texts, table, texts, write_model  # noqa: E402
from lib import models  # noqa: E402
from lib.protocols import Machine  # noqa: E402
from lib.trainers.marginal_likelihood import MarginalLikelihood  # noqa: E402
from lib.trainers.nft import Nft  # noqa: E402
from lib.trainers.outcome_value import OutcomeValue  # noqa: E402
from lib.trainers.pair_value import PairValue  # noqa: E402
from lib.trainers.policy_gradient import PolicyGradient  # noqa: E402
from lib.trainers.preference import Preference  # noqa: E402
from lib.trainers.sft import Sft  # noqa: E402
from lib.trainers.sppo import Sppo  # noqa: E402
from lib.trainers.step_value import StepValue  # noqa: E402

OUT = ROOT / "bench" / "out"
COUNT, HELD_OUT, BATCH, BLOCK = 1024, 256, 32, 512
LEARNED = 3
"""Passes over the texts by those whose likelihood of held-out texts is measured."""
USUAL = {"epochs": 1, "learning_rate": 2e-3, "schedule": "constant", "warmup_share": 0.0, "weight_decay": 0.0}

OURS: dict[str, Any] = {
    "sft": Sft(**{**USUAL, "epochs": LEARNED}, batch_size=BATCH),
    "sft near a reference": Sft(**USUAL, batch_size=BATCH, kl_coefficient=0.1),
    "marginal likelihood": MarginalLikelihood(**USUAL, batch_size=BATCH // 4),
    "nft": Nft(**USUAL, batch_size=BATCH),
    "policy gradient": PolicyGradient(**USUAL, batch_size=BATCH, kl_coefficient=0.1),
    "preference": Preference(**USUAL, batch_size=BATCH // 2),
    "sppo": Sppo(**USUAL, batch_size=BATCH // 2),
    "step value": StepValue(**USUAL, batch_size=BATCH),
    "outcome value": OutcomeValue(**USUAL, batch_size=BATCH),
    "pair value": PairValue(**USUAL, batch_size=BATCH // 2),
}
THEIRS = {"SFTTrainer": False, "SFTTrainer packing": True}
"""Name → whether it packs."""
CONTESTANTS = {"even": (*OURS, "SFTTrainer"), "geometric": ("sft", *THEIRS)}
"""Where lengths are even, packing has nothing to win."""


def train(name: str, start: Path, given: Texts, out: Path, seed: int = 0) -> float:
    """Train once and return the CPU seconds that it took, the table and the model folder ready beforehand."""
    if name in OURS:
        trainer = OURS[name]
        examples = table(trainer.learns_from, given)
        started = time.process_time()
        trainer.train({"start": start}, examples, out, seed, Machine())
        return time.process_time() - started
    return _train_theirs(THEIRS[name], start, given, out, seed)


def _train_theirs(packing: bool, start: Path, given: Texts, out: Path, seed: int) -> float:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    examples = table("sft", given)
    rows = Dataset.from_dict({column: examples[column].to_pylist() for column in ("input_ids", "labels")})
    steps = max(1, len(given) // BATCH)
    per_step = math.ceil(tokens(given) / BLOCK / steps) if packing else min(BATCH, len(given))
    started = time.process_time()
    model = models.load_model(start, dtype="float32", device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            scratch, num_train_epochs=LEARNED, per_device_train_batch_size=per_step, packing=packing, max_length=BLOCK if packing else None,
            learning_rate=USUAL["learning_rate"], lr_scheduler_type="constant", adam_beta2=0.98, weight_decay=0.0, use_cpu=True, bf16=False,
            seed=seed, activation_checkpointing=False, report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True,
            dataloader_pin_memory=False,
        )  # fmt: skip
        SFTTrainer(model, config, train_dataset=rows, processing_class=models.load_tokenizer(start)).train()
    models.save(model, start, out)
    return time.process_time() - started


def tokens(given: Texts) -> int:
    return sum(len(prompt) + len(completion) for prompt, completion in given)


def losses(folder: Path, given: Texts) -> list[float]:
    """The negative log-likelihood of each text's completion, per token."""
    from lib import scoring

    model = models.load_model(folder, dtype="float32", device="cpu")
    scored = scoring.score(model, given, 64, 8192, lambda done: None)
    return [-statistics.fmean(one.logprobs) for one in scored]


def contend(task: str, name: str, count: int, held_out: int, turn: int) -> None:
    """Print the figures of one training."""
    import torch

    torch.set_num_threads(1)
    start, given = OUT / "train" / "model", texts(task, count, seed=1)
    with tempfile.TemporaryDirectory() as scratch:
        train(name, start, given[:8], Path(scratch) / "first")  # what is done once per process is not measured
        spent = train(name, start, given, Path(scratch) / "out", seed=turn)
        likely = name == "sft" or name in THEIRS
        told = {"held_out": statistics.fmean(losses(Path(scratch) / "out", texts(task, held_out, seed=2)))} if likely else {}
    print("figures", json.dumps({"tokens": tokens(given) * (LEARNED if likely else 1), "cpu_seconds": spent, **told}))


def run(task: str, name: str, count: int, held_out: int, turn: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", __file__, "--contend", task, name, *map(str, (count, held_out, turn))]
    offline = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **offline})
    lines = [line for line in done.stdout.splitlines() if line.startswith("figures ")]
    if done.returncode or not lines:
        raise SystemExit(f"{name} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return dict(json.loads(lines[-1].removeprefix("figures ")))


def compared(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Rates, their ratios to both of TRL's turn by turn, and how much likelier held-out texts are after theirs than after Sft."""
    rates = {name: [one["tokens"] / one["cpu_seconds"] for one in each] for name, each in runs.items()}
    found: dict[str, Any] = {"tokens_per_cpu_second": rates}
    for other in THEIRS.keys() & runs:
        ratios = {name: statistics.median(a / b for a, b in zip(rates[name], rates[other], strict=True)) for name in OURS.keys() & runs}
        worse = [mine["held_out"] - theirs["held_out"] for mine, theirs in zip(runs["sft"], runs[other], strict=True)]
        error = statistics.stdev(worse) / math.sqrt(len(worse)) if len(worse) > 1 else math.nan
        found[other] = {"ratios": ratios, "held_out_worse": statistics.fmean(worse), "standard_error": error}
    return found


def show(task: str, result: dict[str, Any]) -> None:
    met = [other for other in THEIRS if other in result]
    print(f"\n{TASKS[task]}\n{'':22}{'tok/CPU-s':>10}" + "".join(f"{'/ ' + other:>22}" for other in met))
    for name, rates in result["tokens_per_cpu_second"].items():
        ratios = "".join(f"{result[other]['ratios'][name]:22.2f}" for other in met) if name in OURS else ""
        print(f"{name:22}{statistics.median(rates):10.0f}{ratios}")
    for other in met:
        told = result[other]
        print(f"held-out loss per token, sft less {other}: {told['held_out_worse']:.4f}, standard error {told['standard_error']:.4f}")


def measure(task: str, repeats: int, sizes: tuple[int, int], kept: Path, afresh: bool) -> dict[str, Any]:
    """Every contestant's runs, in turns; what is in the file of runs already is not run again."""
    runs = json.loads(kept.read_text()) if kept.is_file() and not afresh else {}
    for turn in range(repeats):
        for name in CONTESTANTS[task]:
            if len(runs.setdefault(name, [])) <= turn:
                runs[name].append(run(task, name, *sizes, turn))
                kept.write_text(json.dumps(runs))
    return compared({name: each[:repeats] for name, each in runs.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description="Our training loop against SFTTrainer.")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 64 texts, one repeat")
    parser.add_argument("--only", choices=sorted(TASKS), help="one task alone, beside the figures of the other")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--afresh", action="store_true", help="forget the runs that a run before this one has made")
    parser.add_argument("--contend", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contend:
        contend(*given.contend[:2], *map(int, given.contend[2:]))
        return
    (OUT / "train").mkdir(parents=True, exist_ok=True)
    write_model(OUT / "train")
    name = "train-quick" if given.quick else "train"
    results_file = OUT / f"{name}.json"
    results = dict(json.loads(results_file.read_text())) if results_file.is_file() else {}
    repeats, sizes = (1, (64, 32)) if given.quick else (given.repeats, (COUNT, HELD_OUT))
    for task in [given.only] if given.only else TASKS:
        results[task] = measure(task, repeats, sizes, OUT / "train" / f"{name}-{task}.json", given.afresh or given.quick)
        show(task, results[task])
    versions = [f"{package} {version(package)}" for package in ("torch", "transformers", "trl")]
    results["machine"] = ", ".join([platform.processor() or platform.machine(), f"Python {platform.python_version()}", *versions])
    results_file.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\n{results['machine']}; figures in {results_file}")


if __name__ == "__main__":
    main()
