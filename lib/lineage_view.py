"""A walk as a tree for the terminal.

Texts of models and problems are hostile: every character is escaped that a terminal might obey or that hides others.
"""

from __future__ import annotations

from typing import Any

from rich.text import Text
from rich.tree import Tree

from lib.lineage_tree import Node

ID_SHOWN = 12
"""Characters of an id that are shown."""

TEXT_SHOWN = 240
"""Characters of a fact that are shown."""


def render(node: Node) -> Tree:
    """The tree for a rich console."""
    root = Tree(_line(node))
    waiting = [(root, child) for child in reversed(node.children)]
    while waiting:
        above, below = waiting.pop()
        branch = above.add(_line(below))
        waiting.extend((branch, child) for child in reversed(below.children))
    return root


def _line(node: Node) -> Text:
    relation = f"{node.relation} " if node.relation else ""
    line = Text.assemble((relation, "dim"), (node.kind, "bold"), " ", (_word(node.id), "cyan"))
    separator = "\n"
    for name, value in node.facts:
        line.append(f"{separator}{name} ", "dim").append(_cut(_shown(value)))
        separator = " · "
    return line


def _is_hex(word: str) -> bool:
    return len(word) > ID_SHOWN and not word.strip("0123456789abcdef")


def _shown(value: Any) -> str:
    """A value in one line; a strategy as `Class(setting=value)`."""
    if isinstance(value, dict) and "strategy" in value:
        inside = ", ".join(f"{name}={_shown(v)}" for name, v in value.items() if name != "strategy")
        return f"{str(value['strategy']).rpartition(':')[2]}({inside})"
    if isinstance(value, dict):
        return ", ".join(f"{_word(name)} {_shown(v)}" for name, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return _word(value) if isinstance(value, str) else str(value)


def _word(word: str) -> str:
    """An id by its beginning, and any other text as it is, or quoted and escaped."""
    if _is_hex(word):
        return word[:ID_SHOWN]
    return word if word.isprintable() else repr(word)


def _cut(line: str) -> str:
    return line if len(line) <= TEXT_SHOWN else line[: TEXT_SHOWN - 1] + "…"
