"""The checkout a verb works on: declaration, instances, journals, credentials, and the moment it is evaluated at.

Also the answers of servers that several verbs share, and the lines about waiting and progress on a terminal.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import error
from siteward.access.report import Missing, Report, doubtful, missing
from siteward.cli.base_option import base_policy_from
from siteward.cli.session import Session, StoppedError, find_config, now, parse_day, parse_instant
from siteward.cli.startup import keep
from siteward.reconcile.apply.passwords import Passwords
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import Journals
from siteward.reconcile.plan import Run, Target, plan_and_survey
from siteward.reconcile.project import Project, Surroundings, instances, open_project
from siteward.transport.deadline import Deadline
from siteward.transport.errors import InsecureError, SecretMissingError
from siteward.transport.secrets import Secret, dotenv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from siteward.platforms.instance import Instance
    from siteward.reconcile.journal.entries import Actor
    from siteward.reconcile.survey import Survey
    from siteward.transport.link import Exchange
    from siteward.transport.secrets import Keyring

_FELT_WAIT, _LONG_WAIT = 1.0, 5.0
"""The shortest pauses that are reported, in seconds: on a terminal, and in a log."""
_LONGEST_TIMEOUT = 24 * 3600.0


class Checkout(Struct, frozen=True, kw_only=True):
    """A valid declaration and the chosen instances of it; `as_of` is the moment at which access is evaluated.

    `as_of_given` is true where the command line names that moment; else it is `now`. In the `past` (`--at`) instances are
    shown as the journals recorded them by then.
    """

    project: Project
    instances: tuple[Instance, ...]
    journals: Journals
    now: datetime
    as_of: datetime
    as_of_given: bool
    passwords: Passwords
    past: bool = False

    def run(
        self,
        *,
        accept: Mapping[str, str] | None = None,
        allow_delete: bool = False,
        approved: frozenset[str] = frozenset(),
    ) -> Run:
        """Return the input of a plan at this checkout's moment, with the reason for each name in `accept`."""
        passwords = self.passwords
        allowance = Allowance(accept=accept or {}, allow_delete=allow_delete, passwords=passwords, approved=approved)
        return Run(created=self.now, as_of=self.as_of, as_of_given=self.as_of_given, allowance=allowance)

    def targets(self) -> dict[str, Target]:
        """Return the instances by name, as apply takes them."""
        declaration = self.project.declaration
        return {
            instance.name: Target(
                declaration=declaration,
                instance=instance,
                passwords=self.passwords,
                base_policy=self.project.base_policy,
            )
            for instance in self.instances
        }


def open_checkout(
    session: Session,
    command: str,
    *,
    names: tuple[str, ...] = (),
    as_of: str | None = None,
    at: str | None = None,
    asks: bool = False,
    passwords_out: Path | None = None,
    workers: int = 8,
    writes: bool = False,
    with_base: bool = False,
    base: str | None = None,
) -> Checkout:
    """Return the checkout around the declaration that the session uses; contacts no server.

    `names` are the instances to work on, all where there are none. A verb that `asks` who has what takes a past date `at`,
    and no `as_of` before today. A verb that `writes` the journal says who runs it.
    With `with_base` the policy of the revision that `base` or the forge names also applies. Raises `StoppedError` with everything that is wrong with the files, and
    `UsageError` for an unknown instance or a moment that is none.
    """
    project = project_of(session, command)
    keep(project)
    if with_base:
        project = replace(project, base_policy=base_policy_from(base, project.path, command)(project.declaration))
    _refuse_unknown(project, names)
    environment = environment_of(project.path.parent)
    surroundings = Surroundings(
        env=environment,
        keyring=keyring_of(),
        observer=_request_log(session) if session.verbose > 1 else None,
        waiting=_pause_notice(session),
        deadline=Deadline() if command == "apply" else reading_deadline(session, environment),
        workers=workers,
    )
    moment = now()
    zone = str(project.declaration.timezone)
    then = _past_moment(at, as_of, zone, moment) if asks else None
    folder = session.journal_dir or project.journal_folder
    return Checkout(
        project=project,
        instances=instances(project, names, surroundings),
        journals=_journals_in(folder, environment, _actor_of(project, command) if writes else None),
        now=moment,
        as_of=then or parse_instant(as_of, zone) or moment,
        as_of_given=as_of is not None or then is not None,
        passwords=Passwords(folder=folder / "passwords", out=passwords_out),
        past=then is not None,
    )


