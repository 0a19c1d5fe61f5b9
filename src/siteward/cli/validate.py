"""`siteward validate`: everything wrong with the files, at once."""

from __future__ import annotations

import click

from siteward.cli.session import Session, find_config, with_session


@click.command("validate")
@with_session("text", "json", "sarif", "github", "gitlab", "junit", "markdown")
def command(session: Session) -> int:
    """Check the files against the grammar, the platforms' abilities and the policy. Contacts nothing."""
    from siteward.reconcile.project import validate

    return session.leave(validate(find_config(session)))
