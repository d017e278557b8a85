"""What became of a campaign's completions: sampled → correct → kept → trained on, and why the others were dropped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from lib.ledger import Ledger
from lib.lineage_models import evicted
from lib.records import EXAMPLES
from lib.round_record import RoundRecord

Row = dict[str, Any]

JUDGED = """
SELECT artifact, completion_id, CASE WHEN bool_or(outcome = 'undecided') THEN 'undecided'
    WHEN bool_and(outcome = 'correct') THEN 'correct' ELSE 'wrong' END AS outcome
FROM {verdicts} WHERE outcome IS NOT NULL AND step IS NULL AND rival_id IS NULL GROUP BY artifact, completion_id
"""
"""As the ledger's view of that name, over some artifacts alone."""

ONLINE = ("train",)
"""The verb of stages that may sample, verify and filter for themselves; others of it have no table of these."""

_COUNTS = """
WITH jobs AS (SELECT DISTINCT round, attempt, verb, digest FROM stages WHERE campaign = $campaign AND round > 0),
sampled AS (SELECT round, attempt, count(DISTINCT completion_id) AS n
    FROM jobs JOIN {completions} ON artifact = digest WHERE verb IN ('sample', 'train') GROUP BY ALL),
correct AS (SELECT round, attempt, count(DISTINCT completion_id) AS n
    FROM jobs JOIN ({judged}) ON artifact = digest WHERE verb IN ('verify', 'train') AND outcome = 'correct' GROUP BY ALL),
kept AS (SELECT round, attempt, count(DISTINCT completion_id) AS n
    FROM jobs JOIN {sources} ON artifact = digest WHERE verb IN ('filter', 'train') AND part <> 'prompt' GROUP BY ALL)
SELECT round, attempt, sampled.n AS sampled, coalesce(correct.n, 0) AS correct, coalesce(kept.n, 0) AS kept
FROM sampled LEFT JOIN correct USING (round, attempt) LEFT JOIN kept USING (round, attempt) ORDER BY round, attempt
"""

_DROPPED = """
SELECT round, attempt, filter, reason, count(*) AS n
FROM (SELECT DISTINCT round, attempt, digest FROM stages WHERE campaign = $campaign AND verb IN ('filter', 'train') AND round > 0)
JOIN {dropped} ON artifact = digest GROUP BY ALL ORDER BY filter, reason, round, attempt
"""


def digests(records: Iterable[RoundRecord], *verbs: str) -> list[str]:
    """What the stages of these verbs published."""
    stages = (stage for record in records if record.round for stage in record.stages.values() if stage["verb"] in verbs)
    return sorted({job["digest"] for stage in stages for job in stage["jobs"]})


def funnel(ledger: Ledger, campaign: str, records: Sequence[RoundRecord]) -> list[Row]:
    """A row for each attempt that sampled: round, attempt, sampled, correct, kept, trained (own, earlier, replayed examples learned)."""
    verdicts = ledger.part("verdicts", digests(records, "verify", *ONLINE))
    counts = _COUNTS.format(
        completions=ledger.part("completions", digests(records, "sample", *ONLINE)),
        judged=JUDGED.format(verdicts=verdicts),
        sources=ledger.part("example_sources", digests(records, "filter", *ONLINE)),
    )
    trained = _trained(ledger, records)
    return [{**row, **trained[row["round"], row["attempt"]]} for row in ledger.rows(counts, campaign=campaign)]


def dropped(ledger: Ledger, campaign: str, records: Sequence[RoundRecord]) -> list[Row]:
    """A row for each reason: filter, reason, total, and `counts` by (round, attempt); the commonest first."""
    found: dict[tuple[str, str], dict[tuple[int, int], int]] = defaultdict(dict)
    sql = _DROPPED.format(dropped=ledger.part("dropped", digests(records, "filter", *ONLINE)))
    for row in ledger.rows(sql, campaign=campaign):
        found[row["filter"], row["reason"]][row["round"], row["attempt"]] = row["n"]
    rows = [{"filter": name, "reason": reason, "total": sum(n.values()), "counts": n} for (name, reason), n in found.items()]
    return sorted(rows, key=lambda row: (-row["total"], row["filter"], row["reason"]))


def _trained(ledger: Ledger, records: Sequence[RoundRecord]) -> dict[tuple[int, int], Row]:
    """Examples that each attempt's trainers learned: made in it, in earlier rounds, and replayed ones."""
    read = {(r.round, r.attempt): [stage for stage in r.stages.values() if stage["verb"] == "train"] for r in records}
    wanted = {ref for stages in read.values() for stage in stages for refs in stage.get("learned", {}).values() for ref in refs}
    kinds = " UNION ALL ".join(f"SELECT artifact FROM {ledger.part(spec.name, wanted)}" for spec in EXAMPLES.values())
    rows = {row["artifact"]: row["n"] for row in ledger.rows(f"SELECT artifact, count(*) AS n FROM ({kinds}) GROUP BY artifact")}
    models = digests(records, "train")
    gone = ledger.rows(f"SELECT model, artifact, count(*) AS n FROM {evicted(ledger, models)} GROUP BY ALL")
    less = {(row["model"], row["artifact"]): row["n"] for row in gone}
    found = {}
    for record in records:
        own = {*digests([record], "filter", *ONLINE)}  # a trainer may make its examples itself
        stages = read[record.round, record.attempt]
        given = [(job["digest"], ref) for s in stages for job in s["jobs"] for ref in s.get("learned", {}).get("examples", ())]
        found[record.round, record.attempt] = {
            "own": sum(rows.get(ref, 0) - less.get((model, ref), 0) for model, ref in given if ref in own),
            "earlier": sum(rows.get(ref, 0) - less.get((model, ref), 0) for model, ref in given if ref not in own),
            "replayed": sum(rows.get(ref, 0) for stage in stages for ref in stage.get("learned", {}).get("replay", ())),
        }
    return found
