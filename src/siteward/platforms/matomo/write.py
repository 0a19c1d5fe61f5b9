"""Writes changes by Matomo's own calls: one bulk for each bundle, of which every single result is checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import account_key
from siteward.platforms.confirm import DONE, INVITED, Verdict, failed, unknown
from siteward.platforms.interface import Receipt, native
from siteward.platforms.matomo.calls import plan_bundle
from siteward.platforms.matomo.native_state import NativeState, is_pending
from siteward.platforms.matomo.rpc import (
    BULK,
    PATH,
    WRONG_PASSWORD,
    Call,
    Failed,
    bulk_form,
    in_bulks,
    query,
    refusal,
    token_of,
    words_of,
)
from siteward.transport.errors import NotThePlatformError, OutcomeUnknownError, PlatformError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.platforms.matomo.calls import PlannedCalls
    from siteward.transport.http import Answer, Writer

# The words in which a login or an address is refused that is taken: what stands there may be another's.
_TAKEN = re.compile(r"already (exists|used)")
# Messages of the library that sends Matomo's mails; the row is written by then (updateUser on 5.3).
_NO_MAIL = re.compile(r"Invalid address|SMTP|mail function")
_MAIL_HINT = "mend the mail settings of the server: it changed the account and could not tell anybody"
_LOCKED = "Could not get the lock"
_PASSWORD_HINT = "correct the credential PASSWORD: it must be the password of the account whose token is used"  # noqa: S105
_LOCK_HINT = "somebody else is changing this person right now; try again"


class DoneWithFault(Struct, frozen=True):
    """The answer to a change that was made, while a call sent along with it was refused; `words` are for people."""

    words: str


class Unsent(Struct, frozen=True):
    """Why a change was not sent."""

    words: str


class Lost(Struct, frozen=True):
    """What came instead of the answer to a request."""

    words: str
    hint: str | None = None


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Send one bundle and return a receipt for each of its changes.

    Once the password was refused, nothing that carries it is sent any more. Raises `UnauthenticatedError` if the token
    is refused or the address is locked out.
    """
    state = native(live, NativeState)
    planned = plan_bundle(bundle, live)
    obstacles = [_find_obstacle(writer, planned_calls, state) for planned_calls in planned]
    sendable = [planned_calls for planned_calls, why in zip(planned, obstacles, strict=True) if why is None]
    answers = iter(_send_planned(writer, sendable))
    return [
        receipt
        for planned_calls, why in zip(planned, obstacles, strict=True)
        for receipt in _make_receipts(writer, planned_calls, next(answers) if why is None else Unsent(why))
    ]


def resend(writer: Writer, login: str, live: Live) -> Receipt:
    """Send the invitation of a pending account again: a mail goes out, and the former link is dead.

    Reading does not show that. Raises `OutcomeUnknownError` for a lost answer, or one that is not Matomo's.
    """
    state = native(live, NativeState)
    key = account_key(state.spelling(login))
    user = state.user(login)
    if user is None or not is_pending(user):
        return failed(f"{login} has no invitation that is open or has run out").receipt(key)
    try:
        result = _send_directly(writer, Call("UsersManager.resendInvite", {"userLogin": user.login}), confirmed=False)
    except NotThePlatformError as foreign:
        raise OutcomeUnknownError(str(foreign), hint=foreign.hint) from foreign
    if isinstance(result, Failed):
        return failed(result.words).receipt(key)
    if not (isinstance(result, dict) and result.get("result") == "success"):
        raise OutcomeUnknownError("the invitation was answered otherwise than Matomo does")
    return INVITED.receipt(key)


def _find_obstacle(writer: Writer, planned: PlannedCalls, state: NativeState) -> str | None:
    """Return why planned calls must not be sent; `None` if they may."""
    if not planned.calls:
        return planned.why
    if planned.confirmed and not token_of(writer).has_password and not state.ldap:
        return "this needs the password of the account whose token is used"
    if planned.confirmed and token_of(writer).password_refused:
        return "the password was refused before, and was not sent again"
    arguments = planned.calls[0].arguments
    if arguments.get("initialIdSite") == "":
        return "an invitation needs a first site, and nothing is granted to this person"
    if arguments.get("password") == "":
        return "no password was made for this account"
    return None


