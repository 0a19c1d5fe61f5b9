"""Writing to Matomo: one bulk a bundle, every result looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import account_key
from siteward.platforms.confirm import DONE, INVITED, Verdict, failed, unknown
from siteward.platforms.interface import Receipt, native
from siteward.platforms.matomo.calls import Situation, parting, plan, wishes
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
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.platforms.matomo.calls import Planned
    from siteward.transport.http import Answer, Writer

# The words in which a login or an address is refused that is taken: what stands there may be another's.
_TAKEN = re.compile(r"already (exists|used)")
# What the library that mails for Matomo says; the row is written by then (updateUser on 5.3).
_NO_MAIL = re.compile(r"Invalid address|SMTP|mail function")
_MAIL_HINT = "mend the mail settings of the server: it changed the account and could not tell anybody"
_LOCKED = "Could not get the lock"
_PASSWORD_HINT = "correct the credential PASSWORD: it must be the password of the account whose token is used"  # noqa: S105
_LOCK_HINT = "somebody else is changing this person right now; try again"


class Beside(Struct, frozen=True):
    """The answer to a change that was made, where something beside it was refused; in words for people."""

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

    Raises `UnauthenticatedError` when the token is refused or the address is locked out; nothing that carries the
    password is sent any more once it was refused.
    """
    ahead = wishes((*bundle.changes, *bundle.ahead))
    going_to = parting(bundle.changes, ahead, live)
    planned = plan(bundle.changes, Situation(live, native(live, NativeState), bundle.passwords, ahead, going_to))
    doubts = [_why_not(writer, value, native(live, NativeState)) for value in planned]
    going = [entry for entry, why in zip(planned, doubts, strict=True) if why is None]
    answers = iter(_sent(writer, going))
    return [
        receipt
        for item, why in zip(planned, doubts, strict=True)
        for receipt in _receipts(writer, item, next(answers) if why is None else Unsent(why))
    ]


def resend(writer: Writer, login: str, live: Live) -> Receipt:
    """Send the invitation of a pending account again: a mail goes out, the former link is dead.

    No reading shows that, so an answer that is not Matomo's leaves it open. Raises `OutcomeUnknownError` then.
    """
    state = native(live, NativeState)
    key = account_key(state.spelling(login))
    user = state.user(login)
    if user is None or not is_pending(user):
        return failed(f"{login} has no invitation that is open or has run out").receipt(key)
    try:
        result = _direct(writer, Call("UsersManager.resendInvite", {"userLogin": user.login}), confirmed=False)
    except NotThePlatformError as unmanaged_account:
        raise OutcomeUnknownError(str(unmanaged_account), hint=unmanaged_account.hint) from unmanaged_account
    if isinstance(result, Failed):
        return failed(result.words).receipt(key)
    if not (isinstance(result, dict) and result.get("result") == "success"):
        raise OutcomeUnknownError("the invitation was answered otherwise than Matomo does")
    return INVITED.receipt(key)


def _why_not(writer: Writer, planned: Planned, state: NativeState) -> str | None:
    """Return why nothing is sent, if so."""
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


