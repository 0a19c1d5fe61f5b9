"""The files of a declaration, read within bounds: the root, and what it includes from under its own folder."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.access.diagnostic import Span, problem
from siteward.declaration.source import split_lines
from siteward.declaration.yaml_reader import read

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
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
