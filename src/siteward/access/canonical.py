"""The canonical form of plain data, RFC 8785: the one sequence of bytes that a hash over it is taken from.

Keys are sorted by UTF-16, there are no spaces, and numbers are as ECMAScript writes them. Names keep their Unicode
form.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from json.encoder import encode_basestring

from siteward.access.serialize import BIGGEST, CodecError

__all__ = ["canonical", "canonical_pieces"]


def canonical(data: object) -> bytes:
    """Return plain data in the canonical form of RFC 8785, as UTF-8. Raises `CodecError` for what has none."""
    try:
        return _canonical_text(data).encode()
    except UnicodeEncodeError:
        raise CodecError("", "a text holds half a character, which has no canonical form") from None


def canonical_pieces(data: object) -> Iterator[bytes]:
    """Yield the canonical form in pieces: an iterator in the data is an array, whose items it gives in that form already."""
    if isinstance(data, dict):
        for at, (key, name) in enumerate(_sort_names(tuple(data))):
            yield f"{',' if at else '{'}{name}:".encode()
            yield from canonical_pieces(data[key])
        yield b"}" if data else b"{}"
    elif isinstance(data, Iterator):
        yield b"["
        for at, item in enumerate(data):
            yield b"," + item if at else item
        yield b"]"
    else:
        yield canonical(data)


def _canonical_text(data: object) -> str:
    if isinstance(data, str):
        return encode_basestring(data)
    if isinstance(data, dict):
        names = tuple(data)
        return f"{{{','.join([f'{name}:{_canonical_text(data[key])}' for key, name in _sort_names(names)])}}}"
    if isinstance(data, list | tuple):
        return f"[{','.join([_canonical_text(item) for item in data])}]"
    return _canonical_scalar(data)


def _canonical_scalar(data: object) -> str:
    match data:
        case None:
            return "null"
        case bool():
            return "true" if data else "false"
        case int() if abs(data) <= BIGGEST:
            return str(data)
        case int():
            raise CodecError("", f"{data} is too big for a number in JSON")
        case float():
            return _canonical_number(data)
        case _:
            raise CodecError("", f"{type(data).__name__} has no canonical form")


@lru_cache(maxsize=4096)
def _sort_names(names: tuple[object, ...]) -> tuple[tuple[str, str], ...]:
    """Return the names of an object, plain and encoded, in the order of their UTF-16 code units."""
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise CodecError("", "the names in an object are texts")
    return tuple((text, encode_basestring(text)) for text in sorted(texts, key=lambda text: text.encode("utf-16-be")))


def _canonical_number(value: float) -> str:
    """Return a number as ECMAScript writes it (RFC 8785, section 3.2.2.3)."""
    if not math.isfinite(value):
        raise CodecError("", f"{value} is not a number that JSON can express")
    if value == 0:
        return "0"
    sign, mantissa = ("-", repr(-value)) if value < 0 else ("", repr(value))
    body, _, exponent = mantissa.partition("e")
    whole, _, fraction = body.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    """Return decimal digits with the point after `point` of them, by the rules of ECMAScript's Number::toString."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
