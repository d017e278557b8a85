"""What the built-in model can do in its roles after warm_start_roles, on held-out problems, beside the plain warm start.

For every seed both warm starts are made by `roundhouse model new`; what is there already is reused. Then, on problems of one
held-out split and with the exact checker:

checking    the area under the ROC curve of P(0), the model's own attempts being right or wrong; 0.5 is chance
fixing      the share of wrong attempts that one fix turns right (the exact check is shown), against one new attempt at the
            same problem: paired over problems, with a 95 % bootstrap interval
solving     pass@1 of both warm starts over the same problems, paired likewise
proposing   the share of proposals that are problems with a solution, and how many differ
playing     the share of legal moves, and of winning ones where one wins; random legal play wins about a third

The home is bench/out/roles unless ROUNDHOUSE_HOME is set.

    python bench/roles.py [--seeds 0 1 2] [--problems 800] [--split gate] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib import countdown_roles as roles  # noqa: E402
from lib import paired, records, seeds, statistics  # noqa: E402
from lib.countdown_steps import first_wrong, question  # noqa: E402
from lib.engines.huggingface import Huggingface  # noqa: E402
from lib.problems.countdown import Countdown  # noqa: E402
from lib.protocols import Engine, Machine, Request, Tables, silent  # noqa: E402
from lib.samplers.independent import Independent  # noqa: E402
from lib.verifiers.role_check import RoleCheck  # noqa: E402

OUT = ROOT / "bench" / "out"
ATTEMPTS, FIXED, DRAWS, PROPOSALS, MOVES = 8, 4, 8, 800, 40
"""Attempts at each problem, how many of them are fixed where wrong, draws of a fix, proposals, and moves at each pile."""
STARTS = ("warm_start", "warm_start_roles")


def main() -> None:
    """Make the models that are missing, then print one table for all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--problems", type=int, default=800)
    parser.add_argument("--split", default="gate", choices=("validation", "gate", "test"))
    parser.add_argument("--quick", action="store_true", help="barely trained models of one seed: shows that it runs")
    asked = parser.parse_args()
    home = Path(os.environ.get("ROUNDHOUSE_HOME") or OUT / ("roles-quick" if asked.quick else "roles"))
    problems = Countdown().problems(asked.split, 20 if asked.quick else asked.problems, seed=0)
    found = {}
    for seed in [0] if asked.quick else asked.seeds:
        plain, able = (made(home, start, seed, ["--steps", "20"] if asked.quick else []) for start in STARTS)
        found[seed] = measured(able, plain, Tables(problems), seed)
        print(f"seed {seed}: done", flush=True)
    report(found)
    OUT.mkdir(exist_ok=True)
    written = {"machine": platform.platform(), "cores": os.cpu_count(), "split": asked.split, "problems": problems.num_rows}
    (OUT / "roles.json").write_text(json.dumps({**written, "seeds": {str(s): f for s, f in found.items()}}, indent=2))


