"""Outcomes of writes: send once, classify the answer, and read back where the answer leaves the outcome open.

    send ─┬─ answered   the platform's own answer: the adapter judges it
          ├─ refused    surely nothing happened: it could not be sent, or was turned away before it was taken
          ├─ lost       no answer, or a redirect: it may have happened
          └─ foreign    a success of another shape, from another server: it may have happened

A verdict that is not `sure` is settled by reading, never by sending again; it stays `unknown` where reading does not
show the result, because the server may still be working on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from siteward.platforms.interface import Receipt
from siteward.transport.errors import NotThePlatformError, OutcomeUnknownError, PlatformError, RedirectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siteward.access.model import Key
    from siteward.transport.http import Answer


class Verdict(Struct, frozen=True, kw_only=True):
    """The outcome of a command; `status` is that of a `Receipt`.

    `answer` is the server's own answer if it accepted the command. `sends` is the number of mails that were sent.
    `sure` is false if reading may show another outcome.
    """

    status: Literal["sent", "failed", "unknown"]
    message: str = ""
    hint: str | None = None
    sends: int = 0
    answer: Answer | None = None
    sure: bool = True

    def receipt(self, key: Key, ids: Mapping[Key, str] | None = None) -> Receipt:
        """Return the receipt for the change of that key; `ids` are the ids that later bundles need."""
        return Receipt(
            key=key, status=self.status, message=self.message, hint=self.hint, ids=ids or {}, sends=self.sends
        )


DONE = Verdict(status="sent")
INVITED = Verdict(status="sent", sends=1)


def failed(message: str, hint: str | None = None, *, sure: bool = True) -> Verdict:
    """Return the verdict that a command had no effect; if it is not `sure`, reading may show that it had."""
    return Verdict(status="failed", message=message, hint=hint, sure=sure)


def unknown(message: str, hint: str | None = None) -> Verdict:
    """Return the verdict that a command may have had an effect; reading may show it."""
    return Verdict(status="unknown", message=message, hint=hint, sure=False)


def confirm(
    send: Callable[[], Answer],
    judge: Callable[[Answer], Verdict],
    is_done: Callable[[], bool],
    *,
    parse: Callable[[Answer], object] | None = None,
    done: Verdict = DONE,
) -> Verdict:
    """Send a command once and return its outcome. Errors of the transport become verdicts.

    `judge` returns the verdict on an answer. `parse` raises `NotThePlatformError` for a success of another shape than
    expected. `is_done` reads the state and returns whether it is as the command wants it; then the verdict is `done`.
    """
    answer = sent(send, parse)
    verdict = answer if isinstance(answer, Verdict) else judge(answer)
    return verdict if verdict.sure else read_back(verdict, is_done, done)


def sent(send: Callable[[], Answer], parse: Callable[[Answer], object] | None = None) -> Answer | Verdict:
    """Send a command once and return its answer, or a verdict if no answer of the platform came."""
    try:
        answer = send()
    except (OutcomeUnknownError, RedirectedError) as lost:
        return unknown(str(lost), lost.hint)
    except PlatformError as problem:  # it was not sent, or not taken
        return failed(str(problem), problem.hint)
    try:
        if answer.ok and parse is not None:
            parse(answer)
    except NotThePlatformError as foreign:
        return unknown(str(foreign), foreign.hint)
    return answer


def read_back(verdict: Verdict, is_done: Callable[[], bool], done: Verdict = DONE) -> Verdict:
    """Return `done` if reading shows that a command took effect, else `verdict`; unknown if reading failed."""
    try:
        return done if is_done() else verdict
    except PlatformError as problem:
        return unknown(f"{verdict.message}; and it could not be read back: {problem}", problem.hint)


def repeated(send: Callable[[], Answer]) -> Answer:
    """Send a command that may be repeated, and again if the answer was lost or the server failed.

    Raises what the second attempt raises.
    """
    try:
        answer = send()
        if answer.status < 500:
            return answer
    except OutcomeUnknownError:
        pass
    return send()
