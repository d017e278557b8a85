"""A home of many rounds, written by the store's, the tables' and the campaign's own writers, without any model run.

Each round draws its own problems in shards as a round would, eight completions of each by the model before it, one verdict
on each, a filter that keeps some of the correct ones, and a model that learns from what was kept. Token lists are short
and weights a few bytes: what lineage has to find its way through is the number of rows, files and records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib import keys, models, records, tables
from lib.campaign import CampaignFolder
from lib.campaign_settings import Campaign, ProblemPlan
from lib.filters.keep_correct import KeepCorrect
from lib.home import Home
from lib.problems.countdown import Countdown
from lib.round_record import RoundRecord
from lib.samplers.independent import Independent
from lib.stages.problems import divide
from lib.store import Publication, Store
from lib.trainers.sft import Sft
from lib.verifiers.answer import Answer

CAMPAIGN = "long"
PER_PROBLEM = 8
PROMPT, TOKENS = 6, 8
CORRECT, KEPT = 0.3, 0.5

_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], dtype=np.uint8)
_STRATEGIES = {
    "problems": {"source": Countdown(), "split": "train"},
    "sample": {"sampler": Independent(n=PER_PROBLEM)},
    "verify": {"verifiers": [Answer()]},
    "filter": {"filters": [KeepCorrect()]},
    "train": {"trainer": Sft()},
    "initialise": {},
}


class LongHome:
    """A home that grows by whole rounds; equal numbers of rounds and rows give equal files."""

    def __init__(self, home: Home, per_round: int) -> None:
        """`per_round` completions in every round."""
        self.home = home
        self.per_round = per_round
        self._store = Store(home.store)
        self._made_of = {kind: _common(kind, settings) for kind, settings in _STRATEGIES.items()}

    def grow(self, rounds: int) -> None:
        """Write the rounds that are still missing."""
        folder = CampaignFolder(self.home, CAMPAIGN)
        if not folder.exists:
            base = self._publish("initialise", {}, {}, _model_files(0)).digest
            plan = ProblemPlan({"strategy": "lib.problems.countdown:Countdown"}, {"train": self.per_round // PER_PROBLEM})
            folder.create(Campaign(CAMPAIGN, "expert_iteration", {}, 1, plan, {"policy": base}))
        done = folder.finished()
        model = done[-1].made["policy"] if done else folder.load().base["policy"]
        for number in range(len(done) + 1, rounds + 1):
            model = self._round(folder, number, model)

    def _round(self, folder: CampaignFolder, number: int, model: str) -> str:
        draw = np.random.default_rng([number, self.per_round])
        record = RoundRecord(CAMPAIGN, number, 1, "accepted", start={"policy": model}, decision={"accepted": True, "sentence": "better"})
        shards = divide(_problems(draw, self.per_round // PER_PROBLEM))
        problems = self._publish("problems", {}, {}, {f"shard-{i:03d}/problems": shard for i, shard in enumerate(shards)}, window=number)
        references = self._store.folders(problems.digest)
        identity = {"policy": models.identity(self._store.folder(model))}
        written, judged, ids, correct = [], [], [], []
        for reference, shard in zip(references, shards, strict=True):
            rows = _completions(draw, shard["problem_id"], model)
            is_correct = draw.random(rows.num_rows) < CORRECT
            sampled = self._publish("sample", {"problems": [reference]}, identity, {"completions": rows}, seed=number)
            inputs = {"problems": [reference], "completions": [sampled.digest]}
            written.append(sampled)
            judged.append(self._publish("verify", inputs, {}, {"verdicts": _verdicts(rows["completion_id"], is_correct)}))
            ids.append(rows.select(["completion_id", "problem_id"]))
            correct.append(is_correct)
        inputs = {"problems": references, "completions": [p.digest for p in written], "verdicts": [p.digest for p in judged]}
        kept = self._publish("filter", inputs, {}, _filtered(draw, pa.concat_tables(ids), np.concatenate(correct)))
        start = {"start": identity["policy"]}
        trained = self._publish("train", {"examples": [kept.digest]}, start, _model_files(number), seed=number)
        for path, verb, made in (("sample", "sample", written), ("verify", "verify", judged), ("filter", "filter", [kept])):
            _note(record, f"main/{path}", verb, made)
        _note(record, "main/train", "train", [trained])
        record.made["policy"] = trained.digest
        folder.write_round(record)
        return trained.digest

    def _publish(
        self,
        kind: str,
        inputs: Mapping[str, list[str]],
        playing: Mapping[str, Any],
        files: Mapping[str, Any],
        seed: int = 7,
        window: int = 0,
    ) -> Publication:
        contents = {name: [self._store.content(reference) for reference in references] for name, references in inputs.items()}
        made = {**self._made_of[kind], "inputs": contents, "models": dict(playing), "seed": seed}
        if window:
            made["settings"] = {**made["settings"], "window": window}
        with self._store.workspace() as out:
            for name, content in files.items():
                _write(out / name, content)
            return self._store.publish(out, keys.key_of(made), made, tables.rows_in(out), {})


def _common(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What all jobs of a kind have in common, the real code among it, so that records have their real size."""
    dumped = {name: _dumped(value) for name, value in settings.items()}
    return keys.ingredients_of(kind, dumped, {}, {}, 0)


