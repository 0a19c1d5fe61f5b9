"""Writing to Matomo: one bulk a bundle, every result looked at."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.model import account_key
from siteward.platforms.confirm import DONE, INVITED, Verdict, failed
from siteward.platforms.interface import Receipt, native
from siteward.platforms.matomo.calls import Desk, plan, wishes
from siteward.platforms.matomo.native_state import NativeState, is_pending
from siteward.platforms.matomo.rpc import (
    BULK,
    PATH,
    WRONG_PASSWORD,
    Call,
    Failed,
    bulk_form,
    query,
    refusal,
    results,
    token_of,
    words_of,
)
from siteward.transport.errors import NotThePlatformError, OutcomeUnknownError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.platforms.matomo.calls import Planned
    from siteward.transport.http import Writer

_LOCKED = "Could not get the lock"
_PASSWORD_HINT = "correct the credential PASSWORD: it must be the password of the account whose token is used"  # noqa: S105
_LOCK_HINT = "somebody else is changing this person right now; try again"


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Send one bundle and return a receipt for each of its changes.

    Raises `UnauthenticatedError` when the token is refused or the address is locked out, and `OutcomeUnknownError` for a lost
    answer; nothing that carries the password is sent any more once it was refused.
    """
    planned = plan(bundle.changes, Desk(live, native(live, NativeState), bundle.passwords, wishes(bundle.ahead)))
    doubts = [_why_not(writer, each) for each in planned]
    going = [each for each, why in zip(planned, doubts, strict=True) if why is None]
    answers = iter(_sent(writer, going))
    return [
        receipt
        for each, why in zip(planned, doubts, strict=True)
        for receipt in _receipts(writer, each, next(answers) if why is None else Failed(why))
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


def _why_not(writer: Writer, planned: Planned) -> str | None:
    """Return why nothing is sent, if so."""
    if not planned.calls:
        return planned.why
    if planned.confirmed and not token_of(writer).has_password:
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
    """Send calls and return, for each planned, what its first call was answered."""
    if not planned:
        return []
    confirmed = any(each.confirmed for each in planned)
    calls = [call for each in planned for call in each.calls]
    if planned[0].alone:
        return _firsts(planned, [_direct(writer, call, confirmed=confirmed) for call in calls])
    form = token_of(writer).form(bulk_form(calls), confirmed=confirmed)
    answer = writer.command("POST", PATH, params=query(BULK), form=form)
    return _firsts(planned, results(writer, answer, len(calls)))


def _firsts(planned: Sequence[Planned], answers: Iterable[object]) -> list[object]:
    """Return the answer to the first call of each; what follows it is looked at when all is read back."""
    rest, found = iter(answers), []
    for each in planned:
        first, *_ = islice(rest, len(each.calls))
        found.append(first)
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
    if verdict.status == "failed":
        return [verdict.receipt(change.key) for change in planned.changes]
    return [
        replace(verdict, sends=0 if at else planned.mails).receipt(change.key, _made(change))
        for at, change in enumerate(planned.changes)
    ]


def _judged(writer: Writer, result: object) -> Verdict:
    """Return the verdict on what one call was answered; a refused password is not sent again."""
    if not isinstance(result, Failed):
        return DONE
    if WRONG_PASSWORD in result.words:
        token_of(writer).password_refused = True
        return failed(result.words, _PASSWORD_HINT)
    return failed(result.words, _LOCK_HINT if _LOCKED in result.words else None)


def _made(change: Change) -> Mapping[Key, str]:
    """Return the id of the account that a change makes or alters: its login."""
    return {change.key: change.key[1]} if change.key[0] == "account" and change.after is not None else {}
