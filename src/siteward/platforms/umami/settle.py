"""Sending one command to Umami, and finding out what became of it.

Umami answers 500 with an empty body, or 400, to a write that stands already and to one that is impossible alike
(API.md sections 1 and 11), and what stands before it may answer 200 with a page of its own. So whatever is no clear
yes is settled by reading, never by sending again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.platforms.interface import Receipt
from siteward.platforms.umami.rows import parse, words_of
from siteward.transport.errors import NotThePlatform, OutcomeUnknown, PlatformError, Redirected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siteward.access.model import Key
    from siteward.transport.http import Answer, Writer


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of a command; `answer` is there where the server said yes, and is of the kind that was asked for."""

    status: Literal["sent", "failed", "unknown"]
    message: str = ""
    hint: str | None = None
    answer: Answer | None = None

    def receipt(self, key: Key, ids: Mapping[Key, str] | None = None) -> Receipt:
        """Return the receipt for the change of that key."""
        return Receipt(key=key, status=self.status, message=self.message, hint=self.hint, ids=ids or {})


DONE = Verdict(status="sent")


def unknown(problem: PlatformError, before: str = "") -> Verdict:
    """Return the verdict that something may have happened; `problem` is why that cannot be told."""
    return Verdict(status="unknown", message=f"{before}{problem}", hint=problem.hint)


def failed(message: str, hint: str | None = None) -> Verdict:
    """Return the verdict that something surely did not happen."""
    return Verdict(status="failed", message=message, hint=hint)


def command(
    writer: Writer,
    method: Literal["POST", "DELETE"],
    path: str,
    body: object,
    kind: type[object],
    is_done: Callable[[], bool],
    *,
    no: frozenset[int] = frozenset(),
) -> Verdict:
    """Send a command once; `is_done` reads whether the world is as the command wants it. Raises nothing of the wire.

    `kind` is what a yes holds; a yes of another shape counts as a lost answer. `no` are statuses that surely say no, so
    that reading is not asked. A lost answer stays `unknown` unless reading shows it done: the server may still be at it.
    """
    try:
        answer = writer.command(method, path, json=body)
    except (OutcomeUnknown, Redirected) as lost:
        return _read_back(is_done, unknown(lost))
    except PlatformError as problem:
        return failed(str(problem), problem.hint)
    if answer.ok:
        return _yes(answer, kind, is_done)
    words = words_of(writer, answer)
    said = f"Umami answered {answer.status}" + (f": {words}" if words else " without a word")
    return failed(said) if answer.status in no else _read_back(is_done, failed(said))


def _yes(answer: Answer, kind: type[object], is_done: Callable[[], bool]) -> Verdict:
    try:
        parse(kind, answer)
    except NotThePlatform as stranger:
        return _read_back(is_done, unknown(stranger))
    return Verdict(status="sent", answer=answer)


def _read_back(is_done: Callable[[], bool], otherwise: Verdict) -> Verdict:
    try:
        return DONE if is_done() else otherwise
    except PlatformError as problem:
        return unknown(problem, f"{otherwise.message}; and it could not be read back: ")