def _dumped(value: Any) -> Any:
    if isinstance(value, list):
        return [_dumped(one) for one in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    else:
        tables.write(content, records.TABLES[path.name], path.with_suffix(".parquet"))


def _model_files(number: int) -> dict[str, str]:
    return {"model.safetensors": f"weights {number}", "config.json": '{"eos_token_id": 1}', "tokenizer_config.json": "{}"}


def _note(record: RoundRecord, path: str, verb: str, made: list[Publication]) -> None:
    jobs = [{"label": path, "key": p.key, "version": p.version, "digest": p.digest, "reused": False} for p in made]
    record.stages[path] = {"verb": verb, "jobs": jobs, "made": {}, "read": {}}


def _problems(draw: np.random.Generator, n: int) -> pa.Table:
    ids = hexes(draw, n)
    texts = pc.binary_join_element_wise(pc.cast(pa.array(draw.integers(1, 100, n)), pa.string()), "5", "8>45:", ",")
    part = pa.StructArray.from_arrays([_same("text", n), texts, pa.nulls(n, pa.string())], ["type", "text", "sha256"])
    message = pa.StructArray.from_arrays([_same("user", n), _lists(part, 1)], ["role", "parts"])
    fixed = {"task": _same("countdown", n), "source": _same("generated", n), "born_round": _same(0, n)}
    return pa.table({"problem_id": ids, "prompt": _lists(message, 1), **fixed}).sort_by("problem_id")


def _completions(draw: np.random.Generator, problems: pa.ChunkedArray, model: str) -> pa.Table:
    owner = problems.take(np.repeat(np.arange(len(problems)), PER_PROBLEM))
    n = len(owner)
    fixed = {"turn": 0, "step": 0, "role": "policy", "model_id": model, "ids_source": "engine", "finish_reason": "stop"}
    fixed |= {"temperature": 1.0, "top_p": 1.0}
    return pa.table(
        {
            "completion_id": hexes(draw, n),
            "problem_id": owner,
            "group_id": owner,
            "prompt_ids": _lists(pa.array(draw.integers(0, 20, n * PROMPT, dtype=np.int32)), PROMPT),
            "completion_ids": _lists(pa.array(draw.integers(0, 20, n * TOKENS, dtype=np.int32)), TOKENS),
            "text": pc.binary_join_element_wise("8+1=9;", pc.cast(pa.array(draw.integers(0, 10_000, n)), pa.string()), ""),
            "logprobs": _lists(pa.array(-draw.random(n * TOKENS, dtype=np.float32)), TOKENS),
            "seed": pa.array(draw.integers(2**63, size=n, dtype=np.uint64)),
            "sample_index": pa.array(np.tile(np.arange(PER_PROBLEM, dtype=np.int32), len(problems))),
            **{name: _same(value, n) for name, value in fixed.items()},
        }
    )


def _verdicts(completions: pa.ChunkedArray, is_correct: NDArray[np.bool_]) -> pa.Table:
    n = len(completions)
    outcome = pc.if_else(pa.array(is_correct), "correct", "wrong")
    fixed = {"verifier": _same("answer", n), "reason": _same("compared exactly", n), "n_tokens": _same(0, n)}
    return pa.table({"completion_id": completions, "outcome": outcome, **fixed})


def _filtered(draw: np.random.Generator, rows: pa.Table, is_correct: NDArray[np.bool_]) -> dict[str, pa.Table]:
    is_kept = is_correct & (draw.random(rows.num_rows) < KEPT)
    kept, rest = rows.filter(pa.array(is_kept)), rows.filter(pa.array(~is_kept))
    n, names = kept.num_rows, hexes(draw, kept.num_rows)
    ids = _lists(pa.array(draw.integers(0, 20, n * (PROMPT + TOKENS), dtype=np.int32)), PROMPT + TOKENS)
    examples = {"example_id": names, "problem_id": kept["problem_id"], "input_ids": ids, "labels": ids, "weight": _same(1.0, n)}
    reason = pc.if_else(pa.array(is_correct[~is_kept]), "over the cap of its problem", "wrong")
    named = pc.if_else(pa.array(is_correct[~is_kept]), "CapPerProblem", "KeepCorrect")
    return {
        "examples_sft": pa.table(examples),
        "example_sources": pa.table({"example_id": names, "completion_id": kept["completion_id"], "part": _same("whole", n)}),
        "dropped": pa.table({"unit": _same("completion", rest.num_rows), "id": rest["completion_id"], "filter": named, "reason": reason}),
    }


def hexes(draw: np.random.Generator, n: int) -> pa.Array:
    """n random ids of 32 hex digits."""
    data = _HEX[np.frombuffer(draw.bytes(16 * n), dtype=np.uint8)].tobytes()
    offsets = np.arange(0, 32 * n + 1, 32, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), n, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _same(value: Any, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), n)


def _lists(values: pa.Array, each: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(values) + 1, each, dtype=np.int32)), values)
