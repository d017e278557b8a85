"""Examples for a model of partial answers, from a search tree: every step with its value (V.step); lib.filters.tree_values."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
from pydantic import Field

from lib.filters.tree_values import Draw, Kind, step_values
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_MADE = """
SELECT c.completion_id, c.problem_id, n.parent, n.depth, n.tokens, c.text, coalesce(outcome, 'no verdict') AS outcome,
    md5(concat_ws('|', c.prompt_ids::VARCHAR, c.completion_ids[1:n.tokens]::VARCHAR)) AS key
FROM all_completions AS c JOIN nodes AS n USING (completion_id) LEFT JOIN said($verifier) USING (completion_id)
WHERE c.finish_reason <> 'error'
"""

_TREES = r"""
SELECT problem_id, list({'id': completion_id, 'parent': parent, 'key': key, 'depth': depth, 'more': greatest(
    len(list_filter(string_split(text, $separator), lambda piece: regexp_matches(piece, '\S'))) - depth, 0), 'outcome': outcome}
    ORDER BY completion_id) AS draws
FROM made GROUP BY problem_id ORDER BY problem_id
"""

_TAUGHT = """
SELECT c.completion_id, m.problem_id, m.depth, m.tokens, v.target,
    CASE WHEN m.completion_id IS NULL THEN 'no node' WHEN v.target IS NULL THEN 'undecided' END AS reason,
    left(sha256(concat_ws('|', 'step', m.problem_id, m.key)), 32) AS example_id,
    row_number() OVER (PARTITION BY m.problem_id, m.key ORDER BY c.completion_id) AS place
FROM (SELECT completion_id FROM completions) AS c
LEFT JOIN made AS m ON m.completion_id = c.completion_id
LEFT JOIN step_values AS v ON v.problem_id = m.problem_id AND v.key = m.key
"""

_EXAMPLES = """
SELECT example_id, t.problem_id, sequence(c.prompt_ids, c.completion_ids[1:tokens]) AS input_ids, depth AS step,
    (len(c.prompt_ids) + tokens - 1)::INTEGER AS position, target
FROM taught AS t JOIN all_completions AS c ON c.completion_id = t.completion_id WHERE reason IS NULL AND place = 1
"""


class TreeSteps(Strategy):
    """One example for each step of a tree that a standing completion has made: its tokens with what leads to it, and its target.

    Targets come of all completions that the stage was given, those that fell too. Draws that made the same step share its
    example. Reasons: `no node` (no draw of a tree), `undecided` (neither it nor what was found below decides the target).
    """

    makes: ClassVar[str] = "step"

    kind: Kind = "inferred"
    """The value: ReST-MCTS*'s from the steps left to a correct end, or Math-Shepherd's soft or hard share of correct continuations."""
    separator: str = Field("\n", min_length=1)
    """What ends a step, as the sampler's; steps of white space alone are none."""
    verifier: str | None = None
    """Whose verdicts count; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        rows.hold("made", _MADE, verifier=rows.known_verifier(self.verifier))
        rows.hold_made("step_values", _TREES, self._valued, separator=self.separator)
        rows.hold("taught", _TAUGHT)
        sources = rows.sql("SELECT example_id, completion_id, 'whole' AS part FROM taught WHERE reason IS NULL")
        return Built(rows.sql(_EXAMPLES), sources, rows.sql("SELECT completion_id, reason FROM taught WHERE reason IS NOT NULL"))

    def _valued(self, batch: pa.RecordBatch) -> pa.Table:
        """(problem_id, key, target) for every step of some problems' trees."""
        found: list[tuple[str, str, float | None]] = []
        for row in batch.to_pylist():
            values = step_values([Draw(**draw) for draw in row["draws"]], self.kind)
            found += [(row["problem_id"], key, target) for key, target in values.items()]
        problems, keys, targets = zip(*found, strict=True) if found else ((), (), ())
        columns = (pa.array(problems, pa.string()), pa.array(keys, pa.string()), pa.array(targets, pa.float64()))
        return pa.table(dict(zip(("problem_id", "key", "target"), columns, strict=True)))
