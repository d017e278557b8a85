"""A sample of what a campaign's models wrote in training, with verdicts and fate: drawn by a seed, so that it stays the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from lib.ledger import Ledger
from lib.lineage_models import listed
from lib.records import chat
from lib.report.funnel import JUDGED, ONLINE, digests
from lib.report.words import visible
from lib.round_record import RoundRecord

MOST = 200
"""Completions that a report shows."""

OUTCOMES = ("correct", "wrong", "undecided", "no verdict")

Row = dict[str, Any]

_DRAWN = """
WITH jobs AS (SELECT DISTINCT round, attempt, verb, digest FROM stages WHERE campaign = $campaign AND round > 0),
drawn AS (SELECT DISTINCT round, attempt, completion_id
    FROM jobs JOIN {completions} ON artifact = digest WHERE verb IN ('sample', 'train')),
told AS (SELECT round, attempt, completion_id, max(outcome = 'undecided') AS undecided, min(outcome = 'correct') AS correct
    FROM jobs JOIN ({judged}) ON artifact = digest WHERE verb IN ('verify', 'train') GROUP BY ALL),
named AS (SELECT round, attempt, completion_id,
        CASE WHEN undecided IS NULL THEN 'no verdict' WHEN undecided THEN 'undecided' WHEN correct THEN 'correct' ELSE 'wrong' END
        AS outcome
    FROM drawn LEFT JOIN told USING (round, attempt, completion_id)),
placed AS (SELECT *, row_number() OVER (PARTITION BY round, attempt, outcome ORDER BY md5($seed || completion_id), completion_id) AS place
    FROM named)
SELECT * FROM placed ORDER BY place, round DESC, attempt DESC, outcome LIMIT $most
"""
"""Equally many of each outcome in each round, while there are any."""


def samples(ledger: Ledger, campaign: str, records: Sequence[RoundRecord], seed: int = 0, most: int = MOST) -> list[Row]:
    """At most so many completions, those of the last round first, each with prompt, text, verdicts and fate."""
    completions = ledger.part("completions", digests(records, "sample", *ONLINE))
    judged = JUDGED.format(verdicts=ledger.part("verdicts", digests(records, "verify", *ONLINE)))
    drawn = ledger.rows(_DRAWN.format(completions=completions, judged=judged), campaign=campaign, seed=str(seed), most=most)
    ids = listed(row["completion_id"] for row in drawn)
    written = {
        row["completion_id"]: row
        for row in ledger.rows(
            f"""SELECT completion_id, any_value(problem_id) AS problem_id, any_value(text) AS text, any_value(model_id) AS model_id,
            any_value(finish_reason) AS finish_reason, any_value(len(completion_ids)) AS tokens
            FROM {completions} WHERE completion_id IN ({ids}) GROUP BY completion_id"""
        )
    }
    asked = _asked(ledger, records, {row["problem_id"] for row in written.values()})
    verdicts = _verdicts(ledger, records, ids)
    fates = _fates(ledger, records, ids)
    drawn.sort(key=lambda row: (-row["round"], -row["attempt"], row["place"], OUTCOMES.index(row["outcome"])))
    return [
        {
            **row,
            **written[row["completion_id"]],
            "text": visible(written[row["completion_id"]]["text"]),
            "asked": asked.get(written[row["completion_id"]]["problem_id"], {}),
            "verdicts": verdicts[row["completion_id"]],
            "fate": fates.get((row["round"], row["attempt"], row["completion_id"]), "not filtered"),
        }
        for row in drawn
    ]


def _asked(ledger: Ledger, records: Sequence[RoundRecord], problems: set[str]) -> dict[str, Row]:
    """Problem → its prompt and gold answer."""
    stages = [stage for record in records for stage in record.stages.values() if stage["verb"] in ("sample", *ONLINE)]
    read = {ref.partition("/")[0] for stage in stages for ref in stage["read"].get("problems", [])}
    rows = ledger.rows(
        f"SELECT DISTINCT ON (problem_id) problem_id, prompt, answer FROM {ledger.part('problems', read)} "
        f"WHERE problem_id IN ({listed(problems)}) ORDER BY problem_id, artifact"
    )
    return {
        row["problem_id"]: {
            "prompt": visible("\n".join(message["content"] for message in chat(row["prompt"]))),
            "answer": visible(row["answer"] or "", 200),
        }
        for row in rows
    }


def _verdicts(ledger: Ledger, records: Sequence[RoundRecord], ids: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in ledger.rows(
        f"""SELECT DISTINCT completion_id, verifier, coalesce(outcome, '') AS outcome, score, reason
        FROM {ledger.part("verdicts", digests(records, "verify", *ONLINE))}
        WHERE completion_id IN ({ids}) AND step IS NULL AND rival_id IS NULL ORDER BY completion_id, verifier, outcome, score, reason"""
    ):
        said = row["outcome"] or ("" if row["score"] is None else f"{row['score']:.3g}")
        found[row["completion_id"]].append({"verifier": visible(row["verifier"], 80), "said": said, "reason": visible(row["reason"], 300)})
    return found


def _fates(ledger: Ledger, records: Sequence[RoundRecord], ids: str) -> dict[tuple[int, int, str], str]:
    """(round, attempt, completion) → kept, or what dropped it and why."""
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for record in records:
        for digest in digests([record], "filter", *ONLINE):
            places[digest].append((record.round, record.attempt))
    rows = ledger.rows(
        f"""SELECT artifact, id, filter, reason FROM {ledger.part("dropped", places)} WHERE unit = 'completion' AND id IN ({ids})
        UNION ALL SELECT DISTINCT artifact, completion_id, '', '' FROM {ledger.part("example_sources", places)}
        WHERE part <> 'prompt' AND completion_id IN ({ids}) ORDER BY ALL"""
    )
    found: dict[tuple[int, int, str], str] = {}
    for row in rows:
        said = f"dropped by {row['filter']}: {visible(row['reason'], 200)}" if row["filter"] else "kept"
        for place in places[row["artifact"]]:
            found[*place, row["id"]] = said
    return found