def _sent(writer: Writer, planned: Sequence[Planned]) -> list[object]:
    """Send calls and return, for each planned, what its first call was answered, with what went wrong beside it.

    Mails are sent within the request, so a mail server that is slow makes the requests after this one smaller.
    """
    found: list[object] = []
    while len(found) < len(planned):
        some = planned[len(found) :]
        mailing = any(item.mails for item in some)
        some = some[: token_of(writer).most_mailing] if mailing else some
        begun = writer.now
        try:
            answers = _sent_together(writer, some)
        except (OutcomeUnknownError, NotThePlatformError) as lost:
            answers = [Lost(str(lost), lost.hint)] * len(some)
        except PlatformError as problem:
            if not found:
                raise
            answers = [Failed(str(problem))] * (len(planned) - len(found))
        if mailing and (isinstance(answers[0], Lost) or writer.now - begun > writer.longest / 2):
            token_of(writer).most_mailing = max(1, len(some) // 2)
        found += answers
    return found


def _sent_together(writer: Writer, planned: Sequence[Planned]) -> list[object]:
    calls = [(call, element) for element in planned for call in (*element.beside, *element.calls)]
    told = iter(_send(writer, calls))
    found = [_told(value, told) for value in planned]
    strayed = [call for entry, (_, stray) in zip(planned, found, strict=True) if stray for call in entry.undo]
    if strayed:
        undone = _send(writer, [(call, planned[0]) for call in strayed], after_others=True)
        left = next((item.words for item in undone if isinstance(item, Failed)), "")
        found = [(_undone(answer, left) if stray else answer, stray) for answer, stray in found]
    return [answer for answer, _ in found]


def _told(planned: Planned, told: Iterator[object]) -> tuple[object, bool]:
    """Return the answer to a planned first call, and whether what follows took place although that was refused."""
    beside = [(call, next(told)) for call in planned.beside]
    answer, *after = (next(told) for _ in planned.calls)
    if isinstance(answer, Failed):
        return answer, any(not isinstance(item, Failed) for item in after)
    others = (*beside, *zip(planned.calls[1:], after, strict=True))
    faults = [f"{call.method} beside it did not: {other.words}" for call, other in others if isinstance(other, Failed)]
    return (Beside(f"it took place, but {faults[0]}") if faults else answer), False


def _undone(answer: object, left: str) -> Failed:
    """Return a refusal with what became of that which had followed it all the same."""
    words = answer.words if isinstance(answer, Failed) else ""
    if left:
        return Failed(f"{words}; what went with it reached another account, and could not be taken back: {left}")
    return Failed(f"{words}; what went with it reached another account, and was taken back at once")


def _send(writer: Writer, calls: Sequence[tuple[Call, Planned]], *, after_others: bool = False) -> list[object]:
    """Return what calls are answered, sent in one bulk, or one by one where a bulk would damage them."""
    confirmed = any(item.confirmed for _, item in calls)
    if any(planned.alone for _, planned in calls):
        return _one_by_one(writer, [call for call, _ in calls], confirmed=confirmed)

    def send(some: Sequence[Call]) -> Answer:
        form = token_of(writer).form(bulk_form(some), confirmed=confirmed)
        return writer.command("POST", PATH, params=query(BULK), form=form)

    return in_bulks(writer, [call for call, _ in calls], send, after_others=after_others)


def _one_by_one(writer: Writer, calls: Sequence[Call], *, confirmed: bool) -> list[object]:
    """Return what calls are answered; after one that is refused nothing more is sent."""
    found: list[object] = []
    for call in calls:
        refused = next((item for item in found if isinstance(item, Failed)), None)
        found.append(refused or _direct(writer, call, confirmed=confirmed))
    return found


def _direct(writer: Writer, call: Call, *, confirmed: bool) -> object:
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


def _receipts(writer: Writer, planned: Planned, result: object) -> list[Receipt]:
    """Return a receipt for each change that a call makes; the first one counts the mails."""
    verdict = _judged(writer, result)
    if verdict.status != "sent":
        # What sends no mail sets a state, or makes an account under its login.
        receipts = [verdict.receipt(change.key) for change in planned.changes]
        return [replace(receipt, repeatable=not planned.mails) for receipt in receipts]
    return [
        replace(verdict, sends=0 if at else planned.mails).receipt(change.key, _made(change))
        for at, change in enumerate(planned.changes)
    ]


def _judged(writer: Writer, result: object) -> Verdict:
    """Return the verdict on what one call was answered; a refused password is not sent again.

    A no may come after the row was written, so it is in doubt, unless something of another's is in the way.
    """
    match result:
        case Beside(words):
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


def _made(change: Change) -> Mapping[Key, str]:
    """Return the id of the account that a change makes or alters: its login."""
    return {change.key: change.key[1]} if change.key[0] == "account" and change.after is not None else {}
