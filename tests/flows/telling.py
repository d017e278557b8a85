"""What campaigns have told a Prefect server, which writes an event down up to five seconds after it has answered for it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.flows.living import eventually

PATIENCE_SECONDS = 90.0
"""How long something that was told may take to be heard."""


def told(server: str, campaign: str, count: int, about: str = "") -> list[dict[str, Any]]:
    """The events `roundhouse.ABOUT…` of a campaign, the oldest first; AssertionError unless `count` come, and no others with them."""
    wanted = {"event": {"prefix": [f"roundhouse.{about}"]}, "resource": {"id": [f"roundhouse.campaign.{campaign}"]}, "order": "ASC"}

    def written() -> list[dict[str, Any]] | None:
        found = httpx.post(f"{server}/events/filter", json={"filter": wanted, "limit": 50}, timeout=60).json()["events"]
        return found if len(found) >= count else None

    found: list[dict[str, Any]] = eventually(written, f"{campaign} did not tell {count} events", PATIENCE_SECONDS)
    assert len(found) == count
    return found
