"""Sending an invitation again: the one mail that goes out because somebody asked for it, and for no other reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error, note
from siteward.access.report import Report
from siteward.reconcile.apply.inputs import TROUBLE, trouble
from siteward.reconcile.journal.journal import opened
from siteward.transport.errors import OutcomeUnknownError

if TYPE_CHECKING:
    from siteward.platforms.instance import Instance
    from siteward.platforms.interface import Receipt
    from siteward.reconcile.apply.target import Book, Clock
    from siteward.reconcile.journal.journal import Journal


def resend(instance: Instance, login: str, book: Book, clock: Clock) -> Report:
    """Send the invitation of `login` again, journalled before and after; say what became of it.

    An invitation whose answer was lost is not sent a second time: the person may have it already.
    """
    try:
        with opened(book.folder, instance.name, key=book.key, clock=clock) as journal:
            told = _send_again(instance, login, journal)
    except TROUBLE as problem:
        told = trouble(instance.name, problem)
    return Report(command="apply", diagnostics=(replace(told, instance=instance.name),), applied=True)


def _send_again(instance: Instance, login: str, journal: Journal) -> Diagnostic:
    send = instance.platform.resend
    if send is None:
        return error("nothing-to-resend", f"{instance.platform.title} has no invitation that could be sent again")
    with instance.writing() as writer:
        traits, seed = instance.platform.probe(writer, instance.settings)
        live = instance.platform.read(writer, instance.settings, traits, seed)
        journal.resent(login, "intent")
        try:
            receipt = send(writer, login, live)
        except OutcomeUnknownError as lost:
            journal.resent(login, "unknown", str(lost))
            return error(
                "outcome-unknown", str(lost), hint=f"ask {login} whether the mail came before sending it again"
            )
        journal.resent(login, receipt.status, receipt.message)
        return _describe_receipt(login, receipt)


def _describe_receipt(login: str, receipt: Receipt) -> Diagnostic:
    if receipt.status == "sent":
        return note("invitation-sent", f"the invitation of {login} was sent again; its former link is dead")
    return error("nothing-to-resend", receipt.message, hint=receipt.hint)
