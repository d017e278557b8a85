"""The smallest target of a child process."""

from __future__ import annotations

from typing import Any


def answer(connection: Any, argument: Any) -> None:
    """Say what was given, and end once told to."""
    connection.send(argument)
    connection.recv()
