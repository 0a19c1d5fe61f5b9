"""The loading of a declaration: files are read, checked and built into one `Declaration`, with all faults at once.

`Files` reads the root file and its includes within bounds; `load` is the whole way from a path to a declaration. No
server is contacted. The settings and widest abilities of platforms are handed in, so that this package imports none.
"""

from __future__ import annotations

import stat
from datetime import UTC
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct, convert, field

from siteward.access.diagnostic import Diagnostic, Span, problem
from siteward.declaration.build import Builder
from siteward.declaration.checks import Context, findings
from siteward.declaration.declared import Declaration, Grant, Location
from siteward.declaration.directories import (
    build_directories,
    check_file,
    check_include,
    to_included,
    with_listed_logins,
)
from siteward.declaration.document import REQUIREMENTS, DirectoryFile, Document, GrantRow, Included, IncludeRow, Row
from siteward.declaration.grammar import fitted, misspelt, pared, recovered, said
from siteward.declaration.groups import filled
from siteward.declaration.instances import Instances, collisions
from siteward.declaration.policies import Known
from siteward.declaration.references import Names, canonical
from siteward.declaration.secret_texts import find_secrets, without_secrets
from siteward.declaration.source import Texts
from siteward.declaration.yaml_reader import read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from siteward.access.model import Accounts
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Bound, Directory
    from siteward.declaration.grammar import Misfit
    from siteward.declaration.source import Path as Steps
    from siteward.declaration.source import Source

__all__ = ["MAX_BYTES", "SUFFIXES", "Declaration", "Files", "Loaded", "load"]

M = TypeVar("M", bound=Included)
R = TypeVar("R", bound=Row)
MAX_BYTES = 20_000_000
"""The most bytes that all files may have together."""

MAX_FILES = 1_000
"""The most files that a root file may include."""

SUFFIXES = (".yaml", ".yml")


