"""Of the beginnings of completions those that nothing else continues, as the most that is known to be right (Ni et al. 2023).

Two solutions of a problem of which one begins with the other would count one event twice in a marginal likelihood, and what is
shorter is likelier, so that it would take the weight of what is whole. The authors' code (microsoft/TraceCodegen) keeps no
solution that another one of the problem begins with, and nor does this, within one stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Relation, Rows


class LongestPrefix(Strategy):
    """Keeps a completion that is no beginning of another (`step` 0), and of the others those that no longer completion of the
    problem, standing after the same prompt, begins with token for token: `shorter` for the rest.

    Equal beginnings of several completions all stay; Dedup is for those. Put it behind the filter that keeps those that are right.
    """

    def filter(self, rows: Rows) -> Relation:
        return rows.sql(
            """
            SELECT completion_id, CASE WHEN completion_id IN (
                SELECT p.completion_id FROM completions AS p JOIN completions AS o USING (problem_id, prompt_ids)
                WHERE p.step > 0 AND len(o.completion_ids) > len(p.completion_ids)
                    AND o.completion_ids[1:len(p.completion_ids)] = p.completion_ids) THEN 'shorter' END AS reason
            FROM completions
            """
        )
