"""Small tables for tests of the filter stage, and the stage run over them."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lib import records, tables
from lib.protocols import Machine, Work
from lib.stages import filter as stage


def problem(name, text="1,2>3:", **fields):
    return {
        "problem_id": name,
        "task": "t",
        "prompt": records.user_message(text),
        "source": "given",
        "born_round": 0,
        **fields,
    }


def completion(name, problem_id="p", **fields):
    ids = fields.get("completion_ids", [7, 8])
    return {
        "completion_id": name,
        "problem_id": problem_id,
        "group_id": f"g-{problem_id}",
        "turn": 0,
        "step": 0,
        "role": "policy",
        "model_id": "m",
        "prompt_ids": [1, 2],
        "completion_ids": ids,
        "ids_source": "engine",
        "text": f"text of {name}",
        "logprobs": [-0.5] * len(ids),
        "finish_reason": "stop",
        "temperature": 1.0,
        "top_p": 1.0,
        "seed": 2**64 - 1,
        "sample_index": 0,
        **fields,
    }


def verdict(name, outcome="correct", verifier="v", **fields):
    return {"completion_id": name, "verifier": verifier, "reason": "", "n_tokens": 0, "outcome": outcome, **fields}


def node(name, parent=None, depth=1, tokens=1, visits=1, value=0.5, **fields):
    known = {"total_value": visits * (value or 0.0), "terminal": False}
    return {"completion_id": name, "parent": parent, "depth": depth, "tokens": tokens, "visits": visits, "value": value, **known, **fields}


def token_scores(name, values, model="m"):
    return {"completion_id": name, "model_id": model, "logprobs": values}


@dataclass
class Filtered:
    out: Path
    stats: dict

    def rows(self, name):
        path = self.out / f"{name}.parquet"
        return tables.read(path, tables.spec_of(path)).to_pylist()

    @property
    def dropped(self):
        return {row["id"]: row["reason"] for row in self.rows("dropped")}

    @property
    def sources(self):
        return {(row["completion_id"], row["part"]) for row in self.rows("example_sources")}

    @property
    def kept(self):
        return {name for name, part in self.sources if part != "prompt"}


def work(folder, filters, completions, verdicts=(), problems=(), held_out=(), token_scores=(), nodes=(), seed=5, parts=1):
    """A Work over tables written into artifact folders, each table cut into `parts` of them."""
    given = {
        "problems": (records.PROBLEMS, problems),
        "completions": (records.COMPLETIONS, completions),
        "verdicts": (records.VERDICTS, verdicts),
        "held_out": (records.PROBLEMS, held_out),
        "token_scores": (records.TOKEN_SCORES, token_scores),
        "nodes": (records.NODES, nodes),
    }
    inputs = {}
    for name, (spec, rows) in given.items():
        inputs[name] = []
        for part in range(parts if rows else 0):
            artifact = Path(folder) / f"{name}-{part}"
            artifact.mkdir(parents=True, exist_ok=True)
            table = rows if isinstance(rows, pa.Table) else spec.table(list(rows)[part::parts])
            tables.write(table, spec, artifact / f"{spec.name}.parquet")
            inputs[name].append(artifact)
    settings = {"filters": [member.model_dump(mode="json") for member in filters]}
    return Work(settings, inputs, {}, seed, Machine())


def filtered(folder, filters, completions, verdicts=(), **given):
    """The stage's result over these rows."""
    out = Path(folder) / "out"
    out.mkdir(parents=True)
    return Filtered(out, stage.run(work(folder, filters, completions, verdicts, **given), out))
