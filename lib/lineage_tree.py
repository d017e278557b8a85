"""What a walk found, as a tree of plain values; lib.lineage_view shows it to people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """One thing on the way, how it stands to the one above it, and what is known of it, in order."""

    kind: str
    """model, job, examples, example, completion, verdict, filter, problem or problems."""
    id: str
    relation: str = ""
    facts: tuple[tuple[str, Any], ...] = ()
    """Name and JSON value; a fact without a value is left out."""
    children: tuple[Node, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The tree as JSON values."""
        return {
            "kind": self.kind,
            "id": self.id,
            "relation": self.relation,
            "facts": dict(self.facts),
            "children": [child.to_dict() for child in self.children],
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a node, the way a reader meets them: depth, relation, kind, id, parent (an id), facts."""
        return list(self._rows(0, ""))

    def _rows(self, depth: int, parent: str) -> Iterator[dict[str, Any]]:
        row = {"depth": depth, "relation": self.relation, "kind": self.kind, "id": self.id, "parent": parent}
        yield {**row, "facts": dict(self.facts)}
        for child in self.children:
            yield from child._rows(depth + 1, self.id)


def facts(**values: Any) -> tuple[tuple[str, Any], ...]:
    """Facts in the order given, without those that have no value."""
    return tuple((name, value) for name, value in values.items() if value not in (None, "", [], {}))
