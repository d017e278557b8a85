"""Every model that was trained says what it learned from and which models it began with, and these are here."""

from __future__ import annotations

from lib.audit.reach import Reach
from lib.audit.report import Report, short


def check(reach: Reach, report: Report) -> None:
    """Look at the record of every training; artifacts that the check of digests missed are not named again."""
    own = {made.digest for _, made in reach.online()}
    for _, made in reach.of_kind("train"):
        where = reach.artifacts.get(made.digest, "")
        thing = f"model {short(made.digest)} ({where})"
        learned = [content for name in ("examples", "replay") for content in made.ingredients["inputs"].get(name, [])]
        if not learned and made.digest not in own:
            report.add("ancestry", thing, "examples that it learned from", "none in its record", reach.remedies[made.digest])
        for content in learned:
            if reach.holder(content) is None:
                report.add("ancestry", thing, f"its examples {short(content)} in the store", "none", reach.remedies[made.digest])
        parents = made.ingredients["models"]
        if not parents:
            report.add("ancestry", thing, "a model that it began with", "none in its record", reach.remedies[made.digest])
        for role, parts in sorted(parents.items()):
            if reach.model(parts["weights"]) is None:
                expected = f"its {role} model, of weights {short(parts['weights'])}, in the store"
                report.add("ancestry", thing, expected, "none", reach.remedies[made.digest])
