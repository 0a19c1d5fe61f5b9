"""What `import` and `init` do with an instance that was read: write a first file, or merge it into the one there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward import platforms
from siteward.access.diagnostic import plural
from siteward.cli.session import StoppedError, find_config, now
from siteward.declaration.generate import first_file
from siteward.reconcile.journal.reading import path_of
from siteward.reconcile.project import Project, open_project

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from siteward.access.report import Report
    from siteward.cli.session import Session
    from siteward.cli.wanted import Found
    from siteward.declaration.edited import Edit
    from siteward.declaration.merge import Merged


def existing_project(session: Session) -> Project | None:
    """Return the project whose declaration this session would use, `None` where there is none.

    Raises `StoppedError` with everything that is wrong with its files: what they declare is not passed over.
    """
    try:
        root = find_config(session)
    except click.ClickException:
        return None
    return open_file(root, "import") if root.exists() else None


def refuse_declared(out: Path, name: str, *, again: str = "--out names another file") -> None:
    """Raise `ClickException` where the file `out` declares the instance already; `again` says what else to do."""
    if out.exists():
        project = open_file(out, "import")
        if name in project.declaration.instances:
            raise click.ClickException(
                f"{out} declares {name} already, and is not overwritten; `siteward plan` shows what differs,"
                f" and {again}"
            )


def take_in(
    session: Session,
    out: Path,
    name: str,
    found: Found,
    other: Project | None,
    *,
    command: str,
    schema: str | None = None,
    same: tuple[str, ...] = (),
) -> Report:
    """Declare the instance in the file `out`, begin its journal, and return the report of its plan.

    `other` is the project that the session would use;
    `schema` is the path of the JSON Schema that a first file names; `same` are users who are known to have an equal login
    there. Raises `ClickException`, and `StoppedError`.
    """
    if out.exists():
        _merge_into(session, out, name, found, same)
    else:
        _write_first(session, out, first_file(name, found.block, found.live, found.traits, schema=schema))
    report = _begin_journal(session, out, name, found, other, command)
    part = report.plan.instance(name) if report.plan is not None else None
    if part is not None and part.steps:
        session.say(f"the plan of {name} is not empty: {plural(len(part.steps), 'step')}")
    return report


def open_file(out: Path, command: str) -> Project:
    """Return the project of a file; raises `StoppedError` with everything that is wrong with it."""
    opened = open_project(out, command)
    if not isinstance(opened, Project):
        raise StoppedError(opened)
    return opened


def _write_first(session: Session, out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise click.ClickException(f"cannot write {out}: {problem.strerror}") from problem
    session.say(f"wrote {out}")


def _merge_into(session: Session, out: Path, name: str, found: Found, same: tuple[str, ...]) -> None:
    """Edit the files so that they declare the instance too. Raises `ClickException` where that cannot be proven."""
    # A first file is written without them.
    from siteward.declaration.merge import merge
    from siteward.declaration.splice import CannotEditError
    from siteward.reconcile.certify import write_all
    from siteward.reconcile.sheets import BadDecisionsError

    project = open_file(out, "import")
    users = _known_same(project, same)
    try:
        widest = {
            name: platforms.widest_of(instance.platform) for name, instance in project.declaration.instances.items()
        }
        merged = merge(project.declaration, name, found.block, found.live, found.traits, users, widest=widest)
        _prove(project, merged.edit, name, now())
        write_all(merged.edit)
    except (BadDecisionsError, CannotEditError) as problem:
        raise click.ClickException(f"nothing was written: {problem}") from problem
    except OSError as problem:
        raise click.ClickException(f"cannot write {problem.filename or out}: {problem.strerror}") from problem
    session.say(f"merged {name} into {', '.join(merged.edit.texts)}: {_count(merged)}")
    for sentence in (*merged.flagged, *merged.rows.asides):
        session.say(f"  - {sentence}")


def _prove(project: Project, edit: Edit, instance: str, as_of: datetime) -> None:
    """Load the edited files and compare them with those before; nothing is contacted.

    Raises `BadDecisionsError` where they are not valid, or give or take access on another instance than `instance`.
    """
    from siteward.reconcile.certify import load_edited
    from siteward.reconcile.revisions.diff import Question, compared
    from siteward.reconcile.sheets import BadDecisionsError

    after = load_edited(project, edit.texts).declaration
    if after is None:
        raise BadDecisionsError("the edited files would not be valid")
    comparison = compared(project.declaration, after, Question(base="the file", head="the edit", as_of=as_of))
    moved = next((movement for movement in comparison.movements if movement.instance != instance), None)
    if moved is not None:
        raise BadDecisionsError(
            f"{moved.person} would have {'more' if moved.gains else 'less'} on {moved.instance}, {moved.scope}, by a group or"
            f" pattern that takes the new rows in; write {instance} into a file of its own with --out, and merge by hand"
        )


def _known_same(project: Project, same: tuple[str, ...]) -> frozenset[str]:
    """Return the users after `--same`, which may stand with commas; `all` is `*`. Raises `UsageError` for an unknown one."""
    names = frozenset(name.strip() for text in same for name in text.split(",") if name.strip())
    unknown = names - project.declaration.users.keys() - {"all"}
    if unknown:
        raise click.UsageError(f"--same {min(unknown)}: there is no such user in {project.path}")
    return frozenset("*" if name == "all" and name not in project.declaration.users else name for name in names)


def _count(merged: Merged) -> str:
    """Return in words how much was found and how much is new."""
    rows = merged.rows
    return ", ".join(
        (
            f"{plural(len(merged.met), 'person', 'people')} found, {len(rows.users)} new",
            *(
                f"{plural(number, noun)}"
                for noun, number in (("new site", len(rows.sites)), ("new group", len(rows.groups)))
            ),
            plural(len(rows.grants), "grant"),
        )
    )


def _begin_journal(session: Session, out: Path, name: str, found: Found, other: Project | None, command: str) -> Report:
    """Begin the journal of the instance as an apply without changes would, from what was read; return the plan's report.

    It is left alone where it exists, or belongs to another declaration (`other`) that may speak of other people.
    """
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.apply.beginning import Beginning, begin_journals
    from siteward.reconcile.plan import plan_and_survey

    checkout = open_checkout(replace(session, config=out), command, names=(name,), writes=True)
    run = replace(checkout.run(), snapshots={name: (found.traits, found.live)})
    report, surveys = plan_and_survey(checkout.project, checkout.instances, checkout.journals, run, command=command)
    if report.plan is None:
        return report
    if (
        not _is_theirs(session, out, other, checkout.journals.folder)
        and not path_of(checkout.journals.folder, name).exists()
    ):
        given = Beginning(plan=report.plan, journals=checkout.journals, clock=now, passwords=checkout.passwords)
        for diagnostic in begin_journals(given, surveys):
            session.say(diagnostic.message)
    return report


def _is_theirs(session: Session, out: Path, other: Project | None, folder: Path) -> bool:
    """Return whether a folder of journals is that of another declaration than the file `out`."""
    if other is None or other.path.resolve() == out.resolve():
        return False
    return (session.journal_dir or other.journal_folder).resolve() == folder.resolve()
