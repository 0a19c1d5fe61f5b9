"""`siteward journal`: verifies journals, goes on from older ones, and erases what they say of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from siteward.cli.names import instance_option, journal_option, names_with
from siteward.cli.names import instances as declared_instances
from siteward.cli.session import Session, now, with_session
from siteward.render import formats_of

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Accounts
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.journals import Request

_session = with_session(*formats_of("validate"), without=("--group-by", "--exit-zero"))


@click.group("journal")
def command() -> None:
    """Verify the journals, go on from older ones, or erase what they say of somebody."""


@command.command("verify")
@instance_option
@journal_option
@click.option("--head", metavar="SUM", help="The sum of a record that must be in the journal of the one instance.")
@_session
def verify(session: Session, instances: tuple[str, ...], head: str | None) -> int:
    """Check every line of the journals: sums always, seals with SITEWARD_JOURNAL_KEY. Changes nothing.

    Leaves with 1 where a journal is broken, and with 4 where seals could not be checked.
    """
    from siteward.reconcile import journals
    from siteward.reconcile.apply.admission import UNCHECKED

    asked = _requests(_open(session, instances))
    if head is not None and len(asked) != 1:
        raise click.UsageError("--head is the sum of one journal: name its instance with --instance")
    said = tuple(told for request in asked for told in journals.verify(request, head))
    return _leave(session, said, unsure=any(told.code == UNCHECKED for told in said))


@command.command("migrate")
@click.argument("instance", shell_complete=declared_instances)
@journal_option
@click.option("--reason", required=True, metavar="TEXT", help="Why lines that no key has sealed are believed.")
@_session
def migrate(session: Session, instance: str, reason: str) -> int:
    """Go on from a journal of an older format in a new file, and write down why its lines are believed.

    The old file is kept beside it to the byte. `apply` does this by itself where nothing has to be taken on trust.
    """
    from siteward.reconcile import journals

    (request,) = _requests(_open(session, (instance,)))
    return _leave(session, journals.migrate(request, reason))


@command.command("erase")
@instance_option
@journal_option
@click.option("--user", required=True, metavar="NAME", help="A handle, login or address, as the journal has it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why. It stays in the journal, so name nobody in it.")
@_session
def erase(session: Session, instances: tuple[str, ...], user: str, reason: str) -> int:
    """Erase what the journals say of a user who has no access any more. They still verify afterwards."""
    from siteward.reconcile import journals

    checkout = _open(session, instances)
    said = (told for request in _requests(checkout) for told in journals.erase(request, user, reason))
    return _leave(session, tuple(said), names_with(checkout.project.declaration, user))


def _open(session: Session, names: tuple[str, ...]) -> Checkout:
    from siteward.cli.checkout import open_checkout

    return open_checkout(session, "journal", names=names)


def _requests(checkout: Checkout) -> tuple[Request, ...]:
    """Return a request for the journal of each chosen instance."""
    from siteward.reconcile.journals import Request

    return tuple(
        Request(journals=checkout.journals, instance=instance.name, clock=now) for instance in checkout.instances
    )


def _leave(
    session: Session, said: tuple[Diagnostic, ...], accounts: Accounts | None = None, *, unsure: bool = False
) -> int:
    """Print what is said, in which `accounts` may be named, and return the exit code; 4 where something could not be checked."""
    from siteward.access.report import Report

    return session.leave(Report(command="journal", diagnostics=said, accounts=accounts, stale=unsure))