def made(home: Path, warm_start: str, seed: int, options: list[str]) -> tuple[Engine, float]:
    """The model of a warm start, opened, and the seconds that `model new` took this time."""
    out = home / "models" / f"{warm_start}-{seed}"
    started = time.perf_counter()
    if not (out / "config.json").is_file():
        words = ["model", "new", str(out), "--seed", str(seed), "--warm-start", warm_start, *options]
        environment = {**os.environ, "ROUNDHOUSE_HOME": str(home)}
        subprocess.run([sys.executable, "-m", "flows.cli", *words], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return Huggingface().open(out, f"{warm_start}-{seed}", Machine()), time.perf_counter() - started


def measured(able: tuple[Engine, float], plain: tuple[Engine, float], given: Tables, seed: int) -> dict[str, Any]:
    """Every figure of one seed; attempts and their rivals are drawn from streams of their own."""
    engine = able[0]
    attempts = Independent(n=ATTEMPTS).sample(given, {"policy": engine}, seeds.seed_of(seed, "attempts"), silent)
    rivals = Independent(n=ATTEMPTS).sample(given, {"policy": plain[0]}, seeds.seed_of(seed, "attempts"), silent)
    prompts = [records.chat(prompt)[0]["content"] for prompt in given.problems["prompt"].to_pylist()]
    wrong, plain_wrong = (checks(prompts, table["text"].to_pylist()) for table in (attempts, rivals))  # (problems, ATTEMPTS)
    scores = RoleCheck().verify(Tables(given.problems, attempts), {"policy": engine})["score"].to_numpy()
    solved = (wrong == 0).mean(1) - (plain_wrong == 0).mean(1)  # (problems,)
    interval = statistics.paired_bootstrap(solved.tolist(), seed)
    return {
        "checking": area(scores, wrong.reshape(-1) == 0),
        "digit": float(np.mean([read == exact for read, exact in zip(digits(engine, prompts, attempts, seed), wrong.flat, strict=True)])),
        **fixing(engine, prompts, attempts["text"].to_pylist(), wrong, seed),
        "pass_at_1": float((wrong == 0).mean()),
        "plain_pass_at_1": float((plain_wrong == 0).mean()),
        "solving": [float(solved.mean()), interval.low, interval.high],
        "solving_by_problem": solved.tolist(),
        **proposing(engine, seed),
        **playing(engine, seed),
        "seconds": {"warm_start": plain[1], "warm_start_roles": able[1]},
    }


def checks(prompts: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """The exact check of every attempt: (problems, attempts of each)."""
    each = len(texts) // len(prompts)
    return np.array(
        [[first_wrong(text, *(question(p) or ((), 0))) for text in texts[i * each : (i + 1) * each]] for i, p in enumerate(prompts)]
    )


def digits(engine: Engine, prompts: Sequence[str], attempts: Any, seed: int) -> list[int | None]:
    """What the model says most readily of each attempt."""
    asked = [roles.check_prompt(prompts[i // ATTEMPTS], text) for i, text in enumerate(attempts["text"].to_pylist())]
    return [roles.read_check(reply) for (reply,) in replies(engine, asked, 1, seed, temperature=0.0)]


def fixing(engine: Engine, prompts: Sequence[str], texts: Sequence[str], wrong: np.ndarray, seed: int) -> dict[str, Any]:
    """The chance that one fix of a wrong attempt is right, against that of one new attempt, each from several draws.

    Every wrong attempt counts alike; the interval is over problems, each with the sum of its attempts' differences.
    """
    places = [(i, k) for i in range(len(prompts)) for k in range(FIXED) if wrong[i, k]]
    fixes = replies(engine, [roles.fix_prompt(prompts[i], texts[i * ATTEMPTS + k], wrong[i, k]) for i, k in places], DRAWS, seed + 1)
    again = replies(engine, prompts, FIXED * DRAWS, seed + 2)
    fixed = np.array([share_right(prompts[i], said) for (i, _), said in zip(places, fixes, strict=True)])
    resampled = np.array([share_right(prompt, said) for prompt, said in zip(prompts, again, strict=True)])
    gains = np.zeros(len(prompts))
    for (i, _), value in zip(places, fixed, strict=True):
        gains[i] += (value - resampled[i]) * len(prompts) / len(places)
    interval = statistics.paired_bootstrap(gains.tolist(), seed)
    told = {"fixed": fixed.mean(), "resampled": resampled[[i for i, _ in places]].mean()}
    return {
        **{name: float(value) for name, value in told.items()},
        "fixing": [float(gains.mean()), *interval],
        "fixing_by_problem": gains.tolist(),
        "wrong": len(places),
    }


def share_right(prompt: str, said: Sequence[str]) -> float:
    """The share of attempts at a problem that solve it."""
    return float(np.mean([roles.judged(prompt, text) == 0 for text in said]))


def proposing(engine: Engine, seed: int) -> dict[str, float]:
    (said,) = replies(engine, [roles.PROPOSE], PROPOSALS, seed + 3)
    read = [roles.read_proposal(reply) for reply in said]
    sound = [found.prompt for found in read if not isinstance(found, str)]
    return {"sound_proposals": len(sound) / len(read), "distinct_proposals": len(set(sound))}


def playing(engine: Engine, seed: int) -> dict[str, float]:
    piles = list(range(1, roles.PILE + 1))
    said = replies(engine, [roles.play_prompt(left) for left in piles], MOVES, seed + 4)
    moves = [(left, roles.read_move(reply, left)) for left, its in zip(piles, said, strict=True) for reply in its]
    winnable = [(left, take) for left, take in moves if roles.winning(left)]
    return {
        "legal_moves": float(np.mean([take is not None for _, take in moves])),
        "winning_moves": float(np.mean([take == roles.winning(left) for left, take in winnable])),
    }


def replies(engine: Engine, prompts: Sequence[str], n: int, seed: int, temperature: float = 1.0) -> list[list[str]]:
    """n replies to each prompt."""
    requests = [
        Request(engine.render([{"role": "user", "content": prompt}]), tuple(seeds.seed_of(seed, place, i) for i in range(n)))
        for place, prompt in enumerate(prompts)
    ]
    drawn = engine.sample(requests, temperature=temperature, top_p=1.0, max_new_tokens=24, report=silent)
    return [[engine.decode(sample.ids) for sample in samples] for samples in drawn]


def area(scores: np.ndarray, right: np.ndarray) -> float:
    """The chance that a right attempt scores above a wrong one, a tie counting half (Mann and Whitney 1947)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    above = ranks[right].sum() - right.sum() * (right.sum() + 1) / 2
    return float(above / max(1, right.sum() * (~right).sum()))


def report(found: dict[int, dict[str, Any]]) -> None:
    """A markdown table of all seeds, and what they say together (lib.paired)."""
    heads = "seed, checking AUROC, digit right, fixed, resampled, fix − resample, pass@1, plain, difference, sound proposals, legal moves"
    print(f"\n| {heads.replace(', ', ' | ')} |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for seed, row in found.items():
        spans = ["{:+.3f} ({:+.3f} to {:+.3f})".format(*row[name]) for name in ("fixing", "solving")]
        figures = [f"{row[n]:.3f}" for n in ("checking", "digit", "fixed", "resampled")] + spans[:1]
        figures += [f"{row[n]:.3f}" for n in ("pass_at_1", "plain_pass_at_1")] + spans[1:]
        print(f"| {seed} | " + " | ".join([*figures, *(f"{row[n]:.3f}" for n in ("sound_proposals", "legal_moves"))]) + " |")
    for name, words in (("fixing", "fix − resample"), ("solving", "pass@1 − plain")):
        pooled = paired.estimate({seed: dict(enumerate(row[f"{name}_by_problem"])) for seed, row in found.items()})
        print(f"over all seeds, {words}: {pooled.value:+.4f} ({pooled.low:+.4f} to {pooled.high:+.4f}), p {pooled.p:.3f}")


if __name__ == "__main__":
    main()
