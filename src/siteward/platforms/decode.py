"""Decoding of JSON answers, shared by the adapters: typed rows, and errors of one hierarchy.

Decoders are made once. No error quotes a body: it says where an answer is wrong, or gives the server's own words,
scrubbed and shortened. `Api` combines this for products that answer in JSON and explain refusals in a body.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias, TypeVar

from msgspec import Meta, MsgspecError, Struct, ValidationError, convert
from msgspec.json import Decoder

from siteward.transport.errors import NotThePlatformError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Answer, Reader


Some: TypeAlias = Annotated[str, Meta(min_length=1)]
"""A text that is not empty: an id, or a name that identifies something."""

PathId: TypeAlias = Annotated[str, Meta(pattern=r"^(?!\.{1,2}\Z)[0-9A-Za-z._~-]+\Z")]
"""An id that a path can carry as it is; one with a slash or dots alone would name another resource."""

Token: TypeAlias = Annotated[str, Meta(pattern=r"^[!-~]+\Z")]
"""A text that a header can carry: any other would fail before it is sent, and look as if the network were down."""


T = TypeVar("T")
_DECODERS: dict[object, Decoder[Any]] = {}
_DECODERS_LOCK = threading.Lock()
_LONGEST_WORDS = 200
# The end of a msgspec message, which says where the value is.
_PLACE = re.compile(r" - at (?:`key` in )?`\$[][.\w]*`$")


class MisshapenError(ValueError):
    """An answer has another shape than its kind; the message says where and why, and quotes nothing of it."""


def decoded(kind: type[T], content: bytes) -> T:
    """Return a JSON body as `kind`; keys that it does not name are dropped. Raises `MisshapenError`."""
    try:
        body: T = _decoder(kind).decode(content)
    except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MisshapenError(_describe_error(error)) from None
    return body


def converted(kind: type[T], data: object, *, lax: bool = False) -> T:
    """Return parsed data as `kind`; `lax` takes numbers and booleans as texts too, and 0 and 1 as booleans.

    Raises `MisshapenError`.
    """
    _decoder(kind)  # has msgspec resolve the type under our lock, before `convert` does so without one
    try:
        return convert(data, kind, strict=not lax)
    except ValidationError as error:
        raise MisshapenError(_describe_error(error)) from None


def _decoder(kind: type[T]) -> Decoder[T]:
    """Return the decoder of a type, made once and by one thread at a time.

    msgspec resolves the types of a struct's fields without a lock.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        with _DECODERS_LOCK:
            decoder = _DECODERS.get(kind)
            if decoder is None:
                decoder = _DECODERS[kind] = Decoder(kind)
    return decoder


class Fault(Protocol):
    """The body of an answer that refuses a request, as the product writes it."""

    @property
    def words(self) -> str:
        """The server's reason, for people; empty if it gives none."""


class RefusalError(Struct, frozen=True):
    """A refused request: its answer, the server's own `words`, and `said`, our message that includes them."""

    answer: Answer
    words: str
    said: str


class Api(Struct, frozen=True, kw_only=True):
    """The JSON API of one product: requests, typed answers, and errors for refusals.

    `product` is its name, and `hint` the next step where another server answered. `fault` is the type of an error body.
    `meaning` returns the error for a status with a meaning of its own, and `None` for all others; these become
    `RefusedError`, with `unwell` as the next step where the server gave no reason or failed itself.
    """

    product: str
    hint: str
    fault: type[Fault]
    meaning: Callable[[RefusalError], PlatformError | None]
    unwell: str

    def parse(self, kind: type[T], answer: Answer) -> T:
        """Return the answer's body as `kind`; raises `NotThePlatformError` for any other shape."""
        try:
            return decoded(kind, answer.content)
        except MisshapenError as error:
            message = f"{answer.path} did not answer as {self.product} does ({error})"
            raise NotThePlatformError(message, hint=self.hint) from None

    def ask(self, reader: Reader, path: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> T:
        """Send a GET and return the parsed answer; raises `PlatformError` for any status but 200."""
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
        """Return the error for an answer of another status than expected.

        `about` is the subject of the request, in words; `meaning` replaces the product's own where more is known.
        """
        words = self.words_of(reader, answer)
        topic = f" about {about}" if about else ""
        message = f"{answer.path} was answered {answer.status}{topic}" + (f": {words}" if words else "")
        error = (meaning or self.meaning)(RefusalError(answer, words, message))
        if error is not None:
            return error
        hint = None if words and answer.status < 500 else self.unwell
        return RefusedError(message, status=answer.status, words=words, hint=hint)

    def words_of(self, reader: Reader, answer: Answer) -> str:
        """Return the server's own words about an error, scrubbed and shortened; empty if it gave none."""
        try:
            fault = decoded(self.fault, answer.content)
        except MisshapenError:
            return ""
        return reader.scrub(fault.words)[:_LONGEST_WORDS]


def _describe_error(error: Exception) -> str:
    """Return the fault of an answer, in words; only its place, if msgspec's message may quote a value."""
    if not isinstance(error, ValidationError):
        return "no JSON"
    text = str(error)
    if text.startswith(("Expected", "Object missing")):
        return text
    place = _PLACE.search(text)
    return "wrong value" + (place[0] if place else "")
