"""What verifying recorded completions found: counts, agreement with the labels, and every disagreement."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lib import agreement, records
from lib.agreement import Confusion
from lib.recordings.rows import RECORDED

Row = dict[str, Any]

_PARTICULAR = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|-?\d+(?:[.,/]\d+)*")


@dataclass(frozen=True, slots=True)
class Judged:
    """The tables of one verification: labels are the verdicts that the file brought, verdicts those of the verifiers."""

    problems: pa.Table
    completions: pa.Table
    labels: pa.Table
    verdicts: pa.Table


def counts(judged: Judged) -> list[Row]:
    """One row a verifier: how often it said what, the share undecided, and the mean score of what has one."""
    said = agreement.outcomes(judged.verdicts)
    scores: dict[str, list[float]] = {}
    for verifier, score in zip(judged.verdicts["verifier"].to_pylist(), judged.verdicts["score"].to_pylist(), strict=True):
        scores.setdefault(verifier, [])
        if score is not None:
            scores[verifier].append(score)
    rows = []
    for verifier, found in sorted(scores.items()):
        outcome = said.get(verifier, Counter[str]())
        share = outcome["undecided"] / outcome.total() if outcome else None
        mean = sum(found) / len(found) if found else None
        rows.append(
            {"verifier": verifier, **{name: outcome[name] for name in agreement.OUTCOMES}, "share undecided": share, "mean score": mean}
        )
    return rows


def reasons(judged: Judged) -> list[Row]:
    """How often each verifier gave which kind of reason (names, numbers and what follows a second colon left out), most first."""
    columns = (judged.verdicts[name].to_pylist() for name in ("verifier", "outcome", "reason"))
    found = Counter((verifier, outcome or "", _kind(reason)) for verifier, outcome, reason in zip(*columns, strict=True))
    rows = sorted(found.items(), key=lambda item: (item[0][0], item[0][1], -item[1], item[0][2]))
    return [{"verifier": verifier, "outcome": outcome, "reason": reason, "count": n} for (verifier, outcome, reason), n in rows]


def with_labels(judged: Judged) -> list[Confusion]:
    """Each label against each verifier; one that has a label's name among its own words is set against that one alone."""
    said = pa.concat_tables([judged.labels, judged.verdicts])
    labels = [judge for judge, found in agreement.outcomes(judged.labels).items() if found]
    verifiers = [judge for judge, found in agreement.outcomes(judged.verdicts).items() if found]
    pairs = [(label, verifier) for label in labels for verifier in verifiers]
    named = [(label, verifier) for label, verifier in pairs if _word_of(label) in re.split(r"[^A-Za-z0-9]+", verifier)]
    taken = {judge for pair in named for judge in pair}
    return [agreement.confusion(said, *pair) for pair in pairs if pair in named or not taken.intersection(pair)]


def between_verifiers(judged: Judged) -> list[Confusion]:
    """Every two verifiers."""
    return agreement.pairwise(judged.verdicts)


def parts(judged: Judged, matrix: Confusion) -> Row | None:
    """How many parts of the completions a label and a verifier call right, where the label has parts; a verifier's score is
    then taken as the share of the parts."""
    steps = [
        row for row in judged.labels.select(["verifier", "completion_id", "step", "outcome"]).to_pylist() if row["verifier"] == matrix.first
    ]
    total = Counter(row["completion_id"] for row in steps if row["step"] is not None)
    if not total:
        return None
    right = sum(row["outcome"] == "correct" for row in steps if row["step"] is not None)
    rows = judged.verdicts.select(["verifier", "completion_id", "score", "step", "rival_id"]).to_pylist()
    whole = [row for row in rows if row["verifier"] == matrix.second and row["step"] is None and row["rival_id"] is None]
    theirs = sum(round((row["score"] or 0.0) * total[row["completion_id"]]) for row in whole)
    return {"label": matrix.first, "verifier": matrix.second, "parts": total.total(), "right by label": right, "right by verifier": theirs}


def disagreements(judged: Judged, matrix: Confusion) -> list[Row]:
    """Every completion of which a verifier says other than the label, in the order of problem, model and sample."""
    said = agreement.by_judge(pa.concat_tables([judged.labels, judged.verdicts]))
    label, verifier = said[matrix.first], said[matrix.second]
    reason = _reasons(judged.verdicts, matrix.second)
    names = problem_names(judged.problems)
    rows = []
    for row in judged.completions.select(["completion_id", "problem_id", "model_id", "sample_index"]).to_pylist():
        here = row["completion_id"]
        if here in label and here in verifier and label[here] != verifier[here]:
            rows.append(
                {
                    "problem": names[row["problem_id"]],
                    "sample": row["sample_index"],
                    "model": row["model_id"].removeprefix(RECORDED),
                    "label": label[here],
                    "verifier": matrix.second,
                    "outcome": verifier[here],
                    "reason": reason[here],
                    "completion_id": here,
                }
            )
    return sorted(rows, key=lambda row: (_natural(row["problem"]), row["model"], row["sample"], row["completion_id"]))


def problem_names(problems: pa.Table) -> dict[str, str]:
    """Problem → its id in its own set, or the beginning of its prompt where it has none."""
    rows = problems.select(["problem_id", "source_id", "prompt"]).to_pylist()
    return {row["problem_id"]: row["source_id"] or " ".join(records.chat(row["prompt"])[-1]["content"].split())[:60] for row in rows}


def matrix_row(matrix: Confusion) -> Row:
    """A confusion matrix in one flat row, with precision and recall of the second judge."""
    quality = matrix.quality
    return {
        "first": matrix.first,
        "second": matrix.second,
        "agreed": matrix.agreed,
        "of": matrix.total,
        "matrix": matrix.rows(),
        "precision": _share(quality.precision),
        "recall": _share(quality.recall),
    }


def _kind(reason: str) -> str:
    return ": ".join(_PARTICULAR.sub("…", reason).split(": ")[:2])


def _share(share: agreement.Share) -> Row:
    return {"found": share.found, "of": share.of, "value": share.value, "low": share.interval.low, "high": share.interval.high}


def _reasons(verdicts: pa.Table, verifier: str) -> Mapping[str, str]:
    whole = agreement.whole(verdicts)
    columns = (whole[name].to_pylist() for name in ("verifier", "completion_id", "reason"))
    return {completion: reason for judge, completion, reason in zip(*columns, strict=True) if judge == verifier}


def _word_of(label: str) -> str:
    return label.removeprefix(RECORDED)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Orders task 9 before task 10."""
    return [(0, int(part[:18]), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]
