"""Plain values to bytes and back, so that a value can be believed whoever sent it.

What crosses by value: None, booleans, numbers (int, float, complex, Decimal, Fraction), text, bytes, list, tuple, set, frozenset,
dict, range, deque, Counter, OrderedDict, defaultdict (without its factory), dates, times and durations, and by name the builtin
types themselves; a subclass of a builtin type crosses as that type, so a named tuple as a tuple. Anything else is left to
`export`, which makes it a number that only its owner can resolve. No code crosses, and `decode` calls none but the
constructors of these types.

Only modules that Python has loaded anyway are imported here: this file is read at the start of every sandboxed process.
"""

from __future__ import annotations

import builtins

from lib.sandboxed.channel import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CONSTANTS: dict[bytes, Any] = {b"N": None, b"+": True, b"-": False, b"e": ...}
_SEQUENCES: tuple[tuple[type, bytes], ...] = ((list, b"l"), (tuple, b"t"), (set, b"S"), (frozenset, b"Z"))
_TYPES: dict[str, type] = {name: found for name, found in vars(builtins).items() if isinstance(found, type)}
_BUILT = {
    ("collections", "deque"): lambda value: (list(value), value.maxlen),
    ("collections", "Counter"): lambda value: (dict(value),),
    ("collections", "OrderedDict"): lambda value: (list(value.items()),),
    ("collections", "defaultdict"): lambda value: (None, dict(value)),
    ("decimal", "Decimal"): lambda value: (str(value),),
    ("fractions", "Fraction"): lambda value: (value.numerator, value.denominator),
    ("datetime", "date"): lambda value: (value.year, value.month, value.day),
    ("datetime", "datetime"): lambda value: (value.year, value.month, value.day, *_clock(value)),
    ("datetime", "time"): lambda value: _clock(value),
    ("datetime", "timedelta"): lambda value: (value.days, value.seconds, value.microseconds),
    ("builtins", "range"): lambda value: (value.start, value.stop, value.step),
    ("builtins", "complex"): lambda value: (value.real, value.imag),
    ("builtins", "bytearray"): lambda value: (bytes(value),),
}
"""Type → the arguments that make an equal value."""


def _clock(value: Any) -> tuple[int, int, int, int, int]:
    """Last the fold, which is no argument by position."""
    return value.hour, value.minute, value.second, value.microsecond, value.fold


def encode(value: Any, export: Callable[[Any], bytes]) -> bytes:
    """The bytes of a value; `export` gives `o` or `p` and the number of an object that cannot cross."""
    parts: list[bytes] = []
    _write(value, parts, export)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes], export: Callable[[Any], bytes]) -> None:
    for sign, constant in _CONSTANTS.items():
        if value is constant:
            parts.append(sign)
            return
    if isinstance(value, int):
        parts.append(b"i%s;" % format(int.__index__(value), "x").encode())
    elif isinstance(value, float):
        parts.append(b"d%s;" % float.hex(value).encode())
    elif isinstance(value, str):
        _write_bytes(b"s", str.encode(value, "utf-8", "surrogatepass"), parts)
    elif isinstance(value, bytes):
        _write_bytes(b"b", value, parts)
    elif isinstance(value, type) and _TYPES.get(value.__name__) is value:
        _write_bytes(b"T", value.__name__.encode(), parts)
    elif (kind := (type(value).__module__, type(value).__qualname__)) in _BUILT and getattr(value, "tzinfo", None) is None:
        parts.append(b"m")
        _write((*kind, *_BUILT[kind](value)), parts, export)
    elif isinstance(value, dict):
        parts.append(b"D%x;" % dict.__len__(value))
        for pair in dict.items(value):
            _write(pair[0], parts, export)
            _write(pair[1], parts, export)
    else:
        _write_sequence(value, parts, export)


def _write_sequence(value: Any, parts: list[bytes], export: Callable[[Any], bytes]) -> None:
    for kind, sign in _SEQUENCES:
        if isinstance(value, kind):
            items: list[Any] = list(kind.__iter__(value))  # type: ignore[attr-defined]
            parts.append(sign + b"%x;" % len(items))
            for item in items:
                _write(item, parts, export)
            return
    parts.append(export(value))


def _write_bytes(sign: bytes, value: bytes, parts: list[bytes]) -> None:
    parts.append(sign + b"%x;" % len(value) + value)


def decode(body: bytes, resolve: Callable[[bytes, int], Any]) -> Any:
    """The value of some bytes; `resolve` is given the sign and the number of an exported object. Raises Broken."""
    try:
        value, end = _read(body, 0, resolve)
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, MemoryError) as error:
        raise Broken(f"unreadable value: {type(error).__name__}") from None
    if end != len(body):
        raise Broken("more than one value")
    return value


def _read(body: bytes, at: int, resolve: Callable[[bytes, int], Any]) -> tuple[Any, int]:
    sign, at = body[at : at + 1], at + 1
    if sign in _CONSTANTS:
        return _CONSTANTS[sign], at
    if sign == b"m":
        made, at = _read(body, at, resolve)
        return _make(*made), at
    end = body.index(b";", at)
    word, at = body[at:end].decode("ascii"), end + 1
    if sign == b"d":
        return float.fromhex(word), at
    number = int(word, 16)
    if sign == b"i":
        return number, at
    if sign in (b"o", b"p"):
        return resolve(sign, number), at
    if not 0 <= number <= len(body) - at:
        raise ValueError("a length that cannot be")
    if sign in (b"s", b"b"):
        raw, at = body[at : at + number], at + number
        return raw if sign == b"b" else raw.decode("utf-8", "surrogatepass"), at
    if sign == b"T":
        return _TYPES[body[at : at + number].decode()], at + number
    return _read_items(sign, number, body, at, resolve)


def _read_items(sign: bytes, count: int, body: bytes, at: int, resolve: Callable[[bytes, int], Any]) -> tuple[Any, int]:
    items = []
    for _ in range(2 * count if sign == b"D" else count):
        item, at = _read(body, at, resolve)
        items.append(item)
    if sign == b"D":
        return dict(zip(items[::2], items[1::2], strict=True)), at
    kind = next(kind for kind, known in _SEQUENCES if known == sign)
    return (items if kind is list else kind(items)), at


def _make(module: str, name: str, *arguments: Any) -> Any:
    if (module, name) not in _BUILT:
        raise ValueError("no such type")
    make = getattr(__import__(module), name)
    return make(*arguments[:-1], fold=arguments[-1]) if name in ("datetime", "time") else make(*arguments)
