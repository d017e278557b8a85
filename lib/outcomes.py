"""How completions came out, over all of their verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from lib.protocols import Tables

_RANK = {"correct": 0, "wrong": 1, "undecided": 2}


def outcomes(tables: Tables, beside: Iterable[str] = ()) -> dict[str, str]:
    """completion_id → correct, wrong or undecided, for every completion. `beside`: verifiers left out.

    A completion is correct if all verdicts on it as a whole (no step, no rival) are, and undecided if any of them is,
    if there is none, or if it ended in an error.
    """
    left_out = frozenset(beside)
    found: dict[str, str] = {}
    columns = ("completion_id", "outcome", "step", "rival_id", "verifier")
    for name, outcome, step, rival, verifier in zip(*(tables.verdicts[c].to_pylist() for c in columns), strict=True):
        if outcome is not None and step is None and rival is None and verifier not in left_out:
            found[name] = max(found.get(name, outcome), outcome, key=_RANK.__getitem__)
    drawn = zip(*(tables.completions[c].to_pylist() for c in ("completion_id", "finish_reason")), strict=True)
    return {name: "undecided" if finish == "error" else found.get(name, "undecided") for name, finish in drawn}
