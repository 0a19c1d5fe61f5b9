"""`siteward drift`: reports live access that the declaration does not explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from siteward.cli.base_option import option
from siteward.cli.names import instance_option, journal_option
from siteward.cli.session import Session, with_session
from siteward.render import formats_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from siteward.access.diagnostic import Diagnostic
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.survey import Survey


@click.command("drift")
@instance_option
@journal_option
@click.option("--as-of", metavar="DATE", help="Evaluate at this date or instant.")
@click.option("--record", is_flag=True, help="Write what others changed since the last record into the journal.")
@option
@with_session(*formats_of("drift"))
def command(session: Session, instances: tuple[str, ...], as_of: str | None, base: str | None, *, record: bool) -> int:
    """Report what is live against what is declared: not applied yet, not declared, changed since the last apply."""
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.plan import drift

    checkout = open_checkout(session, "drift", names=instances, as_of=as_of, with_base=True, base=base)
    given = (checkout.project, checkout.instances, checkout.journals, checkout.run())
    return session.leave(drift(*given, _recorder(checkout.journals)) if record else drift(*given))


def _recorder(journals: Journals) -> Callable[[Survey], tuple[Diagnostic, ...]]:
    """Return the function that records the live state of an instance that was read."""
    from siteward.cli.session import now
    from siteward.reconcile.journals import Request, record

    return lambda survey: record(Request(journals=journals, instance=survey.name, clock=now), survey.live)
