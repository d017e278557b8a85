"""Preference pairs of two steps that go on from the same place of a search tree (F.pair; MCTS-DPO, Xie et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lib.filters.pairing import UNPAIRED, hold_pairs
from lib.filters.reference import hold_reference, of_labels
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

# The root is a place too, one of each group of completions.
_TOLD = """
SELECT c.completion_id, c.problem_id, n.tokens, n.visits, n.value, coalesce(p.tokens, 0) AS shared,
    concat_ws('|', c.problem_id, c.group_id, n.parent) AS family, c.completion_ids[1:n.tokens] AS steps,
    CASE WHEN n.completion_id IS NULL THEN 'no node' WHEN n.value IS NULL THEN 'no value' END AS reason
FROM (SELECT completion_id, problem_id, group_id, completion_ids FROM completions) AS c
LEFT JOIN nodes AS n ON n.completion_id = c.completion_id LEFT JOIN nodes AS p ON p.completion_id = n.parent
"""

_RANKED = """
SELECT *, row_number() OVER (PARTITION BY family ORDER BY value DESC, visits DESC, draw(completion_id), completion_id) AS best,
    row_number() OVER (PARTITION BY family ORDER BY value, visits DESC, draw(completion_id), completion_id) AS worst,
    min(value) OVER (PARTITION BY family) = max(value) OVER (PARTITION BY family) AS level
FROM told WHERE reason IS NULL
"""

_PAIRED = """
SELECT w.problem_id, w.completion_id AS chosen, l.completion_id AS rejected, w.value AS chosen_score, l.value AS rejected_score,
    w.shared,
    CASE WHEN w.visits + l.visits = 0 THEN 0.5 ELSE least(0.5, l.visits / (w.visits + l.visits)) END AS epsilon
FROM ranked AS w JOIN ranked AS l USING (family)
WHERE w.best = 1 AND l.worst = 1 AND w.value > l.value AND w.value - l.value >= $min_margin AND w.steps <> l.steps
"""

_SIDES = """
SELECT c.completion_id, prompt_ids, completion_ids[1:until] AS completion_ids, loss_mask[1:until] AS loss_mask,
    CASE WHEN len(scores) = len(c.completion_ids) THEN scores[1:until] END AS scores
FROM (SELECT *, CASE WHEN $learn = 'step' THEN tokens ELSE len(completion_ids) END AS until
      FROM all_completions JOIN (SELECT completion_id, tokens FROM nodes) USING (completion_id)) AS c
SEMI JOIN (SELECT chosen AS completion_id FROM pairs UNION ALL SELECT rejected FROM pairs) AS paired USING (completion_id)
LEFT JOIN reference USING (completion_id)
"""

_EXAMPLES = f"""
SELECT example_id, problem_id, chosen_score, rejected_score, 'siblings' AS strategy, 1.0::DOUBLE AS weight, epsilon::DOUBLE AS epsilon,
    (len(w.prompt_ids) + shared)::INTEGER AS split_pos,
    sequence(w.prompt_ids, w.completion_ids) AS chosen_input_ids,
    labels(w.prompt_ids, w.completion_ids, w.loss_mask) AS chosen_labels,
    {of_labels("w.scores", "w", "w")} AS chosen_reference_logprobs,
    sequence(l.prompt_ids, l.completion_ids) AS rejected_input_ids,
    labels(l.prompt_ids, l.completion_ids, l.loss_mask) AS rejected_labels,
    {of_labels("l.scores", "l", "l")} AS rejected_reference_logprobs
FROM pairs JOIN sides AS w ON w.completion_id = chosen JOIN sides AS l ON l.completion_id = rejected
"""

_DROPPED = f"""
SELECT completion_id, CASE WHEN t.reason IS NOT NULL THEN t.reason WHEN level THEN 'no rival' ELSE 'not chosen' END AS reason
FROM told AS t LEFT JOIN (SELECT completion_id, level FROM ranked) USING (completion_id) {UNPAIRED}
"""


class SiblingPairs(Strategy):
    """Pairs the step of highest value with that of lowest value after the same tokens, each with the rollout of its own draw.

    split_pos is where the shared tokens end; epsilon = 1 / (N_w / N_l + 1) of the steps' visits, 1/2 at most, is how likely
    the pair is the wrong way round. Reasons: `no node` (no draw of a tree), `no value` (undecided, or merged with an equal
    step), `no rival` (alone, or all of equal value), `not chosen`.
    """

    makes: ClassVar[str] = "pair"

    learn: Literal["step", "rollout"] = "step"
    """Whether both sides end with their step, or go on to the end of the completion."""
    min_margin: float = Field(0.0, ge=0)
    """The chosen step's value must exceed the rejected one's by at least this, and in any case exceed it."""

    def build(self, rows: Rows) -> Built:
        rows.hold("told", _TOLD)
        rows.hold("ranked", _RANKED)
        hold_pairs(rows, _PAIRED, min_margin=self.min_margin)
        hold_reference(rows)
        rows.hold("sides", _SIDES, learn=self.learn)
        sources = rows.sql(
            """
            SELECT example_id, chosen AS completion_id, 'chosen' AS part FROM pairs
            UNION ALL SELECT example_id, rejected, 'rejected' FROM pairs
            """
        )
        return Built(rows.sql(_EXAMPLES), sources, rows.sql(_DROPPED))
