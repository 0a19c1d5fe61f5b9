"""`siteward show`: renders a saved plan in any format."""

from __future__ import annotations

from pathlib import Path

import click

from siteward.access.report import Report
from siteward.cli.session import Session, with_session
from siteward.render import formats_of


@click.command("show")
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@with_session(*formats_of("show"))
def command(session: Session, plan_file: Path) -> int:
    """Show a saved PLAN. Contacts nothing and needs no declaration."""
    from siteward.cli.names import read_plan

    if any(path.resolve() == plan_file.resolve() for _, path in session.outputs):
        raise click.UsageError(f"-o {plan_file} would write over the plan that is shown; name another file")
    plan = read_plan(plan_file, "show")
    return session.leave(Report(command="show", plan=plan, timezone=plan.timezone))
