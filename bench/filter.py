"""The filter stage over 1, 3 and 10 million completions: is memory flat, and time linear?

Completions, verdicts and problems are drawn from a seed straight into Parquet, eight completions a problem, as many
artifacts as shards. A fifth of the texts are the same one of their problem; one problem in a thousand is a held-out one, and
one in a thousand shares 20 words with one. The whole stage function is measured, its checks and its writing with it:
Decontaminate, Dedup, Top(n=2) and the training rows. Each size runs in a process of its own, whose CPU time and peak
resident memory are read when it ends, and has its own row in bench/out/filter.json; a size that is there is not run again
unless asked for by --rows.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib import records, tables  # noqa: E402
from lib.filters.decontaminate import Decontaminate  # noqa: E402
from lib.filters.dedup import Dedup  # noqa: E402
from lib.filters.top import Top  # noqa: E402
from lib.protocols import Machine, Work  # noqa: E402
from lib.stages import filter as stage  # noqa: E402

OUT = ROOT / "bench" / "out" / "filter.json"
SIZES, QUICK = (1_000_000, 3_000_000, 10_000_000), (24_000, 72_000)
BATCH, SHARD = 16_000, 480_000
PER_PROBLEM, HELD_OUT = 8, 5_000
WORDS_ASKED, WORDS_WRITTEN, TOKENS = 40, 30, 45
LIMIT_MB = 4096

VOCABULARY = pa.array([f"{a}{b}{c}" for a in ("ba", "ke", "li", "mo", "nu", "sha", "tri", "zo") for b in "dfglmnrst" for c in range(60)])


def prepare(folder: Path, rows: int) -> None:
    """Write the inputs of the stage for a number of completions; equal numbers give equal files."""
    held = written(np.random.default_rng(0), HELD_OUT, WORDS_ASKED)
    save(folder / "held_out", records.PROBLEMS, [problem_rows(np.arange(HELD_OUT), held, "h")])
    numbers = range(0, rows // PER_PROBLEM, BATCH)
    asked = ((np.arange(i, min(i + BATCH, rows // PER_PROBLEM))) for i in numbers)
    save(folder / "problems", records.PROBLEMS, (problem_rows(each, prompts(each, held), "p") for each in asked))
    for shard, start in enumerate(range(0, rows, SHARD)):
        batches = [np.arange(i, min(i + BATCH, rows, start + SHARD)) for i in range(start, min(start + SHARD, rows), BATCH)]
        save(folder / f"completions-{shard:03}", records.COMPLETIONS, (completion_rows(each, rows) for each in batches))
        save(folder / f"verdicts-{shard:03}", records.VERDICTS, (verdict_rows(each) for each in batches))


def save(folder: Path, spec: records.TableSpec, made: Any) -> None:
    """Write tables, one after another, as an artifact's file."""
    folder.mkdir(parents=True)

    def batches() -> Iterator[pa.RecordBatch]:
        for table in made:
            yield from tables.conform(table, spec).to_batches()

    tables.write_ordered(pa.RecordBatchReader.from_batches(spec.schema, batches()), spec, folder / f"{spec.name}.parquet")


def written(draw: np.random.Generator, n: int, words: int) -> pa.Array:
    """n texts of so many words."""
    chosen = VOCABULARY.take(pa.array(draw.integers(len(VOCABULARY), size=n * words, dtype=np.int32)))
    return pc.binary_join(pa.ListArray.from_arrays(np.arange(0, n * words + 1, words, dtype=np.int32), chosen), " ")


def prompts(numbers: NDArray[np.int64], held: pa.Array) -> pa.Array:
    own = written(np.random.default_rng([1, int(numbers[0])]), len(numbers), WORDS_ASKED)
    copied = held.take(pa.array(numbers % HELD_OUT))
    half = pc.binary_join_element_wise(pc.utf8_slice_codeunits(own, 0, 100), pc.utf8_slice_codeunits(copied, 0, 140), " ")
    kind = pa.array(numbers % 1000)
    return pc.if_else(pc.equal(kind, 7), copied, pc.if_else(pc.equal(kind, 11), half, own))


def problem_rows(numbers: NDArray[np.int64], texts: pa.Array, prefix: str) -> pa.Table:
    n = len(numbers)
    part = pa.StructArray.from_arrays([same("text", n), texts, pa.nulls(n, pa.string())], ["type", "text", "sha256"])
    parts = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32), part)
    message = pa.StructArray.from_arrays([same("user", n), parts], ["role", "parts"])
    columns = {"problem_id": names(numbers, prefix), "task": same("t", n), "source": same("given", n), "born_round": pa.array([0] * n)}
    return pa.table({**columns, "prompt": pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32), message)})


