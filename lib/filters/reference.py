"""Reference log-probabilities for examples: those of the completion's own tokens, where a verify stage left some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.errors import UserError

if TYPE_CHECKING:
    from lib.db import Rows

_TOLD = (
    "SELECT completion_id, count(DISTINCT model_id) AS models FROM token_scores SEMI JOIN completions USING (completion_id) GROUP BY ALL"
)


def hold_reference(rows: Rows) -> None:
    """Keep as `reference` (completion_id, scores) the token scores of the standing completions, at most one row for each.

    Raises UserError where two models scored one completion, since an example has one reference.
    """
    rows.hold("told_by", _TOLD)
    several = rows.count("SELECT count(*) FROM told_by WHERE models > 1")
    if several:
        raise UserError(
            f"{several} completions have token scores by several models, and an example has one reference; "
            "let the filter stage read one verify stage with Likelihood"
        )
    rows.hold(
        "reference",
        """
        SELECT completion_id, min(logprobs) AS scores FROM token_scores SEMI JOIN completions USING (completion_id)
        GROUP BY completion_id
        """,
    )


def of_labels(scores: str, completion: str, asked: str) -> str:
    """SQL for the scores of a completion's labelled tokens: null where there are none, or not one for every token, or where
    the completion is learned after another prompt than the one that it was scored after."""
    return f"""
    CASE WHEN len({scores}) <> len({completion}.completion_ids) OR {asked}.prompt_ids <> {completion}.prompt_ids THEN NULL
         WHEN {completion}.loss_mask IS NULL THEN {scores}
         ELSE list_filter({scores}, lambda x, i: {completion}.loss_mask[i] <> 0) END
    """
