"""What reviewers decided → an edit of the files, comments and layout kept.

A right that is taken from one person stays everybody else's: the person leaves the line, or the group, or gets a line
of their own that leaves one site out. Whether the edited files mean what was decided is for the caller to prove.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from siteward.declaration.subjects import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.diagnostic import Span
    from siteward.access.model import Scope
    from siteward.access.state import Origin
    from siteward.declaration.declared import Declaration, Grant

Word = Literal["keep", "revoke", "change"]
Given = tuple[str, str]
"""An instance, and the name of a scope there, with its kind before it."""

_GONE = "siteward-gone-"
_LAYOUTS = ((2, 4, 2), (2, 2, 0), (4, 4, 2), (4, 6, 4), (4, 2, 0), (4, 4, 0))
"""Indents of tables and lists, and the offset of the dash, as people write them."""


class Decision(Struct, frozen=True, kw_only=True):
    """One decision on one right. `live_role` is what is held, as the file would name it, where nobody declared it.

    `role` and `until` are what `change` asks for. `selector` is how a grant names the scope, `names` are all the words
    that mean it and nothing else.
    """

    word: Word
    instance: str
    account: str
    kind: str
    scope: Scope
    selector: str
    names: frozenset[str] = frozenset()
    handle: str | None = None
    origin: Origin | None = None
    live_role: str | None = None
    role: str | None = None
    until: str | None = None


class Edit(Struct, frozen=True, kw_only=True):
    """The files that change, as they should be, and in words what no edit can bring about, or needs none."""

    texts: Mapping[str, str]
    undone: tuple[str, ...] = ()
    needless: tuple[str, ...] = ()


def decide(
    declaration: Declaration,
    decisions: Sequence[Decision],
    given: Mapping[tuple[Span, str], frozenset[Given]],
    why: str,
    *,
    seen: frozenset[str],
) -> Edit:
    """Return the edit that carries decisions out.

    `given` tells, by the place of a grant and a handle, what that line gives them where it was looked at; `seen` are
    the instances that were looked at whole, and what a line gives on others stays. `why` is the reason written
    beside what is added.
    """
    work = _Rewrite(declaration, given, why, seen)
    for decision in decisions:
        work.take(decision)
    return work.edit(decisions)


class _Rewrite(Struct):
    """The files as they are edited, and what was decided of each line."""

    declaration: Declaration
    given: Mapping[tuple[Span, str], frozenset[Given]]
    why: str
    seen: frozenset[str]
    files: dict[str, _File] = {}
    cuts: dict[tuple[Span, str], dict[str, list[Decision]]] = {}
    added: dict[Span, list[CommentedMap]] = field(default_factory=lambda: defaultdict(list))
    undone: list[str] = []
    needless: list[str] = []

    # -- what was decided

    def take(self, decision: Decision) -> None:
        """Take one decision in."""
        if decision.handle is None:
            self._nobodys(decision)
        elif decision.word == "keep":
            if decision.origin is None and decision.live_role is not None:
                self._grant(decision, decision.live_role)
        elif decision.origin is None:
            self.needless.append(f"{_name(decision)}: not in the file; the next apply removes it in mode full")
            if decision.word == "change":
                self._grant(decision, decision.role or decision.live_role or "")
        elif decision.scope.kind not in {"site", "metasite", "instance"}:
            self.undone.append(f"{_name(decision)}: {decision.scope.kind}s are edited by hand")
        else:
            for at in (decision.origin.at, *(other.at for other in decision.origin.others)):
                self.cuts.setdefault((at, decision.handle), {}).setdefault(decision.instance, []).append(decision)
            if decision.word == "change":
                self._change(decision, decision.origin)

    def _nobodys(self, decision: Decision) -> None:
        """See to an account that no declared user has: revoked as a whole by declaring it suspended."""
        if decision.word == "keep":
            self.needless.append(f"{_name(decision)}: stays undeclared, as `unmanaged` says")
        elif decision.kind != "undeclared" or decision.word == "change":
            self.undone.append(f"{_name(decision)}: {decision.kind} access is edited by hand")

    def _grant(self, decision: Decision, role: str) -> None:
        row = self._row(decision, role)
        row["reason"] = self.why
        self.added[self.declaration.root].append(row)

    def _change(self, decision: Decision, origin: Origin) -> None:
        line = self._line(origin.at)
        row = self._row(decision, decision.role or (line.role if line else ""))
        if decision.role is None and line is not None and line.extras is not None:
            row["extras"] = _flow(sorted(line.extras))
        for key, value in (("ticket", origin.ticket), ("reason", origin.reason)):
            if value is not None:
                row[key] = value
        self.added[origin.at].append(row)

    def _row(self, decision: Decision, role: str) -> CommentedMap:
        row = _table({"to": decision.handle, "role": role})
        if decision.scope.kind != "instance":
            row[f"{decision.scope.kind}s"] = decision.selector
        if decision.scope.kind == "instance" or len(self.declaration.instances) > 1:
            row["on"] = decision.instance
        if decision.until is not None:
            row["until"] = decision.until
        elif decision.origin is not None and decision.origin.until is not None:
            row["until"] = self._date(decision.origin.until)
        return row

    def _line(self, at: Span) -> Grant | None:
        return next((grant for grant in self.declaration.grants or () if grant.at == at), None)

    # -- what follows for the files

    def edit(self, decisions: Iterable[Decision]) -> Edit:
        """Return the edited files."""
        self._suspend(decisions)
        lines = {grant.at: grant for grant in self.declaration.grants or ()}
        for at, line in lines.items():
            out = {handle: cut for (place, handle), cut in self.cuts.items() if place == at}
            if out or at in self.added:
                self._rewrite(line, out)
        if self.added.get(self.declaration.root):
            self._append(self.added[self.declaration.root])
        texts = {name: text for name, file in self.files.items() if (text := file.text()) != file.before}
        return Edit(texts=texts, undone=tuple(self.undone), needless=tuple(dict.fromkeys(self.needless)))

    def _rewrite(self, line: Grant, out: Mapping[str, Mapping[str, Sequence[Decision]]]) -> None:
        """Take people out of a line, and put after it what they keep of it, and what they get instead."""
        file = self._file(line.location.source.file, line.location.source.text)
        number = int(line.location.path[1])
        row = file.rows[number]
        after = [commented_map for handle, cut in out.items() for commented_map in self._kept(line, row, handle, cut)]
        self._leave(row, tuple(out))
        file.after[number] = [*after, *self.added.get(line.at, ())]
        if not row["to"]:
            file.gone.add(number)

    def _kept(
        self, line: Grant, row: CommentedMap, handle: str, cut: Mapping[str, Sequence[Decision]]
    ) -> Iterator[CommentedMap]:
        """Yield the lines of one person's own that keep what was not taken from them."""
        reached = self._reached(line)
        given = self.given.get((line.at, handle), frozenset())
        rest = [text for text in reached if text not in cut]
        for name, decisions in cut.items():
            taken = {(name, str_of(decision.scope)) for decision in decisions}
            if line.for_account or (name in self.seen and {entry for entry in given if entry[0] == name} <= taken):
                continue
            copy = self._copy(line, handle, (name,) if len(self.declaration.instances) > 1 else None, row)
            if all(_without(copy, decision) for decision in decisions):
                yield copy
        if not self.seen.issuperset(rest) or any(name in rest for name, _ in given):
            yield self._copy(line, handle, tuple(rest), row)

    def _reached(self, line: Grant) -> Sequence[str]:
        return line.on if line.on is not None else tuple(self.declaration.instances)

    def _copy(self, line: Grant, handle: str, on: tuple[str, ...] | None, row: CommentedMap) -> CommentedMap:
        """Return a line for one person alone, which ends when what they had by the line would have ended."""
        copy = _table({key: _flow(value) if isinstance(value, list) else value for key, value in row.items()})
        copy["to"] = handle
        if on is not None:
            copy["on"] = on[0] if len(on) == 1 else _flow(on)
        end = next((origin.until for origin in self._origins(line.at, handle)), None)
        if end is not None and (line.window.end is None or end < line.window.end):
            copy["until"] = self._date(end)
        return copy

    def _origins(self, at: Span, handle: str) -> Iterator[Origin]:
        for decisions in self.cuts.get((at, handle), {}).values():
            for decision in decisions:
                if decision.origin is not None:
                    yield from (other for other in (decision.origin, *decision.origin.others) if other.at == at)

    def _date(self, end: datetime) -> str:
        """Return an end as the file writes it: the last day, or an instant where it is no midnight."""
        local = end.astimezone(self.declaration.timezone)
        midnight = (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
        return (local.date() - timedelta(days=1)).isoformat() if midnight else local.isoformat()

    def _leave(self, row: CommentedMap, handles: Sequence[str]) -> None:
        """Take people out of a line's `to`, by name and through each group."""
        people = expand(self.declaration.groups)
        written = row["to"] if isinstance(row["to"], list) else [row["to"]]
        kept = []
        for name in written:
            inside = [handle for handle in handles if handle in people.get(name, {})]
            if name not in handles:
                kept.append(self._group_without(name, inside) if inside else name)
        row["to"] = kept[0] if len(kept) == 1 and not isinstance(row["to"], list) else _flow(kept)

    def _group_without(self, group: str, handles: Sequence[str]) -> str:
        """Return the group that is this one without some people; itself, where nothing that it gives them is left."""
        through = [grant for grant in self.declaration.grants or () if group in grant.to]
        source = self.declaration.groups[group].location.source
        groups = self._file(source.file, source.text).data["groups"]
        apart = [handle for handle in handles if not all(self._whole(line, handle) for line in through)]
        for handle in handles:
            if handle not in apart:
                _take_out(groups, group, handle)
        if not apart:
            return group
        name = f"{group}-without-{'-'.join(apart)}"
        groups.setdefault(name, _flow([group, *(f"!{text}" for text in apart)]))
        return name

    def _whole(self, line: Grant, handle: str) -> bool:
        """Tell whether all that a line gives somebody was taken."""
        cut = self.cuts.get((line.at, handle), {})
        taken = {(name, str_of(decision.scope)) for name, decisions in cut.items() for decision in decisions}
        given = self.given.get((line.at, handle), frozenset())
        return given <= taken and bool(taken) and self.seen.issuperset(self._reached(line))

    def _suspend(self, decisions: Iterable[Decision]) -> None:
        """Declare accounts that nobody declared as suspended, where all they hold was revoked."""
        words: dict[tuple[str, str], set[str]] = defaultdict(set)
        for decision in decisions:
            if decision.handle is None and decision.kind == "undeclared":
                words[decision.instance, decision.account].add(decision.word)
        for (instance, account), said in words.items():
            if "revoke" not in said:
                continue
            if said != {"revoke"}:
                self.undone.append(f"{account} on {instance}: revoke everything it holds, or declare it first")
                continue
            users = self._root().data.setdefault("users", CommentedMap())
            row = _table({"logins": _table({instance: account}), "state": _table({instance: "suspended"})})
            row["reason"] = self.why
            users[_handle(account, self.declaration.users)] = row

    def _append(self, rows: Sequence[CommentedMap]) -> None:
        file = self._root()
        last = len(file.rows) - 1
        if last < 0:
            file.data["grants"] = CommentedSeq(rows)
        else:
            file.after[last] = [*file.after.get(last, ()), *rows]

    def _root(self) -> _File:
        name = self.declaration.root.file
        source = next(iter(self.declaration.instances.values())).location.source
        return self._file(name, source.text)

    def _file(self, name: str, text: str) -> _File:
        if name not in self.files:
            self.files[name] = _File(text)
        return self.files[name]


class _File:
    """One file in round trip. Rows that go are marked, so that the comments around them stay."""

    def __init__(self, text: str) -> None:
        self.before = text
        self._yaml = _layout(text)
        self.data: CommentedMap = self._yaml.load(text)
        self.after: dict[int, Sequence[CommentedMap]] = {}
        self.gone: set[int] = set()

    @property
    def rows(self) -> Sequence[CommentedMap]:
        """The grants as they stand in the file."""
        return self.data.get("grants") or ()

    def text(self) -> str:
        """Return the file as it should be."""
        rows = self.data.get("grants")
        for number in sorted({*self.after, *self.gone}, reverse=True):
            for commented_map in reversed(self.after.get(number, ())):
                rows.insert(number + 1, commented_map)
            if number in self.gone and rows.fa.flow_style():
                del rows[number]  # in brackets, where no row has a line of its own
            elif number in self.gone:
                rows[number] = f"{_GONE}{number}"
        if rows and all(isinstance(row, str) for row in rows):
            self.data["grants"] = _flow([])
        written = _written(self._yaml, self.data)
        return re.sub(rf"(?m)^\s*- {_GONE}\d+[^\n]*\n", "", written)


def _layout(text: str) -> YAML:
    """Return the writer that leaves this text most nearly as it is."""
    before = text.splitlines()

    def moved(layout: tuple[int, int, int]) -> int:
        writer = _writer(layout)
        after = _written(writer, writer.load(text)).splitlines()
        return sum(old != new for old, new in zip(before, after, strict=False)) + abs(len(before) - len(after))

    return _writer(min(_LAYOUTS, key=moved))


def _writer(layout: tuple[int, int, int]) -> YAML:
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 1_000_000
    mapping, sequence, offset = layout
    writer.indent(mapping=mapping, sequence=sequence, offset=offset)
    return writer


def _written(writer: YAML, data: Any) -> str:
    out = StringIO()
    writer.dump(data, out)
    return out.getvalue()


def _without(row: CommentedMap, decision: Decision) -> bool:
    """Take one site out of a line; tell whether anything is left of it."""
    key = f"{decision.scope.kind}s"
    written = row.get(key)
    words = [written] if isinstance(written, str) else list(written or ())
    kept = [word for word in words if word != decision.selector and word not in decision.names]
    if len(kept) == len(words):
        kept.append(f"!{decision.selector}")
    row[key] = _flow(kept)
    return any(not item.startswith("!") for item in kept)


def _take_out(groups: CommentedMap, group: str, handle: str) -> None:
    """Take somebody out of a group: the member, or, where they come by another group, an exclusion."""
    held = groups[group]
    members = held["members"] if isinstance(held, dict) else held
    if isinstance(members, str):
        members = [members]
    kept = _flow([member for member in members if member != handle and not _names(member, handle)])
    if len(kept) == len(members) and f"!{handle}" not in kept:
        kept.append(f"!{handle}")
    if isinstance(held, dict):
        held["members"] = kept
    else:
        groups[group] = kept


def _names(member: object, handle: str) -> bool:
    return isinstance(member, dict) and member.get("user") == handle


def _flow(values: Iterable[Any]) -> CommentedSeq:
    made = CommentedSeq(values)
    made.fa.set_flow_style()
    return made


def _table(values: Mapping[str, Any]) -> CommentedMap:
    made = CommentedMap(values)
    made.fa.set_flow_style()
    return made


def _handle(account: str, users: Mapping[str, object]) -> str:
    """Return a handle for an account that has none."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", account.partition("@")[0]).strip("-._") or "account"
    name, number = base, 1
    while name in users:
        number += 1
        name = f"{base}-{number}"
    return name


def str_of(scope: Scope) -> str:
    """Return a scope as one text."""
    return f"{scope.kind}:{scope.name}"


def _name(decision: Decision) -> str:
    return f"{decision.handle or decision.account} on {decision.instance}, {decision.scope}"
