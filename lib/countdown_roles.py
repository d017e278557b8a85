"""The small language in which the built-in model plays roles around Countdown, one token a character.

    solve     1,5,8>45:                      8+1=9;9*5=45
    hinted    1,5,8>45#9:                    8+1=9;9*5=45     the first result is shown
    check     1,5,8>45:8+1=9;9+5=45#:        2                0 for a right attempt, else the number of its first wrong step
    fix       8+1=9;9+5=45#2:1,5,8>45:       8+1=9;9*5=45     an attempt, its check and the problem; the reply is a new attempt
    propose   >:                             1,5,8>45         a problem; its numbers stand in rising order
    play      #21:                           -3=18            takes 1 to 3 of 21 and says what is left; who takes the last wins

Every function is pure, and exact where it judges: `lib.countdown_steps` says when a step is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import permutations

from lib.countdown_steps import LONGEST, SEARCHED, computed, first_wrong, left_after, question

PROPOSE = ">:"
"""The prompt that asks for a problem."""
AGAIN = "{attempt}#2:{prompt}"
"""The template, for chains of attempts, that asks to fix an attempt whatever it is: its second step counts as wrong."""
FOREIGN = r"[^0-9+\-*/=;]"
"""What cannot stand in an attempt that is shown in a prompt, as a pattern."""
PILE = 21
"""What a game begins with."""
MOST_TAKEN = 3
"""The most that one move may take."""

_PROPOSAL = re.compile(r"([1-9][0-9]{0,3}(?:,[1-9][0-9]{0,3}){1,9})>([1-9][0-9]{0,5})")
_LEFT = re.compile(r"#([1-9][0-9]{0,3}):")
_MOVE = re.compile(r"-([1-9])=(0|[1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a proposed problem must keep to; the defaults are those of the problem set."""

    numbers: int = 3
    largest: int = 20
    target_low: int = 10
    target_high: int = 99


@dataclass(frozen=True, slots=True)
class Proposal:
    """A problem as a model or a lesson proposes it, and one solution."""

    numbers: tuple[int, ...]
    target: int
    solution: str

    @property
    def prompt(self) -> str:
        """What solvers are asked."""
        return f"{','.join(map(str, self.numbers))}>{self.target}:"


def check_prompt(prompt: str, attempt: str) -> str:
    """Asks for the first wrong step of an attempt at `prompt`."""
    return f"{prompt}{shown(attempt)}#:"


def fix_prompt(prompt: str, attempt: str, wrong_step: int) -> str:
    """Asks for a new attempt after one whose check is known; the problem is last, as near to the reply as where it is asked alone."""
    return f"{shown(attempt)}#{wrong_step}:{prompt}"


def mended(attempt: str, wrong_step: int, numbers: tuple[int, ...], target: int, answer: str) -> str:
    """A solution that goes on from the steps before an attempt's first wrong one.

    `answer`, a worked solution, where there is no such step, or where more numbers are left than are searched.
    """
    kept = attempt.split(";")[: wrong_step - 1]
    left = left_after(";".join(kept), numbers) if kept else numbers
    rest = solution(left, target) if kept and not isinstance(left, str) and len(left) <= SEARCHED else None
    return answer if rest is None else ";".join([*kept, rest])


def play_prompt(left: int) -> str:
    """Asks for a move."""
    return f"#{left}:"


def shown(attempt: str) -> str:
    """An attempt as prompts show it: what no step may hold becomes a comma, so that no attempt can pass for another part."""
    return re.sub(FOREIGN, ",", attempt[:LONGEST])


def judged(prompt: str, attempt: str) -> int | None:
    """The exact check of an attempt (lib.countdown_steps.first_wrong), or None where the prompt is no Countdown problem."""
    asked = question(prompt)
    return None if asked is None else first_wrong(attempt, *asked)


def read_check(reply: str) -> int | None:
    """The digit of a check, or None where the reply is anything else."""
    return int(reply) if len(reply) == 1 and reply in "0123456789" else None


def read_proposal(reply: str, bounds: Bounds = Bounds()) -> Proposal | str:
    """The problem that a reply proposes, its numbers sorted, or why it proposes none."""
    match = _PROPOSAL.fullmatch(reply)
    if match is None:
        return "not of the form a,b,c>t"
    numbers, target = tuple(sorted(map(int, match[1].split(",")))), int(match[2])
    if len(numbers) != bounds.numbers:
        return f"{len(numbers)} numbers, not {bounds.numbers}"
    if numbers[-1] > bounds.largest:
        return f"{numbers[-1]} is above {bounds.largest}"
    if not bounds.target_low <= target <= bounds.target_high:
        return f"the target {target} is not from {bounds.target_low} to {bounds.target_high}"
    if target in numbers:
        return f"the target {target} is one of the numbers"
    found = solution(numbers, target)
    return "no solution" if found is None else Proposal(numbers, target, found)


def solution(numbers: tuple[int, ...], target: int) -> str | None:
    """The steps of one solution, or None where there is none: every order and operation is tried, which is for few numbers."""
    dead: set[tuple[int, ...]] = set()
    steps = _search(tuple(sorted(numbers)), target, dead)
    return None if steps is None else ";".join(steps)


def _search(values: tuple[int, ...], target: int, dead: set[tuple[int, ...]]) -> list[str] | None:
    if len(values) == 1:
        return [] if values[0] == target else None
    if values in dead:
        return None
    for i, j in permutations(range(len(values)), 2):
        left, right = values[i], values[j]
        rest = [value for place, value in enumerate(values) if place not in (i, j)]
        for operation in "+-*/" if left >= right else "":
            made = computed(left, operation, right)
            if made is not None and made > 0:
                after = _search(tuple(sorted([*rest, made])), target, dead)
                if after is not None:
                    return [f"{left}{operation}{right}={made}", *after]
    dead.add(values)
    return None


def move(left: int, take: int) -> str:
    """A move as a reply writes it."""
    return f"-{take}={left - take}"


def left_in(prompt: str) -> int | None:
    """What a prompt of the game shows, or None where it is none."""
    match = _LEFT.fullmatch(prompt)
    return int(match[1]) if match else None


def read_move(reply: str, left: int) -> int | None:
    """How many a reply takes, or None where it is no legal move or counts wrongly what is left."""
    match = _MOVE.fullmatch(reply)
    take = int(match[1]) if match else 0
    return take if match and take <= min(MOST_TAKEN, left) and int(match[2]) == left - take else None


def winning(left: int) -> int | None:
    """The one move that wins against any play, which leaves a multiple of 4; None where none does."""
    return left % (MOST_TAKEN + 1) or None
