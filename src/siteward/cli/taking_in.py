"""What `import` and `init` do with an instance that was read: write a first file, or merge it into the one there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.cli.session import StoppedError, now
from siteward.declaration.generate import first_file
from siteward.declaration.merge import merge
from siteward.reconcile.certify import BadDecisionsError, write_edit
from siteward.reconcile.journal.reading import path_of
from siteward.reconcile.merged import prove
from siteward.reconcile.project import Project, open_project

if TYPE_CHECKING:
    from siteward.access.plan import InstancePlan
    from siteward.cli.session import Session
    from siteward.cli.wanted import Found
    from siteward.declaration.merge import Merged


def refuse_declared(out: Path, name: str) -> None:
    """Raise `ClickException` where the file `out` declares the instance already."""
    if out.exists():
        project = _open(out, "import")
        if name in project.declaration.instances:
            raise click.ClickException(
                f"{out} declares {name} already, and is not overwritten; `siteward plan` shows what differs, and --out"
                " names another file"
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
) -> int:
    """Declare the instance in the file `out`, begin its journal, and return the exit code.

    That is 2 where the next plan has something to do, which is said. `other` is the project that the session would use;
    `schema` is the path of the JSON Schema that a first file names; `same` are users who are known to have an equal login
    there. Raises `ClickException`, and `StoppedError`.
    """
    if out.exists():
        _merge_into(session, out, name, found, same)
    else:
        _write_first(session, out, first_file(name, found.block, found.live, found.traits, schema=schema))
    part = _begin_journal(session, out, name, found, other, command)
    if part is not None and (part.steps or part.flawed):
        session.say(f"the plan of {name} is not empty: {plural(len(part.steps), 'step')}")
        session.say(f"next: siteward plan -c {out}    (it shows what the file changes there)")
        return 2
    return 0


def _open(out: Path, command: str) -> Project:
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
    project = _open(out, "import")
    merged = merge(project.declaration, name, found.block, found.live, found.traits, _known_same(project, same))
    try:
        prove(project, merged.edit, name, now())
        for path, text in merged.edit.texts.items():
            write_edit(Path(path), text)
    except BadDecisionsError as problem:
        raise click.ClickException(f"nothing was written: {problem}") from problem
    except OSError as problem:
        raise click.ClickException(f"cannot write {problem.filename or out}: {problem.strerror}") from problem
    session.say(f"merged {name} into {', '.join(merged.edit.texts)}: {_count(merged)}")
    for sentence in (*merged.flagged, *merged.rows.asides):
        session.say(f"  - {sentence}")


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


def _begin_journal(
    session: Session, out: Path, name: str, found: Found, other: Project | None, command: str
) -> InstancePlan | None:
    """Begin the journal of the instance as an apply without changes would, from what was read; return its plan.

    It is left alone where it exists, or belongs to another declaration (`other`) that may speak of other people.
    """
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.apply.beginning import Beginning, begin_journals
    from siteward.reconcile.plan import plan_and_survey

    checkout = open_checkout(replace(session, config=out), command, names=(name,), writes=True)
    run = replace(checkout.run(), snapshots={name: (found.traits, found.live)})
    report, surveys = plan_and_survey(checkout.project, checkout.instances, checkout.book, run, command=command)
    if report.plan is None:
        return None
    if not _is_theirs(session, out, other, checkout.book.folder) and not path_of(checkout.book.folder, name).exists():
        given = Beginning(plan=report.plan, book=checkout.book, clock=now, passwords=checkout.passwords)
        for diagnostic in begin_journals(given, surveys):
            session.say(diagnostic.message)
    return report.plan.instance(name)


def _is_theirs(session: Session, out: Path, other: Project | None, folder: Path) -> bool:
    """Return whether a folder of journals is that of another declaration than the file `out`."""
    if other is None or other.path.resolve() == out.resolve():
        return False
    return (session.journal_dir or other.journal_folder).resolve() == folder.resolve()
