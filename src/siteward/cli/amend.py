"""`siteward grant`, `revoke` and `elevate`: an edit of the file in one line, shown as a patch or written."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from siteward.access.diagnostic import error, warning
from siteward.access.report import Report
from siteward.cli.edits import patch_of, write_edits
from siteward.cli.names import instances as declared_instances
from siteward.cli.names import places, roles, subjects
from siteward.cli.session import Session, StoppedError, actors_of, now, with_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.load import Declaration
    from siteward.reconcile.amend import Amendment, Wish
    from siteward.reconcile.project import Project

_LATER = re.compile(r"\+?(?P<count>[1-9]\d{0,4})(?P<unit>m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATES_ALONE = re.compile(r"(?m)--only[ =](?:dates|expiries)\b|\bsiteward\.sh dates\b|^\s*(?:- )?do: dates\b")
"""How a job carries out dates: by the program's own words, or as the recipes of docs/ci.md do."""
_CRON = re.compile(r"cron:\s*[\"']?([^\"'\n#]+)")
_INSTANCE = click.option(
    "--on", "on", multiple=True, metavar="INSTANCE", shell_complete=declared_instances, help="Only there; repeatable."
)
_WRITE = click.option("--write", is_flag=True, help="Write the edit to the file; without it, it is shown.")
_NEW_SITE = click.option("--new-site", is_flag=True, help="Take a site that no line of the file names yet.")
_TICKET = click.option("--ticket", metavar="TEXT", help="Where this was decided.")
_REASON = click.option("--reason", metavar="TEXT", help="Why this is so.")
_UNTIL_HELP = "The last day, an instant with offset, or from now on: +90d, +4h."


@click.command("grant")
@click.argument("user", shell_complete=subjects)
@click.argument("role", shell_complete=roles)
@click.argument("targets", nargs=-1, metavar="[on] SITE|INSTANCE...", shell_complete=places)
@_INSTANCE
@click.option("--from", "start", metavar="DATE", help="The first day, an instant with offset, or from now on: +7d.")
@click.option("--until", metavar="DATE", help=_UNTIL_HELP)
@_TICKET
@_REASON
@_NEW_SITE
@_WRITE
@with_session()
def grant(session: Session, user: str, role: str, targets: tuple[str, ...], **given: Any) -> int:
    """Grant ROLE to USER (or a group) on a SITE, or, as a role of the account, on an INSTANCE.

    The row is added to the file: shown as a patch, or written with --write. Nothing is contacted, and no access changes
    before `siteward apply`. What is so already needs no edit, and is said.
    """
    return _amend(session, "grant", user, targets, role=role, **given)


@click.command("revoke")
@click.argument("user", shell_complete=subjects)
@click.argument("targets", nargs=-1, metavar="[on] SITE|INSTANCE...", shell_complete=places)
@_INSTANCE
@_WRITE
@with_session()
def revoke(session: Session, user: str, targets: tuple[str, ...], **given: Any) -> int:
    """Take from USER what the file gives on a SITE, or all of it on an INSTANCE, now and later.

    Everybody else keeps what they have: USER leaves the rows and groups that give it, or gets a row of what is left.
    Shown as a patch, or written with --write; no access changes before `siteward apply`.
    """
    return _amend(session, "revoke", user, targets, **given)


@click.command("elevate")
@click.argument("user", shell_complete=subjects)
@click.argument("role", shell_complete=roles)
@click.argument("targets", nargs=-1, metavar="[on] SITE|INSTANCE...", shell_complete=places)
@_INSTANCE
@click.option("--for", "duration", metavar="DURATION", help="How long from now: 30m, 4h, 2d (the last day counts).")
@click.option("--until", metavar="DATE", help=_UNTIL_HELP)
@_TICKET
@click.option("--reason", required=True, metavar="TEXT", help="Why this is so.")
@_NEW_SITE
@_WRITE
@with_session()
def elevate(
    session: Session, user: str, role: str, targets: tuple[str, ...], duration: str | None, **given: Any
) -> int:
    """Grant ROLE to USER for a time: on a SITE, or, as a role of the account, on an INSTANCE.

    The end is written as a date or a time, never left relative. What USER had before counts again after it. The end is
    carried out by the first run of `siteward apply --only dates` after it; which run that is, is said.
    """
    if (duration is None) == (given["until"] is None):
        raise click.UsageError("say how long: --for 4h, or --until 2027-03-31")
    if duration is not None and not _LATER.fullmatch(duration):
        raise click.UsageError(f"--for {duration}: write a number with m, h, d or w, such as 30m, 4h, 2d")
    if duration is not None:
        given["until"] = f"+{duration.removeprefix('+')}"
    return _amend(session, "elevate", user, targets, role=role, **given)


def _amend(session: Session, command: str, user: str, targets: tuple[str, ...], *, write: bool, **given: Any) -> int:
    """Show or write the edit that follows from the command line; return the exit code.

    That is 3 where something is left to people, or blocked by a rule. Raises `StoppedError`.
    """
    from siteward.cli.checkout import project_of
    from siteward.reconcile import amend

    moment = now()
    project = project_of(session, command)
    wish = _wish_of(project, user, targets, moment, command, **given)
    ask: Callable[[Project, Wish, datetime], Amendment] = amend.revoke if command == "revoke" else amend.grant
    try:
        done = ask(project, wish, moment)
    except amend.CannotAmendError as refused:
        texts = refused.loaded.texts if refused.loaded is not None else project.loaded.texts
        raise StoppedError(Report(command=command, diagnostics=refused.diagnostics, texts=texts)) from refused
    findings = (*done.findings, *_find_oneself(project.declaration, wish)) if done.edit.texts else ()
    for line in done.said:
        session.say(line if done.edit.texts or done.undone else f"already so: {line}")
    for line in done.undone:
        session.say(f"left to you: {line}")
    if not done.edit.texts:
        return 3 if done.undone else 0
    click.echo("".join(patch_of(done.edit)), nl=False)
    if findings and done.loaded is not None:
        session.show(Report(command=command, diagnostics=findings, texts=done.loaded.texts), err=True)
    if wish.row.get("until"):
        _say_end(session, project.path.parent, wish, project.declaration.timezone)
    if write:
        write_edits(done.edit, command)
    session.say("written; next: siteward plan" if write else "nothing written; --write writes it")
    return 0


