"""`siteward baseline`: waives what is found now and may be waived, for a time, so that what is new stands out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import error, plural
from siteward.access.policy import MOST_WAIVED
from siteward.access.report import Report, missing
from siteward.cli.edits import patch_of, write_edits
from siteward.cli.names import instance_option, journal_option
from siteward.cli.session import Session, StoppedError, with_session

if TYPE_CHECKING:
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.baseline import Baseline
    from siteward.reconcile.survey import Survey


@click.command("baseline")
@instance_option
@journal_option
@click.option("--reason", required=True, metavar="TEXT", help="Why the owners live with what is found.")
@click.option(
    "--days", type=click.IntRange(1, MOST_WAIVED), default=90, show_default=True, help="Days until all is told again."
)
@click.option("--write", is_flag=True, help="Write the waivers into the root file, for a pull request.")
@with_session("text", without=("--group-by",))
def command(session: Session, instances: tuple[str, ...], reason: str, days: int, *, write: bool) -> int:
    """Waive all present findings that may be waived, in the file and for a time.

    Only findings of rules that docs/rules.md calls waivable are; what is waived already is not written twice. The edit
    is shown as a patch, or written. With --base a waiver silences nothing before it is part of the base too.
    """
    from siteward.cli.checkout import open_checkout, read_instances

    if not reason.strip():
        raise click.UsageError("--reason needs a text: it stands beside each waiver")
    checkout = open_checkout(session, "baseline", names=instances)
    report, surveys = read_instances(checkout, "baseline")
    if report.plan is None or missing(report):
        raise StoppedError(replace(report, next="siteward baseline --instance NAME, for those that can be read"))
    last_day = checkout.now.astimezone(checkout.project.declaration.timezone).date() + timedelta(days=days)
    made = _make(checkout, surveys, report, reason, last_day.isoformat())
    _show(session, made, report)
    if write:
        write_edits(made.edit, "baseline")
    _tell(session, made, write=write)
    return 0 if all(survey.live.complete for survey in surveys) or session.exit_zero else 4


def _make(checkout: Checkout, surveys: tuple[Survey, ...], report: Report, reason: str, last_day: str) -> Baseline:
    """Return the baseline; raises `StoppedError` for one that cannot be proven."""
    from siteward.reconcile.baseline import make_baseline
    from siteward.reconcile.sheets import BadDecisionsError

    if report.plan is None:
        raise StoppedError(report)
    try:
        return make_baseline(checkout.project, surveys, report.plan, reason=reason, last_day=last_day)
    except BadDecisionsError as problem:
        raise _refusal(problem) from problem


def _show(session: Session, made: Baseline, report: Report) -> None:
    """Print the edit as a patch; with names hidden where only some may be published, and then of no use to git."""
    from siteward.render.privacy import redact_text

    text = redact_text("".join(patch_of(made.edit)), report.accounts or {}, session.privacy)
    session.answer(lambda _form, _options: text, Report(command="baseline"))


def _refusal(problem: Exception) -> StoppedError:
    told = error("not-proven", str(problem))
    return StoppedError(Report(command="baseline", diagnostics=(told,)))


def _tell(session: Session, made: Baseline, *, write: bool) -> None:
    """Say what was waived, and what comes next."""
    before = f"; {plural(made.before, 'finding')} waived already" if made.before else ""
    if not made.waivers:
        session.say(f"nothing to waive{before}")
        return
    done = "written" if write else "to be written with --write"
    session.say(f"{plural(len(made.waivers), 'waiver')} {done}, until {made.waivers[0].ends}{before}")
    if write:
        session.say("next: review and commit it: with --base it silences nothing before the base has it too")
