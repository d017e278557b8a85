"""The verify stage, one shard of it: completions to verdicts, and how far the verifiers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib import agreement_counts, records, tables
from lib.errors import BrokenConservation, UserError
from lib.protocols import Engine, Report, Tables, TokenScorer, Verifier, Work
from lib.rivals import together
from lib.stages.apart import judged_apart
from lib.stages.engines import open_engines
from lib.stages.reading import tables_of
from lib.strategy import load

Made = tuple[pa.Table, pa.Table]
"""Verdicts, and token scores where the verifier has some."""

PARTS = 1000
"""Steps of progress that a verifier's work is told in."""


def run(work: Work, out: Path) -> dict[str, Any]:
    """Write verdicts.parquet, and token_scores.parquet where a verifier has some; an undecided verdict gets one more try.

    Rivals, where an evaluator has some, are judged with the completions and share their groups (lib.rivals).
    A completion at which a verifier raises is undecided too, whatever it raises (lib.stages.apart).
    Raises BrokenConservation if a verifier made another number of verdicts than it owes. With several verifiers the stats
    hold their confusion matrices, as counts that may be added over shards (lib.agreement_counts).
    """
    given = tables_of(work)
    given = replace(given, completions=together(given.completions, given.rivals), seed=work.seed, report=work.machine.report)
    engines = open_engines(work.settings, work.models, work.machine)
    verifiers = [load(settings) for settings in work.settings["verifiers"]]
    verdicts, scores = verdicts_of(verifiers, given, engines)
    tables.write(verdicts, records.VERDICTS, out / "verdicts.parquet")
    if any(isinstance(verifier, TokenScorer) for verifier in verifiers):
        tables.write(scores, records.TOKEN_SCORES, out / "token_scores.parquet")
    outcomes = Counter(str(outcome) for outcome in verdicts["outcome"].to_pylist() if outcome)
    written = {"tokens_sampled": tokens} if (tokens := tokens_written(verdicts)) else {}
    return {"outcomes": dict(sorted(outcomes.items())), **written, **agreement_counts.counts(verdicts, _gold(work.settings, verifiers))}


def tokens_written(verdicts: pa.Table) -> int:
    """How many tokens judges wrote; other verifiers' counts are of tokens that they read."""
    return int(pc.sum(verdicts.filter(pc.is_valid(verdicts["raw_text"]))["n_tokens"]).as_py() or 0)


def verdicts_of(verifiers: Sequence[Verifier], given: Tables, engines: Mapping[str, Engine]) -> Made:
    """What each verifier says, one after the other and the undecided twice; told to the report of `given`."""
    made: list[Made] = []
    for place, verifier in enumerate(verifiers):
        telling = replace(given, report=_part_of(given.report, place, len(verifiers)))
        telling.report(0, 1)
        first = _judged(verifier, telling, engines)
        made.append(first if _looks_back(verifier) else _second_try(verifier, telling, first, engines))
    _refuse_same_names([verdicts for verdicts, _ in made])
    verdicts = pa.concat_tables([records.VERDICTS.empty(), *(verdicts for verdicts, _ in made)])
    return verdicts, _once(pa.concat_tables([records.TOKEN_SCORES.empty(), *(scores for _, scores in made)]))


def _judged(verifier: Verifier, given: Tables, engines: Mapping[str, Engine], *, again: bool = False) -> Made:
    if isinstance(verifier, TokenScorer):
        verdicts, scores = verifier.verify_tokens(given, engines)
    elif engines or _looks_back(verifier):
        verdicts, scores = verifier.verify(given, engines), records.TOKEN_SCORES.empty()
    else:

        def judge(part: Tables) -> pa.Table:
            return tables.conform(verifier.verify(part, engines), records.VERDICTS)

        verdicts = judged_apart(verifier, given, judge, again=again)
        scores = records.TOKEN_SCORES.empty()
    verdicts = tables.conform(verdicts, records.VERDICTS)
    owed = verifier.owes(given)
    if verdicts.num_rows != owed:
        raise BrokenConservation(f"{type(verifier).__name__} made {verdicts.num_rows} verdicts and owes {owed}")
    return verdicts, tables.conform(scores, records.TOKEN_SCORES)


def _looks_back(verifier: Verifier) -> bool:
    """Whether its verdicts rest on completions that it does not judge, so that it cannot be asked about some by themselves."""
    return bool(getattr(verifier, "looks_back", False))


def _second_try(verifier: Verifier, given: Tables, first: Made, engines: Mapping[str, Engine]) -> Made:
    """The verdicts with the undecided judged anew, whole groups where the verifier looks at groups."""
    verdicts, scores = first
    undecided = verdicts.filter(pc.equal(verdicts["outcome"], "undecided"))["completion_id"]
    if not len(undecided):
        return first
    column = "group_id" if getattr(verifier, "unit", "completion") == "group" else "completion_id"
    theirs = given.completions.filter(_among(given.completions["completion_id"], undecided))[column]
    part = given.completions.filter(_among(given.completions[column], theirs))
    again, scores_again = _judged(verifier, replace(given, completions=part, seed=given.seed + 1), engines, again=True)
    ids = part["completion_id"]
    kept = verdicts.filter(pc.invert(_among(verdicts["completion_id"], ids)))
    scores_kept = scores.filter(pc.invert(_among(scores["completion_id"], ids)))
    return pa.concat_tables([kept, again]), pa.concat_tables([scores_kept, scores_again])


def _among(values: pa.ChunkedArray, wanted: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(values, wanted.combine_chunks())


def _once(scores: pa.Table) -> pa.Table:
    """One row for every completion and model, though two verifiers measured with that model."""
    columns = (scores[name].to_pylist() for name in ("completion_id", "model_id"))
    first = dict(zip(reversed([*zip(*columns, strict=True)]), reversed(range(scores.num_rows)), strict=True))
    return scores.take(pa.array(sorted(first.values()), pa.int64()))


def _refuse_same_names(made: Sequence[pa.Table]) -> None:
    """Two verifiers of one name would overwrite each other wherever verdicts are looked up by it."""
    names = Counter(name for verdicts in made for name in pc.unique(verdicts["verifier"]).to_pylist())
    for name, count in names.items():
        if count > 1:
            raise UserError(f"{count} verifiers of this stage are named '{name}'; give one of them another name")


def _gold(settings: Mapping[str, Any], verifiers: Sequence[Any]) -> str:
    """The verifier that others are measured by: the stage's own choice, or the first that knows the gold answer."""
    return str(settings.get("gold") or next((v.name for v in verifiers if getattr(v, "knows_gold", False)), ""))


def _part_of(report: Report, place: int, whole: int) -> Report:
    """A report of one verifier's work as a part of the stage's."""
    return lambda done, total: report(place * PARTS + (PARTS * done // total if total else PARTS), whole * PARTS)