def completion_rows(numbers: NDArray[np.int64], rows: int) -> pa.Table:
    """Rows in the order of their ids, which is not that of their problems."""
    n, draw = len(numbers), np.random.default_rng([2, int(numbers[0])])
    problem = (numbers * 7_368_787) % rows // PER_PROBLEM  # 7368787 is prime, so this deals every problem 8 times
    repeated = written(np.random.default_rng(3), 512, WORDS_WRITTEN).take(pa.array(problem % 512))
    texts = pc.if_else(pa.array(draw.random(n) < 0.2), repeated, written(draw, n, WORDS_WRITTEN))
    owner = names(problem, "p")
    ids = lists(draw.integers(3, 32_000, size=n * TOKENS, dtype=np.int32), TOKENS)
    columns = {"turn": 0, "step": 0, "role": "policy", "model_id": "m" * 64, "ids_source": "engine", "finish_reason": "stop"}
    columns |= {"temperature": 1.0, "top_p": 1.0, "sample_index": 0}
    return pa.table(
        {
            "completion_id": names(numbers, "c"),
            "problem_id": owner,
            "group_id": owner,
            "prompt_ids": lists(np.repeat(problem, WORDS_ASKED).astype(np.int32), WORDS_ASKED),
            "completion_ids": ids,
            "text": texts,
            "logprobs": lists(-draw.random(n * TOKENS, dtype=np.float32), TOKENS),
            "seed": pa.array(draw.integers(2**63, size=n, dtype=np.uint64)),
            **{name: same(value, n) for name, value in columns.items()},
        }
    )


def verdict_rows(numbers: NDArray[np.int64]) -> pa.Table:
    n, draw = len(numbers), np.random.default_rng([4, int(numbers[0])])
    right = pa.array(draw.random(n) < 0.4)
    columns = {"verifier": same("answer", n), "reason": same("equal", n), "n_tokens": same(0, n)}
    outcome = pc.if_else(right, "correct", "wrong")
    return pa.table({"completion_id": names(numbers, "c"), **columns, "outcome": outcome, "score": pa.array(draw.random(n))})


def names(numbers: NDArray[np.int64], prefix: str) -> pa.Array:
    """Ids of 32 characters in the order of their numbers."""
    return pc.binary_join_element_wise(prefix * 21, pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), 10, "0"), "-")


def same(value: Any, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), n)


def lists(values: NDArray[Any], each: int) -> pa.Array:
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, each, dtype=np.int32), pa.array(values))


def measure(folder: Path) -> dict[str, Any]:
    """Run the stage over prepared inputs, in this process, and say what it took."""
    out = folder / "out"
    out.mkdir()
    found = {name: sorted(folder.glob(f"{name}*")) for name in ("problems", "completions", "verdicts", "held_out")}
    settings = {"filters": [member.model_dump(mode="json") for member in (Decontaminate(), Dedup(), Top(n=2))]}
    moments = [time.process_time()]
    machine = Machine(report=lambda done, total: moments.append(time.process_time()))
    started = time.perf_counter()
    stats = stage.run(Work(settings, found, {}, 1, machine), out)
    steps = dict(zip(("checks", "decontaminate", "dedup", "top", "examples"), np.diff(moments).round(2).tolist(), strict=True))
    spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - moments[0], "cpu_by_step": steps}
    return {**spent, "peak_mb": peak_mb(), **stats}


def peak_mb() -> float:
    """This process's peak resident memory; getrusage would count what it was before exec too."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024


def measured(rows: int, scratch: Path) -> dict[str, Any]:
    """The figures of one size, from a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="roundhouse-filter-", dir=scratch))
    try:
        prepare(folder, rows)
        command = [sys.executable, __file__, "--measure", str(folder)]
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return {"rows": rows, **json.loads(child.stdout)}
    finally:
        shutil.rmtree(folder)


def show(results: list[dict[str, Any]]) -> None:
    print(f"{'rows':>11}{'CPU s':>9}{'µs/row':>9}{'to first':>10}{'peak MB':>9}{'kept':>10}{'planted, found':>16}   CPU s by step")
    for r in results:
        each = r["cpu_seconds"] / r["rows"]
        ratio = each / (results[0]["cpu_seconds"] / results[0]["rows"])
        planted = f"{r['planted']}, {r['planted_found']}"
        steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in r["cpu_by_step"].items())
        counted = f"{r['peak_mb']:9.0f}{r['kept']:10,}{planted:>16}"
        print(f"{r['rows']:11,}{r['cpu_seconds']:9.1f}{1e6 * each:9.1f}{ratio:10.2f}{counted}   {steps}")
    worst = max(r["peak_mb"] for r in results)
    print(f"peak memory {worst:.0f} MB of {LIMIT_MB} allowed; `to first`: time per row against the smallest size, 1 is linear")


def main() -> None:
    parser = argparse.ArgumentParser(description="The filter stage over millions of completions.")
    parser.add_argument("--quick", action="store_true", help="a smoke run: thousands of completions, nothing kept")
    parser.add_argument("--rows", type=int, action="append", help="measure this size, again if need be; may be repeated")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), help="for inputs and spilled rows")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return
    kind = "quick" if given.quick else "sizes"
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    results = {} if given.quick else {row["rows"]: row for row in known.get(kind, [])}
    for rows in given.rows or (QUICK if given.quick else [size for size in SIZES if size not in results]):
        results[rows] = {**measured(rows, given.scratch), "machine": machine()}
        OUT.parent.mkdir(parents=True, exist_ok=True)
        known[kind] = [results[size] for size in sorted(results)]
        OUT.write_text(json.dumps(known, indent=2) + "\n")
    show([results[size] for size in sorted(results)])
    print(f"{machine()}; figures in {OUT}")


def machine() -> str:
    named = (line.split(": ")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    return ", ".join([next(named, platform.machine()), f"Python {platform.python_version()}", f"duckdb {version('duckdb')}"])


if __name__ == "__main__":
    main()
