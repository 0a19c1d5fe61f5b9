"""Files → `Declaration`, or everything that is wrong with them, at once.

Nothing is contacted. What a platform's instance may say, and what a platform can do at its best, is handed in,
so that this room knows no platform.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct, convert, field
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, Span, problem
from siteward.declaration.build import Builder, Instances
from siteward.declaration.checks import Context, findings
from siteward.declaration.declared import Declaration, Grant, Location
from siteward.declaration.document import Document, GrantRow, Included, IncludeRow
from siteward.declaration.grammar import fitted, misspelt, recovered, said
from siteward.declaration.source import split_lines
from siteward.declaration.yaml_reader import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Accounts
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Bound
    from siteward.declaration.grammar import Misfit
    from siteward.declaration.source import Source


MAX_BYTES = 20_000_000
"""How much all files may weigh together."""

MAX_FILES = 1_000
SUFFIXES = (".yaml", ".yml")


class Texts(Mapping[str, tuple[str, ...]]):
    """The lines of each file, cut when somebody wants to show one."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lines: dict[str, tuple[str, ...]] = {}

    def add(self, file: str, text: str) -> None:
        """Remember a file's text."""
        self._texts[file] = text

    def __getitem__(self, file: str) -> tuple[str, ...]:
        if file not in self._lines:
            self._lines[file] = split_lines(self._texts[file])
        return self._lines[file]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class Files(Struct):
    """The files that were read, within bounds of size and number, and the diagnostics of reading them.

    `called` is the name of the root in places and messages; that of an include follows from it.
    """

    root: Path
    called: Path
    texts: Texts = field(default_factory=Texts)
    diagnostics: list[Diagnostic] = []
    _weight: int = 0
    _seen: set[Path] = set()
    _read_as: dict[str, str] = {}

    def open_root(self) -> Source | None:
        """Read the root file."""
        at = Span(str(self.called), 1, 1)
        try:
            return self._read(self.root, str(self.called), at)
        except _RefusedError as refused:
            self.diagnostics.append(refused.diagnostic)
            return None

    def open_include(self, written: str, asked_at: Span) -> Source | None:
        """Read a file that the root includes; it must be a YAML file under the root's folder, links resolved."""
        try:
            path = self._inside(written, asked_at)
            return self._read(path, str(self.called.parent / written), asked_at)
        except _RefusedError as refused:
            self.diagnostics.append(refused.diagnostic)
            return None

    def _inside(self, written: str, asked_at: Span) -> Path:
        """Return the path an include means, which must not lead out of the root's folder."""
        if Path(written).is_absolute() or "\\" in written or "\0" in written:
            raise _RefusedError("include-path", "an include is a path relative to this file, with /", asked_at)
        path = self.root.parent / written
        try:
            inside, real = self.root.parent.resolve(), path.resolve()
        except (OSError, RuntimeError) as trouble:
            raise _RefusedError("unreadable", f"`{written}` cannot be read: {_words(trouble)}", asked_at) from trouble
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
        content = self._bytes(path, shown, asked_at)
        self._weight += len(content)
        text = _decoded(content, shown)
        name = "" if path == self.root else path.relative_to(self.root.parent).as_posix()
        self._read_as[name] = text  # strict UTF-8, so that it encodes to the same bytes
        self.texts.add(shown, text)
        source, faults = read(shown, text)
        self.diagnostics += faults
        return source

    def _bytes(self, path: Path, shown: str, asked_at: Span) -> bytes:
        """Return what a file holds; one that is too large is refused before it is read."""
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
            raise _RefusedError("unreadable", f"{shown} cannot be read: {_words(trouble)}", asked_at) from trouble
        said = f"{shown} has {about.st_size / 1e6:.0f} MB; all files together may have {MAX_BYTES / 1e6:.0f} MB"
        raise _RefusedError("too-large", said, asked_at)


