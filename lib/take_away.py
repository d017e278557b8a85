"""The game that two players play in the built-in model's small language (lib.countdown_roles): who takes the last wins.

From a pile each takes 1 to 3 in turn; a reply that is no legal move, or that counts wrongly what is left, loses at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lib import seeds
from lib.countdown_roles import MOST_TAKEN, PILE, left_in, read_move


class Played(NamedTuple):
    """How a game ended."""

    turns: int
    """How many replies belong to it."""
    winner: int | None
    """0 for who began, 1 for the other; None where nobody has won when the replies end."""
    reason: str


def opening(problem_id: str, prompt: str) -> int:
    """The pile that a problem's game begins with: its prompt's where it shows one, else one of the larger piles, by its id."""
    shown = left_in(prompt)
    return shown if shown is not None else MOST_TAKEN + 1 + seeds.seed_of("pile", problem_id) % (PILE - MOST_TAKEN)


def replayed(left: int, replies: Iterable[str | None]) -> Played:
    """The game that begins with `left` and goes by these replies; one that is None was not given."""
    turn = 0
    for turn, reply in enumerate(replies, start=1):
        player = (turn - 1) % 2
        if reply is None:
            return Played(turn, None, f"turn {turn} was not sampled")
        take = read_move(reply, left)
        if take is None:
            return Played(turn, 1 - player, f"player {player} makes no legal move at {left}")
        left -= take
        if left == 0:
            return Played(turn, player, f"player {player} takes the last")
    return Played(turn, None, f"{left} are left")
