"""Rows for supervised fine-tuning: what was sampled, token for token, with the loss on the completion alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows


class SftRows(Strategy):
    """One example per standing completion: input_ids = prompt ids ++ completion ids, weight 1, nothing dropped.

    Labels are -100 over the prompt and wherever the loss mask is 0. No end-of-text token is added: a completion that
    stopped by itself has one, one cut off by the length limit must not.
    """

    makes: ClassVar[str] = "sft"

    prompt: Literal["own", "parent"] = "own"
    """Learn it as the answer to its own prompt, or to its parent's (one sampled with a hint, learnt without; STaR).
    A completion whose parent is not among the stage's completions keeps its own. A parent is a source even if dropped."""

    allow_retokenised: bool = False
    """Whether to learn completions whose tokens were made from their text, as of recorded ones and of some servers."""

    def build(self, rows: Rows) -> Built:
        rows.hold(
            "taught",
            """
            SELECT c.completion_id, p.completion_id AS parent,
                left(sha256(concat_ws('|', 'sft', c.completion_id, p.completion_id)), 32) AS example_id
            FROM (SELECT completion_id, parent_id FROM completions) AS c
            LEFT JOIN (SELECT completion_id FROM all_completions WHERE $prompt = 'parent') AS p
                ON p.completion_id = c.parent_id
            """,
            prompt=self.prompt,
        )
        examples = rows.sql(
            """
            SELECT example_id, c.problem_id, sequence(asked.prompt_ids, c.completion_ids) AS input_ids,
                labels(asked.prompt_ids, c.completion_ids, c.loss_mask) AS labels, 1.0::DOUBLE AS weight
            FROM taught AS t
            JOIN all_completions AS c ON c.completion_id = t.completion_id
            JOIN all_completions AS asked ON asked.completion_id = coalesce(t.parent, t.completion_id)
            """
        )
        sources = rows.sql(
            """
            SELECT example_id, completion_id, 'whole' AS part FROM taught
            UNION ALL SELECT example_id, parent, 'prompt' FROM taught WHERE parent IS NOT NULL
            """
        )
        return Built(examples, sources, rows.sql("SELECT completion_id, NULL::VARCHAR AS reason FROM taught WHERE false"))
