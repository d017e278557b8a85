"""What the models of two rounds wrote for the same problem, where one got it right and the other did not.

Compared are completions of one place in the draw: the same problem, stage, temperature and sample index. Rounds that train on
other problems each still share those that they are measured on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lib.differing import Side
from lib.ledger import Ledger, text
from lib.lineage_models import listed

_PLACE = "stage, problem_id, temperature, top_p, turn, sample_index"

_ANSWERED = f"""
SELECT {_PLACE}, min(completion_id) AS completion_id, min_by(text, completion_id) AS text, min_by(outcome, completion_id) AS outcome
FROM (SELECT * FROM {{stages}}) AS s
JOIN (SELECT key, artifact FROM inputs WHERE name = 'completions') AS i USING (key)
JOIN {{completions}} AS c ON c.artifact = i.artifact
JOIN (SELECT artifact AS judged_in, completion_id AS judged_id, outcome FROM judged WHERE artifact IN ({{verdicts}})) AS j
    ON j.judged_in = s.digest AND j.judged_id = c.completion_id
GROUP BY ALL
"""


class Changed(NamedTuple):
    """How often what was drawn at one place was judged as it was, better or worse, and some of those that changed."""

    counts: list[dict[str, Any]]
    shown: list[dict[str, Any]]


def changed(ledger: Ledger, one: Side, other: Side, limit: int) -> Changed:
    """By stage, and one pair for each of at most `limit` problems; no tables are read whole but those of the two rounds."""
    ours, theirs = (_answered(ledger, side) for side in (one, other))
    pairs = f"""SELECT {_PLACE}, a.text AS text_a, a.outcome AS outcome_a, b.text AS text_b, b.outcome AS outcome_b
        FROM ({ours}) AS a JOIN ({theirs}) AS b USING ({_PLACE})"""
    counts = ledger.rows(
        f"""SELECT stage, outcome_a AS a, outcome_b AS b, count(*) AS completions, count(DISTINCT problem_id) AS problems
        FROM ({pairs}) GROUP BY ALL ORDER BY ALL"""
    )
    shown = ledger.rows(
        f"""WITH pairs AS ({pairs}), first AS (SELECT *, row_number() OVER (PARTITION BY problem_id
                ORDER BY stage, temperature, turn, sample_index) AS place FROM pairs WHERE outcome_a <> outcome_b)
        SELECT stage, problem_id, sample_index, outcome_a, text_a, outcome_b, text_b FROM first
        WHERE place = 1 ORDER BY outcome_a, outcome_b, problem_id LIMIT {int(limit)}"""
    )
    asked = _asked(ledger, [row["problem_id"] for row in shown])
    return Changed(counts, [{**row, "prompt": asked.get(row["problem_id"], "")} for row in shown])


def _answered(ledger: Ledger, side: Side) -> str:
    """The completions of a round with what was said of them, as SQL."""
    jobs = [(path, job) for path, stage in side.record.stages.items() for job in stage["jobs"]]
    rows = ", ".join(f"({text(path)}, {text(job['key'])}, {text(job['digest'])})" for path, job in jobs)
    stages = f"(VALUES {rows}) AS t (stage, key, digest)" if rows else "(SELECT stage, key, digest FROM stages WHERE false)"
    digests = [job["digest"] for _, job in jobs]
    return _ANSWERED.format(stages=stages, completions=ledger.part("completions", digests), verdicts=listed(digests))


def _asked(ledger: Ledger, problems: list[str]) -> dict[str, str]:
    found = ledger.rows(
        f"""SELECT problem_id, min(array_to_string(list_transform(prompt, lambda message: array_to_string(list_transform(
            message.parts, lambda part: coalesce(part.text, '')), '')), ' ')) AS asked
        FROM problems WHERE problem_id IN ({listed(problems)}) GROUP BY problem_id"""
    )
    return {row["problem_id"]: row["asked"] for row in found}
