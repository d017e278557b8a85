"""A slot of a Prefect global concurrency limit: how machines that share devices take turns at them.

ROUNDHOUSE_SLOT names the limit. Without it nothing is asked of the server: on one machine the lock that the child itself
holds on its device is enough, and is free the moment that the child is gone.

A slot is leased for a minute and renewed while it is held, so that of a killed holder comes back by itself: the lease runs
out, and the server looks every 15 s for those that did. A holder that could not renew in time stops its child while the
lease still stands, before anybody else is given the slot; Prefect's own `concurrency` would give up at the third failed
request, whatever is left of the lease, and stops a thread at any line of it.

Never wait for a slot while holding a device or a key.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from lib.errors import RoundhouseError, UserError

LEASE_SECONDS = 60.0
"""The shortest that Prefect's server allows."""

RENEW_SECONDS = 12.0
"""Pause between two renewals: four may fail before the lease runs out."""

MARGIN_SECONDS = 8.0
"""How long before its lease runs out a holder stops: longer than a child and its group take to die."""

REQUEST_SECONDS = 10.0
"""How long a renewal may take. A slot may be asked for longer: one that was given and not heard of is taken for a minute."""

RETRY_SECONDS = 1.0
WAIT_SECONDS = 2.0
"""Pause between two requests for a slot that is taken. The server would propose the usual time that one is held, a stage's."""

PATIENCE_SECONDS = 120.0
"""How long a server that does not answer, or not well, is asked for a slot: it may be starting again."""

TICK_SECONDS = 0.05

log = logging.getLogger(__name__)


class Lease:
    """A slot that is held: two threads, one that renews and one that tells the time, however long a request hangs."""

    def __init__(self, lease_id: UUID, granted: float, stop: Callable[[], None]) -> None:
        """`granted` is when the slot was asked for (time.monotonic), earlier than the server's own reckoning."""
        self._id = lease_id
        self._stop = stop
        self._until = granted + LEASE_SECONDS - MARGIN_SECONDS
        self._over = threading.Event()
        self.is_lost = False
        for work in (self._renew, self._watch):
            threading.Thread(target=work, name=f"roundhouse-slot-{work.__name__}", daemon=True).start()

    def give_back(self) -> None:
        """Let the slot go. Where the server cannot be told, the lease runs out instead."""
        self._over.set()
        with contextlib.suppress(httpx.HTTPError), _client() as client:
            client.release_concurrency_slots_with_lease(self._id)

    def _renew(self) -> None:
        pause = RENEW_SECONDS
        while not self._over.wait(pause):
            asked = time.monotonic()
            try:
                with _client() as client:
                    client.renew_concurrency_lease(self._id, LEASE_SECONDS)
            except httpx.HTTPError as error:
                if _status(error) == httpx.codes.GONE:
                    self._until = asked
                    return
                pause = RETRY_SECONDS
            else:
                self._until = asked + LEASE_SECONDS - MARGIN_SECONDS
                pause = RENEW_SECONDS

    def _watch(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            if time.monotonic() >= self._until:
                if not self.is_lost:
                    log.warning("the lease of a slot was lost, so its work is stopped; it is tried again with another slot")
                self.is_lost = True
            if self.is_lost:
                self._stop()  # again and again until it is given back: a child may be about to start


class Slot:
    """What a flow run holds while its child works at a stage; nothing where no limit is named."""

    def __init__(self, name: str, stop: Callable[[], None]) -> None:
        """`stop` kills what may only run while the slot is held; it is called from another thread, more than once."""
        self.name = name
        self._stop = stop
        self._lease: Lease | None = None

    @property
    def is_held(self) -> bool:
        """Whether a slot is held whose lease stands."""
        return self._lease is not None and not self._lease.is_lost

    @property
    def was_lost(self) -> bool:
        """Whether the slot that was taken last ran out under its holder."""
        return self._lease is not None and self._lease.is_lost

    def take(self) -> None:
        """Hold a slot, waiting as long as all are taken. Raises UserError where the server has no such limit."""
        if not self.name or self.is_held:
            return
        self.give_back()
        self._lease = Lease(*self._granted(), self._stop)

    def give_back(self) -> None:
        """Let the slot go, if one is held; whoever holds a device must have let that go before."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.give_back()

    def _granted(self) -> tuple[UUID, float]:
        silent_since: float | None = None
        told = False
        while True:
            asked = time.monotonic()
            try:
                return self._ask(), asked
            except httpx.HTTPError as error:
                if _status(error) == httpx.codes.LOCKED:
                    silent_since = None
                    if not told:
                        log.warning("waiting for a slot of '%s': all are taken", self.name)
                        told = True
                    time.sleep(WAIT_SECONDS)
                    continue
                silent_since = silent_since or asked
                self._refuse(error, time.monotonic() - silent_since)
                time.sleep(RETRY_SECONDS)

    def _ask(self) -> UUID:
        run = ConcurrencyLeaseHolder(type="flow_run", id=UUID(flow_run.id)) if flow_run.id else None
        with _client(PATIENCE_SECONDS) as client:
            answer = client.increment_concurrency_slots_with_lease([self.name], 1, "concurrency", LEASE_SECONDS, run).json()
        if not answer["limits"]:
            raise UserError(
                f"ROUNDHOUSE_SLOT names '{self.name}', a concurrency limit that the Prefect server at {PREFECT_API_URL.value()} "
                f"does not have; make it: prefect gcl create {self.name} --limit 1"
            )
        return UUID(answer["lease_id"])

    def _refuse(self, error: httpx.HTTPError, silent_seconds: float) -> None:
        """Raise where asking again would not help."""
        status = _status(error)
        if status == httpx.codes.UNPROCESSABLE_ENTITY:
            raise UserError(
                f"the concurrency limit '{self.name}' that ROUNDHOUSE_SLOT names has no slot at all; "
                f"give it one: prefect gcl update {self.name} --limit 1"
            ) from None
        if status is not None and status < httpx.codes.INTERNAL_SERVER_ERROR:
            raise error
        if silent_seconds > PATIENCE_SECONDS:
            raise RoundhouseError(
                f"no Prefect server answers at {PREFECT_API_URL.value()}, which gives the slots of '{self.name}'; start it again"
            ) from None


def _status(error: httpx.HTTPError) -> int | None:
    return error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None


@contextlib.contextmanager
def _client(seconds: float = REQUEST_SECONDS) -> Iterator[SyncPrefectClient]:
    """A client that does not try again by itself, for the lease's time is counted here."""
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(sync_client=True, httpx_settings={"timeout": seconds}) as client,
    ):
        yield client
