"""What the adapters share to turn an answer into rows: decoders made once, and errors that never quote a body."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import MsgspecError, ValidationError, convert
from msgspec.json import Decoder

from siteward.transport.errors import NotThePlatform

if TYPE_CHECKING:
    from siteward.transport.http import Answer

T = TypeVar("T")
_DECODERS: dict[object, Decoder[Any]] = {}
_MAKING = threading.Lock()
_PLACE = re.compile(r" - at (?:`key` in )?`\$[][.\w]*`$")


class Misshapen(ValueError):  # noqa: N818 — what the answer is
    """An answer has another shape than its kind; the message says where and why, and quotes nothing of it."""


def decoded(kind: type[T], content: bytes) -> T:
    """Return a JSON body as `kind`; keys that it does not name are dropped. Raises `Misshapen`."""
    try:
        made: T = _decoder(kind).decode(content)
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Misshapen(_said(error)) from None
    return made


def converted(kind: type[T], data: object, *, lax: bool = False) -> T:
    """Return parsed data as `kind`; `lax` takes numbers and truth as texts too, and 0 and 1 for truth. Raises `Misshapen`."""
    _decoder(kind)
    try:
        return convert(data, kind, strict=not lax)
    except ValidationError as error:
        raise Misshapen(_said(error)) from None


def _decoder(kind: type[T]) -> Decoder[T]:
    """Return what decodes a kind, made once, by one thread at a time: msgspec reads a struct's types without a lock."""
    found = _DECODERS.get(kind)
    if found is None:
        with _MAKING:
            found = _DECODERS.get(kind)
            if found is None:
                found = _DECODERS[kind] = Decoder(kind)
    return found


def parsed(kind: type[T], answer: Answer, product: str, hint: str) -> T:
    """Return the answer's body as `kind`; raises `NotThePlatform`, with `hint`, where `product` would not answer so."""
    try:
        return decoded(kind, answer.content)
    except Misshapen as error:
        raise NotThePlatform(f"{answer.path} did not answer as {product} does ({error})", hint=hint) from None


def _said(error: Exception) -> str:
    """Return what is wrong with an answer; of what may quote a value, only the place is told."""
    if not isinstance(error, ValidationError):
        return "no JSON"
    text = str(error)
    if text.startswith(("Expected", "Object missing")):
        return text
    place = _PLACE.search(text)
    return "wrong value" + (place[0] if place else "")
