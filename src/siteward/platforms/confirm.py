"""Outcomes of writes: send, classify the answer, and read back where the answer leaves the outcome open.

    send ─┬─ answered   the platform's own answer: the adapter judges it
          ├─ refused    surely nothing happened: it could not be sent, or was turned away before it was taken
          ├─ lost       no answer, or a redirect: it may have happened
          └─ foreign    a success of another shape, from another server: it may have happened

A verdict that is not `sure` is settled by reading. A no in doubt is read back once. A lost answer is read back until the
result shows or nothing changes any more (`transport.patience`); then it is `unknown`, because the server may still be
working on it. A command that sets a state, or creates under a unique name, is sent again once two readings in a row
have shown it undone; a mail, an invitation or a thing whose name is not unique never is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.platforms.interface import Receipt
from siteward.transport.errors import NotThePlatformError, OutcomeUnknownError, PlatformError, RedirectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siteward.access.model import Key
    from siteward.transport.http import Answer, Writer

_REASON = "an answer was lost: reading what came of it"


class Verdict(Struct, frozen=True, kw_only=True):
    """The outcome of a command; `status` is that of a `Receipt`.

    `answer` is the server's own answer if it accepted the command. `sends` is the number of mails that were sent.
    `sure` is false if reading may show another outcome; `awaited` is true if reading has gone on for as long as it may.
    """

    status: Literal["sent", "failed", "unknown"]
    message: str = ""
    hint: str | None = None
    sends: int = 0
    answer: Answer | None = None
    sure: bool = True
    awaited: bool = False

    def receipt(self, key: Key, ids: Mapping[Key, str] | None = None) -> Receipt:
        """Return the receipt for the change of that key; `ids` are the ids that later bundles need."""
        return Receipt(
            key=key, status=self.status, message=self.message, hint=self.hint, ids=ids or {}, sends=self.sends,
            awaited=self.awaited, sure=self.sure,
        )  # fmt: skip


DONE = Verdict(status="sent")
INVITED = Verdict(status="sent", sends=1)


def failed(message: str, hint: str | None = None, *, sure: bool = True) -> Verdict:
    """Return the verdict that a command had no effect; if it is not `sure`, reading may show that it had."""
    return Verdict(status="failed", message=message, hint=hint, sure=sure)


def unknown(message: str, hint: str | None = None) -> Verdict:
    """Return the verdict that a command may have had an effect; reading may show it."""
    return Verdict(status="unknown", message=message, hint=hint, sure=False)


def confirm(
    writer: Writer,
    send: Callable[[], Answer],
    judge: Callable[[Answer], Verdict],
    is_done: Callable[[], bool],
    *,
    repeatable: bool,
    parse: Callable[[Answer], object] | None = None,
    done: Verdict = DONE,
) -> Verdict:
    """Send a command and return its outcome. Errors of the transport become verdicts.

    `judge` returns the verdict on an answer. `parse` raises `NotThePlatformError` for a success of another shape than
    expected. `is_done` reads the state and returns whether it is as the command wants it; then the verdict is `done`.
    `repeatable` is true if the command sets a state or creates under a unique name, and sends no mail. A verdict
    `unknown` on an answer counts as a lost answer.
    """
    answer = sent(send, parse)
    first = answer if isinstance(answer, Verdict) else judge(answer)
    if first.status != "unknown":
        return first if first.sure else read_back(first, is_done, done)
    verdicts = [first]

    def again() -> bool:
        answer = sent(send, parse)
        verdict = answer if isinstance(answer, Verdict) else judge(answer)
        if isinstance(answer, Verdict) or verdict.status == "unknown":
            return False
        verdicts.append(verdict)
        return True

    try:
        shown = writer.patience.watch(is_done, bool, again=again if repeatable else None, reason=_REASON)
    except PlatformError as problem:
        return replace(_describe_unread(verdicts[-1], problem), awaited=True)
    last = verdicts[-1]
    if last.status == "sent":
        return last
    return done if shown else replace(last, awaited=True, sure=True)


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
    """Return `done` if reading shows that a command took effect, else `verdict`, made sure; unknown if reading failed."""
    try:
        return done if is_done() else replace(verdict, sure=True)
    except PlatformError as problem:
        return _describe_unread(verdict, problem)


def _describe_unread(verdict: Verdict, problem: PlatformError) -> Verdict:
    return unknown(f"{verdict.message}; and it could not be read back: {problem}", problem.hint)
