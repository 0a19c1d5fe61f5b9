"""`siteward import`: a first file from the live state of an instance."""

from __future__ import annotations

from pathlib import Path

import click

from siteward.cli.names import instances as declared_instances
from siteward.cli.session import Session, with_session


@click.command("import")
@click.option(
    "--instance",
    "name",
    required=True,
    shell_complete=declared_instances,
    metavar="NAME",
    help="What the file calls the instance.",
)
@click.option("--platform", metavar="PLATFORM", help="Its platform; not needed where a declaration names it.")
@click.option("--url", metavar="URL", help="Its address; not needed where a declaration names it.")
@click.option("--self", "self_account", metavar="LOGIN", help="The account behind the credentials.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the platform; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("access.yaml"), show_default=True)
@with_session()
def command(
    session: Session,
    name: str,
    platform: str | None,
    url: str | None,
    self_account: str | None,
    settings: tuple[str, ...],
    out: Path,
) -> int:
    """Read one instance and write the file that declares what it has; the plan that follows is empty.

    Strangers are declared as users, equal sets of grants become groups, and what cannot be declared becomes a
    comment. A file that exists is never overwritten.
    """
    from siteward.cli.importing import Wanted, first_text

    if out.exists():
        raise click.ClickException(f"{out} exists and is not overwritten; name another file with --out")
    wanted = Wanted(name=name, platform=platform, url=url, self_account=self_account, settings=settings)
    text = first_text(session, wanted)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise click.ClickException(f"cannot write {out}: {problem.strerror}") from problem
    session.say(f"wrote {out}")
    session.say(f"next: siteward plan -c {out}    (it should find nothing to do)")
    return 0
