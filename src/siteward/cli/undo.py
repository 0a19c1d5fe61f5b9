"""`siteward undo`: takes a run back, by an edit of the file first, and plans just that."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.base_option import base_policy_from, option
from siteward.cli.names import instance_option, journal_option
from siteward.cli.paths import NewFile
from siteward.cli.session import Session, StoppedError, with_session
from siteward.render import formats_of

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.cli.checkout import Checkout
    from siteward.reconcile.undo.runs import PastRun
    from siteward.reconcile.undo.undo import Undo


@click.command("undo")
@click.argument("run")
@instance_option
@journal_option
@click.option("--write", is_flag=True, help="Write the edit to the files, for a pull request.")
@click.option("--out", type=NewFile(), help="Save the plan, to be reviewed and applied.")
@option
@with_session(*formats_of("plan"))
def command(
    session: Session,
    run: str,
    instances: tuple[str, ...],
    out: Path | None,
    base: str | None,
    *,
    write: bool,
) -> int:
    """Take back what RUN changed, as far as it is still as RUN left it: edit the file, and plan that edit alone.

    RUN is its id, as `history` tells it, or the beginning of it. The edit is the revert of the run's commit where that
    means just this, else lines; it is shown as a patch, or written with --write. Applied is the plan like any other,
    from a checkout that holds the edit: what has ended, and who was suspended or left, does not come back by it.
    """
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.cli.edits import show_edit, write_edits
    from siteward.declaration.edited import Edit
    from siteward.reconcile.undo.undo import undo

    checkout = open_checkout(session, "undo", names=instances, with_base=True, base=base)
    runs = _find_runs(checkout, run)
    report, surveys = read_instances(checkout, "undo")
    if lacking := sorted({past.instance for past in runs} - {survey.name for survey in surveys}):
        raise StoppedError(replace(report, next=f"siteward doctor --instance {lacking[0]}"))
    made = undo(checkout.project, surveys, checkout.journals, runs, checkout.run())
    for said in made.said if not session.verbose else ():
        session.say(said.message)  # notes are not shown without -v, and these are part of the answer
    if made.edit is not None and made.edit.texts:
        texts = checkout.project.loaded.source.texts
        edit = Edit(texts=made.edit.texts, before={name: texts.whole(name) for name in made.edit.texts})
        show_edit(session, edit)
        if write:
            write_edits(edit, "undo")
            session.say("the edit is written; commit it and have it reviewed")
    return session.leave(_plan_edit(checkout, made, base, out, _next(run, made, out, write=write)))


def _find_runs(checkout: Checkout, asked: str) -> tuple[PastRun, ...]:
    """Return the run that is meant, on each instance. Raises `StoppedError` where there is none to undo."""
    from siteward.reconcile.apply.inputs import describe_trouble
    from siteward.reconcile.journal.chain import JournalBrokenError
    from siteward.reconcile.undo.runs import NoRunError, find_runs

    declared = checkout.project.declaration.instances
    try:
        return find_runs(checkout.journals, checkout.instances, declared, asked)
    except NoRunError as problem:
        found = error(problem.code, str(problem), hint=problem.hint)
    except JournalBrokenError as problem:
        found = describe_trouble(problem.path.stem, problem)
    raise StoppedError(Report(command="undo", diagnostics=(found,)))


def _plan_edit(checkout: Checkout, made: Undo, base: str | None, out: Path | None, following: str | None) -> Report:
    """Return the report of the plan that the edited files lead to, saved to `out` where that is given."""
    from siteward.cli.plan import save_plan
    from siteward.reconcile.plan import plan

    project = made.project(checkout.project)
    project = replace(project, base_policy=base_policy_from(base, project.path, "undo")(project.declaration))
    names = set(made.only.objects or {}) | set(made.only.remarks)
    chosen = [instance for instance in checkout.instances if instance.name in names]
    report = plan(project, chosen, checkout.journals, replace(checkout.run(), only=made.only))
    idle = report.plan is not None and not any(instance.steps for instance in report.plan.instances)
    if idle and not (made.edit is not None and made.edit.texts):  # it is undone already
        following = out = None
    report = replace(report, diagnostics=(*report.diagnostics, *made.said), next=following or report.next)
    return report if out is None else save_plan(report, out)


def _next(run: str, made: Undo, out: Path | None, *, write: bool) -> str | None:
    """Return what to do next: write the edit, have it reviewed, and apply the plan from a checkout that holds it."""
    if not made.back:
        return None
    again = f"siteward undo {shlex.quote(run)}"
    if made.edit is not None and made.edit.texts and not write:
        return f"{again} --write, then commit it for review; nothing is applied from a file without it"
    if out is not None:
        return f"once the edit is reviewed and merged: siteward apply {shlex.quote(str(out))}"
    return f"once the edit is reviewed and merged: {again} --out undo.json, then siteward apply undo.json"