def _refuse_unknown(project: Project, names: Iterable[str]) -> None:
    """Raise `UsageError` for an instance that is not declared."""
    known = project.declaration.instances
    for name in names:
        if name not in known:
            raise click.UsageError(f"no instance {name!r}; there are {', '.join(known) or 'none'}")


def _journals_in(folder: Path, environment: Mapping[str, str], actor: Actor | None) -> Journals:
    return Journals(folder=folder, key=journal_key(environment), actor=actor)


def journal_key(environment: Mapping[str, str]) -> Secret | None:
    """Return the key that seals journals, if there is one."""
    key = environment.get("SITEWARD_JOURNAL_KEY")
    return Secret(key, "SITEWARD_JOURNAL_KEY") if key else None


def _past_moment(at: str | None, as_of: str | None, zone: str, moment: datetime) -> datetime | None:
    """Return the past moment that `--at` names, if it is given.

    Raises `UsageError` where it is to come, and for an `--as-of` before today: what is live now is no answer for then.
    """
    if at is not None and as_of is not None:
        raise click.UsageError("--at shows what was recorded, --as-of what the file says of today or later: give one")
    if at is not None:
        then = parse_day(at, zone, "--at", last=True)
        begins = parse_day(at, zone, "--at", last=False)
        if then is None or begins is None or begins > moment:
            raise click.UsageError(f"--at {at}: nothing is recorded of the future; --as-of shows what the file says")
        return min(then, moment)
    asked = parse_instant(as_of, zone)
    if asked is not None and asked.date() < moment.date():
        raise click.UsageError(
            f"--as-of {as_of} is in the past, and what is live now says nothing of then; --at {as_of} shows what was recorded"
        )
    return None


def _actor_of(project: Project, command: str) -> Actor:
    """Return who runs this, by the environment alone. Raises `StoppedError` for approvals that cannot be taken."""
    from siteward.reconcile.actor import BadApprovalsError, actor_of

    try:
        return actor_of(os.environ, project.path.parent)
    except BadApprovalsError as problem:
        found = error(problem.code, str(problem), hint=problem.hint)
        raise StoppedError(Report(command=command, diagnostics=(found,))) from None


def reading_deadline(session: Session, env: Mapping[str, str]) -> Deadline:
    """Return the deadline of a verb that only reads: SITEWARD_TIMEOUT seconds from now. It is told once half are over.

    Raises `UsageError` for a text that is no number of seconds.
    """
    text = env.get("SITEWARD_TIMEOUT") or "300"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise click.UsageError(f"SITEWARD_TIMEOUT: {text!r} is no number of seconds above 0")
    words = f"still reading after {seconds / 2:g} s; this run ends after {seconds:g} s (SITEWARD_TIMEOUT)"
    half = threading.Timer(seconds / 2, session.say, [words])
    half.daemon = True
    half.start()
    if context := click.get_current_context(silent=True):
        context.call_on_close(half.cancel)
    return Deadline(seconds)


def project_of(session: Session, command: str) -> Project:
    """Return the project; raises `StoppedError` with everything that is wrong with its files."""
    opened = open_project(find_config(session), command)
    if isinstance(opened, Report):
        raise StoppedError(opened)
    return opened


def environment_of(folder: Path) -> Mapping[str, str]:
    """Return the environment, with what a `.env` file beside the declaration adds to it.

    Raises `InsecureError` for one that a branch may have brought along: a link, or a file that git tracks.
    """
    path = folder / ".env"
    if path.is_symlink():
        raise InsecureError(
            f"{path} is a symbolic link, and a branch can bring one along; it was not read",
            hint="put a file of mode 600 in its place, or set the variables in the environment",
        )
    if not path.is_file():
        return dict(os.environ)
    _refuse_tracked(path)
    return {**dotenv(path, os.environ), **os.environ}


