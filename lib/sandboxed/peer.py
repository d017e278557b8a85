"""Two processes that use each other's objects: plain values cross as copies, everything else stays where it is and is asked.

A side answers only the operations that it was told to serve. The judge serves calls of functions which a test hands over and nothing
else (a call of the builtin `type` could build an object that equals everything); the candidate's side serves everything below, for
whatever it answers is judged as a value. For the same reason no question tells the candidate what a value is compared with:
`x in answer` goes through its items, and an object of its side neither equals nor sorts with a plain value.
"""

from __future__ import annotations

import builtins
import operator

from lib.sandboxed.channel import LARGEST, Broken, Channel
from lib.sandboxed.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

MUTABLE = (list, dict, set)
"""Arguments that a call may change: how they are afterwards travels back."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, *arguments, **named: function(*arguments, **named),
    "getattr": getattr,
    "setattr": setattr,
    "iter": iter,
    "next": next,
    "len": len,
    "getitem": operator.getitem,
    "eq": operator.eq,
    "lt": operator.lt,
    "str": str,
    "repr": repr,
    "isinstance": isinstance,
}


class Remote:
    """An object of the other side. It equals another one if its owner says so, and never a plain value."""

    __slots__ = ("_peer_", "_peer_number")

    def __init__(self, peer: Peer, number: int) -> None:
        object.__setattr__(self, "_peer_", peer)
        object.__setattr__(self, "_peer_number", number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._peer_.ask("call", self, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_peer_"):
            raise AttributeError(name)
        return self._peer_.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer_.ask("setattr", self, name, value)

    def __iter__(self) -> Iterator[Any]:
        return self._peer_.ask("iter", self)

    def __next__(self) -> Any:
        return self._peer_.ask("next", self)

    def __len__(self) -> int:
        return self._peer_.ask("len", self)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: Any) -> Any:
        return self._peer_.ask("getitem", self, key)

    def __instancecheck__(self, item: Any) -> bool:
        return self._peer_.ask("isinstance", item, self)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Remote) and self._peer_.ask("eq", self, other) is True)

    def __lt__(self, other: object) -> bool:
        return self._peer_.ask("lt", self, other) is True if isinstance(other, Remote) else NotImplemented

    def __hash__(self) -> int:
        return self._peer_number

    def __str__(self) -> str:
        return self._peer_.ask("str", self)

    def __repr__(self) -> str:
        return self._peer_.ask("repr", self)


class Peer:
    """One end of a channel between two processes."""

    def __init__(self, channel: Channel, serves: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self.channel = channel
        self.serves = {"call": self.call_own} if serves is None else serves
        self.awkward = False
        """Whether this side handed over what the other can do little with: neither a plain value nor a function, or too much at once."""
        self.broken = False
        """Whether the other side is gone or talked nonsense: nothing that came out of this channel counts then."""
        self._own: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._remotes: dict[int, Remote] = {}
        self._asked = 0

    def ask(self, operation: str, *arguments: Any, **named: Any) -> Any:
        """What the other side's operation returns, or the exception that it raises, as the nearest builtin one. Raises Broken."""
        try:
            return self._ask(operation, arguments, named)
        except Broken:
            self.broken = True  # a test that catches every exception catches this one too
            raise

    def _ask(self, operation: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self._asked += 1
        number = self._asked
        self._send(("ask", number, operation, arguments, named))
        while True:
            message = self._receive()
            if message[0] == "ask":
                self._answer(*message[1:])
            elif message[:2] == ("told", number) and len(message) == 4:
                for argument, after in zip(arguments, message[3], strict=True):
                    _update(argument, after)
                return message[2]
            elif message[:2] == ("raised", number) and len(message) == 4:
                raise _exception(operation, *message[2:])
            else:
                raise Broken("an answer to no question")

    def call_own(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """Call a function that this side handed over; an operation to serve. Raises TypeError for any other."""
        if not any(function is own for own in self._own):
            raise TypeError("not a function of this side")
        return function(*arguments, **named)

    def serve(self) -> None:
        """Answer until the other side is gone. Raises Broken then."""
        while True:
            message = self._receive()
            if message[0] != "ask":
                raise Broken("an answer to no question")
            self._answer(*message[1:])

    def _answer(self, number: int, operation: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        before = [self._encoded(argument) if isinstance(argument, MUTABLE) else None for argument in arguments]
        try:
            if operation not in self.serves:
                raise TypeError(f"'{operation}' is not served")
            value = self.serves[operation](*arguments, **named)
            changed = [
                argument if was is not None and self._encoded(argument) != was else None
                for argument, was in zip(arguments, before, strict=True)
            ]
            body = self._encoded(("told", number, value, changed))
        except Broken:
            raise
        except BaseException as error:  # whatever a function of this side raises is its answer, SystemExit too
            body = self._encoded(("raised", number, _builtin_name(error), _text(error)))
        if len(body) > LARGEST:
            body = self._encoded(("raised", number, "OverflowError", f"an answer of more than {LARGEST >> 20} MiB"))
        self.channel.send(body)

    def _send(self, message: tuple[Any, ...]) -> None:
        body = self._encoded(message)
        if len(body) > LARGEST:
            self.awkward = True
            raise OverflowError(f"arguments of more than {LARGEST >> 20} MiB")
        self.channel.send(body)

    def _receive(self) -> tuple[Any, ...]:
        message = decode(self.channel.receive(), self._resolve)
        if not isinstance(message, tuple) or len(message) < 2:
            raise Broken("not a message")
        return message

    def _encoded(self, value: Any) -> bytes:
        return encode(value, self._export)

    def _export(self, value: Any) -> bytes:
        if isinstance(value, Remote):
            return b"p%x;" % value._peer_number
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._own)
            self._own.append(value)  # kept alive, so that its id stays its own
            self.awkward = self.awkward or not callable(value)
        return b"o%x;" % number

    def _resolve(self, sign: bytes, number: int) -> Any:
        if sign == b"p":
            return self._own[number]
        return self._remotes.setdefault(number, Remote(self, number))


def _update(argument: Any, after: Any) -> None:
    if isinstance(argument, list) and isinstance(after, list):
        argument[:] = after
    elif isinstance(argument, dict | set) and type(after) is type(argument):
        argument.clear()
        argument.update(after)


def _builtin_name(error: BaseException) -> str:
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")


def _text(error: BaseException) -> str:
    try:
        return f"{error}"[:200]
    except Exception:  # an exception of the candidate's own whose __str__ fails
        return ""


def _exception(operation: str, name: Any, text: Any) -> BaseException:
    if name == "StopIteration" and operation != "next":
        name = "RuntimeError"  # inside `all(map(…))` it would end the test early and well
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, BaseException)) or not isinstance(text, str):
        return Broken("an exception of no known kind")
    try:
        return kind(text)
    except TypeError:  # a kind that is not made from a text alone, such as UnicodeDecodeError
        return RuntimeError(f"{name}: {text}")
