"""Base keys: what sample jobs have in common that differ only in how many samples they draw, or how long these may get.

A sampler that names settings in `adds` (`n`, `max_new_tokens`) has a base key: its content key with these left out. Code,
versions, models, seed and the content of every input are in it as they are in the key. What is published is indexed under
it, so that a job whose key has nothing yet finds what need not be made again (lib.samplers.standing says what that is).

The index is no more than a hint: an entry that is missing costs work, one that leads nowhere is passed over, and an artifact
is verified before any of it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib import keys
from lib.errors import DamagedArtifact
from lib.protocols import Earlier
from lib.samplers.standing import DECIDING, standing
from lib.store import Publication, Store
from lib.strategy import Strategy, load_class

WHOSE = ("model", "written_as")
"""Settings of a sampler that do not change how it draws."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    key: str
    n: int
    max_new_tokens: int

    def distance(self, limit: int) -> tuple[bool, int, int, str]:
        """The nearest first: the same limit, then lower ones, whose completions are continued, then higher ones."""
        return (self.max_new_tokens > limit, abs(self.max_new_tokens - limit), -self.n, self.key)


def ungrown(sampler: Strategy) -> dict[str, Any]:
    """A sampler's settings, those that only add at their defaults, without those that say whose completions they are."""
    settings = {name: value for name, value in sampler.model_dump(mode="json").items() if name not in WHOSE}
    return settings | {name: type(sampler).model_fields[name].default for name in _adds(settings)}


def base_key(ingredients: Mapping[str, Any]) -> str | None:
    """The base key of a sample job's ingredients; None where its sampler names nothing that only adds."""
    sampler = ingredients["settings"].get("sampler")
    adds = _adds(sampler) if ingredients["kind"] == "sample" else ()
    if not adds:
        return None
    common = {name: value for name, value in sampler.items() if name not in adds}
    return keys.key_of({**ingredients, "settings": {**ingredients["settings"], "sampler": common}})


def remember(store: Store, key: str, ingredients: Mapping[str, Any]) -> None:
    """Index what was published under a key, if it has a base key."""
    if (base := base_key(ingredients)) is not None:
        store.index(base, key)


Lookup = Callable[[str], Publication | None]
"""The newest whole publication under a key, as the store's own `lookup`."""


def earlier(lookup: Lookup, store: Store, ingredients: Mapping[str, Any]) -> list[Earlier]:
    """The whole publications of other sample jobs with the same base key, the best first; none that adds no sample to it."""
    base, sampler = base_key(ingredients), ingredients["settings"].get("sampler")
    if base is None:
        return []
    own = keys.key_of(ingredients)
    candidates = [found for key in store.indexed(base) if key != own and (found := _candidate(store, key)) is not None]
    chosen: list[Earlier] = []
    for one in sorted(candidates, key=lambda one: one.distance(sampler["max_new_tokens"])):
        covered = max((taken.n for taken in chosen), default=0)
        if covered < min(one.n, sampler["n"]) and (whole := lookup(one.key)) is not None:
            chosen.append(Earlier(f"{one.key}/{whole.version}", store.folder(whole.digest), one.n, one.max_new_tokens))
    return chosen


def counted(lookup: Lookup, store: Store, ingredients: Mapping[str, Any], device: str) -> tuple[int, int]:
    """How many of a sample job's completions are there already, and of how many, or zeros; reads a few columns and draws nothing."""
    found = earlier(lookup, store, ingredients)
    if not found:
        return 0, 0
    there = sum(one.rows.num_rows for one in standing(found, ingredients["settings"], device, DECIDING))
    indices = pq.read_table(found[0].folder / "completions.parquet", columns=["sample_index"])["sample_index"]
    owed = pc.sum(pc.equal(indices, 0)).as_py() * ingredients["settings"]["sampler"]["n"]
    return there, owed


def _adds(sampler: Mapping[str, Any]) -> tuple[str, ...]:
    return getattr(load_class(sampler["strategy"]), "adds", ())


def _candidate(store: Store, key: str) -> _Candidate | None:
    try:
        sampler = store.read(key, max(store.versions(key), default=0)).ingredients["settings"]["sampler"]
    except DamagedArtifact:
        return None
    return _Candidate(key, sampler["n"], sampler["max_new_tokens"])
