"""What `roundhouse verify` does: judge a file of recorded completions, and say how far that agrees with the file's labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from flows import terminal
from flows.asking import pairs
from flows.running import running
from lib import home as homes
from lib import records, tables
from lib.casting import parts
from lib.errors import UnknownName, UserError
from lib.files import read_json, write_json
from lib.home import Home
from lib.job import Job, Label, Result
from lib.opening import OF_PROBLEMS
from lib.plan import Ground
from lib.problems.files import FileProblems
from lib.problems.named import named as problem_set
from lib.recipe import Phase, Stage
from lib.recordings import report
from lib.recordings.columns import Columns
from lib.recordings.judges import judges
from lib.recordings.recordings import Recordings
from lib.recordings.report import Judged
from lib.records import TableSpec
from lib.report.words import count
from lib.stages.recordings import NOTES
from lib.store import Store
from lib.strategy import Strategy
from lib.verifiers.answer import Answer
from lib.verifiers.code import Code

SHOWN = 20
"""Rows of a list on the screen; `--json` and `--out` have all of them."""

SOLE_ROUND = 0
"""The round of jobs that belong to no campaign."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `verify` as they were typed."""

    completions: str
    problems: str | None = None
    verifiers: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    out: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What is to be judged, on what problems, by whom."""

    recordings: Recordings
    source: Strategy | None
    verifiers: tuple[Strategy, ...]

    @property
    def file(self) -> Path:
        return Path(self.recordings.path)


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Where the results stand in the store."""

    recordings: str
    shards: tuple[str, ...]
    verdicts: tuple[str, ...]


def verify(asked: Asked, as_json: bool) -> None:
    """Judge the completions, then print counts, agreement and disagreements."""
    home = homes.current()
    verification = checked(asked)
    with running(home), terminal.bars(quiet=as_json) as bars:
        made = _run(verification, home, lambda label, done, total: bars.set("verify", *_place(label, done, total)))
    store = Store(home.store)
    judged = _judged(store, made)
    found = _report(judged, read_json(store.folder(made.recordings) / NOTES), verification.file.name, made)
    if asked.out is not None:
        _write(Path(asked.out).expanduser(), judged, found)
    if as_json:
        terminal.print_json(found)
    else:
        _show(found, verification.file.name)


def checked(asked: Asked) -> Verification:
    """What was asked, resolved. Raises UserError for a file, set, verifier, setting or column that does not exist."""
    file = str(Path(asked.completions).expanduser().resolve())
    recordings = Recordings(path=file, columns=_columns(asked.columns))
    usual: Strategy = Code() if recordings.brings_tests() else Answer()
    settings = pairs(asked.settings)
    of_set = {path.removeprefix(OF_PROBLEMS): value for path, value in settings.items() if path.startswith(OF_PROBLEMS)}
    if of_set and asked.problems is None:
        raise UserError(f"--set {OF_PROBLEMS}{next(iter(of_set))} changes a problem set, and none is named; give one with --problems")
    source: Any = problem_set(asked.problems, of_set) if asked.problems is not None else None
    if source is not None and not isinstance(source, FileProblems):
        raise UserError(f"problem set '{asked.problems}' is generated and has no fixed problems; give one that comes in files, NAME:PATH")
    own = source.verifiers() if source is not None else (usual,)
    verifiers = judges(asked.verifiers, own, {path: value for path, value in settings.items() if not path.startswith(OF_PROBLEMS)})
    if asking := next((type(verifier).__name__ for verifier in verifiers if parts([verifier])), None):
        raise UserError(f"verifier '{asking}' asks a model, and recorded completions bring none; use it in a recipe")
    return Verification(recordings, source, verifiers)


def _columns(words: list[str]) -> Columns:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, column = word.partition("=")
        if not equals or not column:
            raise UserError(f"--column {word}: write it as FIELD=COLUMN, for instance text=response")
        if name not in Columns.model_fields:
            raise UnknownName("field", name, Columns.model_fields, f"for --column {word}")
        values[name] = (*values.get(name, ()), column) if name in ("label", "score") else column
    try:
        return Columns.model_validate(values)
    except ValidationError as error:
        raise UserError(f"--column: {error.errors()[0]['msg']}") from None


def _run(verification: Verification, home: Home, notice: Any) -> Artifacts:
    from prefect import flow

    from tasks.publish import publish
    from tasks.verify import verify as verify_stage
    from tasks.workshop import Workshop

    at = Label("verify", SOLE_ROUND, "", "")
    settings = {"recordings": verification.recordings.model_dump(mode="json"), "source": _dumped(verification.source)}
    stage = Stage(verb="verify", run=verification.verifiers, undecided_limit=1.0)  # here the share is told, not refused

    @flow(name="verify", flow_run_name=f"verify {verification.file.name}")
    def judge() -> Artifacts:
        recorded = publish(shop, Job("recordings", Label("verify", SOLE_ROUND, "verify", "read"), settings))
        shards = tuple(shop.shards_of(recorded.digest))
        ground = Ground(at, 0, {}, shards, (), {}, {}, {})
        given = Result({"problems": shards, "completions": shards})
        verdicts = verify_stage(Phase(name="verify", stages=(stage,)), stage, given, ground, shop)
        return Artifacts(recorded.digest, shards, verdicts.result.made["verdicts"])

    with Workshop.opened(home, notice=notice) as shop:
        return judge()


