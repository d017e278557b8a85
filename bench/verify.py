"""Mathematical verdicts: items per second of the answer verifier against Math-Verify called in a plain loop, in one run.

    python bench/verify.py [--quick] [--only TASK] [--repeats N]

sums    5,000 completions like those for GSM8K, a few sentences and a final number in one of ten forms; one process
latex   2,000 pairs of a gold answer and a completion with its answer in a box, distinct, of 25 kinds; two processes

Ours is `Answer().verify` over the tables of a round: extraction, comparison and the table of verdicts are in the figure.
Math-Verify is `verify(parse(gold), parse(text))` with its defaults, on latex with the gold answer in a box, as it wants it.
Two thirds of the answers are right. Every repeat has items of its own, both contestants see all, and what is imported or
started once per process is done before. Sums are timed in CPU seconds, latex, where processes work side by side, by the clock.
Outcomes must be the same but for the kinds that DIFFERENT explains; any other difference is printed and fails the run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib import records  # noqa: E402
from lib.protocols import Tables  # noqa: E402
from lib.verifiers import math_pool  # noqa: E402
from lib.verifiers.answer import Answer  # noqa: E402

OUT = ROOT / "bench" / "out"
TASKS = {"sums": {"items": 5000, "quick": 300, "target": 50.0}, "latex": {"items": 2000, "quick": 120, "target": 1.8}}
PROCESSES = 2
DIFFERENT = {
    "escaped dollar": "Math-Verify reads nothing in `\\$18` outside mathematics",
    "exponent": "Math-Verify reads `3e3` in a box as a product with Euler's number",
    "mixed in words": "Math-Verify reads `3 1/2` as 3",
    "percent": "50 % is 50 here and never 0.5; Math-Verify takes it for both",
    "other unit": "5 km is not 5 miles here; Math-Verify drops both units",
}
"""Kind of item → why the outcomes may differ."""


class Item(NamedTuple):
    kind: str
    gold: str
    text: str


def sums(count: int, seed: int) -> list[Item]:
    """Completions that reason in a few sentences and end with a number."""
    draw = random.Random(seed)
    return [_sum(draw) for _ in range(count)]


def _sum(draw: random.Random) -> Item:
    names, things = ("Ada", "Ben", "Chen", "Dora", "Emil"), ("eggs", "apples", "tickets", "dollars", "marbles")
    lines, total = [], draw.randint(2, 400)
    for _ in range(draw.randint(2, 6)):
        name, thing, other = draw.choice(names), draw.choice(things), draw.randint(2, 60)
        sign = draw.choice("+-*") if total < 5000 else "-"
        before, total = total, {"+": total + other, "-": total - other, "*": total * other}[sign]
        lines.append(f"{name} has {before} {thing} and then {before} {sign} {other} = <<{before}{sign}{other}={total}>>{total} {thing}.")
    said = total if draw.random() < 2 / 3 else total + draw.choice((-10, -1, 1, 2, 100))
    ends = {
        "hashes": f"#### {said}",
        "comma": f"#### {said:,}",
        "letter": f"A: {said}",
        "phrase": f"The answer is {said}.",
        "escaped dollar": f"The answer is \\${said}.",
        "dollars": f"The final answer is ${said:,}.",
        "box": f"So it is \\boxed{{{said}}}.",
        "decimal": f"#### {said}.00",
        "unit": f"The answer is {said} {draw.choice(things)}.",
        "last": f"{draw.choice(names)} ends with {said}.",
    }
    kind = draw.choice(sorted(ends))
    return Item(kind, str(total), "\n".join([*lines, ends[kind]]))


def latex(count: int, seed: int) -> list[Item]:
    """Distinct pairs of a gold answer and a completion whose box holds the same or another answer."""
    draw, found = random.Random(seed), dict[tuple[str, str], Item]()
    kinds = sorted(KINDS)
    while len(found) < count:
        kind = kinds[len(found) % len(kinds)]
        gold, right, wrong = KINDS[kind](draw)
        answer = right if draw.random() < 2 / 3 else wrong
        found[gold, answer] = Item(kind, gold, f"We work it out step by step, as asked.\nSo the answer is $\\boxed{{{answer}}}$.")
    return list(found.values())


def _polynomial(draw: random.Random) -> tuple[str, str, str]:
    p, q = draw.randint(1, 99), draw.randint(1, 99)
    return f"x^2+{p + q}x+{p * q}", f"(x+{p})(x+{q})", f"(x+{p})(x+{q + 1})"


def _root(draw: random.Random) -> tuple[str, str, str]:
    k, n = draw.randint(2, 30), draw.choice((2, 3, 5, 7, 11, 13))
    return f"{k}\\sqrt{{{n}}}", f"\\sqrt{{{k * k * n}}}", f"\\sqrt{{{k * k * n + 1}}}"


def _set(draw: random.Random) -> tuple[str, str, str]:
    a, b, c = draw.sample(range(-99, 99), 3)
    return f"\\{{{a},{b},{c}\\}}", f"\\{{{c}, {a}, {b}\\}}", f"\\{{{a},{b},{c + 1}\\}}"


def _interval(draw: random.Random) -> tuple[str, str, str]:
    a = draw.randint(-300, 300)
    b = a + draw.randint(1, 300)
    return f"({a},{b}]", f"\\left({a}, {b}\\right]", f"[{a},{b}]"


def _fraction(draw: random.Random) -> tuple[int, int]:
    return draw.randint(1, 999), draw.choice((3, 7, 9, 11, 13, 17, 19, 23))


def _of(make: Callable[[int, int], tuple[str, str, str]]) -> Callable[[random.Random], tuple[str, str, str]]:
    return lambda draw: make(*_fraction(draw))


KINDS: dict[str, Callable[[random.Random], tuple[str, str, str]]] = {
    "polynomial": _polynomial,
    "root": _root,
    "set": _set,
    "interval": _interval,
    "fraction": _of(lambda a, b: (f"\\frac{{{a}}}{{{b}}}", f"\\dfrac{{{2 * a}}}{{{2 * b}}}", f"\\frac{{{a + 1}}}{{{b}}}")),
    "mixed": _of(lambda a, b: (f"{a}\\frac{{1}}{{{b}}}", f"\\frac{{{a * b + 1}}}{{{b}}}", f"\\frac{{{a * b + 2}}}{{{b}}}")),
    "decimal": _of(lambda a, b: (f"\\frac{{{a}}}{{{8 * b}}}", f"{a / (8 * b):.9f}", f"{a / (8 * b):.2f}9")),
    "multiple of pi": _of(lambda a, b: (f"\\frac{{{a}\\pi}}{{{b}}}", f"\\frac{{{a}}}{{{b}}}\\pi", f"\\frac{{{a}}}{{{b + 1}}}\\pi")),
    "pair": _of(lambda a, b: (f"({a}, {-b})", f"\\left({a},-{b}\\right)", f"({-b}, {a})")),
    "line": _of(lambda a, b: (f"y={a}x+{b}", f"y = {b} + {a}x", f"y = {b}x + {a}")),
    "matrix": _of(
        lambda a, b: tuple(f"\\begin{{pmatrix}} {a} & {c} \\\\ 0 & {b} \\end{{pmatrix}}" for c in ("1", "\\frac{2}{2}", "2"))  # type: ignore[arg-type,return-value]
    ),
    "power": _of(lambda a, b: (f"{a}^{{2}}+{b}", f"{a * a + b}", f"{a * a - b}")),
    "thousands": _of(lambda a, b: (f"{a * b * 1009}", f"{a * b * 1009:,}".replace(",", "{,}"), f"{a * b * 1009 + 1:,}")),
    "unit": _of(lambda a, b: (f"{a}.{b}", f"{a}.{b}\\text{{ cm}}", f"{a}.{b + 1}\\text{{ cm}}")),
    "degrees": _of(lambda a, b: (f"{a * b}^\\circ", f"{a * b}", f"{a * b + 1}^{{\\circ}}")),
    "inequality": _of(lambda a, b: (f"x \\le {a * b}", f"(-\\infty,{a * b}]", f"(-\\infty,{a * b})")),
    "complex": _of(lambda a, b: (f"{a}+{b}i", f"{b}i + {a}", f"{a}-{b}i")),
    "exponential": _of(lambda a, b: (f"{a}e^{{{b}x}}", f"{a}e^{{{b - 1}x}}e^{{x}}", f"{a}e^{{{b}}}x")),
    "logarithm": _of(lambda a, b: (f"\\ln {a * b}", f"\\ln {a} + \\ln {b}", f"\\ln {a + b}")),
    "exponent": _of(lambda a, b: (f"{a * 1000}", f"{a}e3", f"{a + 1}e3")),
    "mixed in words": _of(lambda a, b: (f"{2 * a + 1}/2", f"{a} 1/2", f"{a + b} 1/2")),
    "percent": _of(lambda a, b: (f"{a}\\%", f"{a}", f"{a / 100}")),
    "unit in words": _of(lambda a, b: (f"{a * b}\\text{{ km}}", f"{a * b} km", f"{a * b + 1} km")),
    "other unit": _of(lambda a, b: (f"{a * b}\\text{{ km}}", f"{a * b}\\text{{ kilometers}}", f"{a * b}\\text{{ miles}}")),
    "factored": _of(lambda a, b: (f"{a}(x+{b})", f"{a}x+{a * b}", f"{a}x+{b}")),
}
"""Kind → a gold answer, a right answer and a wrong one, drawn at random."""


def tables(items: list[Item]) -> Tables:
    """The items as a round holds them: a problem and a completion each."""
    nobody = {"group_id": "", "turn": 0, "step": 0, "role": "policy", "model_id": "", "prompt_ids": [], "completion_ids": []}
    sampled = {
        "ids_source": "engine",
        "logprobs": [],
        "finish_reason": "stop",
        "temperature": 1.0,
        "top_p": 1.0,
        "seed": 0,
        "sample_index": 0,
    }
    asked = {"task": "sums", "prompt": records.user_message("?"), "source": "given", "born_round": 0}
    problems = [{"problem_id": f"p{i}", "answer": item.gold, **asked} for i, item in enumerate(items)]
    rows = [{"completion_id": f"c{i}", "problem_id": f"p{i}", "text": item.text, **nobody, **sampled} for i, item in enumerate(items)]
    return Tables(records.PROBLEMS.table(problems), records.COMPLETIONS.table(rows))


def ours(given: Tables) -> list[str]:
    return Answer().verify(given, {})["outcome"].to_pylist()


def theirs(items: list[Item], *, boxed: bool) -> list[str]:
    from math_verify import parse, verify

    golds = (f"\\boxed{{{item.gold}}}" if boxed else item.gold for item in items)
    return ["correct" if verify(parse(gold), parse(item.text)) else "wrong" for gold, item in zip(golds, items, strict=True)]


def compare(task: str, count: int, repeats: int) -> dict[str, Any]:
    """Both contestants on the items of each repeat: seconds, and where their outcomes differ."""
    make, clock = {"sums": (sums, time.process_time), "latex": (latex, time.perf_counter)}[task]
    boxed = task == "latex"
    warm = make(40, -1)
    ours(tables(warm)), theirs(warm, boxed=boxed)
    seconds: list[tuple[float, float]] = []
    differences, correct = [], 0
    for repeat in range(repeats):
        items = make(count, repeat)
        given = tables(items)
        started = clock()
        mine = ours(given)
        between = clock()
        other = theirs(items, boxed=boxed)
        seconds.append((between - started, clock() - between))
        correct += mine.count("correct")
        differences += [{**item._asdict(), "ours": a, "math_verify": b} for item, a, b in zip(items, mine, other, strict=True) if a != b]
    ratios = [b / a for a, b in seconds]
    return {
        "items": count,
        "repeats": repeats,
        "correct_share": correct / (count * repeats),
        "ours_per_second": [count / a for a, _ in seconds],
        "math_verify_per_second": [count / b for _, b in seconds],
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "target": TASKS[task]["target"],
        "differences": differences,
    }


def show(task: str, result: dict[str, Any]) -> bool:
    """Print a task's figures; whether every difference is one that is explained."""
    rates = [statistics.median(result[f"{who}_per_second"]) for who in ("ours", "math_verify")]
    print(f"{task:6} {result['items']} items x {result['repeats']}: ours {rates[0]:9.0f}/s, Math-Verify {rates[1]:7.0f}/s,", end=" ")
    print(f"ratio {result['ratio']:.2f} (target {result['target']:g}), {result['correct_share']:.0%} correct")
    counted = Counter(difference["kind"] for difference in result["differences"])
    for kind, times in sorted(counted.items()):
        print(f"       {times} of kind '{kind}' differ: {DIFFERENT.get(kind, 'NOT EXPLAINED')}")
    unexplained = [difference for difference in result["differences"] if difference["kind"] not in DIFFERENT]
    for difference in unexplained[:10]:
        print(f"       {difference}")
    return not unexplained


def main() -> None:
    parser = argparse.ArgumentParser(description="Our verdicts on mathematics against Math-Verify in a plain loop.")
    parser.add_argument("--quick", action="store_true", help="a smoke run: a twentieth of the items, one repeat")
    parser.add_argument("--only", choices=sorted(TASKS), help="one task alone")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    math_pool.start(PROCESSES)
    results = {}
    for task in [given.only] if given.only else TASKS:
        count, repeats = (TASKS[task]["quick"], 1) if given.quick else (TASKS[task]["items"], given.repeats)
        results[task] = compare(task, int(count), repeats)
    explained = [show(task, result) for task, result in results.items()]
    named = (line.split(": ")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    versions = [f"{name} {version(name)}" for name in ("math-verify", "sympy", "pebble")]
    machine = ", ".join([next(named, platform.machine()), f"Python {platform.python_version()}", *versions])
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "verify.json").write_text(json.dumps({"machine": machine, "quick": given.quick, **results}, indent=2) + "\n")
    print(f"{machine}; {PROCESSES} processes for latex; figures in {OUT / 'verify.json'}")
    if not all(explained):
        raise SystemExit("outcomes differ where no reason is known")


if __name__ == "__main__":
    main()