def _refuse_tracked(path: Path) -> None:
    """Raise `InsecureError` for a `.env` that git tracks, or of which git cannot tell whether it does."""
    from siteward.reconcile.revisions.git import GitError, is_tracked

    try:
        tracked = is_tracked(path)
    except GitError as problem:
        raise InsecureError(
            f"{path} was not read, for it is not known whether git tracks it: {problem}",
            hint=problem.hint or "set the variables in the environment",
        ) from problem
    if tracked:
        raise InsecureError(
            f"{path} is tracked by git, so a branch may have brought it along; it was not read",
            hint="`git rm --cached .env`, name it in .gitignore, and change every secret that stands in it",
        )


def keyring_of() -> Keyring | None:
    """Return the look-up in the system keyring, or `None` without `SITEWARD_KEYRING`.

    Raises `ClickException` where the extra is not installed. The look-up raises `SecretMissingError` for a keyring
    that cannot be asked.
    """
    if not os.environ.get("SITEWARD_KEYRING"):
        return None
    try:
        import keyring
        import keyring.errors
    except ImportError as missing:
        raise click.ClickException("SITEWARD_KEYRING needs the extra: pip install 'siteward[keyring]'") from missing

    def look(service: str, name: str) -> str | None:
        try:
            password: str | None = keyring.get_password(service, name)
        except keyring.errors.KeyringError as problem:
            raise SecretMissingError(
                f"the system keyring cannot be asked: {problem}", hint="unset SITEWARD_KEYRING"
            ) from None
        return password

    return look


def _request_log(session: Session) -> Callable[[Exchange], None]:
    """Return the observer that writes one line on stderr for each request."""

    def log_exchange(exchange: Exchange) -> None:
        session.say(
            f"{exchange.method} {exchange.path} {exchange.status or 'no answer'} "
            f"{exchange.seconds * 1000:.0f} ms {exchange.size} B"
        )

    return log_exchange


def read_instances(checkout: Checkout, command: str, *, steps: bool = True) -> tuple[Report, tuple[Survey, ...]]:
    """Read and plan every instance, or take it as recorded; return the report and a survey of each that could be read.

    Without `steps` nothing is planned: for answers that are made of the surveys alone. Raises `StoppedError` with the report where none could.
    """
    given = (checkout.project, checkout.instances, checkout.journals, checkout.run())
    if checkout.past:
        from siteward.reconcile.past import past_surveys

        report, surveys = past_surveys(*given, command=command)
    else:
        report, surveys = plan_and_survey(*given, command=command, steps=steps)
    if not surveys:
        raise StoppedError(report)
    keep(report, surveys)
    return report, surveys


def gaps_of(report: Report, surveys: Iterable[Survey]) -> tuple[Missing, ...]:
    """Return the instances that an answer lacks, and those it shows in part: not read whole, or beside a row in error."""
    partly_read = (Missing(instance=survey.name, partly=True) for survey in surveys if not survey.live.complete)
    return (*missing(report), *doubtful(report), *partly_read)


def no_answer(report: Report, message: str, hint: str) -> StoppedError:
    """Return the error for a question that has no answer, with the problems that kept instances from being read."""
    problems = tuple(diagnostic for diagnostic in report.plan.diagnostics if diagnostic.blocks) if report.plan else ()
    unanswered = error("no-answer", message, hint=hint)
    return StoppedError(replace(report, plan=None, diagnostics=(*problems, unanswered)))


def _pause_notice(session: Session) -> Callable[[float, str], None]:
    """Return the function that says on stderr for how many seconds and why nothing is sent; short pauses go unsaid."""
    shortest = _FELT_WAIT if sys.stderr.isatty() else _LONG_WAIT

    def notice(seconds: float, reason: str) -> None:
        if not session.quiet and seconds >= shortest:
            click.echo(f"waiting {seconds:.0f} s: {reason}", err=True)

    return notice