class Files(Struct):
    """The files that were read, within bounds of size and number, and the diagnostics of reading them.

    `called` is the name of the root file in places and messages; the names of includes are derived from it.
    """

    root: Path
    called: Path
    texts: Texts = field(default_factory=Texts)
    diagnostics: list[Diagnostic] = []
    _weight: int = 0
    _seen: set[Path] = set()
    _read_as: dict[str, str] = {}

    def open_root(self) -> Source | None:
        """Return the root file; `None`, with diagnostics, where it cannot be read or parsed."""
        at = Span(str(self.called), 1, 1)
        try:
            return self._read(self.root, str(self.called), at)
        except _RefusedError as refused:
            self.diagnostics.append(refused.diagnostic)
            return None

    def open_include(self, written: str, asked_at: Span) -> Source | None:
        """Return an included file; `None`, with diagnostics, where it is refused, cannot be read or parsed.

        `written` is its path in the root file, `asked_at` the place of that. It must be a YAML file under the root's
        folder, also once links are resolved.
        """
        try:
            path = self._resolve_include(written, asked_at)
            return self._read(path, str(self.called.parent / written), asked_at)
        except _RefusedError as refused:
            self.diagnostics.append(refused.diagnostic)
            return None

    def _resolve_include(self, written: str, asked_at: Span) -> Path:
        """Return the path of an include; raises `_RefusedError` where it may not be read, or was read already."""
        if Path(written).is_absolute() or "\\" in written or "\0" in written:
            raise _RefusedError("include-path", "an include is a path relative to this file, with /", asked_at)
        path = self.root.parent / written
        try:
            inside, real = self.root.parent.resolve(), path.resolve()
        except (OSError, RuntimeError) as trouble:
            raise _RefusedError("unreadable", f"`{written}` cannot be read: {_explain(trouble)}", asked_at) from trouble
        if not real.is_relative_to(inside):
            hint = "includes, and what they link to, stay under the root file's folder"
            raise _RefusedError(
                "include-outside", f"`{written}` leads out of the folder of this file", asked_at, hint=hint
            )
        if not written.endswith(SUFFIXES) or real.suffix not in SUFFIXES:
            raise _RefusedError("include-not-yaml", f"`{written}` is not a .yaml or .yml file", asked_at)
        if real in self._seen or real == self.root.resolve():
            raise _RefusedError("include-twice", f"`{written}` is read already", asked_at)
        if len(self._seen) >= MAX_FILES:
            raise _RefusedError("too-large", f"more than {MAX_FILES} files", asked_at)
        self._seen.add(real)
        return path

    def holds(self, written: str) -> bool:
        """Return whether a path of the root file stays, whatever it links to, under the root's folder."""
        inside = self.root.parent.resolve()
        try:
            return (self.root.parent / written).resolve().is_relative_to(inside)
        except (OSError, RuntimeError, ValueError):
            return False

    def digest(self) -> str:
        """Return one SHA-256 digest over the names and bytes of all files that were read, whatever their order.

        Names are relative to the root's folder, and the root's own is empty: a copy of the folder has the same digest.
        """
        from hashlib import sha256  # noqa: PLC0415 — it loads OpenSSL, and checking a file needs no digest

        total = sha256()
        for name, text in sorted(self._read_as.items()):
            total.update(f"{sha256(text.encode()).hexdigest()}  {name}\n".encode())
        return f"sha256:{total.hexdigest()}"

    def _read(self, path: Path, shown: str, asked_at: Span) -> Source | None:
        content = self._read_bytes(path, shown, asked_at)
        self._weight += len(content)
        text = _decode(content, shown)
        name = "" if path == self.root else path.relative_to(self.root.parent).as_posix()
        self._read_as[name] = text  # strict UTF-8, so that it encodes to the same bytes
        self.texts.add(shown, text)
        source, faults = read(shown, text)
        self.diagnostics += faults
        return source

    def _read_bytes(self, path: Path, shown: str, asked_at: Span) -> bytes:
        """Return the content of a regular file; raises `_RefusedError` for one that is too large before it is read."""
        left = MAX_BYTES - self._weight
        try:
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):
                raise _RefusedError("not-a-file", f"{shown} is not a regular file", asked_at)
            if about.st_size <= left:
                with path.open("rb") as file:
                    content = file.read(left + 1)
                if len(content) <= left:
                    return content
        except OSError as trouble:
            raise _RefusedError("unreadable", f"{shown} cannot be read: {_explain(trouble)}", asked_at) from trouble
        message = f"{shown} has {about.st_size / 1e6:.0f} MB; all files together may have {MAX_BYTES / 1e6:.0f} MB"
        raise _RefusedError("too-large", message, asked_at)


