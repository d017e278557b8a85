"""No held-out problem was ever trained on: by its id, by what it asks, and by the very tokens of its prompt.

Looked at is every example that any training of the campaign read, in all rounds and before them. Two prompts ask the same if
their texts are the same up to case, Unicode form, white space and the last full stop, colon or question mark, as
lib.filters.decontaminate has it. The tokens compared are those before the first one that carries loss.

Not covered: the tokens of step examples, which carry no labels; near copies and paraphrases, which the guard of each filter
stage looks for; what models learned before they came here.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lib.audit.reach import Reach
from lib.audit.report import Report, short
from lib.contract import SIDES
from lib.db import Rows
from lib.ledger import text
from lib.records import EXAMPLES, IGNORED

SHOWN = 20
"""Held-out problems of one table of examples that are named; the others are counted."""

_ASKED = r"""
SELECT problem_id, md5(text) AS text FROM (
    SELECT problem_id, regexp_replace(plain(array_to_string(list_transform(list_filter(prompt, lambda message: message.role = 'user'),
        lambda message: array_to_string(list_transform(message.parts,
            lambda part: coalesce(part.text, '') || coalesce(part.sha256, '')), '')), ' ')), '[ .:?]+$', '') AS text
    FROM {table}) WHERE text <> ''
"""

_FOUND = """
SELECT f.artifact, f.held_id, min(h.artifact) AS held, string_agg(DISTINCT how, ', ' ORDER BY how) AS how,
    count(DISTINCT example_id) AS n, min(example_id) AS first
FROM found AS f LEFT JOIN held AS h ON h.problem_id = f.held_id GROUP BY ALL ORDER BY f.artifact, f.held_id
"""


def check(reach: Reach, report: Report) -> None:
    """Compare every example with every held-out problem, in one database that spills to the disk."""
    held = _held_out(reach)
    held_files = [path for content in held for path in reach.files(content, "problems")]
    files = {
        "held_out": held_files,
        "problems": sorted({*_problem_files(reach)} - {*held_files}),
        "asked": [path for digest in _asked_of(held, reach) for path in reach.files(digest, "completions")],
        **{spec.name: [path for digest in _learned(reach) for path in reach.files(digest, spec.name)] for spec in EXAMPLES.values()},
    }
    artifact = f"substr(filename, {len(str(reach.store.root / 'artifacts')) + len('/ab/') + 1}, 64) AS artifact"
    with tempfile.TemporaryDirectory() as spill, Rows(files, 0, Path(spill), threads=os.cpu_count() or 1) as rows:
        report.counts["held_out_problems"] += rows.count("SELECT count(DISTINCT problem_id) FROM held_out")
        if held_files:
            rows.hold("held", f"SELECT DISTINCT problem_id, {artifact} FROM {_read(held_files)}")
            _find(rows, files, artifact)
            _tell(rows, reach, report)


def _held_out(reach: Reach) -> list[str]:
    """The content of every held-out set of problems that was measured on or guarded against."""
    guarded = [*reach.of_kind("filter"), *reach.online()]
    read = [made.ingredients["inputs"].get("held_out", []) for _, made in guarded]
    for told in reach.records:
        for stage, noted in told.record.stages.items():
            if stage.startswith("evaluate/"):
                refs = noted["read"].get("problems", [])
                read.append([reach.store.content(ref) for ref in refs if ref.partition("/")[0] not in reach.damaged])
    return sorted({content for contents in read for content in contents})


def _problem_files(reach: Reach) -> Iterator[Path]:
    for kind in ("problems", "filter"):  # a filter stage may make problems too
        for _, made in reach.of_kind(kind):
            if made.digest not in reach.damaged:
                yield from reach.store.folder(made.digest).rglob("problems.parquet")


def _asked_of(held: list[str], reach: Reach) -> list[str]:
    """The completions whose prompts are those of held-out problems, as the models were asked them."""
    return sorted({made.digest for _, made in reach.of_kind("sample") if {*made.ingredients["inputs"].get("problems", [])} & {*held}})


def _learned(reach: Reach) -> list[str]:
    read = [made.ingredients["inputs"].get(name, []) for _, made in reach.of_kind("train") for name in ("examples", "replay")]
    own = [made.digest for _, made in reach.online() if made.digest not in reach.damaged]
    return sorted({*own, *(content for contents in read for content in contents)})


def _find(rows: Rows, files: dict[str, list[Path]], artifact: str) -> None:
    """Keep as `found` every example that is of a held-out problem: artifact, example_id, held_id, how."""
    rows.hold("held_asks", _ASKED.format(table="held_out"))
    rows.hold("asks", _ASKED.format(table="problems"))
    prompts = _read(files["asked"]) if files["asked"] else "all_completions"
    rows.hold("held_prompts", f"SELECT DISTINCT problem_id, prompt_ids FROM {prompts}")
    rows.hold("found", "SELECT '' AS artifact, '' AS example_id, '' AS held_id, '' AS how WHERE false")
    for spec in EXAMPLES.values():
        if not files[spec.name]:
            continue
        learned = f"(SELECT {artifact}, example_id, problem_id FROM {_read(files[spec.name])})"
        same = f"SELECT artifact, example_id, problem_id, 'by its id' FROM {learned} SEMI JOIN held_out USING (problem_id)"
        asks = f"{learned} JOIN asks USING (problem_id) JOIN held_asks USING (text)"
        parts = ["SELECT * FROM found", same, f"SELECT artifact, example_id, held_asks.problem_id, 'by what it asks' FROM {asks}"]
        sides = [side for side in SIDES if {*side} <= {*spec.schema.names}]
        parts += [_by_tokens(files[spec.name], *side, artifact) for side in sides]
        rows.hold("found", " UNION ALL ".join(parts))


def _by_tokens(paths: list[Path], ids: str, labels: str, artifact: str) -> str:
    return f"""
    SELECT artifact, example_id, held_prompts.problem_id, 'by the tokens of its prompt' FROM (
        SELECT artifact, example_id, CASE WHEN begins > 1 THEN list_slice(ids, 1, begins - 1) END AS prompt_ids FROM (
            SELECT {artifact}, example_id, {ids} AS ids,
                list_position(list_transform({labels}, lambda label: label <> {IGNORED}), true) AS begins
            FROM {_read(paths)})) JOIN held_prompts USING (prompt_ids)"""


def _read(paths: list[Path]) -> str:
    return f"read_parquet([{', '.join(map(text, paths))}], filename = true)"


def _tell(rows: Rows, reach: Reach, report: Report) -> None:
    told: Counter[str] = Counter()
    for artifact, held_id, held, how, n, first in rows.sql(_FOUND).fetchall():
        told[artifact] += 1
        if told[artifact] <= SHOWN:
            found = f"{n} of problem {held_id} of the {reach.artifacts.get(held, 'held-out problems')}, met {how} (the first: {first})"
            report.add("held_out", _name(artifact, reach), "none of a held-out problem", found, _remedy(artifact, reach))
    for artifact, count in told.items():
        if count > SHOWN:
            more = f"{count - SHOWN} held-out problems more"
            report.add("held_out", _name(artifact, reach), "none of a held-out problem", more, _remedy(artifact, reach))


def _name(artifact: str, reach: Reach) -> str:
    return f"examples of {reach.artifacts.get(artifact, short(artifact))}"


def _remedy(artifact: str, reach: Reach) -> str:
    if artifact not in {done.digest for done in reach.jobs}:  # what a model was trained on before this campaign
        again = "begin another campaign, with a model that was not trained on them or with other problems"
    else:
        again = reach.remedies[artifact]
    return f"believe no figure of a model that learned from them; {again}"
