"""`siteward validate`: reports everything that is wrong with the files, at once."""

from __future__ import annotations

import click

from siteward.cli.base_option import base_policy_from, option
from siteward.cli.session import Session, find_config, with_session
from siteward.render import formats_of


@click.command("validate")
@option
@with_session(*formats_of("validate"), without=("--group-by",))
def command(session: Session, base: str | None) -> int:
    """Check the files against the grammar, the platforms' abilities and the policy. Contacts nothing."""
    from siteward.reconcile.project import validate

    path = find_config(session)
    return session.leave(validate(path, base_policy_from(base, path, "validate")))
