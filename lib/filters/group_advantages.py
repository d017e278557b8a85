"""Group-relative advantages for an offline policy gradient (F.weight).

Rewards r_1..r_k of the decided completions of a group, their mean m and s = sqrt(Σ (r - m)² / divisor):

    grpo          (r - m) / (s + constant)     Shao et al. 2024; divisor k - 1 and 1e-4 are TRL's, others take k or 1e-6
    dr_grpo       r - m                        Liu et al. 2025
    rloo          k / (k - 1) (r - m)          r less the mean of the others; Ahmadian et al. 2024
    reinforce++   as grpo, over all decided completions of the stage as one group        Hu 2025

ADPO (Agent0, 2025, by its code) then multiplies by 0.5 + 0.5 clip((p - 0.3) / 0.5, 0, 1), p the group's share of correct,
so that rare successes, which may be mistakes of the verifier, count less; PolicyGradient has the other half of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lib.filters.reference import hold_reference, of_labels
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

# What was sampled at another law says nothing of the bare model's.
BARE = "coalesce(logprobs_at_1, CASE WHEN temperature = 1 AND top_p = 1 THEN logprobs END)"

_MEMBERS = f"""
SELECT completion_id, group_id, CASE $kind WHEN 'reinforce++' THEN '' ELSE group_id END AS peers, score AS reward,
    CASE WHEN outcome = 'scored' THEN told ELSE outcome END AS outcome,
    CASE WHEN outcome NOT IN ('correct', 'wrong', 'scored') THEN outcome
         WHEN coalesce(len({BARE}), -1) <> len(completion_ids) THEN 'no log-probabilities' END AS reason
FROM completions JOIN judged($verifier) USING (completion_id)
LEFT JOIN (SELECT completion_id, outcome AS told FROM said(NULL)) USING (completion_id)
"""

# Sums run over lists in id order, so that equal rows give equal bytes.
_WEIGHED = """
WITH rates AS (
    SELECT group_id, coalesce(count(*) FILTER (outcome = 'correct') / nullif(count(*) FILTER (outcome IN ('correct', 'wrong')), 0), 0)
        AS pass_rate
    FROM members WHERE reason IS NULL GROUP BY group_id),
listed AS (
    SELECT peers, count(*) AS k, list(reward ORDER BY completion_id) AS rewards FROM members WHERE reason IS NULL GROUP BY peers),
meant AS (SELECT *, list_sum(rewards) / k AS mean FROM listed),
spread AS (
    SELECT *, sqrt(list_sum(list_transform(rewards, lambda r: (r - mean) * (r - mean)))
        / CASE $divisor WHEN 'k' THEN k ELSE greatest(k - 1, 1) END) AS s FROM meant),
valued AS (
    SELECT completion_id, reward, outcome, pass_rate, k, rewards,
        CASE WHEN $kind IN ('grpo', 'reinforce++') THEN (reward - mean) / (s + $constant)
             WHEN $kind = 'dr_grpo' THEN reward - mean
             ELSE k / greatest(k - 1, 1) * (reward - mean) END AS advantage
    FROM (SELECT * FROM members WHERE reason IS NULL) JOIN spread USING (peers) JOIN rates USING (group_id))
SELECT completion_id, reward, pass_rate, left(sha256(concat_ws('|', 'group', completion_id)), 32) AS example_id,
    CASE WHEN outcome IN ('correct', 'wrong') THEN outcome = 'correct' END AS correct,
    CASE WHEN k = 1 THEN 'no rival'
         WHEN $drop_uniform AND list_min(rewards) = list_max(rewards) THEN 'zero variance' END AS reason,
    advantage * CASE WHEN $adpo THEN 0.5 + 0.5 * greatest(0, least(1, (pass_rate - 0.3) / 0.5)) ELSE 1 END AS advantage
FROM valued
"""

_EXAMPLES = f"""
SELECT example_id, problem_id, group_id, reward, advantage, pass_rate, correct,
    sequence(prompt_ids, completion_ids) AS input_ids, labels(prompt_ids, completion_ids, loss_mask) AS labels,
    CASE WHEN loss_mask IS NULL THEN {BARE}
         ELSE list_filter({BARE}, lambda x, i: loss_mask[i] <> 0) END AS old_logprobs,
    {of_labels("scores", "c", "c")} AS reference_logprobs
FROM weighed JOIN all_completions AS c USING (completion_id) LEFT JOIN reference USING (completion_id) WHERE reason IS NULL
"""


class GroupAdvantages(Strategy):
    """One example per decided completion of a group, with its reward, its advantage and the group's share of correct.

    The reward is the verdict's score (1 and 0 where it has none). A scorer named as the verifier, such as a reward model,
    decides too; correct or not, and the share of it, is then what the verifiers with an outcome say, among those that they
    decide: null and 0 without any.
    Log-probabilities are those at temperature 1, as kept or as sampled. Reasons: `undecided`, `no verdict`, `no
    log-probabilities` (one per token is needed; all three are left out of k and the mean), `no rival` (a group of one),
    `zero variance`. For reinforce++ the last two speak of the stage's completions together.
    """

    makes: ClassVar[str] = "group"

    kind: Literal["grpo", "dr_grpo", "rloo", "reinforce++"] = "grpo"
    """The formula, as above."""
    divisor: Literal["k - 1", "k"] = "k - 1"
    """What the squared differences are divided by in grpo and reinforce++."""
    constant: float = Field(1e-4, gt=0)
    """What keeps grpo and reinforce++ from dividing by nothing."""
    adpo: bool = False
    """Whether to scale the advantages of problems that are seldom solved down, as above."""
    drop_uniform: bool = True
    """Drop groups whose rewards are all equal: their advantages are 0, so they only change normalisers."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        hold_reference(rows)
        rows.hold("members", _MEMBERS, verifier=rows.known_verifier(self.verifier), kind=self.kind)
        formula = {"kind": self.kind, "divisor": self.divisor, "constant": self.constant, "adpo": self.adpo}
        rows.hold("weighed", _WEIGHED, drop_uniform=self.drop_uniform, **formula)
        sources = rows.sql("SELECT example_id, completion_id, 'whole' AS part FROM weighed WHERE reason IS NULL")
        dropped = rows.sql(
            """
            SELECT completion_id, reason FROM members WHERE reason IS NOT NULL
            UNION ALL SELECT completion_id, reason FROM weighed WHERE reason IS NOT NULL
            """
        )
        return Built(rows.sql(_EXAMPLES), sources, dropped)
