"""Who won a game, for every turn of it: 1 for the winner's turns, -1 for the loser's, 0 where nobody won (R_1 = -R_0).

Accepts the turns of whoever takes the last of the pile, `-2=0` at `#2:`, or whose opponent makes no legal move. Rejects the
other's, though each was a good move. Each game of lib.samplers.game is replayed by lib.take_away's rules from the pile of its
problem. Cannot catch: which of the loser's turns lost it. Turns after the end were not played and get no verdict. Undecided: a
game of which a turn was not sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.take_away import Played, opening, replayed
from lib.verifiers import scores


class GameOutcome(Strategy):
    """One score per turn that was played; no outcome."""

    name: str = "game_outcome"
    """The name of its verdicts."""

    unit: ClassVar[str] = "group"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        made = []
        for turns, game in _games(tables):
            for row in turns[: game.turns]:
                score = 0.0 if game.winner is None else 1.0 if row["turn"] % 2 == game.winner else -1.0
                unsampled = any(turn["finish_reason"] == "error" for turn in turns[: game.turns])
                made.append(scores.verdict(row, self.name, None if unsampled else score, game.reason))
        return scores.table(made)

    def owes(self, tables: Tables) -> int:
        return sum(game.turns for _, game in _games(tables))


def _games(tables: Tables) -> list[tuple[list[scores.Row], Played]]:
    """The turns of every game in order, and how it ended."""
    piles = {problem: opening(problem, row["messages"][-1]["content"]) for problem, row in scores.problems_of(tables).items()}
    episodes: dict[str, list[scores.Row]] = {}
    for row in scores.rows_of(tables, "episode_id", "turn"):
        if row["episode_id"] is not None:
            episodes.setdefault(row["episode_id"], []).append(row)
    found = []
    for turns in episodes.values():
        turns.sort(key=lambda row: row["turn"])
        replies = [None if row["finish_reason"] == "error" else row["text"] for row in turns]
        found.append((turns, replayed(piles[turns[0]["problem_id"]], replies)))
    return found
