"""What builders of preference pairs share: rows of records.PAIR and their sources, from a table of chosen and rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.filters.reference import hold_reference, of_labels
from lib.protocols import Built

if TYPE_CHECKING:
    from lib.db import Relation, Rows

_EXAMPLES = f"""
SELECT example_id, p.problem_id, chosen_score, rejected_score, $strategy AS strategy, 1.0::DOUBLE AS weight,
    sequence(asked.prompt_ids, r.completion_ids) AS chosen_input_ids,
    labels(asked.prompt_ids, r.completion_ids, r.loss_mask) AS chosen_labels,
    {of_labels("of_chosen.scores", "r", "asked")} AS chosen_reference_logprobs,
    sequence(asked.prompt_ids, w.completion_ids) AS rejected_input_ids,
    labels(asked.prompt_ids, w.completion_ids, w.loss_mask) AS rejected_labels,
    {of_labels("of_rejected.scores", "w", "asked")} AS rejected_reference_logprobs
FROM pairs AS p
JOIN all_completions AS r ON r.completion_id = chosen
JOIN all_completions AS w ON w.completion_id = rejected
JOIN all_completions AS asked ON asked.completion_id = p.{{asked}}
LEFT JOIN reference AS of_chosen ON of_chosen.completion_id = chosen
LEFT JOIN reference AS of_rejected ON of_rejected.completion_id = rejected
"""

_SOURCES = """
SELECT example_id, chosen AS completion_id, 'chosen' AS part FROM pairs
UNION ALL SELECT example_id, rejected, 'rejected' FROM pairs
"""


def hold_pairs(rows: Rows, query: str, **parameters: object) -> None:
    """Keep as `pairs` a query's (problem_id, chosen, rejected, chosen_score, rejected_score), with an example_id."""
    named = "SELECT *, left(sha256(concat_ws('|', 'pair', chosen, rejected)), 32) AS example_id FROM"
    rows.hold("pairs", f"{named} ({query})", **parameters)


def built(rows: Rows, strategy: str, dropped: Relation, asked: str = "chosen") -> Built:
    """The examples of the table `pairs`, both sides after the prompt of the side named, with token scores where there are some.

    Noted with the stage's counts: `score_gap`, the mean of chosen_score - rejected_score, which shrinks where both sides grow alike.
    """
    hold_reference(rows)
    (gap,) = rows.sql("SELECT list_sum(list(chosen_score - rejected_score ORDER BY example_id)) / count(*) FROM pairs").fetchall()[0]
    if gap is not None:
        rows.notes["score_gap"] = gap
    return Built(rows.sql(_EXAMPLES.format(asked=asked), strategy=strategy), rows.sql(_SOURCES), dropped)


UNPAIRED = "ANTI JOIN (SELECT chosen AS completion_id FROM pairs UNION SELECT rejected FROM pairs) USING (completion_id)"
"""Of a table of completions, those in no pair."""
