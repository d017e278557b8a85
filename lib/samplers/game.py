"""Games of two players, each turn a completion (S.env with an opponent; SPIRAL, Liu et al. 2025).

The game is lib.take_away's, from the pile that a problem gives. Every game has rows for the same number of turns, so that it is
known how many there must be: turns that were not played, since the game was over, are errors without tokens, and no verifier or
filter counts them. A turn's role is `player0` or `player1`, its parent the turn before, and its `episode_id` names the game. Turn t
of game i draws from the stream (seed, problem, t, i).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from lib import casting, records, seeds
from lib.countdown_roles import play_prompt, read_move
from lib.protocols import Engine, Report, Tables
from lib.samplers.attempts import prompts_of
from lib.samplers.rows import Ask, answered, requested, rows
from lib.strategy import AnyStrategy, Strategy
from lib.take_away import opening


@dataclass(slots=True)
class _Episode:
    """One game while it is played."""

    problem_id: str
    index: int
    episode_id: str
    left: int
    """What is left of the pile; 0 when the game is over."""
    last: str | None = None
    """The completion_id of the last turn that was played."""


class Game(Strategy):
    """n games of each problem, `turns` rows each; player 0 begins."""

    needs: ClassVar[tuple[str, ...]] = ("environment",)

    n: int = Field(default=4, ge=1)
    """Games of each problem."""
    turns: int = Field(default=12, ge=2)
    """The most turns of a game; one that is not over then has no winner."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy, and then all n are alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The probability mass of the likeliest tokens that may be drawn; 1 leaves none out."""
    max_new_tokens: int = Field(default=8, ge=1)
    """Where a reply is cut off; the end-of-text token counts."""
    role: str = "policy"
    """Whose model is player 0."""
    model: str = "previous"
    """Its checkpoint: previous, latest, base, champion, round:N or external:PATH."""
    opponent: AnyStrategy | None = None
    """A sampler such as Independent(model="base"), whose model and law are player 1's; None is self-play."""

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        players: list[Any] = [self.model_copy(update={"n": 1}), (self.opponent or self).model_copy(update={"n": 1})]
        prompts = prompts_of(tables)
        episodes = [
            _Episode(problem, i, seeds.short_id(seed, "episode", problem, i), opening(problem, prompts[problem][-1]["content"]))
            for problem in tables.problems["problem_id"].to_pylist()
            for i in range(self.n)
        ]
        made: list[dict[str, Any]] = []
        for turn in range(self.turns):
            made += _turn(episodes, turn, players[turn % 2], engines, seed)
            report(turn + 1, self.turns)
        return records.COMPLETIONS.table(made)

    def owes(self, tables: Tables) -> int:
        return tables.problems.num_rows * self.n * self.turns


def _turn(episodes: Sequence[_Episode], turn: int, player: Any, engines: Mapping[str, Engine], seed: int) -> list[dict[str, Any]]:
    """A row of every game, those that are over too."""
    engine = casting.engine_of(engines, player.role, getattr(player, "model", casting.USUAL))
    asks = [
        Ask(
            game.problem_id,
            [{"role": "user", "content": play_prompt(game.left)}],
            turn=turn,
            parent_id=game.last,
            first=game.index,
            stream=("game", turn),
            answerable=game.left > 0,
            prompt_ids=None if game.left else [],
            episode_id=game.episode_id,
        )
        for game in episodes
    ]
    requests = requested(asks, engine, player, seed)
    answers = answered(asks, requests, Tables(records.PROBLEMS.empty()), engine, player, lambda done, total: None)
    made = rows(asks, requests, answers, engine, player, seed, f"player{turn % 2}")
    for game, row in zip(episodes, made, strict=True):
        row["group_id"] = seeds.short_id(seed, "game", game.problem_id)
        if game.left:
            take = read_move(row["text"], game.left) if row["finish_reason"] != "error" else None
            game.last, game.left = row["completion_id"], game.left - take if take else 0
    return made
