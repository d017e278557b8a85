"""What a sampler has made before and need not make again, where only its number of samples or its token limit changed.

Sample i of a problem is drawn from the stream (stage seed, problem, i), whatever the number of samples and the limit are.
So of what was sampled under other ones

    a completion that stopped within the limit      stands as it is
    one that an old, lower limit cut off            is continued from there in its own stream, not begun again: where an
                                                    engine would not draw it the same twice (a server, an accelerator),
                                                    drawing again only those that were long would favour the short
    one that is longer than a new, lower limit      is cut to it where its row tells all figures of the shorter one; where
                                                    not (the mean entropy), it is drawn again if it comes out the same
    an error                                        is always asked again

and the table that comes out is the one that a fresh run makes: the same rows, ids and texts, and log-probabilities up to
the rounding of a sum that was added up in another batch (a token whose draw falls within that rounding may differ). With
an engine that draws otherwise each time it is a table that a fresh run might have made.

Nothing stands where neither continuing nor drawing the same again is possible: under another limit, with tokens made from
a server's text, or with stop strings on a server or an accelerator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.protocols import Earlier, Engine, Sampled
from lib.strategy import load

DECIDING = ["sample_index", "finish_reason", "ids_source", "completion_ids", "entropy_mean"]
"""The columns by which it is decided what stands."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What of one publication need not be made again."""

    name: str
    rows: pa.Table
    """Completions that stand."""
    begun: pa.Table
    """Completions to be continued."""


def standing(earlier: Sequence[Earlier], settings: Mapping[str, Any], device: str, columns: list[str] | None = None) -> list[Standing]:
    """What stands of each publication under a job's settings, the first having the word on every sample that it has."""
    sampler = settings["sampler"]
    found: list[Standing] = []
    covered = 0
    for one in earlier:
        table = pq.read_table(one.folder / "completions.parquet", columns=columns).replace_schema_metadata(None)
        indices = table["sample_index"]
        table = table.filter(pc.and_(pc.greater_equal(indices, covered), pc.less(indices, sampler["n"])))
        rows, begun = _parted(table, one.max_new_tokens, sampler["max_new_tokens"], _engine(settings), device)
        if rows.num_rows or begun.num_rows:
            found.append(Standing(one.name, rows, begun))
            covered = max(covered, one.n)
    return found


def _engine(settings: Mapping[str, Any]) -> Any:
    return load(settings.get("engines", {}).get(settings["sampler"].get("role", "policy"), settings.get("engine")))


def _parted(table: pa.Table, then: int, limit: int, engine: Any, device: str) -> tuple[pa.Table, pa.Table]:
    """Rows made under the limit `then` that stand under another, and those to be continued.

    What engine and column tell decides, not what single rows say: keeping rows by their length would bend the law.
    """
    rows, none = table.filter(pc.not_equal(table["finish_reason"], "error")), table.slice(0, 0)
    if then == limit:
        return rows, none
    if rows.num_rows == 0 or not pc.all(pc.equal(rows["ids_source"], "engine")).as_py():
        return none, none
    lengths, stops = pc.list_value_length(rows["completion_ids"]), getattr(engine, "stop", ())
    if then < limit:  # a server's own limit, the model's positions, may have cut one off before
        other = pc.and_(pc.equal(rows["finish_reason"], "length"), pc.equal(lengths, then))
        if getattr(engine, "continues", False) and not stops:
            return rows.filter(pc.invert(other)), rows.filter(other)
    else:
        other = pc.greater(lengths, limit)
        if rows["entropy_mean"].null_count == rows.num_rows and not stops:
            return rows, none
    if getattr(engine, "reproducible", True) and device == "cpu":
        return rows.filter(pc.invert(other)), none
    return none, none


Stream = tuple[str, int, str | None, int]
"""A completion's problem, turn, parent and seed."""


def by_stream(table: pa.Table) -> dict[Stream, Sampled]:
    """Each row of a table as an engine returned it."""
    return {(row["problem_id"], row["turn"], row["parent_id"], row["seed"]): _as_sampled(row) for row in table.to_pylist()}


def _as_sampled(row: Mapping[str, Any]) -> Sampled:
    figures = (row["logprobs"], row["logprobs_at_1"], row["entropy_mean"])
    return Sampled(row["completion_ids"], *figures, row["finish_reason"], row["ids_source"], row["text"])


def shortened(sampled: Sampled, limit: int) -> Sampled:
    """A completion under a lower limit; itself where that does not reach it."""
    if sampled.ids_source != "engine" or len(sampled.ids) <= limit:
        return sampled
    at_1 = sampled.logprobs_at_1
    return Sampled(sampled.ids[:limit], sampled.logprobs[:limit], None if at_1 is None else at_1[:limit], None, "length")


def joined(begun: Sampled, more: Sampled, engine: Engine) -> Sampled:
    """A completion of the tokens that were there and those that continue it."""
    if more.finish_reason == "error":
        return more
    if more.ids_source == "retokenised":
        text = (begun.text or "") + (more.text or "")
        ids = engine.encode(text)
        return replace(more, ids=ids if more.finish_reason == "stop" else ids[:-1], text=text)
    count = len(begun.ids) + len(more.ids)
    at_1 = [*(begun.logprobs_at_1 or ()), *(more.logprobs_at_1 or ())]
    logprobs = [*begun.logprobs, *more.logprobs]
    entropy = None
    if begun.entropy_mean is not None and more.entropy_mean is not None:
        entropy = (begun.entropy_mean * len(begun.ids) + more.entropy_mean * len(more.ids)) / count
    told = (logprobs if len(logprobs) == count else [], at_1 if len(at_1) == count else None, entropy)
    return Sampled([*begun.ids, *more.ids], *told, more.finish_reason)


def account(completions: pa.Table, found: Sequence[Standing]) -> dict[str, Any]:
    """How many completions and tokens of a table were really drawn, and which publications the others are from."""
    old: dict[Stream, tuple[str, list[int]]] = {}
    for one in found:
        old |= {stream: (one.name, sampled.ids) for stream, sampled in (by_stream(one.rows) | by_stream(one.begun)).items()}
    kept: dict[str, int] = {}
    tokens = 0
    for stream, sampled in by_stream(completions).items():
        name, ids = old.get(stream, ("", []))
        length = min(len(ids), len(sampled.ids))
        spared = length if sampled.ids[:length] == ids[:length] else 0
        tokens += len(sampled.ids) - spared
        if name and spared == len(sampled.ids) and sampled.finish_reason != "error":
            kept[name] = kept.get(name, 0) + 1
    stood = sum(kept.values())
    return {"tokens_sampled": tokens, "kept": stood, "drawn": completions.num_rows - stood, "kept_from": kept}
