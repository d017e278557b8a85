"""Small tables for tests of evaluators, and their figures by name."""

import pytest

from lib import records
from lib.protocols import Tables
from tests.filter_stage import completion, problem, verdict

WORD = {"c": "correct", "w": "wrong", "u": "undecided"}


def given(completions, verdicts, problems=(), **tables):
    names = sorted({row["problem_id"] for row in completions} | set(problems))
    made = {name: getattr(records, spec).table(tables.pop(name)) for name, spec in _OTHERS.items() if name in tables}
    assert not tables
    return Tables(
        records.PROBLEMS.table([problem(name) for name in names]),
        records.COMPLETIONS.table(completions),
        records.VERDICTS.table(verdicts),
        **made,
    )


_OTHERS = {"token_scores": "TOKEN_SCORES", "nodes": "NODES", "rivals": "COMPLETIONS"}


def drawn(scores=None, texts=None, **outcomes):
    """Problem NAME has one completion NAME0, NAME1, … per letter (c correct, w wrong, u undecided), scored by the verifier `s`."""
    completions, verdicts = [], []
    for name, letters in outcomes.items():
        for i, letter in enumerate(letters):
            text = {"text": texts[name][i]} if texts else {}
            completions.append(completion(f"{name}{i}", name, sample_index=i, **text))
            verdicts.append(verdict(f"{name}{i}", WORD[letter]))
            if scores and scores[name][i] is not None:
                verdicts.append(verdict(f"{name}{i}", None, "s", score=scores[name][i]))
    return given(completions, verdicts, outcomes)


def figures(evaluator, tables):
    """Metric → its row; the rows fit the tables, and what a gate may read is the mean of the problems' values."""
    found = evaluator.evaluate(tables)
    filled = {"model_id": "m", "split": "test"}
    records.METRICS.table([row | filled for row in found.metrics])
    records.METRIC_ITEMS.table([row | filled for row in found.items])
    whole = {row["metric"]: row for row in found.metrics}
    assert {row["metric"] for row in found.items} <= {*whole}
    for metric in evaluator.metrics & {*whole}:
        own = [row["value"] for row in found.items if row["metric"] == metric]
        assert sum(own) / len(own) == pytest.approx(whole[metric]["value"]), metric
    return whole


def values(evaluator, tables):
    return {metric: row["value"] for metric, row in figures(evaluator, tables).items()}


def items(evaluator, tables, metric):
    """Problem → value."""
    return {row["problem_id"]: row["value"] for row in evaluator.evaluate(tables).items if row["metric"] == metric}
