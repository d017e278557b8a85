"""Group-relative advantages for an offline policy gradient (F.weight).

Rewards r_1..r_k of the decided completions of a group, their mean m and s with divisor k - 1:

    grpo      (r - m) / (s + 1e-4)      Shao et al. 2024, with the divisor and constant of TRL
    dr_grpo   r - m                     Liu et al. 2025
    rloo      k / (k - 1) (r - m)       r less the mean of the others; Ahmadian et al. 2024
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

# What was sampled at another law says nothing of the bare model's.
_BARE = "coalesce(logprobs_at_1, CASE WHEN temperature = 1 AND top_p = 1 THEN logprobs END)"

_MEMBERS = f"""
SELECT completion_id, group_id, score AS reward, CASE WHEN outcome = 'scored' THEN told ELSE outcome END AS outcome,
    CASE WHEN outcome NOT IN ('correct', 'wrong', 'scored') THEN outcome
         WHEN coalesce(len({_BARE}), -1) <> len(completion_ids) THEN 'no log-probabilities' END AS reason
FROM completions JOIN judged($verifier) USING (completion_id)
LEFT JOIN (SELECT completion_id, outcome AS told FROM said(NULL)) USING (completion_id)
"""

# Sums run over lists in id order, so that equal rows give equal bytes.
_WEIGHED = """
WITH listed AS (
    SELECT group_id, count(*) AS k, list(reward ORDER BY completion_id) AS rewards,
        count(*) FILTER (outcome = 'correct') / count(*) AS pass_rate
    FROM members WHERE reason IS NULL GROUP BY group_id),
meant AS (SELECT *, list_sum(rewards) / k AS mean FROM listed),
spread AS (
    SELECT *, sqrt(list_sum(list_transform(rewards, lambda r: (r - mean) * (r - mean))) / greatest(k - 1, 1)) AS s FROM meant)
SELECT completion_id, reward, pass_rate, left(sha256(concat_ws('|', 'group', completion_id)), 32) AS example_id,
    CASE WHEN k = 1 THEN 'no rival'
         WHEN $drop_uniform AND list_min(rewards) = list_max(rewards) THEN 'zero variance' END AS reason,
    CASE $kind WHEN 'grpo' THEN (reward - mean) / (s + 1e-4)
               WHEN 'dr_grpo' THEN reward - mean
               ELSE k / greatest(k - 1, 1) * (reward - mean) END AS advantage
FROM (SELECT completion_id, group_id, reward FROM members WHERE reason IS NULL) JOIN spread USING (group_id)
"""

_EXAMPLES = f"""
SELECT example_id, problem_id, group_id, reward, advantage, pass_rate,
    sequence(prompt_ids, completion_ids) AS input_ids, labels(prompt_ids, completion_ids, loss_mask) AS labels,
    CASE WHEN loss_mask IS NULL THEN {_BARE}
         ELSE list_filter({_BARE}, lambda x, i: loss_mask[i] <> 0) END AS old_logprobs
FROM weighed JOIN all_completions USING (completion_id) WHERE reason IS NULL
"""


class GroupAdvantages(Strategy):
    """One example per decided completion of a group, with its reward, its advantage and the group's share of correct.

    The reward is the verdict's score (1 and 0 where it has none). A scorer named as the verifier, such as a reward model,
    decides too; the share of correct is then that of the verifiers with an outcome, 0 without any. Log-probabilities are
    those at temperature 1, as kept or as sampled. Reasons: `undecided`, `no verdict`, `no log-probabilities` (one per token is needed;
    all three are left out of k and the mean), `no rival` (a group of one), `zero variance`.
    """

    makes: ClassVar[str] = "group"

    kind: Literal["grpo", "dr_grpo", "rloo"] = "grpo"
    """The formula, as above."""
    drop_uniform: bool = True
    """Drop groups whose rewards are all equal: their advantages are 0, so they only change normalisers."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        rows.hold("members", _MEMBERS, verifier=rows.known_verifier(self.verifier))
        rows.hold("weighed", _WEIGHED, kind=self.kind, drop_uniform=self.drop_uniform)
        sources = rows.sql("SELECT example_id, completion_id, 'whole' AS part FROM weighed WHERE reason IS NULL")
        dropped = rows.sql(
            """
            SELECT completion_id, reason FROM members WHERE reason IS NOT NULL
            UNION ALL SELECT completion_id, reason FROM weighed WHERE reason IS NOT NULL
            """
        )
        return Built(rows.sql(_EXAMPLES), sources, dropped)
