"""`siteward import`: declares what is live on an instance, in a first file or beside what a file declares already."""

from __future__ import annotations

from pathlib import Path

import click

from siteward.access.report import exit_code
from siteward.cli.names import instances as declared_instances
from siteward.cli.names import journal_option, same_option
from siteward.cli.paths import NewFile
from siteward.cli.session import Session, with_session
from siteward.cli.taking_in import existing_project, refuse_declared, take_in
from siteward.cli.wanted import Wanted, place_options, read_wanted


@click.command("import")
@click.option(
    "--instance",
    "name",
    required=True,
    shell_complete=declared_instances,
    metavar="NAME",
    help="What the file calls the instance.",
)
@place_options
@click.option("--out", type=NewFile(), default=Path("access.yaml"), show_default=True, help="The file.")
@same_option
@journal_option
@with_session()
def command(
    session: Session,
    name: str,
    platform: str | None,
    url: str | None,
    self_account: str | None,
    settings: tuple[str, ...],
    out: Path,
    same: tuple[str, ...],
) -> int:
    """Read one instance and declare what it has; the plan that follows is empty.

    Unmanaged accounts are declared as users, equal sets of grants become groups, and what cannot be declared becomes a
    comment. Where the file is there already, the instance is merged into it by an edit: people by the directory's id,
    else by e-mail, and sites by domain; nothing else in it changes.
    Options need not repeat what a file says of the instance.
    """
    wanted = Wanted(name=name, platform=platform, url=url, self_account=self_account, settings=settings)
    project = existing_project(session)
    refuse_declared(out, name)
    found = read_wanted(wanted, project, session)
    code = exit_code(take_in(session, out, name, found, project, command="import", same=same))
    said = "it should find nothing to do" if code == 0 else "it shows what is not as the file says"
    session.say(f"next: siteward plan -c {out}    ({said})")
    return code
