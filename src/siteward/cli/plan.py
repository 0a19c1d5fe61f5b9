"""`siteward plan`: reads every instance and shows the changes that apply would make."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import error, plural
from siteward.access.guards import DELETIONS
from siteward.access.report import as_reviewed
from siteward.cli.base_option import option
from siteward.cli.names import check_blocks, instance_option, journal_option
from siteward.cli.paths import NewFile
from siteward.cli.selection import only_option, selection_of
from siteward.cli.session import Session, StoppedError, with_session
from siteward.cli.startup import keep
from siteward.render import formats_of
from siteward.transport.link import MOST_WORKERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from siteward.access.plan import Plan
    from siteward.access.report import Report
    from siteward.reconcile.survey import Survey


@click.command("plan")
@instance_option
@journal_option
@click.option("--out", type=NewFile(), help="Save the plan, to be reviewed and applied.")
@click.option("--as-of", metavar="DATE", help="Plan as if it were this date or instant.")
@click.option(
    "--accept",
    "accept",
    multiple=True,
    metavar="NAME",
    help="Override a block that needs confirmation, such as `empty`.",
)
@click.option("--reason", default="", help="Why what --accept overrides is right.")
@click.option("--allow-delete", is_flag=True, help="Let accounts that the file declares absent be deleted.")
@click.option("--passwords-out", type=NewFile(), help="Where apply will write new passwords.")
@only_option
@click.option("--save-snapshot", type=NewFile(), metavar="DIR", help="Save the sites, for `diff`.")
@click.option("--concurrency", "workers", type=click.IntRange(1, MOST_WORKERS), default=8, show_default=True)
@option
@with_session(*formats_of("plan"))
def command(
    session: Session,
    base: str | None,
    instances: tuple[str, ...],
    out: Path | None,
    as_of: str | None,
    accept: tuple[str, ...],
    reason: str,
    passwords_out: Path | None,
    only: tuple[str, ...],
    save_snapshot: Path | None,
    workers: int,
    *,
    allow_delete: bool,
) -> int:
    """Read every instance and show what apply would change. Changes nothing: its transport cannot write."""
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.plan import plan_and_survey

    check_blocks(accept)
    if accept and not reason and set(accept) != {"empty"}:
        raise click.UsageError("--accept needs --reason TEXT")
    checkout = open_checkout(
        session,
        "plan",
        names=instances,
        as_of=as_of,
        passwords_out=passwords_out,
        workers=workers,
        with_base=True,
        base=base,
    )
    run = checkout.run(accept=dict.fromkeys(accept, reason or "asked for"), allow_delete=allow_delete)
    run = replace(run, only=selection_of(only, checkout.project.declaration))
    report, surveys = plan_and_survey(checkout.project, checkout.instances, checkout.journals, run, sealed=out is None)
    keep(report, surveys)
    if save_snapshot is not None:
        _save_sites(report, save_snapshot, surveys)
    flags = _Flags(
        instances=instances,
        as_of=as_of,
        accept=accept,
        reason=reason,
        passwords_out=passwords_out,
        base=base,
        journal_dir=session.journal_dir,
        allow_delete=allow_delete,
        only=only,
    )
    return session.leave(_save_where_asked(report, out, flags))


def _save_sites(report: Report, folder: Path, surveys: Sequence[Survey]) -> None:
    from siteward.reconcile.snapshot import save

    try:
        save(folder, surveys)
    except OSError as problem:
        unwritten = error("cannot-write", f"cannot save the sites to {folder}: {problem.strerror}")
        raise StoppedError(replace(report, plan=None, diagnostics=(unwritten,))) from problem


class _Flags(Struct, frozen=True, kw_only=True):
    """The options of this plan that `apply` needs again."""

    instances: tuple[str, ...]
    as_of: str | None
    accept: tuple[str, ...]
    reason: str
    passwords_out: Path | None
    base: str | None
    journal_dir: Path | None
    allow_delete: bool
    only: tuple[str, ...]

    def for_plan(self) -> str:
        """Return the options for the same plan once more, as text for a shell; a saved plan needs no `--only` any more."""
        return "".join(f" --only {shlex.quote(word)}" for word in self.only) + self.for_apply(None)

    def for_apply(self, digest: str | None) -> str:
        """Return the options as text for a shell, each `--accept` with the digest of the plan that was saved, if it was."""
        words = [word for name in self.instances for word in ("--instance", name)]
        words += ["--as-of", self.as_of] if self.as_of else []
        words += ["--base", self.base] if self.base else []
        words += ["--journal-dir", str(self.journal_dir)] if self.journal_dir else []
        words += ["--allow-delete"] if self.allow_delete else []
        words += ["--passwords-out", str(self.passwords_out)] if self.passwords_out else []
        for name in self.accept:
            words += ["--accept", name if name == "empty" or digest is None else f"{name}={digest}"]
        words += ["--reason", self.reason] if self.accept and self.reason else []
        return "".join(f" {shlex.quote(word)}" for word in words)

    def lacking(self, plan: Plan) -> str:
        """Return the options that apply needs and that were not given here, as text for a shell."""
        needs = {need.need for need in plan.needs}
        consented = self.allow_delete or DELETIONS in self.accept
        delete = " --allow-delete" if DELETIONS in needs and not consented else ""
        return delete + (" --passwords-out FILE" if "passwords" in needs and self.passwords_out is None else "")


def _save_where_asked(report: Report, out: Path | None, flags: _Flags) -> Report:
    """Save the plan to `out`, if there is one; return the report with the command to run next."""
    reviewed = as_reviewed(report).plan
    if report.next or report.plan is None or reviewed is None or not any(part.runnable for part in reviewed.instances):
        if not report.next and report.plan is not None and any(part.left_out for part in report.plan.instances):
            report = replace(report, next="siteward plan, without --only")
        return report if out is None else save_plan(report, out)
    left = _tell_blocked(reviewed)
    if out is None:
        carry_out = f"siteward apply plan.json{flags.for_apply('DIGEST')}{flags.lacking(reviewed)}"
        return replace(report, next=f"siteward plan{flags.for_plan()} --out plan.json, then {carry_out}{left}")
    saved = save_plan(report, out)
    digest = saved.plan.digest if saved.plan else ""
    options = flags.for_apply(digest) + flags.lacking(reviewed)
    return replace(saved, next=f"siteward apply {shlex.quote(str(out))}{options}{left}")


def _tell_blocked(reviewed: Plan) -> str:
    """Return, as a comment for a shell, that apply leaves the blocked steps, where there are some."""
    count = sum(len(part.steps) - len(part.runnable) for part in reviewed.instances)
    return f"    # it leaves {plural(count, 'blocked step')}" if count else ""


def save_plan(report: Report, out: Path) -> Report:
    """Save the plan of a report to `out`, readable by its owner alone; return the report with the digest of the plan.

    Raises `StoppedError`.
    """
    from siteward.access import codec
    from siteward.reconcile.outputs import PRIVATE, write_output

    if report.plan is None:
        return report
    writing = codec.Writing(report.plan)
    try:
        write_output(out, iter(writing), mode=PRIVATE)
    except OSError as problem:
        unwritten = error("cannot-write", f"cannot save the plan to {out}: {problem.strerror}")
        raise StoppedError(replace(report, plan=None, diagnostics=(unwritten,))) from problem
    return replace(report, plan=writing.plan)
