"""Train-evaluation overlap: examples whose problem also stands in a held-out split make every figure too good."""

from __future__ import annotations

from pydantic import Field

from lib.alarms.reading import ALARM, OK, WATCH, Reading, above, not_applicable
from lib.alarms.seen import Seen
from lib.strategy import Settings


class Overlap(Settings):
    """Share of the examples that the round's trainers read, replayed ones too, whose problem stands in a held-out split.

    The same problem by its id, or by its prompt in small letters with white space taken together; the guard that drops
    near copies too is lib.filters.decontaminate.
    """

    watch: float = Field(0.0, ge=0)
    """None is the rule: the guard drops them."""
    alarm: float = Field(0.001, ge=0)
    """One in a thousand: the guard was left out, or something went round it."""

    def read(self, seen: Seen) -> Reading:
        found = seen.overlap
        if found is None or not found.learned:
            return not_applicable("the round trained on no examples")
        if not found.held_out:
            return not_applicable("the campaign holds no problems out")
        share = found.met / found.learned
        level = above(share, self.watch, self.alarm)
        guard = f"; the guard dropped {found.kept_out:,} completions" if found.kept_out else ""
        meaning = {OK: "", WATCH: ": figures may be too good", ALARM: ": figures cannot be trusted"}[level]
        sentence = f"{found.met:,} of {found.learned:,} examples are of problems that are held out{guard}{meaning}."
        return Reading(share, sentence, level, self.watch, self.alarm, found.learned)
