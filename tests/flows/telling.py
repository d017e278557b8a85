"""What campaigns have told a Prefect server, which writes an event down up to five seconds after it has answered for it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.flows.living import eventually


def told_so_far(server: str, campaign: str, about: str = "round") -> list[dict[str, Any]]:
    """The events `roundhouse.ABOUT.` of a campaign that the server has written down, the oldest first."""
    wanted = {"event": {"prefix": [f"roundhouse.{about}."]}, "resource": {"id": [f"roundhouse.campaign.{campaign}"]}, "order": "ASC"}
    return httpx.post(f"{server}/events/filter", json={"filter": wanted, "limit": 50}, timeout=60).json()["events"]


def told(server: str, campaign: str, count: int, about: str = "round") -> list[dict[str, Any]]:
    """The same once there are `count`; AssertionError where they do not come, or others beside them."""
    eventually(lambda: len(told_so_far(server, campaign, about)) >= count, f"{campaign} never told {count} events of a {about}")
    found = told_so_far(server, campaign, about)
    assert len(found) == count
    return found
