"""What a campaign's models learned from, as a dataset that `datasets.load_dataset(FOLDER)` reads.

    README.md             the dataset card: a configuration for each kind of example, the digests that the rows came from
    KIND/ROUND.parquet    the rows of lib.records' table of that kind, and beside them `round`, `attempt`, `artifact`, and
                          `sources`: part, completion_id and text of the completions that a row was made of

Rows stand once for each round that learned from them afresh; what a trainer replayed is in the round that made it, and what it
was given and evicted is in none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lib.campaign import CampaignFolder, names
from lib.errors import UnknownName, UserError
from lib.giving import aside
from lib.home import Home
from lib.ledger import Ledger, text
from lib.lineage_models import evicted, listed
from lib.records import EXAMPLES

_LEARNED = """
SELECT s.round, s.attempt, i.artifact, list_sort(list(DISTINCT s.digest)) AS models FROM stages AS s JOIN inputs AS i USING (key)
WHERE s.campaign = $campaign AND s.verb = 'train' AND i.name = 'examples' AND i.artifact IS NOT NULL GROUP BY ALL ORDER BY ALL
"""

_CARD = """---
configs:
{configs}
---

# Examples of roundhouse campaign '{campaign}'

What the models of campaign '{campaign}' learned from, {what}: recipe `{recipe}`, {rows} rows. Token ids are those that were
sampled; `labels` of {ignored} carry no loss. What models wrote is in it as it was written.

| round | attempt | model that learned it (sha256) | kind | rows | artifact (sha256) |
|---|---|---|---|---|---|
{table}
"""


def write(home: Home, name: str, target: Path) -> dict[str, Any]:
    """Write the examples of `CAMPAIGN` or `CAMPAIGN:ROUND`; says how many of each kind, and of which artifacts.

    Raises UnknownName for what is not there, UserError where nothing was learned or the target is taken.
    """
    campaign, _, number = name.partition(":")
    folder = CampaignFolder(home, campaign)
    if not folder.exists:
        raise UnknownName("campaign", campaign, names(home), f"in {home.campaigns}")
    with Ledger(home, views=False) as ledger, aside(target) as out:
        learned = ledger.rows(_LEARNED, campaign=campaign)
        rounds = {str(row["round"]) for row in learned}
        if number and number not in rounds:
            raise UnknownName("round", number, rounds, f"of campaign '{campaign}' that learned anything")
        wanted = [row for row in learned if not number or str(row["round"]) == number]
        told = [one for row in wanted for kind in EXAMPLES for one in _write(ledger, row, kind, out)]
        if not told:
            raise UserError(f"campaign '{campaign}' has learned nothing yet; let it run a round: roundhouse improve {campaign}")
        kinds = sorted({one["kind"] for one in told})
        files = {(one["kind"], one["round"], one["attempt"], one["artifact"]): one["written"] for one in told}  # of two learners once
        configs = "\n".join(f'- config_name: {kind}\n  data_files: "{kind}/*.parquet"' for kind in kinds)
        lines = (f"| {o['round']} | {o['attempt']} | `{o['model']}` | {o['kind']} | {o['rows']} | `{o['artifact']}` |" for o in told)
        spoken = {"what": f"round {number}" if number else "all rounds", "recipe": folder.load().recipe_name}
        card = _CARD.format(campaign=campaign, configs=configs, rows=sum(files.values()), table="\n".join(lines), ignored=-100, **spoken)
        (out / "README.md").write_text(card, encoding="utf-8")
    counted = {kind: sum(rows for (of, *_), rows in files.items() if of == kind) for kind in kinds}
    return {"rows": counted, "artifacts": sorted({one["artifact"] for one in told}), "rounds": sorted({one["round"] for one in told})}


def _write(ledger: Ledger, row: dict[str, Any], kind: str, out: Path) -> list[dict[str, Any]]:
    """Write one artifact's examples of a kind that any model learned; a line for each that did, none where there are none."""
    artifact, spec, models = row["artifact"], EXAMPLES[kind], row["models"]
    held, gone = ledger.part(spec.name, [artifact]), f"SELECT * FROM {evicted(ledger, models)} WHERE artifact = {text(artifact)}"
    learned = f"""SELECT model, example_id FROM {held} CROSS JOIN (SELECT unnest([{listed(models)}]) AS model)
        ANTI JOIN ({gone}) USING (model, example_id)"""
    counted = ledger.rows(f"SELECT model, count(*) AS rows FROM ({learned}) GROUP BY model ORDER BY model")
    if not counted:
        return []
    path = out / kind / f"{row['round']:04d}-{row['attempt']}-{artifact[:12]}.parquet"
    path.parent.mkdir(exist_ok=True)
    rows = ledger.batches(
        f"""SELECT e.* EXCLUDE (artifact), CAST({row["round"]} AS INTEGER) AS round, CAST({row["attempt"]} AS INTEGER) AS attempt,
        {text(artifact)} AS artifact, s.sources FROM {held} AS e LEFT JOIN ({_sources(ledger, artifact)}) AS s USING (example_id)
        WHERE example_id IN (SELECT example_id FROM ({learned})) ORDER BY example_id"""
    )
    total = 0
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
            total += batch.num_rows
    return [{**row, **one, "kind": kind, "written": total} for one in counted]


def _sources(ledger: Ledger, artifact: str) -> str:
    """Of each example of an artifact, what it was made of: SQL of (example_id, sources)."""
    read = ledger.rows(
        """SELECT DISTINCT i.artifact FROM artifacts AS a JOIN inputs AS i USING (key)
        WHERE a.digest = $digest AND i.name = 'completions' AND i.artifact IS NOT NULL ORDER BY ALL""",
        digest=artifact,
    )
    completions = ledger.part("completions", [one["artifact"] for one in read])
    source = "{'part': part, 'completion_id': completion_id, 'text': text}"
    return f"""SELECT example_id, list({source} ORDER BY part, completion_id) AS sources
        FROM {ledger.part("example_sources", [artifact])} LEFT JOIN (SELECT completion_id, text FROM {completions}) USING (completion_id)
        GROUP BY example_id"""
