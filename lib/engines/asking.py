"""Asking a server over HTTP until it answers: what is tried again, how long, and what is never told.

Tried again with growing pauses, or after as long as Retry-After says: 408, 425, 429 and 5xx, timeouts, connections that
are refused or reset, bodies that are cut short or make no sense. Not tried again: every other 4xx. The key goes into one
header and is cut out of every body before anything reads it, so that no message or answer can repeat it. Redirects are
not followed: the key would go with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from lib.engines.replies import Malformed, parsed
from lib.errors import ServerGone, UserError

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

T = TypeVar("T")

AGAIN = frozenset({408, 425, 429, *range(500, 600)})
"""Statuses that may pass."""
LONGEST_PAUSE = 60.0
"""Longest pause between two attempts, in seconds, whatever Retry-After says."""
LARGEST_BODY = 256 * 2**20
"""Bytes of a reply past which it is not read on."""
SHORTEST_SECRET = 8
"""A shorter key is a placeholder, such as EMPTY, and may stand in any text."""


class Passing(Exception):
    """A failure that may pass; `after` is how long the server asks to wait, `gone` whether nobody answered at all."""

    def __init__(self, message: str, *, after: float = 0.0, gone: bool = False) -> None:
        super().__init__(message)
        self.after = after
        self.gone = gone


class Refused(Exception):
    """The server understood and will not: asking again would not help."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to ask, how long the first pause is, and how long to wait for one answer."""

    attempts: int
    pause_seconds: float
    timeout_seconds: float


class Asker:
    """One server, its key and its clients' manners."""

    def __init__(self, base_url: str, key: str | None, key_variable: str, patience: Patience, ended: Callable[[], str | None]) -> None:
        """`ended` says how the server ended where that is known, so that nobody waits for it."""
        self.base_url = base_url
        self._key = key
        self._key_variable = key_variable
        self._patience = patience
        self._ended = ended

    def client(self, connections: int) -> httpx.AsyncClient:
        """A client for at most that many requests at once; to be closed by whoever asks for it."""
        import httpx

        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(self._patience.timeout_seconds, connect=10.0, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=not is_local(self.base_url),
        )

    async def ask(self, client: httpx.AsyncClient, path: str, body: dict[str, Any] | None, read: Callable[[dict[str, Any]], T]) -> T:
        """What `read` makes of the reply to a POST, or to a GET where there is no body.

        Raises Passing when the attempts are used up, Refused at once, ServerGone where the server has ended, UserError
        where it does not take the key.
        """
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._patience.attempts), wait=self._pause, retry=retry_if_exception_type(Passing), reraise=True
        )
        return await attempts(self._once, client, path, body, read)

    async def _once(self, client: httpx.AsyncClient, path: str, body: dict[str, Any] | None, read: Callable[[dict[str, Any]], T]) -> T:
        import httpx

        try:
            request = client.build_request("POST" if body is not None else "GET", f"{self.base_url}{path}", json=body)
            response = await client.send(request, stream=True)
            try:
                text = await self._text(response)
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            gone = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            if gone and (how := self._ended()):
                raise ServerGone(how) from None
            raise Passing(f"{type(error).__name__}: {self.without_key(str(error)) or 'no words'}", gone=gone) from None
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise Passing(f"{type(error).__name__}: {self.without_key(str(error))}") from None
        self._refuse(response, text)
        try:
            return read(parsed(text))
        except Malformed as error:
            raise Passing(f"a reply without sense ({error})") from None

    async def _text(self, response: httpx.Response) -> str:
        found = bytearray()
        async for chunk in response.aiter_bytes():
            found += chunk
            if len(found) > LARGEST_BODY:
                raise Passing(f"a reply of more than {LARGEST_BODY >> 20} MiB")
        return self.without_key(found.decode("utf-8", "replace"))

    def _refuse(self, response: httpx.Response, text: str) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        said = f"status {status}: {' '.join(text.split())[:200]}"
        if status in (401, 403):
            raise UserError(
                f"the server at {self.base_url} refuses the key ({said}); "
                f"set the environment variable {self._key_variable} to one that it takes"
            )
        if status in AGAIN:
            raise Passing(said, after=seconds_of(response.headers.get("retry-after", "")))
        raise Refused(said, status)

    def without_key(self, text: str) -> str:
        """The text, with the key cut out of it wherever it stands."""
        return text.replace(self._key, "[key]") if self._key and len(self._key) >= SHORTEST_SECRET else text

    def _pause(self, state: RetryCallState) -> float:
        from tenacity import wait_exponential_jitter

        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, Passing) else 0.0
        first = self._patience.pause_seconds
        return min(LONGEST_PAUSE, max(asked, wait_exponential_jitter(initial=first, max=LONGEST_PAUSE, jitter=first)(state)))


def is_local(base_url: str) -> bool:
    """Whether a server is on this machine's loopback, which no proxy is to be asked for."""
    from urllib.parse import urlsplit

    host = urlsplit(base_url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def seconds_of(retry_after: str) -> float:
    """Retry-After, in seconds or as a date, as seconds from now; 0 where it is neither."""
    try:
        return max(0.0, min(float(retry_after), LONGEST_PAUSE))
    except ValueError:
        pass
    try:
        return max(0.0, min(parsedate_to_datetime(retry_after).timestamp() - time.time(), LONGEST_PAUSE))
    except (ValueError, TypeError):
        return 0.0