class _RefusedError(Exception):
    """A file is not read."""

    def __init__(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.diagnostic = problem(code, message, at, hint=hint)


def _decoded(content: bytes, shown: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as trouble:
        before = content[: trouble.start]
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        at = Span(shown, before.count(b"\n") + 1, column)
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        said = "the file is UTF-16" if wide else f"the byte 0x{content[trouble.start]:02x} is not UTF-8"
        raise _RefusedError("not-utf-8", said, at, hint="save it as UTF-8") from trouble


def _words(trouble: BaseException) -> str:
    if isinstance(trouble, OSError) and trouble.strerror:
        return trouble.strerror
    return "its links go in a circle"


__all__ = ["Declaration", "Loaded", "load"]

M = TypeVar("M", bound=Included)


class Loaded(Struct, frozen=True, kw_only=True):
    """The result of reading: the declaration, `None` where something is wrong, and all diagnostics.

    `usable` is the declaration also where only rows are wrong, which it names (`Declaration.flaws`); `None` where more is.

    `source` are the files that were read. `accounts` are the account names that the files speak of (see
    `Declaration.accounts`), also where something is wrong with them.
    """

    declaration: Declaration | None
    diagnostics: tuple[Diagnostic, ...]
    source: Files
    usable: Declaration | None = None
    accounts: Accounts = MappingProxyType({})

    @property
    def texts(self) -> Mapping[str, tuple[str, ...]]:
        """The lines of each file, for excerpts."""
        return self.source.texts

    @property
    def files(self) -> int:
        """How many files were read."""
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
) -> Loaded:
    """Read the root file and what it includes; `called` is its name in places and messages, if it is not its path.

    `settings_of` and `widest_of` give what a platform's instance may say and what the platform can do at its
    best, `None` for a platform that does not exist; `platforms` are the names of those that do.
    """
    files = Files(path, called or path)
    source = files.open_root()
    diagnostics: list[Diagnostic] = []
    declaration = None
    reading = _Reading(files, settings_of, platforms)
    if source is not None:
        declaration = reading.declaration(source)
        diagnostics = reading.diagnostics
        context = Context(declaration, frozenset(reading.dropped), widest_of, platforms)
        diagnostics += findings(context)
    said = tuple(sorted({*files.diagnostics, *diagnostics}, key=_place))
    errors = tuple(diagnostic for diagnostic in said if diagnostic.blocks)
    return Loaded(
        declaration=None if errors else declaration,
        usable=_with_flaws(declaration, errors, reading.sources) if errors and declaration is not None else declaration,
        diagnostics=said,
        source=files,
        accounts=declaration.accounts() if declaration is not None else {},
    )


def _with_flaws(
    declaration: Declaration, errors: Sequence[Diagnostic], sources: Sequence[Source]
) -> Declaration | None:
    """Return the declaration with its rows in error; `None` where an error is about more than rows."""
    from siteward.declaration.flaws import find_flaws, without_cycles  # noqa: PLC0415 — most files are right

    found = find_flaws(errors, sources, declaration, declaration.timezone)
    if found is None:
        return None
    flaws, users, groups = found
    every, cut = without_cycles({**declaration.groups, **groups})
    doubtful = {**dict.fromkeys(cut, declaration.root), **flaws.groups}
    return replace(
        declaration, flaws=replace(flaws, groups=doubtful), users={**declaration.users, **users}, groups=every
    )


def _place(found: Diagnostic) -> tuple[Span, str, str]:
    return found.at or Span("", 0, 0), found.code, found.message


class _Valid(Struct, Generic[M]):
    """A file's rows that are right; grants and includes come with their numbers in the file.

    In `source` the keys that were misspelt are called what was meant.
    """

    source: Source
    model: M
    grants: list[tuple[int, GrantRow]]
    includes: list[tuple[int, IncludeRow]]


class _Reading(Struct):
    """One load: rows of all files come together here."""

    files: Files
    settings_of: Callable[[str], type[Struct] | None]
    platforms: Sequence[str]
    diagnostics: list[Diagnostic] = []
    dropped: set[tuple[str, str]] = set()
    sources: list[Source] = []

    def declaration(self, source: Source) -> Declaration:
        """Return what all files declare together, without the rows that are wrong."""
        valid = self._valid(source, Document)
        source, root = valid.source, valid.model
        self.sources.append(source)
        zone = self._zone(root, source)
        instances = Instances(source, self.settings_of, self.platforms)
        built = instances.build(root.instances, root.policy)
        instances.judge_the_rest(built)
        self.diagnostics += instances.diagnostics
        parts: list[tuple[Builder, _Valid[Any], Bound | None]] = [
            (Builder(source, zone), valid, None),
            *self._included(valid.includes, source, zone),
        ]
        grants: list[Grant] = []
        for builder, file, bound in parts:
            grants += builder.grants(file.grants, bound)
        declaration = Declaration(
            instances=built,
            sites=self._merged("sites", (builder.sites(file.model.sites, bound) for builder, file, bound in parts)),
            users=self._merged("users", (builder.users(file.model.users) for builder, file, _ in parts)),
            groups=self._merged("groups", (builder.groups(file.model.groups) for builder, file, _ in parts)),
            roles={role.handle: role for role in parts[0][0].roles(root.roles)},
            grants=None if all(file.model.grants is None for _, file, _ in parts) else tuple(grants),
            grants_at=source.key_at(("grants",)) if "grants" in source.data else None,
            journal_dir=root.journal.dir,
            timezone=zone,
            root=Span(source.file, 1, 1),
        )
        for builder, *_ in parts:
            self.diagnostics += builder.diagnostics
        return declaration

    def _included(
        self, rows: list[tuple[int, IncludeRow]], source: Source, zone: tzinfo
    ) -> Iterator[tuple[Builder, _Valid[Any], Bound | None]]:
        for number, row in rows:
            location = Location(source, ("include", number))
            included = self.files.open_include(row.path, location.at("path"))
            if included is None:
                self.dropped.add(("include", row.path))
                continue
            valid = self._valid(included, Included)
            self.sources.append(valid.source)
            builder = Builder(valid.source, zone)
            yield builder, valid, builder.bound(row, location.at())

    def _merged(self, section: str, parts: Iterable[Iterator[Any]]) -> dict[str, Any]:
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

    def _zone(self, root: Document, source: Source) -> tzinfo:
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

    def _valid(self, source: Source, model: type[M]) -> _Valid[M]:
        """Return a file's valid rows; misfits are reported and left out, so that one run shows all faults."""
        source, found = self._spelt(source, model)
        if not isinstance(found, tuple) and not source.holes:
            return _Valid(source, found, list(enumerate(found.grants or ())), list(enumerate(_includes(found))))
        left = recovered(source, found if isinstance(found, tuple) else ())
        bones: dict[str, Any] = {"version": 1, "instances": {}} if issubclass(model, Document) else {}
        kept = fitted({**bones, **left.data}, model, source)
        if isinstance(kept, tuple):
            return _Valid(source, convert(bones, model), [], [])
        self.dropped |= left.dropped
        grants = zip(left.numbers["grants"], kept.grants or (), strict=kept.grants is not None)
        includes = zip(left.numbers["include"], _includes(kept), strict=True)
        return _Valid(source, kept, list(grants), list(includes))

    def _spelt(self, source: Source, model: type[M]) -> tuple[Source, M | tuple[Misfit, ...]]:
        """Report the misfits of a file, and return it with each misspelt key renamed to its likely name.

        The value of such a key is checked as well, and no key is reported as missing that is only misspelt.
        """
        told: list[Diagnostic] = []
        while True:
            found = fitted(source.data, model, source)
            misfits = found if isinstance(found, tuple) else ()
            meant = misspelt(source, misfits)
            there = {(*path[:-1], name) for path, name in meant.items()}
            told += [
                diagnostic
                for diagnostic in said(misfit for misfit in misfits if misfit.path not in there)
                if diagnostic not in told
            ]
            if not meant:
                self.diagnostics += told
                return source, found
            source = source.renamed(meant)


def _includes(model: Included) -> list[IncludeRow]:
    rows = model.include if isinstance(model, Document) else []
    return [IncludeRow(row) if isinstance(row, str) else row for row in rows]
