"""Files → `Declaration`, or everything that is wrong with them, at once.

Nothing is contacted. What a platform's instance may say, and what a platform can do at its best, is handed in,
so that this room knows no platform.
"""

from __future__ import annotations

from datetime import UTC
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct, convert

from siteward.access.diagnostic import Diagnostic, Span
from siteward.declaration.build import Builder
from siteward.declaration.check import Context, findings
from siteward.declaration.complain import problem
from siteward.declaration.declared import Declaration, Grant, Spot
from siteward.declaration.document import Document, GrantRow, Included, IncludeRow
from siteward.declaration.files import Files
from siteward.declaration.grammar import fitted
from siteward.declaration.instances import Instances
from siteward.declaration.source import Items, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from siteward.access.traits import Traits
    from siteward.declaration.declared import Bound
    from siteward.declaration.grammar import Misfit
    from siteward.declaration.source import Path as Steps
    from siteward.declaration.source import Source, Value

__all__ = ["Declaration", "Loaded", "load"]

M = TypeVar("M", bound=Included)
_NAMED = ("sites", "users", "groups", "roles", "instances")


class Loaded(Struct, frozen=True, kw_only=True):
    """What came of reading: the declaration, where nothing is wrong, and all that was said on the way.

    `texts` are the lines of each file, for excerpts; `digest` covers the bytes of all files.
    """

    declaration: Declaration | None
    diagnostics: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    files: int = 0
    digest: str = ""


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
    if source is not None:
        reading = _Reading(files, settings_of, platforms)
        declaration = reading.declaration(source)
        diagnostics = reading.diagnostics
        context = Context(declaration, frozenset(reading.dropped), widest_of, platforms)
        diagnostics += findings(context)
    said = tuple(sorted((*files.diagnostics, *diagnostics), key=_place))
    return Loaded(
        declaration=None if any(each.blocks for each in said) else declaration,
        diagnostics=said,
        texts=files.texts,
        files=len(files.texts),
        digest=files.digest(),
    )


def _place(found: Diagnostic) -> tuple[Span, str, str]:
    return found.at or Span("", 0, 0), found.code, found.message


class _Valid(Struct, Generic[M]):
    """A file's rows that are right, and the numbers of its grants in the file."""

    model: M
    grants: list[tuple[int, GrantRow]] | None


class _Reading(Struct):
    """One load: rows of all files come together here."""

    files: Files
    settings_of: Callable[[str], type[Struct] | None]
    platforms: Sequence[str]
    diagnostics: list[Diagnostic] = []
    dropped: set[tuple[str, str]] = set()

    def declaration(self, source: Source) -> Declaration:
        """Return what all files declare together, without the rows that are wrong."""
        valid = self._valid(source, Document)
        root = valid.model
        zone = self._zone(root, source)
        instances = Instances(source, self.settings_of, self.platforms)
        built = instances.build(root.instances, root.policy)
        self.diagnostics += instances.diagnostics
        parts = [(Builder(source, zone), valid.model, valid.grants, None), *self._included(root, source, zone)]
        grants: list[Grant] = []
        for builder, _, rows, bound in parts:
            grants += builder.grants(rows or (), bound)
        declaration = Declaration(
            instances=built,
            sites=self._merged("sites", (b.sites(m.sites, bound) for b, m, _, bound in parts)),
            users=self._merged("users", (b.users(m.users) for b, m, _, _ in parts)),
            groups=self._merged("groups", (b.groups(m.groups) for b, m, _, _ in parts)),
            roles={each.handle: each for each in parts[0][0].roles(root.roles)},
            grants=None if all(rows is None for _, _, rows, _ in parts) else tuple(grants),
            grants_at=source.key_at(("grants",)) if "grants" in source.data else None,
            journal_dir=root.journal.dir,
            timezone=zone,
            root=Span(source.file, 1, 1),
        )
        for builder, *_ in parts:
            self.diagnostics += builder.diagnostics
        return declaration

    def _included(
        self, root: Document, source: Source, zone: tzinfo
    ) -> Iterator[tuple[Builder, Included, list[tuple[int, GrantRow]] | None, Bound | None]]:
        for number, each in enumerate(root.include):
            row = IncludeRow(each) if isinstance(each, str) else each
            spot = Spot(source, ("include", number))
            included = self.files.open_include(row.path, spot.at("path"))
            if included is None:
                self.dropped.add(("include", row.path))
                continue
            valid = self._valid(included, Included)
            builder = Builder(included, zone)
            yield builder, valid.model, valid.grants, builder.bound(row, spot.at())

    def _merged(self, section: str, parts: Iterable[Iterator[Any]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for part in parts:
            for each in part:
                first = merged.setdefault(each.handle, each)
                if first is not each:
                    self.diagnostics.append(
                        problem(
                            "declared-twice",
                            f"`{each.handle}` stands in two files under `{section}`",
                            each.spot.key(),
                            hint=f"first at {first.at}",
                            related=(first.spot.key(),),
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
        """Hold a file against its grammar; rows that are wrong are told and left out, so that the rest is seen."""
        self.dropped |= {(str(hole[0]), str(hole[1])) for hole in source.holes if len(hole) == 2}
        parsed = fitted(source.data, model, source)
        if not isinstance(parsed, tuple):
            return _Valid(parsed, None if parsed.grants is None else list(enumerate(parsed.grants)))
        data = self._without(source, model, parsed)
        grants: list[tuple[int, Value]] | None = data.pop("grants", None)
        kept = convert(data if grants is None else {**data, "grants": [row for _, row in grants]}, model)
        numbers = [number for number, _ in grants or ()]
        return _Valid(kept, None if kept.grants is None else list(zip(numbers, kept.grants, strict=True)))

    def _without(self, source: Source, model: type[M], misfits: Sequence[Misfit]) -> dict[str, Any]:
        """Tell what is wrong and return the data without it; grants are then paired with their numbers."""
        self.diagnostics += [each.diagnostic for each in misfits if each.diagnostic is not None]
        bad = {each.path[:2] for each in misfits}
        data: dict[str, Any] = {"version": 1, "instances": {}} if issubclass(model, Document) else {}
        rest = {} if () in bad else source.data
        return data | {key: self._kept(key, value, bad) for key, value in rest.items() if (key,) not in bad}

    def _kept(self, key: str, value: Any, bad: set[Steps]) -> Any:
        if key in _NAMED and isinstance(value, Table):
            gone = {name for name in value if (key, name) in bad}
            self.dropped |= {(key, name) for name in gone}
            return {name: each for name, each in value.items() if name not in gone}
        if key == "grants" and isinstance(value, Items):
            return [(number, each) for number, each in enumerate(value) if (key, number) not in bad]
        if key == "include" and isinstance(value, Items):
            return [each for number, each in enumerate(value) if (key, number) not in bad]
        return {} if any(each[0] == key for each in bad) and isinstance(value, Table) else value