def _send_planned(writer: Writer, planned: Sequence[PlannedCalls]) -> list[object]:
    """Send planned calls and return one answer for each: that to its first call, with faults of those sent along.

    Mails are sent within the request, so a mail server that is slow makes the requests after this one smaller.
    """
    answers: list[object] = []
    while len(answers) < len(planned):
        batch = planned[len(answers) :]
        mailing = any(group.mails for group in batch)
        batch = batch[: token_of(writer).most_mailing] if mailing else batch
        begun = writer.now
        try:
            batch_answers = _send_together(writer, batch)
        except (OutcomeUnknownError, NotThePlatformError) as lost:
            batch_answers = [Lost(str(lost), lost.hint)] * len(batch)
        except PlatformError as problem:
            if not answers:
                raise
            batch_answers = [Failed(str(problem))] * (len(planned) - len(answers))
        if mailing and (isinstance(batch_answers[0], Lost) or writer.now - begun > writer.longest / 2):
            token_of(writer).most_mailing = max(1, len(batch) // 2)
        answers += batch_answers
    return answers


def _send_together(writer: Writer, planned: Sequence[PlannedCalls]) -> list[object]:
    """Send planned calls in one go and return one answer for each.

    Calls that took effect although the first was refused are taken back at once.
    """
    calls = [(call, group) for group in planned for call in (*group.leading, *group.calls)]
    results = iter(_send_calls(writer, calls))
    answers = [_take_answer(group, results) for group in planned]
    undo = [call for group, (_, strayed) in zip(planned, answers, strict=True) if strayed for call in group.undo]
    if undo:
        undone = _send_calls(writer, [(call, planned[0]) for call in undo], after_others=True)
        left = next((result.words for result in undone if isinstance(result, Failed)), "")
        answers = [(_describe_undo(answer, left) if strayed else answer, strayed) for answer, strayed in answers]
    return [answer for answer, _ in answers]


def _take_answer(planned: PlannedCalls, results: Iterator[object]) -> tuple[object, bool]:
    """Take the results of planned calls, and return the answer to the first of them.

    The second value is true if that was refused and a call after it took effect all the same.
    """
    leading = [(call, next(results)) for call in planned.leading]
    answer, *following = (next(results) for _ in planned.calls)
    if isinstance(answer, Failed):
        return answer, any(not isinstance(result, Failed) for result in following)
    others = (*leading, *zip(planned.calls[1:], following, strict=True))
    faults = [f"{call.method} beside it did not: {other.words}" for call, other in others if isinstance(other, Failed)]
    return (DoneWithFault(f"it took place, but {faults[0]}") if faults else answer), False


def _describe_undo(answer: object, left: str) -> Failed:
    """Return a refusal that also says whether the calls after it could be taken back; `left` says why they could not."""
    words = answer.words if isinstance(answer, Failed) else ""
    if left:
        return Failed(f"{words}; what went with it reached another account, and could not be taken back: {left}")
    return Failed(f"{words}; what went with it reached another account, and was taken back at once")


def _send_calls(
    writer: Writer, calls: Sequence[tuple[Call, PlannedCalls]], *, after_others: bool = False
) -> list[object]:
    """Return the answers to calls, sent in bulks, or one by one where a bulk would damage them."""
    confirmed = any(planned.confirmed for _, planned in calls)
    if any(planned.alone for _, planned in calls):
        return _send_one_by_one(writer, [call for call, _ in calls], confirmed=confirmed)

    def send(batch: Sequence[Call]) -> Answer:
        form = token_of(writer).form(bulk_form(batch), confirmed=confirmed)
        return writer.command("POST", PATH, params=query(BULK), form=form)

    return in_bulks(writer, [call for call, _ in calls], send, after_others=after_others)


def _send_one_by_one(writer: Writer, calls: Sequence[Call], *, confirmed: bool) -> list[object]:
    """Return the answers to calls; after a refusal nothing more is sent, and the others get the same answer."""
    answers: list[object] = []
    for call in calls:
        refused = next((answer for answer in answers if isinstance(answer, Failed)), None)
        answers.append(refused or _send_directly(writer, call, confirmed=confirmed))
    return answers


def _send_directly(writer: Writer, call: Call, *, confirmed: bool) -> object:
    """Return the answer to a call that is sent without a bulk; raises as `write` does."""
    form = token_of(writer).form(dict(call.numbered()), confirmed=confirmed)
    answer = writer.command("POST", PATH, params=query(call.method), form=form)
    body = answer.json()
    if not (isinstance(body, dict) and body.get("result") == "error"):
        return body
    words = words_of(writer, body, inner=False)
    problem = refusal(writer, words, answer.status)
    if isinstance(problem, UnauthenticatedError):
        raise problem
    return Failed(words)


def _make_receipts(writer: Writer, planned: PlannedCalls, result: object) -> list[Receipt]:
    """Return a receipt for each change that planned calls make; the first one counts the mails."""
    verdict = _judge(writer, result)
    if verdict.status != "sent":
        # What sends no mail sets a state, or makes an account under its login.
        receipts = [verdict.receipt(change.key) for change in planned.changes]
        return [replace(receipt, repeatable=not planned.mails) for receipt in receipts]
    return [
        replace(verdict, sends=0 if position else planned.mails).receipt(change.key)
        for position, change in enumerate(planned.changes)
    ]


def _judge(writer: Writer, result: object) -> Verdict:
    """Return the verdict on the answer to planned calls; a refused password is not sent again.

    A refusal may come after the row was written, so it is in doubt, unless the login or address is another account's.
    """
    match result:
        case DoneWithFault(words):
            return replace(DONE, message=words)
        case Lost(words, hint):
            return unknown(words, hint)
        case Unsent(words):
            return failed(words)
        case Failed(words) if WRONG_PASSWORD in words:
            token_of(writer).password_refused = True
            return failed(words, _PASSWORD_HINT)
        case Failed(words):
            hint = _MAIL_HINT if _NO_MAIL.search(words) else _LOCK_HINT if _LOCKED in words else None
            return failed(words, hint, sure=bool(_TAKEN.search(words)))
        case _:
            return DONE
