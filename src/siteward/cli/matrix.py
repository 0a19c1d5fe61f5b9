"""`siteward matrix`: the roles of all people on all sites, live and declared side by side."""

from __future__ import annotations

import click
from msgspec.structs import replace

from siteward.cli.names import at_option, instance_option, journal_option
from siteward.cli.session import Session, with_session


@click.command("matrix")
@instance_option
@journal_option
@click.option("--as-of", metavar="DATE", help="Evaluate at this date or instant.")
@at_option
@click.option("--html", is_flag=True, help="The page on stdout; the same as --format html.")
@with_session("text", "html", "csv", "json", without=("--group-by",))
def command(session: Session, instances: tuple[str, ...], as_of: str | None, at: str | None, *, html: bool) -> int:
    """Show who holds what on which site. `-o matrix.html` writes one page to search and filter."""
    from siteward.access.report import doubtful, missing
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.reconcile.certify import ledgers
    from siteward.reconcile.confirmed import warn_overdue
    from siteward.render.matrix import Matrix, render

    if html:
        session = replace(session, formats=("html",), format_given=True)
    checkout = open_checkout(session, "matrix", names=instances, as_of=as_of, at=at, asks=True)
    report, surveys = read_instances(checkout, "matrix", steps=False)
    commit = checkout.project.commit
    given = (checkout.project.declaration, checkout.journals, checkout.instances, surveys, checkout.as_of)
    matrix = Matrix(
        ledgers=ledgers(checkout.project.declaration, surveys),
        as_of=checkout.as_of,
        commit=commit.id if commit else None,
        missing=(*missing(report), *doubtful(report)),
        accounts=report.accounts or {},
        timezone=str(checkout.project.declaration.timezone),
        said=() if checkout.past else warn_overdue(*given),
    )
    code = session.answer(lambda form, options: render(matrix, form, options), report, long=True)
    return code or (0 if session.exit_zero or all(ledger.complete for ledger in matrix.ledgers) else 4)
