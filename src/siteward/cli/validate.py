"""`siteward validate`: reports everything that is wrong with the files, at once."""

from __future__ import annotations

import click

from siteward.cli.base_option import base_policy_from, option
from siteward.cli.session import Session, find_config, now, parse_instant, with_session
from siteward.render import formats_of


@click.command("validate")
@option
@click.option("--as-of", metavar="DATE", help="Name the lines that are dead at this date or instant.")
@with_session(*formats_of("validate"), without=("--group-by",))
def command(session: Session, base: str | None, as_of: str | None) -> int:
    """Check the files against the grammar, the platforms' abilities and the policy. Contacts nothing."""
    from siteward.reconcile.project import validate

    path, moment = find_config(session), now()
    report = validate(
        path,
        base_policy_from(base, path, "validate"),
        as_of=lambda declaration: parse_instant(as_of, str(declaration.timezone)) or moment,
    )
    return session.leave(report)
