"""`siteward people`: writes the people of a directory into the file that the declaration includes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import error, join_some, near, plural, problem
from siteward.access.hosts import LDAP
from siteward.access.report import Report, exit_code
from siteward.cli.session import Session, StoppedError, find_config, with_session
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.declared import Directory, Group, User
    from siteward.declaration.load import Loaded
    from siteward.directory.listing import Listing
    from siteward.directory.refresh import Demands, People
    from siteward.render.people import Refreshed


@click.group("people")
def command() -> None:
    """Take people and their groups over from the directories that know them."""


@command.command("refresh")
@click.argument("names", metavar="[DIRECTORY]...", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; leave with 2 where a file would change.")
@click.option("--same", metavar="NAME=ID", multiple=True, help="The person of that name has a new id in the directory.")
@click.option(
    "--other", metavar="NAME=ID", multiple=True, help="Whoever has that id is somebody new, to be called NAME."
)
@with_session("text", "markdown", "json", without=("--group-by", "--exit-zero"))
def refresh(
    session: Session, names: tuple[str, ...], same: tuple[str, ...], other: tuple[str, ...], *, check: bool
) -> int:
    """Read the exports of directories and write who is there into the included files, for a pull request.

    Nothing is applied. People are matched by the directory's id alone; whoever is missing is suspended, and an export
    that is cut, empty, or lost more people than `shrink` allows changes nothing.
    """
    from siteward.reconcile.project import read

    path = find_config(session)
    loaded = read(path)
    directories = _choose(loaded, names)
    if len(directories) != 1 and (same or other):
        raise click.UsageError("--same and --other are about one directory: name it")
    work = _Refreshing(session, loaded, _pairs("--same", same), _pairs("--other", other), check=check)
    try:
        for directory in directories:
            work.refresh(directory)
        return work.leave()
    except KeyboardInterrupt as stop:
        raise click.exceptions.Abort(f"interrupted; {work.tell_written()}, and nothing more is done") from stop


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """Return the names and ids of an option; raises `UsageError` for a value without a sign between the two."""
    pairs = [text.rpartition("=") for text in given]
    if any(not name or not id_ for name, _, id_ in pairs):
        raise click.UsageError(f"{option}: write NAME=ID")
    return {name: id_ for name, _, id_ in pairs}


def _choose(loaded: Loaded, names: tuple[str, ...]) -> list[Directory]:
    """Return the chosen directories, all of them without names; raises `StoppedError` where their rows are wrong.

    What is wrong elsewhere in the files is for `validate`: a refresh may be what mends it.
    """
    known: Mapping[str, Directory] = loaded.draft.directories if loaded.draft is not None else {}
    blocking = tuple(found for found in loaded.diagnostics if found.blocks)
    if not known:
        if blocking:
            raise StoppedError(Report(command="people refresh", diagnostics=blocking, texts=loaded.texts))
        raise click.UsageError("the file declares no `directories`")
    for name in names:
        if name not in known:
            nearest = near(name, known)
            raise click.UsageError(
                f"there is no directory {name!r}" + (f"; did you mean {nearest!r}?" if nearest else "")
            )
    chosen = [known[name] for name in dict.fromkeys(names or known)]
    wrong = tuple(found for found in blocking if any(_is_about(found, directory) for directory in chosen))
    if wrong:
        raise StoppedError(Report(command="people refresh", diagnostics=wrong, texts=loaded.texts))
    return chosen


def _is_about(found: Diagnostic, directory: Directory) -> bool:
    """Return whether a diagnostic stands in the section of directories, up to the row of one."""
    section, row = directory.location.source.key_at(("directories",)), directory.location.at()
    last = max(directory.at.line, row.end_line)
    return found.at is not None and found.at.file == section.file and section.line <= found.at.line <= last


@dataclass
class _Refreshing:
    """The refresh of some directories: what each changes, and why others were refused; one answer tells all of it."""

    session: Session
    loaded: Loaded
    same: Mapping[str, str]
    other: Mapping[str, str]
    check: bool = field(kw_only=True)
    names_given: dict[str, frozenset[str]] = field(default_factory=dict)
    """The handles and groups of each file that was refreshed: no later one gives them to somebody else."""
    texts: dict[Path, tuple[str, str]] = field(default_factory=dict)
    """What each file is called and is to hold, from right before it is replaced."""
    refreshed: list[Refreshed] = field(default_factory=list)
    refused: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict)

    def refresh(self, directory: Directory) -> None:
        """Refresh the file of one directory, or note why that is refused; the others go on."""
        from siteward.directory.listing import ListingError

        try:
            self._refresh(directory)
        except ListingError as wrong:
            self.refused[directory.name] = wrong.diagnostics
        except StoppedError as stopped:
            self.refused[directory.name] = stopped.report.diagnostics
        except PlatformError as wrong:
            self.refused[directory.name] = (error(wrong.code, str(wrong), hint=wrong.hint),)

    def _refresh(self, directory: Directory) -> None:
        """Refresh the file of one directory; raises `ListingError`, `StoppedError` and `PlatformError`."""
        from siteward.directory.file import print_people, read_people
        from siteward.directory.listing import ListingError
        from siteward.directory.refresh import refresh as compare
        from siteward.render.people import Refreshed

        source = self.loaded.source
        file = _find_written(directory)
        path, called = source.root.parent / file, str(source.called.parent / file)
        before = read_people(path, called)
        ask = directory.ldap is not None
        listing = (
            _ask_server(self.session, self.loaded, directory, before) if ask else _read_export(self.loaded, directory)
        )
        demands = _find_demands(self.loaded, directory, called, self.same, self.other, self.names_given)
        result = compare(listing, before, demands)
        if any(found.blocks for found in result.diagnostics):
            raise ListingError(*result.diagnostics)
        self.names_given[called] = frozenset({*result.people.users, *result.people.groups})
        text = print_people(directory.name, result.people)
        changes = not path.exists() or path.read_text(encoding="utf-8") != text
        if changes and not self.check:
            self.texts[path] = called, text
            _write(path, called, text)
        lines = [(change.what, change.who, change.detail) for change in result.changes]
        told = (*listing.told, *_tell_strays(listing))
        self.refreshed.append(Refreshed(directory.name, called, lines, told, changes=changes))

    def leave(self) -> int:
        """Print what changes, and on stderr what was refused; return the exit code."""
        from siteward.render.people import render

        diagnostics = tuple(found for wrong in self.refused.values() for found in wrong)
        report = Report(command="people refresh", diagnostics=diagnostics, texts=self.loaded.texts)
        if not self.refreshed:
            return self.session.leave(report)
        code = self.session.answer(
            lambda form, options: render(self.refreshed, list(self.refused), form, options),
            Report(command="people refresh"),
        )
        if self.refused:
            self.session.show(report, err=True)
            return exit_code(report)
        return code or (2 if self.check and any(done.changes for done in self.refreshed) else 0)

    def tell_written(self) -> str:
        """Return in words which files hold what they are to hold, as an interrupted call has to say."""
        held = [
            called for path, (called, text) in self.texts.items() if path.exists() and path.read_text("utf-8") == text
        ]
        return f"{', '.join(held)} {'is' if len(held) == 1 else 'are'} written" if held else "nothing was written"


def _write(path: Path, called: str, text: str) -> None:
    """Replace a file as a whole; raises `StoppedError` where it cannot be written."""
    from siteward.reconcile.outputs import write_output

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_output(path, text.encode())
    except OSError as trouble:
        unwritten = error("cannot-write", f"{called} cannot be written: {trouble.strerror}; it was not changed")
        raise StoppedError(Report(command="people refresh", diagnostics=(unwritten,))) from trouble


def _find_written(directory: Directory) -> str:
    """Return the included file of a directory; raises `StoppedError` where no include names it."""
    if directory.written is None:
        message = f"no `include` names the file that the people of `{directory.name}` are written to"
        hint = f"add it: include: [{{path: people/{directory.name}.yaml, directory: {directory.name}}}]"
        raise StoppedError(
            Report(command="people refresh", diagnostics=(problem("missing-key", message, directory.at, hint=hint),))
        )
    return directory.written


def _ask_server(session: Session, loaded: Loaded, directory: Directory, before: People) -> Listing:
    """Return what the server of a directory lists; raises `ListingError` and `PlatformError`."""
    from siteward.cli.checkout import environment_of, keyring_of, reading_deadline
    from siteward.directory.server import explain_absences, read_server
    from siteward.transport.ldap import FIELDS, LdapReader
    from siteward.transport.secrets import find

    ldap = directory.ldap
    if ldap is None:
        raise TypeError(f"{directory.name} has no server")
    env = environment_of(loaded.source.root.parent)
    secrets = find(directory.name, FIELDS, url=ldap.url, env=env, keyring=keyring_of(), schemes=LDAP)
    with LdapReader(directory.name, ldap.url, secrets, env, reading_deadline(session, env)) as reader:
        listing = read_server(reader, ldap, directory.at)
        there = {person.id for person in listing.people}
        missing = [known.id for known in before.users.values() if known.id not in there and not known.suspended]
        return replace(listing, absences=explain_absences(reader, ldap, missing, directory.at))


def _read_export(loaded: Loaded, directory: Directory) -> Listing:
    """Return what a directory lists; raises `ListingError`, and `StoppedError` where its file leads out of the folder."""
    from siteward.directory.export import read_export

    file = directory.file or ""
    if not loaded.source.holds(file):
        message = f"`{file}` leads out of the folder of this file"
        outside = problem("include-outside", message, directory.location.at("file"))
        raise StoppedError(Report(command="people refresh", diagnostics=(outside,), texts=loaded.texts))
    return read_export(loaded.source.root.parent / file, str(loaded.source.called.parent / file))


def _find_demands(
    loaded: Loaded,
    directory: Directory,
    called: str,
    same: Mapping[str, str],
    other: Mapping[str, str],
    names_given: Mapping[str, frozenset[str]],
) -> Demands:
    """Return what a listing of a directory must keep; the names of all other files are taken."""
    from siteward.directory.refresh import Demands

    draft = loaded.draft
    rows: list[User | Group] = [*draft.users.values(), *draft.groups.values()] if draft is not None else []
    return Demands(
        directory=directory.name,
        at=directory.at,
        shrink=directory.shrink,
        at_least=directory.at_least,
        witnesses=directory.witnesses,
        taken=frozenset(row.handle for row in rows if row.at.file != called).union(*names_given.values()),
        same=same,
        others={id_: name for name, id_ in other.items()},
    )


def _tell_strays(listing: Listing) -> Iterator[str]:
    """Yield a sentence about each group with members who are nobody in the listing."""
    for group, strays in listing.strays.items():
        yield f"{plural(len(strays), 'member')} of {group} {'is' if len(strays) == 1 else 'are'} nobody in it: {join_some(strays)}"
