"""Rows for supervised fine-tuning: what was sampled, token for token, with the loss on the completion alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from lib.filters.reference import hold_reference, of_labels
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows


class SftRows(Strategy):
    """One example per standing completion: input_ids = prompt ids ++ completion ids, nothing dropped, weight 1 unless weighed.

    Labels are -100 over the prompt and wherever the loss mask is 0. No end-of-text token is added: a completion that
    stopped by itself has one, one cut off by the length limit must not. Reference log-probabilities are those that a verify
    stage left of the completion after the very prompt that it is learned after; null where there are none.
    """

    makes: ClassVar[str] = "sft"

    prompt: Literal["own", "parent"] = "own"
    """Learn it as the answer to its own prompt, or to its parent's (one sampled with a hint, learnt without; STaR).
    A completion whose parent is not among the stage's completions keeps its own. A parent is a source even if dropped."""

    weigh: Literal["tokens", "examples"] = "tokens"
    """What counts alike: every labelled token (weight 1), or every example (weight n̄ / n, its own number n of labelled tokens
    against their mean), so that replies of one digit are learned beside long ones."""

    allow_retokenised: bool = False
    """Whether to learn completions whose tokens were made from their text, as of recorded ones and of some servers."""

    def build(self, rows: Rows) -> Built:
        hold_reference(rows)
        rows.hold(
            "taught",
            """
            SELECT c.completion_id, p.completion_id AS parent, labelled,
                left(sha256(concat_ws('|', 'sft', c.completion_id, p.completion_id)), 32) AS example_id
            FROM (SELECT completion_id, parent_id, coalesce(list_sum(loss_mask), len(completion_ids)) AS labelled FROM completions) AS c
            LEFT JOIN (SELECT completion_id FROM all_completions WHERE $prompt = 'parent') AS p
                ON p.completion_id = c.parent_id
            """,
            prompt=self.prompt,
        )
        examples = rows.sql(
            f"""
            SELECT example_id, c.problem_id, sequence(asked.prompt_ids, c.completion_ids) AS input_ids,
                labels(asked.prompt_ids, c.completion_ids, c.loss_mask) AS labels,
                CASE $weigh WHEN 'tokens' THEN 1.0::DOUBLE ELSE avg(t.labelled) OVER () / t.labelled END AS weight,
                {of_labels("scores", "c", "asked")} AS reference_logprobs
            FROM taught AS t
            JOIN all_completions AS c ON c.completion_id = t.completion_id
            JOIN all_completions AS asked ON asked.completion_id = coalesce(t.parent, t.completion_id)
            LEFT JOIN reference ON reference.completion_id = t.completion_id
            """,
            weigh=self.weigh,
        )
        sources = rows.sql(
            """
            SELECT example_id, completion_id, 'whole' AS part FROM taught
            UNION ALL SELECT example_id, parent, 'prompt' FROM taught WHERE parent IS NOT NULL
            """
        )
        return Built(examples, sources, rows.sql("SELECT completion_id, NULL::VARCHAR AS reason FROM taught WHERE false"))