class _RefusedError(Exception):
    """A file that is not read; `diagnostic` says why."""

    def __init__(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.diagnostic = problem(code, message, at, hint=hint)


def _decode(content: bytes, shown: str) -> str:
    """Return the text of a file; raises `_RefusedError`, at the first wrong byte, where it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as trouble:
        before = content[: trouble.start]
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        at = Span(shown, before.count(b"\n") + 1, column)
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        message = "the file is UTF-16" if wide else f"the byte 0x{content[trouble.start]:02x} is not UTF-8"
        raise _RefusedError("not-utf-8", message, at, hint="save it as UTF-8") from trouble


def _explain(trouble: BaseException) -> str:
    """Return the reason why a path cannot be read, in words; a `RuntimeError` is Python's for links in a circle."""
    if isinstance(trouble, OSError) and trouble.strerror:
        return trouble.strerror
    return "its links go in a circle"


class Loaded(Struct, frozen=True, kw_only=True):
    """The result of loading: the declaration, `None` where a diagnostic blocks it, and all diagnostics by place.

    `usable` is the declaration also where only rows are wrong, which it names (`Declaration.faults`); `None` where more is.
    `draft` holds whatever could be read, to look names up in. `source` are the files that were read. `accounts` are the
    account names that they speak of (see `Declaration.accounts`), also where something is wrong with them.
    """

    declaration: Declaration | None
    diagnostics: tuple[Diagnostic, ...]
    source: Files
    usable: Declaration | None = None
    draft: Declaration | None = None
    accounts: Accounts = MappingProxyType({})

    @property
    def texts(self) -> Mapping[str, tuple[str, ...]]:
        """The lines of each file, for excerpts."""
        return self.source.texts

    @property
    def files(self) -> int:
        """The number of files that were read."""
        return len(self.source.texts)

    @property
    def digest(self) -> str:
        """A digest over the names and bytes of all files (see `Files.digest`)."""
        return self.source.digest()


def load(
    path: Path,
    *,
    settings_of: Callable[[str], type[Struct] | None],
    widest_of: Callable[[str], Traits | None],
    platforms: Sequence[str] = (),
    called: Path | None = None,
    as_of: Callable[[Declaration], datetime] | None = None,
) -> Loaded:
    """Return what the root file at `path` and its includes declare, or what is wrong with them.

    `settings_of` returns the struct of a platform's own keys, `widest_of` the most that any server of a platform can
    do, both `None` for a platform that does not exist; `platforms` are the names of those that do. `called` is the name
    of the root file in places and messages, if it is not its path. `as_of` returns the moment at which rights are judged,
    without which nothing is judged that depends on it.
    """
    files = Files(path, called or path)
    source = files.open_root()
    diagnostics: list[Diagnostic] = []
    declaration = None
    reading = _Reading(files, settings_of, platforms)
    if source is not None:
        declaration = reading.declaration(source)
        diagnostics = reading.diagnostics
        now = as_of(declaration) if as_of is not None else None
        context = Context(declaration, frozenset(reading.dropped), widest_of, platforms, now)
        diagnostics += findings(context)
        if reading.is_partial:
            again = _Reading(Files(path, called or path), settings_of, platforms, pares=True)
            diagnostics += _find_unknown_names(again, context, {(told.code, told.at) for told in diagnostics})
    found = {*files.diagnostics, *diagnostics}
    said = without_secrets(sorted({*found, *find_secrets(files.texts, found)}, key=_sort_key))
    errors = tuple(diagnostic for diagnostic in said if diagnostic.blocks)
    return Loaded(
        declaration=None if errors else declaration,
        usable=_with_faults(declaration, errors, reading) if errors and declaration is not None else declaration,
        draft=declaration,
        diagnostics=said,
        source=files,
        accounts=declaration.accounts() if declaration is not None else {},
    )


def _find_unknown_names(
    reading: _Reading, known: Context, told: Collection[tuple[str, Span | None]]
) -> Iterator[Diagnostic]:
    """Yield the unknown names in rows of which the grammar refused a part, so that one run tells all that is wrong.

    `told` are the rules and places of what was told without these rows.
    """
    source = reading.files.open_root()
    if source is None:
        return
    declaration = reading.declaration(source)
    context = Context(declaration, known.dropped | reading.dropped, known.widest_of, known.platforms, known.as_of)
    yield from (
        said for said in findings(context) if said.code.startswith("unknown-") and (said.code, said.at) not in told
    )


def _with_faults(declaration: Declaration, errors: Sequence[Diagnostic], reading: _Reading) -> Declaration | None:
    """Return the declaration with its rows in error; `None` where an error is about more than rows."""
    from siteward.declaration.faults import with_faults  # noqa: PLC0415 — most files are right

    return with_faults(declaration, errors, reading.sources, reading.guessed)


def _sort_key(diagnostic: Diagnostic) -> tuple[Span, str, str]:
    return diagnostic.at or Span("", 0, 0), diagnostic.code, diagnostic.message


class _Valid(Struct, Generic[M]):
    """The valid rows of a file; grants and includes come with their numbers in the file.

    In `source` misspelt keys have their likely names.
    """

    source: Source
    model: M
    grants: list[tuple[int, GrantRow]]
    includes: list[tuple[int, IncludeRow]]


class _Reading(Struct):
    """The state of one load; `dropped` are the refused rows, as (section, name), `listed` logins of directories by handle.

    `pares` keeps of refused rows what fits; `is_partial` is true once the grammar refused a part of some row.
    """

    files: Files
    settings_of: Callable[[str], type[Struct] | None]
    platforms: Sequence[str]
    diagnostics: list[Diagnostic] = []
    dropped: set[tuple[str, str]] = set()
    sources: list[Source] = []
    guessed: set[tuple[str, Steps]] = set()
    pares: bool = False
    is_partial: bool = False
    listed: dict[str, str] = {}

    def declaration(self, source: Source) -> Declaration:
        """Return what all files declare together, without the rows that are wrong."""
        valid = self._validate(source, Document)
        source, root = valid.source, valid.model
        self.sources.append(source)
        at_root = Builder(source, self._find_zone(root, source))
        written = {row.directory: row.path for row in _list_includes(root) if row.directory is not None}
        directories = build_directories(root.directories, source, self.diagnostics, written)
        parts: list[tuple[Builder, _Valid[Any], Bound | None]] = [
            (at_root, valid, None),
            *self._read_includes(valid.includes, at_root, directories),
        ]
        instances = Instances(at_root, self.settings_of, self.platforms)
        built = instances.build(root.instances, root.policy, self._find_known(parts, root))
        instances.judge_the_rest(built)
        self.diagnostics += collisions((*built.values(), *directories.values()))
        self.diagnostics += self._judge_journal(root.journal.dir, source)
        grants: list[Grant] = []
        for builder, file, bound in parts:
            grants += builder.grants(file.grants, bound)
        users = self._merge("users", (builder.users(file.model.users, bound) for builder, file, bound in parts))
        users = with_listed_logins(users, self.listed, built)
        groups = self._merge("groups", (builder.groups(file.model.groups, bound) for builder, file, bound in parts))
        declaration = Declaration(
            instances=built,
            sites=self._merge("sites", (builder.sites(file.model.sites, bound) for builder, file, bound in parts)),
            users=users,
            groups=filled(groups, users),
            roles={role.handle: role for role in at_root.roles(root.roles)},
            directories=directories,
            grants=None if all(file.model.grants is None for _, file, _ in parts) else tuple(grants),
            journal_dir=root.journal.dir,
            timezone=at_root.zone,
            root=Span(source.file, 1, 1),
        )
        for builder, *_ in parts:
            self.diagnostics += builder.diagnostics
        return canonical(declaration, self.dropped)

    def _judge_journal(self, folder: str, source: Source) -> Iterator[Diagnostic]:
        """Yield an error where the file leads the journal out of its own folder, by itself or through a link."""
        if not self.files.holds(folder):
            message = f"`{folder}` leads out of the folder of this file"
            hint = "write a folder below this file's, or name another one with --journal-dir"
            yield problem("journal-outside", message, Location(source, ("journal",)).at("dir"), hint=hint)

    def _read_includes(
        self, rows: list[tuple[int, IncludeRow]], root: Builder, directories: Mapping[str, Directory]
    ) -> Iterator[tuple[Builder, _Valid[Any], Bound | None]]:
        """Yield a builder, the valid rows and the bounds of each included file that can be read."""
        for number, row in rows:
            location = Location(root.source, ("include", number))
            if row.directory is not None:
                self.diagnostics += check_include(row, directories, location)
            included = self.files.open_include(row.path, location.at("path"))
            read = self._read_include(row, included) if included is not None else None
            if read is None:
                self.dropped.add(("include", row.path))
                continue
            self.sources.append(read.source)
            builder = Builder(read.source, root.zone)
            yield builder, read, builder.bound(row, location.at()) if row.directory is None else None

    def _read_include(self, row: IncludeRow, source: Source) -> _Valid[Any] | None:
        """Return the valid rows of an included file; `None` for a directory's that is not as it was written."""
        if row.directory is None:
            return self._validate(source, Included)
        source, written = self._correct_spelling(source, DirectoryFile)
        if isinstance(written, tuple) or source.holes:
            return None
        self.diagnostics += check_file(written, row.directory, source)
        self.listed |= {handle: row.login for handle, row in written.users.items() if row.login is not None}
        return _Valid(source, to_included(written), [], [])

    def _find_known(self, parts: Iterable[tuple[Builder, _Valid[Any], Bound | None]], root: Document) -> Known:
        """Return the names of all files that policies may speak of."""
        models: list[Included] = [file.model for _, file, _ in parts]
        refused = {section: {name for kind, name in self.dropped if kind == section} for section in ("groups", "users")}
        return Known(
            instances=(*root.instances, *(name for kind, name in self.dropped if kind == "instances")),
            groups=Names((*(name for model in models for name in model.groups), *sorted(refused["groups"]))),
            rules=frozenset(
                rule.id
                for policy in (root.policy, *(instance.policy for instance in root.instances.values()))
                for rule in (policy.rules if policy is not None else ())
            ),
            attested=frozenset(name for model in models for user in model.users.values() for name in user.attests or ())
            - frozenset(REQUIREMENTS),
            whole=not refused["users"] and all(kind != "include" for kind, _ in self.dropped),
        )

    def _merge(self, section: str, parts: Iterable[Iterator[Any]]) -> dict[str, Any]:
        """Return a section's values of all files by handle; the second of the same handle is reported."""
        merged: dict[str, Any] = {}
        for part in parts:
            for declared in part:
                first = merged.setdefault(declared.handle, declared)
                if first is not declared:
                    self.diagnostics.append(
                        problem(
                            "declared-twice",
                            f"`{declared.handle}` stands in two files under `{section}`",
                            declared.location.key(),
                            hint=f"first at {first.at}",
                            related=(first.location.key(),),
                        )
                    )
        return merged

    def _find_zone(self, root: Document, source: Source) -> tzinfo:
        """Return the time zone of the policy; UTC without one, and, with a diagnostic, for an unknown one."""
        name = root.policy.timezone
        if name is None or name == "UTC":
            return UTC
        import zoneinfo  # noqa: PLC0415 — most files of a line or two have no use for it

        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            at, known = source.at(("policy", "timezone")), zoneinfo.available_timezones()
            message = f"there is no time zone `{name}`"
            self.diagnostics.append(problem("unknown-timezone", message, at, word=name, known=known))
            return UTC

    def _validate(self, source: Source, model: type[M]) -> _Valid[M]:
        """Return a file's valid rows; misfits are reported and left out, so that one run shows all faults."""
        source, result = self._correct_spelling(source, model)
        if not isinstance(result, tuple) and not source.holes:
            return _Valid(source, result, list(enumerate(result.grants or ())), list(enumerate(_list_includes(result))))
        misfits = result if isinstance(result, tuple) else ()
        self.is_partial = True
        if self.pares and not isinstance(part := fitted(pared(source, misfits), model, source), tuple):
            return _Valid(source, part, list(enumerate(part.grants or ())), list(enumerate(_list_includes(part))))
        left = recovered(source, misfits)
        required: dict[str, Any] = {"version": 1, "instances": {}} if issubclass(model, Document) else {}
        kept = fitted({**required, **left.data}, model, source)
        if isinstance(kept, tuple):
            return _Valid(source, convert(required, model), [], [])
        self.dropped |= left.dropped
        grants = zip(left.numbers["grants"], kept.grants or (), strict=kept.grants is not None)
        includes = zip(left.numbers["include"], _list_includes(kept), strict=True)
        return _Valid(source, kept, list(grants), list(includes))

    def _correct_spelling(self, source: Source, model: type[R]) -> tuple[Source, R | tuple[Misfit, ...]]:
        """Report the misfits of a file, and return it with each misspelt key renamed to its likely name.

        The value of such a key is checked as well, and no key is reported as missing that is only misspelt.
        """
        reported: list[Diagnostic] = []
        while True:
            result = fitted(source.data, model, source)
            misfits = result if isinstance(result, tuple) else ()
            likely_names = misspelt(source, misfits)
            renamed = {(*path[:-1], name) for path, name in likely_names.items()}
            reported += [
                diagnostic
                for diagnostic in said(misfit for misfit in misfits if misfit.path not in renamed)
                if diagnostic not in reported
            ]
            if not likely_names:
                self.diagnostics += reported
                return source, result
            self.guessed |= {(source.file, path[:2]) for path in likely_names}
            source = source.renamed(likely_names)  # now the values of these keys are checked too


def _list_includes(model: Included) -> list[IncludeRow]:
    """Return the includes of a root file in their long form; an included file has none."""
    rows = model.include if isinstance(model, Document) else []
    return [IncludeRow(row) if isinstance(row, str) else row for row in rows]