def _dumped(source: Strategy | None) -> dict[str, Any] | None:
    return source.model_dump(mode="json") if source is not None else None


def _place(label: Label, done: int, total: int) -> tuple[str, float]:
    return label.stage_path, (label.shard + done / max(total, 1)) / label.shards


def _judged(store: Store, made: Artifacts) -> Judged:
    def table(references: tuple[str, ...], spec: TableSpec) -> pa.Table:
        return tables.read([store.folder(reference) / f"{spec.name}.parquet" for reference in references], spec)

    return Judged(
        table(made.shards, records.PROBLEMS),
        table(made.shards, records.COMPLETIONS),
        table(made.shards, records.VERDICTS),
        table(made.verdicts, records.VERDICTS),
    )


def _report(judged: Judged, notes: Mapping[str, Any], file: str, made: Artifacts) -> dict[str, Any]:
    matrices = report.with_labels(judged)
    return {
        "completions": judged.completions.num_rows,
        "problems": judged.problems.num_rows,
        "judged_by_own_tests": notes["by_own_tests"],
        "left_out": [{"file": file, **dict(zip(("where", "field", "why"), fault, strict=True))} for fault in notes["faults"]],
        "verifiers": report.counts(judged),
        "reasons": report.reasons(judged),
        "agreement": [report.matrix_row(matrix) for matrix in matrices],
        "parts": [row for matrix in matrices if (row := report.parts(judged, matrix)) is not None],
        "disagreements": [row for matrix in matrices for row in report.disagreements(judged, matrix)],
        "between_verifiers": [report.matrix_row(matrix) for matrix in report.between_verifiers(judged)],
        "artifacts": {"recordings": made.recordings, "verdicts": list(made.verdicts)},
    }


def _write(folder: Path, judged: Judged, found: Mapping[str, Any]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    named = {"problems": (judged.problems, records.PROBLEMS), "completions": (judged.completions, records.COMPLETIONS)}
    named |= {"labels": (judged.labels, records.VERDICTS), "verdicts": (judged.verdicts, records.VERDICTS)}
    for name, (table, spec) in named.items():
        tables.write(table, spec, folder / f"{name}.parquet")
    write_json(folder / "report.json", dict(found))


def _show(found: Mapping[str, Any], file: str) -> None:
    _say(f"{file}: {count(found['completions'], 'completion')} of {count(found['problems'], 'problem')}")
    if found["judged_by_own_tests"]:
        _say(f"{found['judged_by_own_tests']} of them were asked in other words than the set's and are judged by the tests that they bring")
    _list(found["left_out"], f"rows left out: {len(found['left_out'])}")
    _list(found["verifiers"], "verdicts")
    _list(found["reasons"], "reasons")
    for row in found["agreement"]:
        _list(row["matrix"], f"{row['second']} against the label {row['first']}: agreed {row['agreed']} of {row['of']}")
    _list([_quality(row) for row in found["agreement"]], "with the label as the truth, and 95 % intervals")
    _list(found["parts"], "parts of completions")
    models = {row["model"] for row in found["disagreements"]}
    _list([_disagreement(row, len(models) > 1) for row in found["disagreements"]], "disagreements with the labels")
    for row in found["between_verifiers"]:
        _list(row["matrix"], f"{row['second']} against {row['first']}: agreed {row['agreed']} of {row['of']}")
    made, verdicts = found["artifacts"]["recordings"], found["artifacts"]["verdicts"]
    more = f" and {len(verdicts) - 1} more" if len(verdicts) > 1 else ""
    _say(f"\nin the store: recordings {made[:12]}, verdicts {verdicts[0][:12]}{more}")


def _quality(row: Mapping[str, Any]) -> dict[str, Any]:
    def told(share: Mapping[str, Any]) -> str:
        return "" if share["value"] is None else f"{share['value']:.4f} ({share['low']:.3f}-{share['high']:.3f})"

    return {"label": row["first"], "verifier": row["second"], "precision": told(row["precision"]), "recall": told(row["recall"])}


def _disagreement(row: Mapping[str, Any], has_model: bool) -> dict[str, Any]:
    names = ("problem", "sample", *(("model",) if has_model else ()), "label", "verifier", "outcome", "reason")
    return {name: row[name] for name in names}


def _list(rows: list[dict[str, Any]], title: str) -> None:
    """A heading with the number of rows, where there are too many to show, and the first of them."""
    if rows:
        _say(f"\n{title}" + (f": the first {SHOWN} of {len(rows)}" if len(rows) > SHOWN else ""))
        terminal.show(rows[:SHOWN], "", as_json=False)


def _say(line: str) -> None:
    terminal.console.print(line, markup=False, soft_wrap=True)
