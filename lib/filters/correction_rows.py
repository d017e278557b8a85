"""Rows that teach how a wrong attempt is put right: the attempt in the prompt, a right solution behind it (F.splice).

The prompt is that of a completion that followed the attempt, token for token as it was asked; what follows is that completion
where it is right, or another right solution of the problem. The second is Pair-SFT, which SCoRe (Kumar et al. 2024) compares
itself with, after Welleck et al. 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_TOLD = "SELECT completion_id, problem_id, parent_id, outcome FROM completions JOIN judged($verifier) USING (completion_id)"

# The prompt that shows a wrong attempt, once for each attempt where any solution may follow it.
_ASKED = """
SELECT t.problem_id, t.parent_id AS attempt, t.completion_id AS asked FROM told AS t
JOIN said($verifier) AS before ON before.completion_id = t.parent_id AND before.outcome = 'wrong'
QUALIFY $targets = 'own' OR row_number() OVER (PARTITION BY t.parent_id ORDER BY t.completion_id) = 1
"""

_SPLICED = """
SELECT *, left(sha256(concat_ws('|', 'correction', asked, target)), 32) AS example_id FROM (
    SELECT a.problem_id, a.attempt, a.asked, t.completion_id AS target,
        row_number() OVER (PARTITION BY a.asked ORDER BY draw(a.asked || t.completion_id), t.completion_id) AS place
    FROM asked AS a JOIN told AS t ON t.problem_id = a.problem_id AND t.outcome = 'correct'
    WHERE $targets = 'any' OR t.completion_id = a.asked)
WHERE place <= $n
"""

_EXAMPLES = """
SELECT example_id, s.problem_id, sequence(p.prompt_ids, r.completion_ids) AS input_ids,
    labels(p.prompt_ids, r.completion_ids, r.loss_mask) AS labels, 1.0::DOUBLE AS weight
FROM spliced AS s JOIN all_completions AS p ON p.completion_id = asked JOIN all_completions AS r ON r.completion_id = target
"""

_SOURCES = """
SELECT example_id, target AS completion_id, 'whole' AS part FROM spliced
UNION ALL SELECT example_id, asked, 'prompt' FROM spliced WHERE asked <> target
UNION ALL SELECT example_id, attempt, 'prompt' FROM spliced WHERE attempt <> target
"""

_DROPPED = """
SELECT completion_id, CASE WHEN outcome = 'correct' THEN 'corrects nothing' ELSE outcome END AS reason
FROM told ANTI JOIN (SELECT target AS completion_id FROM spliced) USING (completion_id)
"""


class CorrectionRows(Strategy):
    """One example for a wrong attempt that was followed, and a right solution.

    Reasons: `wrong`, `undecided` and `no verdict` for what is no solution (an attempt may stand in prompts all the same),
    `corrects nothing` for a right one that is behind no attempt.
    """

    makes: ClassVar[str] = "sft"

    targets: Literal["own", "any"] = "own"
    """What stands behind an attempt: the correction that was sampled after it, or any right solution of its problem."""
    n: int = Field(default=1, ge=1)
    """How many solutions stand behind one prompt, drawn by the seed."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        verifier = rows.known_verifier(self.verifier)
        rows.hold("told", _TOLD, verifier=verifier)
        rows.hold("asked", _ASKED, verifier=verifier, targets=self.targets)
        rows.hold("spliced", _SPLICED, n=self.n, targets=self.targets)
        return Built(rows.sql(_EXAMPLES), rows.sql(_SOURCES), rows.sql(_DROPPED))
