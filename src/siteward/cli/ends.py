"""`siteward ending`: the rows of the file that end soon, by who answers for them."""

from __future__ import annotations

import re
from datetime import timedelta

import click

from siteward.cli.session import Session, now, parse_instant, with_session

_DAYS = re.compile(r"[1-9]\d{0,3}d")


@click.command("ending")
@click.option("--within", default="14d", show_default=True, metavar="DAYS", help="How far ahead, in days: 14d.")
@click.option("--as-of", metavar="DATE", help="Count from this date or instant.")
@with_session("text", "json", "csv", "markdown", without=("--group-by", "--exit-zero"))
def command(session: Session, within: str, as_of: str | None) -> int:
    """List the users, memberships and grants that end soon, by owner: of the sites, else of the groups and services.

    Contacts nothing. To let one of them stay, change its `until`; to let it end, do nothing: the first
    `siteward apply --only dates` after the end takes the access away.
    """
    from siteward.access.report import Report
    from siteward.cli.checkout import project_of
    from siteward.declaration.ends import find_endings
    from siteward.render.ends import render

    if not _DAYS.fullmatch(within):
        raise click.UsageError(f"--within {within}: write it in days, such as 14d")
    project = project_of(session, "ending")
    moment = parse_instant(as_of, str(project.declaration.timezone)) or now()
    found = find_endings(project.declaration, moment, moment + timedelta(days=int(within[:-1])))
    faults = tuple(said for said in project.loaded.diagnostics if said.blocks)
    report = Report(command="ending", diagnostics=faults)
    return session.answer(lambda form, options: render(found, form, options, moment), report)
