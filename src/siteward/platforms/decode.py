"""Decoding of answers, shared by the adapters: rows of their own kind, errors of one tree.

Decoders are made once. No error quotes a body: it says where an answer is wrong, or gives the server's own words,
scrubbed and bounded. `Api` puts that together for products that answer in JSON and say in a body why they refuse.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import MsgspecError, Struct, ValidationError, convert
from msgspec.json import Decoder

from siteward.transport.errors import NotThePlatformError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Answer, Reader

T = TypeVar("T")
_DECODERS: dict[object, Decoder[Any]] = {}
_MAKING = threading.Lock()
_LONGEST_WORDS = 200
_PLACE = re.compile(r" - at (?:`key` in )?`\$[][.\w]*`$")


class MisshapenError(ValueError):
    """An answer has another shape than its kind; the message says where and why, and quotes nothing of it."""


def decoded(kind: type[T], content: bytes) -> T:
    """Return a JSON body as `kind`; keys that it does not name are dropped. Raises `MisshapenError`."""
    try:
        made: T = _decoder(kind).decode(content)
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MisshapenError(_said(error)) from None
    return made


def converted(kind: type[T], data: object, *, lax: bool = False) -> T:
    """Return parsed data as `kind`; `lax` takes numbers and truth as texts too, and 0 and 1 for truth. Raises `MisshapenError`."""
    _decoder(kind)
    try:
        return convert(data, kind, strict=not lax)
    except ValidationError as error:
        raise MisshapenError(_said(error)) from None


def _decoder(kind: type[T]) -> Decoder[T]:
    """Return what decodes a kind, made once, by one thread at a time: msgspec reads a struct's types without a lock."""
    found = _DECODERS.get(kind)
    if found is None:
        with _MAKING:
            found = _DECODERS.get(kind)
            if found is None:
                found = _DECODERS[kind] = Decoder(kind)
    return found


class Fault(Protocol):
    """The body of a refusal."""

    @property
    def words(self) -> str:
        """What the server says about it, for people; empty where it says nothing."""


class RefusalError(Struct, frozen=True):
    """An answer that is none of the good ones: `said` tells which, with the server's own `words` about it."""

    answer: Answer
    words: str
    said: str


class Api(Struct, frozen=True, kw_only=True):
    """The JSON API of one product: questions, answers of the right kind, and what its refusals mean.

    `product` is its name and `hint` the next step where something else answered. `fault` is the kind of an error body.
    `meaning` returns the error for a status that means something of its own there, and `None` for all others; these
    become `RefusedError`, with `unwell` as the next step where the server gave no reason or says that the fault is its own.
    """

    product: str
    hint: str
    fault: type[Fault]
    meaning: Callable[[RefusalError], PlatformError | None]
    unwell: str

    def parse(self, kind: type[T], answer: Answer) -> T:
        """Return the answer's body as `kind`; raises `NotThePlatformError` for any other shape, without quoting the body."""
        try:
            return decoded(kind, answer.content)
        except MisshapenError as error:
            said = f"{answer.path} did not answer as {self.product} does ({error})"
            raise NotThePlatformError(said, hint=self.hint) from None

    def ask(self, reader: Reader, path: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> T:
        """Ask by GET and return the parsed answer; raises `PlatformError` for any status but 200."""
        answer = reader.query(path, params)
        if answer.status != 200:
            raise self.refusal(reader, answer)
        return self.parse(kind, answer)

    def refusal(
        self,
        reader: Reader,
        answer: Answer,
        about: str = "",
        meaning: Callable[[RefusalError], PlatformError | None] | None = None,
    ) -> PlatformError:
        """Return the error for an answer that is none of the good ones.

        `about` is what it was about, in words; `meaning` takes the place of the product's own where more is known.
        """
        words = self.words_of(reader, answer)
        topic = f" about {about}" if about else ""
        said = f"{answer.path} was answered {answer.status}{topic}" + (f": {words}" if words else "")
        error = (meaning or self.meaning)(RefusalError(answer, words, said))
        if error is not None:
            return error
        hint = None if words and answer.status < 500 else self.unwell
        return RefusedError(said, status=answer.status, words=words, hint=hint)

    def words_of(self, reader: Reader, answer: Answer) -> str:
        """Return the server's own words about an error, scrubbed and bounded; empty where it gave none."""
        try:
            fault = decoded(self.fault, answer.content)
        except MisshapenError:
            return ""
        return reader.scrub(fault.words)[:_LONGEST_WORDS]


def _said(error: Exception) -> str:
    """Return what is wrong with an answer; of what may quote a value, only the place is told."""
    if not isinstance(error, ValidationError):
        return "no JSON"
    text = str(error)
    if text.startswith(("Expected", "Object missing")):
        return text
    place = _PLACE.search(text)
    return "wrong value" + (place[0] if place else "")
