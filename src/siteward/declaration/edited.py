"""The files of a declaration while they are edited, and the edit that follows from that."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from siteward.declaration.splice import Editable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siteward.declaration.declared import Declaration, Location
    from siteward.declaration.source import Source

Entry = dict[str, Any]
"""A row as it stands in a file, or is to stand there."""


class Edit(Struct, frozen=True, kw_only=True):
    """The result of an edit.

    `texts` are the new texts of the files that change, by name, `before` the texts that they were made from. `undone`
    describes the decisions that no edit can carry out, `needless` those that need none.
    """

    texts: Mapping[str, str]
    before: Mapping[str, str] = MappingProxyType({})
    undone: tuple[str, ...] = ()
    needless: tuple[str, ...] = ()


class EditedFiles:
    """The files of a declaration while they are edited, by name; each is opened once for all its edits."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._opened: dict[str, GrantsFile] = {}

    def root(self) -> GrantsFile:
        """Return the root file, in which alone instances stand."""
        return self.open(next(iter(self._declaration.instances.values())).location.source)

    def open(self, source: Source) -> GrantsFile:
        """Return a file, to be edited."""
        if source.file not in self._opened:
            self._opened[source.file] = GrantsFile(source)
        return self._opened[source.file]

    def row(self, location: Location) -> Any:
        """Return a row as it stands in its file, to be edited."""
        data: Any = self.open(location.source).data
        for step in location.path:
            data = data[step]
        return data

    def edit(self, *, undone: tuple[str, ...] = (), needless: tuple[str, ...] = ()) -> Edit:
        """Return the edit of the files that changed; raises `CannotEditError`. To be called once."""
        texts = {name: text for name, file in self._opened.items() if (text := file.text()) != file.before}
        before = {name: self._opened[name].before for name in texts}
        return Edit(texts=texts, before=before, undone=undone, needless=needless)


class GrantsFile(Editable):
    """One file that is edited.

    `after` are the new entries by the number of the grant after which they stand, `gone` the numbers of removed grants.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.entries: Sequence[Entry] = tuple(self.data.get("grants") or ())
        self.after: dict[int, Sequence[Entry]] = {}
        self.gone: set[int] = set()

    def append(self, rows: Sequence[Entry]) -> None:
        """Put new entries at the end of the grants."""
        last = len(self.entries) - 1
        if last < 0:
            self.data["grants"] = list(rows)
        else:
            self.after[last] = [*self.after.get(last, ()), *rows]

    def text(self) -> str:
        """Return the text of the edited file. To be called once: it carries the edits out."""
        if self.after or self.gone:
            self.data["grants"] = [
                row
                for number, entry in enumerate(self.entries)
                for row in (*(() if number in self.gone else (entry,)), *self.after.get(number, ()))
            ]
        return super().text()
