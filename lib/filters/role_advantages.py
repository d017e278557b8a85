"""Role-conditioned advantages for self-play (F.weight; SPIRAL, Liu et al. 2025).

Each player has a baseline b of its own, the running mean of what it got. For a game in which player p got R_p, every turn of p's
has the advantage

    A = R_p - b_p        and then        b_p ← decay b_p + (1 - decay) R_p

The games of a stage come in an order drawn by the seed, and baselines begin anew with each stage. The published code keeps one
baseline a player, the paper one for each game and player: here the category of the problem is the game.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from lib.filters.group_advantages import BARE
from lib.filters.reference import hold_reference, of_labels
from lib.protocols import Built
from lib.strategy import Strategy

if TYPE_CHECKING:
    from lib.db import Rows

_MEMBERS = f"""
SELECT c.completion_id, c.episode_id, c.role AS player, coalesce(p.category, '') AS game, score AS reward,
    CASE WHEN outcome IN ('undecided', 'no verdict') THEN outcome
         WHEN episode_id IS NULL THEN 'no game'
         WHEN coalesce(len({BARE}), -1) <> len(completion_ids) THEN 'no log-probabilities' END AS reason
FROM completions AS c JOIN judged($verifier) USING (completion_id) LEFT JOIN problems AS p USING (problem_id)
"""

# A player's turns of one game all have its reward.
_PLAYED = """
SELECT * FROM (
    SELECT episode_id, player, CASE $per WHEN 'game' THEN game ELSE '' END AS game, max(reward) AS reward
    FROM members WHERE reason IS NULL GROUP BY ALL)
ORDER BY draw(episode_id), episode_id, player
"""

_BASED = pa.schema([("episode_id", pa.string()), ("player", pa.string()), ("baseline", pa.float64()), ("won", pa.float64())])

_EXAMPLES = f"""
SELECT left(sha256(concat_ws('|', 'role', completion_id)), 32) AS example_id, c.problem_id, c.group_id,
    sequence(prompt_ids, completion_ids) AS input_ids, labels(prompt_ids, completion_ids, loss_mask) AS labels,
    CASE WHEN loss_mask IS NULL THEN {BARE} ELSE list_filter({BARE}, lambda x, i: loss_mask[i] <> 0) END AS old_logprobs,
    m.reward, m.reward - baseline AS advantage, rate AS pass_rate, {of_labels("scores", "c", "c")} AS reference_logprobs
FROM members AS m JOIN based USING (episode_id, player) JOIN all_completions AS c USING (completion_id)
JOIN (SELECT player, sum(won) / count(*) AS rate FROM based GROUP BY player) USING (player)
LEFT JOIN reference USING (completion_id) WHERE reason IS NULL
"""


class RoleAdvantages(Strategy):
    """One example per turn that was played, with its player's reward and advantage, and the share of games that the player won.

    Reasons: `undecided`, `no verdict`, `no game`, `no log-probabilities` (one per token is needed).
    """

    makes: ClassVar[str] = "group"

    per: Literal["player", "game"] = "player"
    """Whether a baseline is a player's in all games, or in one."""
    decay: float = Field(default=0.95, ge=0, lt=1)
    """How much of the baseline stays at each game."""
    verifier: str | None = "game_outcome"
    """Whose scores are the rewards; None: every verifier's with an outcome."""

    def build(self, rows: Rows) -> Built:
        hold_reference(rows)
        rows.hold("members", _MEMBERS, verifier=rows.known_verifier(self.verifier))
        baselines: dict[tuple[str, str], float] = {}

        def based(batch: pa.RecordBatch) -> pa.Table:
            return self._based(batch, baselines)

        rows.hold_made("based", _PLAYED, based, per=self.per)
        sources = rows.sql(
            "SELECT left(sha256(concat_ws('|', 'role', completion_id)), 32) AS example_id, completion_id, 'whole' AS part "
            "FROM members WHERE reason IS NULL"
        )
        return Built(rows.sql(_EXAMPLES), sources, rows.sql("SELECT completion_id, reason FROM members WHERE reason IS NOT NULL"))

    def _based(self, batch: pa.RecordBatch, baselines: dict[tuple[str, str], float]) -> pa.Table:
        """The baseline of each player before each game; batches come in the order of the games."""
        found = []
        for row in batch.to_pylist():
            whose = (row["player"], row["game"])
            baseline = baselines.get(whose, 0.0)
            found.append({"episode_id": row["episode_id"], "player": row["player"], "baseline": baseline, "won": float(row["reward"] > 0)})
            baselines[whose] = self.decay * baseline + (1 - self.decay) * row["reward"]
        return pa.Table.from_pylist(found, schema=_BASED)
