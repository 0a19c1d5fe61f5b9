"""The files of a declaration, read within bounds: the root, and what it includes from under its own folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Span
from siteward.declaration.complain import problem
from siteward.declaration.source import read, split_lines

if TYPE_CHECKING:
    from pathlib import Path

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


@dataclass(slots=True)
class Files:
    """Reads files, counts what they weigh, and collects what is wrong with them as files."""

    root: Path
    texts: Texts = field(default_factory=Texts)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _weight: int = 0
    _seen: dict[Path, str] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)

    def open_root(self) -> Source | None:
        """Read the root file."""
        return self._open(self.root, str(self.root), Span(str(self.root), 1, 1))

    def open_include(self, written: str, asked_at: Span) -> Source | None:
        """Read a file that the root includes; it must be a YAML file under the root's folder, links resolved."""
        folder = self.root.parent
        if os.path.isabs(written) or "\\" in written or "\0" in written:
            return self._no("include-path", "an include is a path relative to this file, with /", asked_at)
        if not written.endswith(SUFFIXES):
            return self._no("include-not-yaml", f"`{written}` is no .yaml or .yml file", asked_at)
        path = folder / written
        try:
            inside, real = folder.resolve(), path.resolve()
        except (OSError, RuntimeError) as trouble:
            return self._no("include-unreadable", f"`{written}` cannot be read: {_words(trouble)}", asked_at)
        if not real.is_relative_to(inside):
            return self._no(
                "include-outside",
                f"`{written}` leads out of the folder of this file",
                asked_at,
                hint="includes, and what they link to, stay under the root file's folder",
            )
        if real.suffix not in SUFFIXES:
            return self._no("include-not-yaml", f"`{written}` links to something that is no YAML file", asked_at)
        if real in self._seen or real == self.root.resolve():
            return self._no("include-twice", f"`{written}` is read already", asked_at)
        if len(self._seen) >= MAX_FILES:
            return self._no("too-large", f"more than {MAX_FILES} files", asked_at)
        self._seen[real] = written
        return self._open(path, str(folder / written), asked_at)

    def digest(self) -> str:
        """Return one digest over the names and bytes of all files, in no order."""
        total = hashlib.sha256()
        for name, each in sorted(self._digests.items()):
            total.update(f"{each}  {name}\n".encode())
        return f"sha256:{total.hexdigest()}"

    def _open(self, path: Path, shown: str, asked_at: Span) -> Source | None:
        content = self._bytes(path, shown, asked_at)
        if content is None:
            return None
        name = os.path.relpath(path, self.root.parent).replace(os.sep, "/") if path != self.root else ""
        self._digests[name] = hashlib.sha256(content).hexdigest()
        text = self._decoded(content, shown)
        if text is None:
            return None
        self.texts.add(shown, text)
        source, flaws = read(shown, text)
        self.diagnostics += flaws
        return source

    def _bytes(self, path: Path, shown: str, asked_at: Span) -> bytes | None:
        try:
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):
                return self._no("not-a-file", f"{shown} is no regular file", asked_at)
            if self._weight + about.st_size > MAX_BYTES:
                return self._no(
                    "too-large",
                    f"{shown} has {about.st_size // 1_000_000} MB; all files together may have "
                    f"{MAX_BYTES // 1_000_000} MB",
                    asked_at,
                )
            with path.open("rb") as file:
                content = file.read(MAX_BYTES - self._weight + 1)
        except OSError as trouble:
            return self._no("unreadable", f"{shown} cannot be read: {_words(trouble)}", asked_at)
        self._weight += len(content)
        if self._weight > MAX_BYTES:
            return self._no("too-large", f"{shown} makes more than {MAX_BYTES // 1_000_000} MB", asked_at)
        return content

    def _decoded(self, content: bytes, shown: str) -> str | None:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as trouble:
            before = content[: trouble.start]
            line = before.count(b"\n") + 1
            column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
            wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
            return self._no(
                "not-utf-8",
                "the file is UTF-16" if wide else f"the byte 0x{content[trouble.start]:02x} is not UTF-8",
                Span(shown, line, column),
                hint="save it as UTF-8",
            )

    def _no(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        self.diagnostics.append(problem(code, message, at, hint=hint))


def _words(trouble: BaseException) -> str:
    if isinstance(trouble, OSError) and trouble.strerror:
        return trouble.strerror
    return "its links go in a circle"
