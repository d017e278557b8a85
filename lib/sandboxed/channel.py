"""Frames over a file descriptor: four bytes of length, then that many bytes."""

from __future__ import annotations

import os

LARGEST = 32 << 20
"""Bytes of a frame; a longer one breaks the channel."""


class Broken(Exception):
    """The other side closed the channel or does not keep to the form of what is sent over it."""


class Channel:
    """Sends and receives whole frames."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, body: bytes) -> None:
        """Raises Broken where nobody listens any more, or the body is too long."""
        if len(body) > LARGEST:
            raise Broken("more than fits into one message")
        rest = memoryview(len(body).to_bytes(4, "big") + body)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            raise Broken(str(error)) from None

    def receive(self) -> bytes:
        """Raises Broken at the end of the channel."""
        length = int.from_bytes(self._exactly(4), "big")
        if length > LARGEST:
            raise Broken("more than fits into one message")
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            try:
                part = os.read(self.descriptor, min(count, 1 << 16))
            except OSError as error:
                raise Broken(str(error)) from None
            if not part:
                raise Broken("closed")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