def _find_oneself(declaration: Declaration, wish: Wish) -> Iterator[Diagnostic]:
    """Yield a warning for each who asks for the change, by the environment, and gains from it."""
    from siteward.declaration.groups import expand
    from siteward.declaration.references import names_of
    from siteward.reconcile.revisions.base_policy import BasePolicy

    if not wish.role:
        return
    asking = BasePolicy(head=declaration, ref="", base=None, fork=None, actors=actors_of(os.environ)).persons
    subject = names_of(declaration).find(wish.subject)
    for handle in sorted(asking & set(expand(declaration.groups).get(subject, {subject: ()}))):
        message = f"{handle}, who asks for this change, gains from it"
        yield warning("grants-oneself", message, hint="somebody else should approve it")


# -- the command line as a wish


def _wish_of(
    project: Project,
    user: str,
    targets: tuple[str, ...],
    moment: datetime,
    command: str,
    *,
    on: tuple[str, ...] = (),
    role: str = "",
    start: str | None = None,
    until: str | None = None,
    ticket: str | None = None,
    reason: str | None = None,
    new_site: bool = False,
) -> Wish:
    """Return the wish of a command line; raises `UsageError` without a target, and `StoppedError` for wrong dates."""
    from siteward.access.window import Window
    from siteward.reconcile.amend import Wish

    named = targets[1:] if targets[:1] == ("on",) else targets
    if not named and not on:
        raise click.UsageError("name a site, or the instance of a role of the account")
    faults: list[Diagnostic] = []
    first, begins = _edge(project, start, "from", moment, faults)
    last, ends = _edge(project, until, "until", moment, faults)
    if ends is not None and ends <= max(moment, begins or moment):
        shown = f"`{last}` is over before it begins"
        faults.append(error("ends-before-it-begins", shown, hint="name a later end"))
    if faults:
        raise StoppedError(Report(command=command, diagnostics=tuple(faults)))
    row = {"from": first, "until": last, "ticket": ticket, "reason": reason}
    return Wish(
        subject=user,
        targets=named or on,
        on=on if named else (),
        role=role,
        window=Window(begins, ends) if role else None,
        row={key: value for key, value in row.items() if value},
        new_sites=new_site,
    )


def _edge(
    project: Project, text: str | None, edge: str, moment: datetime, faults: list[Diagnostic]
) -> tuple[str | None, datetime | None]:
    """Return an edge of the window as it is written and as an instant; what is wrong with it goes into `faults`."""
    from siteward.declaration.window import BadDateError
    from siteward.declaration.window import moment as instant_of

    if text is None:
        return None, None
    zone = project.declaration.timezone
    later = _LATER.fullmatch(text) if text.startswith("+") else None
    if later is not None:
        distance = timedelta(**{_UNITS[later["unit"]]: int(later["count"])})
        text = _write_later(moment.astimezone(zone), distance, by_day=later["unit"] in {"d", "w"})
    try:
        return text, instant_of(text, zone, "from" if edge == "from" else "until")
    except BadDateError as bad:
        faults.append(error(bad.code, f"{edge}: {bad}", hint=bad.hint))
        return text, None


def _write_later(begin: datetime, distance: timedelta, *, by_day: bool) -> str:
    """Return the day, or the minute, that is so far from a moment, as the file writes it."""
    if by_day:
        return (begin + distance).date().isoformat()
    exact = (begin.astimezone(UTC) + distance + timedelta(seconds=59)).replace(second=0, microsecond=0)
    return exact.astimezone(begin.tzinfo).isoformat(timespec="seconds").replace("+00:00", "Z")


# -- the end


def _say_end(session: Session, folder: Path, wish: Wish, zone: tzinfo) -> None:
    """Say when a grant ends, and which run carries that out."""
    from siteward.render import words

    if wish.window is None or wish.window.end is None:
        return
    shown = words.end(wish.window.end.astimezone(zone))
    session.say(f"ends {shown}: the first `siteward apply --only dates` after it takes the access away")
    runs = tuple(_find_runs(folder))
    for run in runs:
        session.say(f"that run is {run}")
    if not runs:
        session.say("no job here runs it: the recipes in docs/ci.md do every night; for hours, run it every hour")


def _find_runs(folder: Path) -> Iterator[str]:
    """Yield the jobs of the repository around a folder that carry out dates, with the times at which they start."""
    for place in (folder.resolve(), *folder.resolve().parents):
        files = (*sorted(place.glob(".github/workflows/*.y*ml")), place / ".gitlab-ci.yml")
        for path in files:
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            if _DATES_ALONE.search(text):
                times = ", ".join(f"`{cron.strip()}`" for cron in _CRON.findall(text))
                yield f"{path.relative_to(place)} ({times or 'at the times of its schedule'}, UTC)"
        if (place / ".git").exists():
            return
