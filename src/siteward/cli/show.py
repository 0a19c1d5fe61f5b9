"""`siteward show`: renders saved plans in any format, several of them as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.report import Report
from siteward.cli.session import Session, StoppedError, with_session
from siteward.reconcile.selection import KINDS, Selection, select
from siteward.render import formats_of

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import Plan


@click.command("show")
@click.argument("plan_files", metavar="PLAN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--only", multiple=True, type=click.Choice(KINDS), help="Show only this part; repeatable.")
@with_session(*formats_of("show"))
def command(session: Session, plan_files: tuple[Path, ...], only: tuple[str, ...]) -> int:
    """Show saved plans, or the plans in reports; several are one picture. Contacts nothing and needs no declaration."""
    shown = {path.resolve() for path in plan_files}
    for _, path in session.outputs:
        if path.resolve() in shown:
            raise click.UsageError(f"-o {path} would write over the plan that is shown; name another file")
    if len(shown) < len(plan_files):
        raise click.UsageError("a plan is named twice")
    plans, problems = _read_plans(plan_files)
    report = _join(plans, problems)
    if report.plan is not None and only:
        report = replace(report, plan=_confine(report.plan, only))
    return session.leave(report)


def _confine(plan: Plan, words: tuple[str, ...]) -> Plan:
    """Return the part of a plan that these words after `--only` choose; the digest stays that of the whole."""
    selection = Selection(words=words, domains={})
    return replace(plan, only=words, instances=tuple(select(part, selection) for part in plan.instances))


def _read_plans(paths: tuple[Path, ...]) -> tuple[dict[str, Plan], tuple[Diagnostic, ...]]:
    """Return the plans by file name, and the errors about files that hold none."""
    from siteward.cli.names import read_plan

    plans: dict[str, Plan] = {}
    problems: list[Diagnostic] = []
    for path in paths:
        try:
            plans[str(path)] = read_plan(path, "show")
        except StoppedError as stopped:
            problems += stopped.report.diagnostics
    return plans, tuple(problems)


def _join(plans: dict[str, Plan], problems: tuple[Diagnostic, ...]) -> Report:
    """Return the report of all plans, with what is wrong with them; of none where they cannot stand together."""
    from siteward.access.joining import find_repeated, join

    repeated = tuple(find_repeated(plans))
    plan = join(plans) if plans and not repeated else None
    zone = plan.timezone if plan is not None else "UTC"
    return Report(command="show", plan=plan, diagnostics=(*problems, *repeated), timezone=zone)
