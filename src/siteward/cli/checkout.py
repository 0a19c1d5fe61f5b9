"""The checkout a verb works on: its declaration, its instances, its journals, and the moment it speaks of."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import error
from siteward.access.report import Missing, Report, missing
from siteward.cli.base_option import base_policy_from
from siteward.cli.session import Session, StoppedError, find_config, parse_instant
from siteward.reconcile.apply.passwords import Passwords
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import Book
from siteward.reconcile.plan import Run, Target, plan_and_survey
from siteward.reconcile.project import Project, Surroundings, instances, open_project
from siteward.transport.errors import InsecureError, SecretMissingError
from siteward.transport.secrets import Secret, dotenv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from siteward.cli.session import Session
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Progress
    from siteward.reconcile.plan import Survey
    from siteward.transport.link import Exchange
    from siteward.transport.secrets import Keyring


LONG_WAIT = 5.0


class Talker(Struct, frozen=True):
    """Tells of pauses: on a terminal all that are felt, elsewhere only the long ones."""

    quiet: bool
    terminal: bool

    def waits(self, seconds: float, why: str) -> None:
        """Say that nothing happens for a while, and why."""
        if not self.quiet and seconds >= (1.0 if self.terminal else LONG_WAIT):
            click.echo(f"waiting {seconds:.0f} s: {why}", err=True)


def talker(session: Session) -> Talker:
    """Return who speaks of pauses in this session."""
    return Talker(session.quiet, sys.stderr.isatty())


@contextmanager
def progress(session: Session, total: int) -> Iterator[Callable[[Progress], None]]:
    """Give what apply reports its steps to: a bar on a terminal, nothing elsewhere."""
    if session.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("applying", total=total)

        def tell(progress: Progress) -> None:
            bar.update(task, description=_plain(progress.instance), advance=0 if progress.outcome is None else 1)

        yield tell


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


MOST_WORKERS = 16


class Checkout(Struct, frozen=True, kw_only=True):
    """A valid declaration and the instances this run is about."""

    project: Project
    instances: tuple[Instance, ...]
    book: Book
    now: datetime
    as_of: datetime
    as_of_given: bool
    passwords: Passwords

    def run(self, *, accept: Mapping[str, str] | None = None, allow_delete: bool = False) -> Run:
        """Return a planning run at this checkout's moment."""
        allowance = Allowance(accept=accept or {}, allow_delete=allow_delete, passwords=self.passwords)
        return Run(created=self.now, as_of=self.as_of, as_of_given=self.as_of_given, allowance=allowance)

    def targets(self) -> dict[str, Target]:
        """Return the instances as apply needs them."""
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
    passwords_out: Path | None = None,
    workers: int = 8,
    with_base: bool = False,
    base: str | None = None,
) -> Checkout:
    """Return the checkout, or stop with what is wrong with its files or with the names given.

    Where it is `gated`, what `base` or the forge names judges beside it.
    """
    project = project_of(session, command)
    if with_base:
        project = replace(project, base_policy=base_policy_from(base, project.path, command)(project.declaration))
    known = project.declaration.instances
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no instance {unknown[0]!r}; there are {', '.join(known) or 'none'}")
    environment = environment_of(project.path.parent)
    around = Surroundings(
        env=environment,
        keyring=keyring_of(),
        observer=_request_log(session) if session.verbose > 1 else None,
        waiting=talker(session).waits,
        workers=workers,
    )
    now = datetime.now(UTC)
    key = environment.get("SITEWARD_JOURNAL_KEY")
    folder = project.journal_folder
    return Checkout(
        project=project,
        instances=instances(project, names, around),
        book=Book(folder=folder, key=Secret(key, "SITEWARD_JOURNAL_KEY") if key else None),
        now=now,
        as_of=parse_instant(as_of, str(project.declaration.timezone)) or now,
        as_of_given=as_of is not None,
        passwords=Passwords(folder=folder / "passwords", out=passwords_out),
    )


def project_of(session: Session, command: str) -> Project:
    """Return the project, or stop with everything that is wrong with its files."""
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
    """See that git does not track a `.env`; raises `InsecureError`, also where git cannot tell."""
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
    """Return the system keyring where its extra is installed and the user has asked for it."""
    if not os.environ.get("SITEWARD_KEYRING"):
        return None
    try:
        import keyring
        import keyring.errors
    except ImportError as missing:
        raise click.ClickException("SITEWARD_KEYRING needs the extra: pip install 'siteward[keyring]'") from missing

    def look(service: str, name: str) -> str | None:
        try:
            found: str | None = keyring.get_password(service, name)
        except keyring.errors.KeyringError as problem:
            raise SecretMissingError(
                f"the system keyring cannot be asked: {problem}", hint="unset SITEWARD_KEYRING"
            ) from None
        return found

    return look


def _request_log(session: Session) -> Callable[[Exchange], None]:
    def tell(exchange: Exchange) -> None:
        session.say(
            f"{exchange.method} {exchange.path} {exchange.status or 'no answer'} "
            f"{exchange.seconds * 1000:.0f} ms {exchange.size} B"
        )

    return tell


def ask(checkout: Checkout, command: str) -> tuple[Report, tuple[Survey, ...]]:
    """Read every instance; stop where none could be read."""
    report, surveys = plan_and_survey(
        checkout.project, checkout.instances, checkout.book, checkout.run(), command=command
    )
    if not surveys:
        raise StoppedError(report)
    return report, surveys


def gaps_of(report: Report, surveys: Iterable[Survey]) -> tuple[Missing, ...]:
    """Return the instances that an answer does not show, and those that were not read whole."""
    halves = (Missing(instance=survey.name, partly=True) for survey in surveys if not survey.live.complete)
    return (*missing(report), *halves)


def no_answer(report: Report, message: str, hint: str) -> StoppedError:
    """Return the stop that says a question has no answer, with what kept instances from being read."""
    problems = tuple(diagnostic for diagnostic in report.plan.diagnostics if diagnostic.blocks) if report.plan else ()
    told = error("no-answer", message, hint=hint)
    return StoppedError(replace(report, plan=None, diagnostics=(*problems, told)))
