"""`-o notice:DIR`: one text for each person whose access an apply has changed, or whose access ends soon."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from siteward.cli.session import NOTICE, Session, now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from siteward.access.report import Report
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.survey import Survey
    from siteward.render.notice import Ending

_SOON = timedelta(days=30)


@contextmanager
def folder_for(session: Session) -> Iterator[Path | None]:
    """Give the folder that `-o notice:DIR` names, made and empty before anything is applied; `None` without one.

    It is taken away again where nothing was written. Raises `UsageError` for a second one or one that holds anything, and
    `ClickException` where it cannot be made.
    """
    folders = [path for name, path in session.outputs if name == NOTICE]
    if not folders:
        yield None
        return
    folder, *more = folders
    if more:
        raise click.UsageError("-o notice:DIR is given once")
    _make_empty(folder)
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def _make_empty(folder: Path) -> None:
    from siteward.reconcile.outputs import make_output_folder

    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise click.UsageError(f"-o notice:{folder}: this is no folder")
    try:
        make_output_folder(folder)
        held = any(folder.iterdir())
    except OSError as problem:
        raise click.ClickException(f"cannot write to {folder}: {problem.strerror}") from problem
    if held:
        raise click.UsageError(f"-o notice:{folder}: the folder is not empty; notices of another run may be in it")


def write_notices(session: Session, checkout: Checkout, report: Report, folder: Path) -> None:
    """Write the notices of what was done, each readable by its owner alone; say how many. Nothing is sent.

    Raises `ClickException` where they cannot be written.
    """
    from siteward.access.diagnostic import plural
    from siteward.reconcile.outputs import PRIVATE, write_output
    from siteward.render.notice import Notices, notices

    surveys = () if report.interrupted else _read_again(session, checkout)
    accounts = report.accounts or {}
    given = Notices(
        outcomes=report.outcomes, endings=tuple(_find_endings(checkout, surveys)), members=_group_members(surveys),
        persons={
            (instance, account): handle for instance, known in accounts.items() for account, handle in known.items() if handle
        },
        addresses={instance.name: instance.origin for instance in checkout.instances}, at=now(),
        zone=checkout.project.declaration.timezone,
    )  # fmt: skip
    texts = notices(given, session.privacy)
    try:
        for name, text in texts.items():
            write_output(folder / name, text.encode(), mode=PRIVATE)
    except OSError as problem:
        raise click.ClickException(f"cannot write to {folder}: {problem.strerror}") from problem
    why = "; --privacy counts names nobody" if session.privacy == "counts" else ""
    session.say(f"{plural(len(texts), 'notice')} written{f' to {folder}' if texts else ''}; nothing is sent{why}")


def _read_again(session: Session, checkout: Checkout) -> Sequence[Survey]:
    """Return the instances as they are now, to see what ends soon; none, and that is said, where they cannot be read."""
    from siteward.reconcile.plan import plan_and_survey

    _, surveys = plan_and_survey(checkout.project, checkout.instances, checkout.journals, checkout.run())
    if unread := sorted({instance.name for instance in checkout.instances} - {survey.name for survey in surveys}):
        session.say(f"what ends soon is not known on {', '.join(unread)}: it could not be read again")
    return surveys


def _find_endings(checkout: Checkout, surveys: Sequence[Survey]) -> Iterator[Ending]:
    """Yield the declared rights that are live and end soon."""
    from siteward.access.model import Grant
    from siteward.render.notice import Ending

    for survey in surveys:
        for key, grant in survey.live.access.items():
            origin = survey.desired.origins.get(key)
            end = origin.until if origin is not None else None
            if not isinstance(grant, Grant) or end is None or not checkout.as_of < end <= checkout.as_of + _SOON:
                continue
            user = survey.desired.declared_users.get(grant.subject.name)
            if grant.subject.kind == "account" and user is not None:
                yield Ending(
                    instance=survey.name, person=user.handle, account=grant.subject.name, grant=grant, until=end
                )  # fmt: skip


def _group_members(surveys: Sequence[Survey]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for survey in surveys:
        for member in survey.live.access.members():
            found[survey.name, member.group] = (*found.get((survey.name, member.group), ()), member.account)
    return found
