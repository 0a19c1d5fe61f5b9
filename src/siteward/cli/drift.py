"""`siteward drift`: reports live access that the declaration does not explain."""

from __future__ import annotations

import click

from siteward.cli.base_option import option
from siteward.cli.names import instance_option, journal_option
from siteward.cli.session import Session, with_session
from siteward.render import formats_of


@click.command("drift")
@instance_option
@journal_option
@click.option("--as-of", metavar="DATE", help="Evaluate at this date or instant.")
@option
@with_session(*formats_of("drift"))
def command(session: Session, instances: tuple[str, ...], as_of: str | None, base: str | None) -> int:
    """Report what is live against what is declared: not applied yet, not declared, changed since the last apply."""
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.plan import drift

    checkout = open_checkout(session, "drift", names=instances, as_of=as_of, with_base=True, base=base)
    return session.leave(drift(checkout.project, checkout.instances, checkout.book, checkout.run()))
