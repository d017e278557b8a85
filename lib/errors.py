"""Every failure that roundhouse names, as one tree.

RoundhouseError
├── UserError                what a person typed or gave is wrong; one line that says what to change
│   ├── UnknownName          no such recipe, setting, campaign, stage: the message names the near miss
│   ├── BadModel             a model folder that cannot be used as it is
│   └── BadProblems          a problem set that is empty, exhausted or unreadable
├── BudgetSpent              a campaign has spent what it may
├── DamagedArtifact          the files of an artifact do not match its digest
│   └── Collected            nothing is wrong with them but that its weights were collected
├── SchemaMismatch           a table of another schema or version than the reader's
├── BrokenConservation       rows in do not equal rows out
├── Unproven                 a guard did not find what was planted for it to find
├── TooManyUndecided         a verify stage, or an iteration of a training, whose undecided share passed its limit
├── Held                     somebody else holds the campaign, the device or the key
└── ChildFailure             a stage's child process ended badly
    ├── OutOfMemory          the micro-batch could not be halved any further
    ├── ChildCrashed         killed or crashed; worth another try
    │   ├── ServerGone       the model server that it asked went away; what it had answered is kept
    │   └── SlotLost         the lease of its slot was lost, so it was stopped before another got the slot
    ├── ChildHung            ran past its time limit and was killed
    └── StageFailed          the stage itself raised; trying again would not help
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RoundhouseError(Exception):
    """Anything that roundhouse itself reports as gone wrong."""


class UserError(RoundhouseError):
    """A mistake that its maker can mend; the message is one line with the thing and the remedy."""


class UnknownName(UserError):
    """A name that does not exist, with what does exist and the nearest of it."""

    def __init__(self, what: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        have = f" (have: {', '.join(known)})" if known else ""
        super().__init__(f"no {what} '{name}'{' ' + where if where else ''}{hint}{have}")
        self.name = name


class BadModel(UserError):
    """A model folder or name that cannot be used as it is."""


class BadProblems(UserError):
    """A problem set that is empty, exhausted or unreadable."""


class DamagedArtifact(RoundhouseError):
    """The files of an artifact do not match its digest."""


class Collected(DamagedArtifact):
    """The weights of a model were collected as garbage; the message says when, and what makes them again."""


class BudgetSpent(RoundhouseError):
    """A campaign has spent what it may; what is done is kept, and the same command with a larger budget goes on."""


class SchemaMismatch(RoundhouseError):
    """A table of another schema or version than the one its reader knows."""


class BrokenConservation(RoundhouseError):
    """Rows in do not equal rows kept plus rows dropped, or a strategy made another number than it owes."""


class Unproven(RoundhouseError):
    """A guard did not find what was planted for it to find, so what it passed cannot be trusted."""


class TooManyUndecided(RoundhouseError):
    """The undecided share of a verify stage, or of one iteration of a training, passed its limit."""


class Held(RoundhouseError):
    """Somebody else holds what was asked for; the message says who."""


class ChildFailure(RoundhouseError):
    """A stage's child process ended without a result."""


class OutOfMemory(ChildFailure):
    """Out of memory even at the smallest micro-batch."""


class ChildCrashed(ChildFailure):
    """The child was killed or crashed; a new child may succeed."""


class ServerGone(ChildCrashed):
    """The model server that a child asked went away; what it had answered is kept for the next try."""


class SlotLost(ChildCrashed):
    """The lease of a child's slot was lost, so it was stopped before another could be given the slot."""


class ChildHung(ChildFailure):
    """The child ran past its time limit and was killed with its whole process group."""


class StageFailed(ChildFailure):
    """The stage raised; the same input would fail again."""
