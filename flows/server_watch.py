"""A Prefect server that goes away while a command works: the command ends soon and in one line, instead of asking it for minutes.

Prefect's client asks again for about a minute at each request, and a flow that fails has several to make. So the port is
looked at beside the work: once it has refused connections for PATIENCE_SECONDS, Prefect stops asking again and the main
thread is interrupted, as a Ctrl-C would.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from lib.errors import RoundhouseError

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 30.0
"""How long a server may refuse connections, as one does that is being started again."""


@contextlib.contextmanager
def watched(url: str) -> Iterator[None]:
    """Work with the server at an API address. Raises RoundhouseError if it goes away.

    Must be entered before prefect is imported, and needs a SIGTERM that raises KeyboardInterrupt in the main thread.
    """
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")  # what is behind an event that found no server
    logging.raiseExceptions = False  # and behind a log record
    over, lost = threading.Event(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(url, over, lost), name="roundhouse-server-watch", daemon=True)
    watcher.start()
    try:
        yield
    except RoundhouseError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # whatever Prefect makes of a server that is not there
        if lost.is_set() or (isinstance(error, Exception) and _refuses(url)):
            _ask_no_more()
            raise RoundhouseError(f"the Prefect server at {url} went away; what is done is kept, and the same command continues") from error
        raise
    finally:
        over.set()


def _watch(url: str, over: threading.Event, lost: threading.Event) -> None:
    answered = time.monotonic()
    while not over.wait(LOOK_SECONDS):
        if not _refuses(url):
            answered = time.monotonic()
        elif time.monotonic() - answered >= PATIENCE_SECONDS:
            lost.set()
            _ask_no_more()
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _refuses(url: str) -> bool:
    """Whether nobody listens there; one that is merely slow does not count."""
    place = urlsplit(url)
    try:
        with socket.create_connection((place.hostname or "", place.port or (443 if place.scheme == "https" else 80)), timeout=5):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _ask_no_more() -> None:
    from prefect.settings import get_current_settings

    get_current_settings().client.max_retries = 0
