"""The edit of the files that carries out what reviewers decided, with comments and layout kept.

A right that is revoked from one user stays with all others: the user is taken out of the grant or of the group, or gets
a grant of their own that leaves one site out. The caller has to prove that the edited files mean what was decided.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from siteward.declaration.edited import Edit, EditedFiles, Entry
from siteward.declaration.groups import expand
from siteward.declaration.references import lowered, names_of
from siteward.declaration.window import write_edge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.diagnostic import Span
    from siteward.access.model import Scope
    from siteward.access.state import Origin
    from siteward.declaration.dead import DeadLine
    from siteward.declaration.declared import Declaration, Grant, Group
    from siteward.declaration.groups import People
    from siteward.declaration.references import Names
    from siteward.declaration.source import Path
    from siteward.declaration.splice import Keys

Word = Literal["keep", "revoke", "change"]
Given = tuple[str, str]
"""A right: an instance, and a scope there as `str_of` writes it."""

GRANTED = frozenset({"site", "metasite", "instance"})
"""The kinds of scope that a row of `grants` can name."""


class Decision(Struct, frozen=True, kw_only=True):
    """A decision on one right of one account.

    `kind` is the review's kind of right (such as `undeclared`); `handle` and `origin` are `None` where no user and no
    grant declares it, and then `live_role` is the live role as the file would name it, and `grantable` tells whether a
    grant can give it. `role` and `until` are what
    `change` asks for. `selector` is the scope's name in grants, `names` are all words that mean it and nothing else.
    `reason` and `by` are what stands beside the decision: why, and who decided.
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
    grantable: bool = True
    role: str | None = None
    until: str | None = None
    reason: str = ""
    by: str = ""

    def why(self, review: str) -> str:
        """Return the reason of a row that carries the decision out; `review` is what it was made in."""
        if not self.reason:
            return f"{review}, decided by {self.by}" if self.by else review
        return f"{self.reason} ({', '.join(filter(None, (self.by, review)))})"


def decide(
    declaration: Declaration,
    decisions: Sequence[Decision],
    given: Mapping[tuple[Span, str], frozenset[Given]],
    why: str,
    *,
    seen: frozenset[str],
    dead: Iterable[DeadLine] = (),
) -> Edit:
    """Return the edit of the declaration's files that carries decisions out.

    `given` holds the rights that a grant gives a user on the instances that were read, by the place of the grant and
    the user's handle. `dead` are lines that are taken out. `seen` are the instances that were read completely; rights on
    other instances stay. `why` is the `reason` of added grants. Raises `CannotEditError` where an edit would change more
    than was decided.
    """
    rewrite = _Rewrite(declaration, given, why, seen)
    for decision in decisions:
        rewrite.take(decision)
    rewrite.remove(dead)
    return rewrite.edit(decisions)


class _Rewrite(Struct, dict=True):
    """The files while they are edited, and the decisions by grant.

    A grant as it stands in a file is called an entry here, a `Grant` is what it declares. `cuts` are the decisions that
    take rights away, by the place of the grant and the handle, then by instance; `added` are the new entries by the
    place of the grant after which they are put, or the root's place for the end of the list.
    """

    declaration: Declaration
    given: Mapping[tuple[Span, str], frozenset[Given]]
    why: str
    seen: frozenset[str]
    cuts: dict[tuple[Span, str], dict[str, list[Decision]]] = {}
    added: dict[Span, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    undone: list[str] = []
    needless: list[str] = []

    @cached_property
    def _files(self) -> EditedFiles:
        """The files, as far as they are edited."""
        return EditedFiles(self.declaration)

    @cached_property
    def _grants(self) -> Mapping[Span, Grant]:
        """The grants by their place."""
        return {grant.at: grant for grant in self.declaration.grants or ()}

    @cached_property
    def _members(self) -> Mapping[str, People]:
        """The users of each group."""
        return expand(self.declaration.groups)

    @cached_property
    def _names(self) -> Names:
        """The declared names of users and groups."""
        return names_of(self.declaration)

    def take(self, decision: Decision) -> None:
        """Sort a decision into cuts, added grants, and the two lists of those without an edit."""
        if decision.handle is None:
            self._take_undeclared(decision)
        elif decision.origin is None and not decision.grantable:
            self._take_ungranted(decision)
        elif decision.word == "keep":
            if decision.origin is None and decision.live_role is not None:
                self._add_grant(decision, decision.live_role)
        elif decision.origin is None:
            self.needless.append(f"{_describe(decision)}: not in the file; the next apply removes it in mode full")
            if decision.word == "change":
                self._add_grant(decision, decision.role or decision.live_role or "")
        elif decision.scope.kind not in GRANTED:
            self.undone.append(f"{_describe(decision)}: {decision.scope.kind}s are edited by hand")
        else:
            for at in (decision.origin.at, *(other.at for other in decision.origin.others)):
                self.cuts.setdefault((at, decision.handle), {}).setdefault(decision.instance, []).append(decision)
            if decision.word == "change":
                self._add_changed(decision, decision.origin)

    def _take_undeclared(self, decision: Decision) -> None:
        """Sort a decision on an account without a declared user; `_suspend` revokes whole accounts."""
        if decision.word == "keep":
            if decision.kind not in {"self", "public"}:  # which no file declares
                self.needless.append(f"{_describe(decision)}: stays undeclared, as `unmanaged` says")
        elif decision.kind != "undeclared" or decision.word == "change":
            self.undone.append(f"{_describe(decision)}: {decision.kind} access is edited by hand")

    def _take_ungranted(self, decision: Decision) -> None:
        """Sort a decision on a declared user's right that no row can give, such as a module, or who owns a site."""
        if decision.word != "keep":
            self.undone.append(f"{_describe(decision)}: no grant can declare it; it is changed on the platform")

    def _add_grant(self, decision: Decision, role: str) -> None:
        """Add a grant for what is live and declared nowhere."""
        entry = self._build_entry(decision, role)
        entry["reason"] = decision.why(self.why)
        self.added[self.declaration.root].append(entry)

    def _add_changed(self, decision: Decision, origin: Origin) -> None:
        """Add a grant with the changed role or date after the grant it came from, with that one's ticket.

        Its reason is the one of the decision, where there is one or somebody is named; else that of the grant it came from.
        """
        grant = self._grants.get(origin.at)
        entry = self._build_entry(decision, decision.role or (grant.role if grant else ""))
        if decision.role is None and grant is not None and grant.extras is not None:
            entry["extras"] = sorted(grant.extras)
        why = grant or origin  # the line's own: what the user and the membership say stays with them
        decided = decision.why(self.why) if decision.reason or decision.by else why.reason
        for key, value in (("ticket", why.ticket), ("reason", decided)):
            if value is not None:
                entry[key] = value
        self.added[origin.at].append(entry)

    def _build_entry(self, decision: Decision, role: str) -> Entry:
        entry: Entry = {"to": decision.handle, "role": role}
        if decision.scope.kind != "instance":
            entry[f"{decision.scope.kind}s"] = decision.selector
        if decision.scope.kind == "instance" or len(self.declaration.instances) > 1:
            entry["on"] = decision.instance
        if decision.until is not None:
            entry["until"] = decision.until
        elif decision.origin is not None and decision.origin.until is not None:
            entry["until"] = self._write_end(decision.origin.until)
        return entry

    # -- edits of the files

    def remove(self, dead: Iterable[DeadLine]) -> None:
        """Take dead grants and members out of the files, the last of each list first, so that numbers stay right."""
        sources = {row.location.source.file: row.location.source for row in self._list_rows()}
        for line in sorted(
            dead, key=lambda line: (line.file, line.path[0], str(line.path[1]), line.path[2:]), reverse=True
        ):
            file = self._files.open(sources[line.file])
            if line.path[0] == "grants":
                file.gone.add(int(line.path[1]))
            else:
                _take_out_member(file.data, line.path)

    def _list_rows(self) -> Iterator[Grant | Group]:
        yield from self.declaration.grants or ()
        yield from self.declaration.groups.values()

    def edit(self, decisions: Iterable[Decision]) -> Edit:
        """Edit the files by all decisions taken so far, and return the result."""
        self._suspend(decisions)
        cuts: dict[Span, dict[str, dict[str, list[Decision]]]] = defaultdict(dict)
        for (at, handle), cut in self.cuts.items():
            cuts[at][handle] = cut
        for at, grant in self._grants.items():
            if at in cuts or at in self.added:
                self._rewrite_grant(grant, cuts[at])
        if self.added.get(self.declaration.root):
            self._files.root().append(self.added[self.declaration.root])
        return self._files.edit(undone=tuple(self.undone), needless=tuple(dict.fromkeys(self.needless)))

    def _rewrite_grant(self, grant: Grant, cuts: Mapping[str, Mapping[str, Sequence[Decision]]]) -> None:
        """Take users out of a grant, and put after it what they keep of it and what they get instead.

        `cuts` are the decisions that take rights away, by handle and instance.
        """
        file = self._files.open(grant.source)
        number = grant.number
        entry = file.entries[number]
        after = [
            kept
            for handle, cut in cuts.items()
            for kept in _unite(list(self._keep_rest(grant, entry, handle, cut)), entry, self._instances_of(grant))
        ]
        written = entry["to"]
        self._take_out_users(entry, tuple(cuts))
        if not entry["to"] and after:
            _turn_into(entry, after.pop(0), written)
        file.after[number] = [*after, *self.added.get(grant.at, ())]
        if not entry["to"]:
            file.gone.add(number)

    def _keep_rest(
        self, grant: Grant, entry: Entry, handle: str, cut: Mapping[str, Sequence[Decision]]
    ) -> Iterator[Entry]:
        """Yield the entries for one user alone that keep those rights of the grant that were not taken away."""
        given = self.given.get((grant.at, handle), frozenset())
        rest = [instance for instance in self._instances_of(grant) if instance not in cut]
        for instance, decisions in cut.items():
            taken = {(instance, str_of(decision.scope)) for decision in decisions}
            held = {right for right in given if right[0] == instance}
            if grant.for_account or (instance in self.seen and held <= taken):
                continue
            copy = self._copy_entry(grant, handle, (instance,) if len(self.declaration.instances) > 1 else None, entry)
            if all(_leave_out_scope(copy, decision) for decision in decisions):
                yield copy
        if not self.seen.issuperset(rest) or any(instance in rest for instance, _ in given):
            yield self._copy_entry(grant, handle, tuple(rest), entry)

    def _instances_of(self, grant: Grant) -> Sequence[str]:
        return grant.on if grant.on is not None else tuple(self.declaration.instances)

    def _copy_entry(self, grant: Grant, handle: str, on: tuple[str, ...] | None, entry: Entry) -> Entry:
        """Return the entry for one user alone, ending when what they had by the grant would have ended."""
        copy = {key: list(value) if isinstance(value, list) else value for key, value in entry.items()}
        copy["to"] = handle
        if on is not None:
            copy["on"] = on[0] if len(on) == 1 else list(on)
        end = next((origin.until for origin in self._cut_origins(grant.at, handle)), None)
        if end is not None and (grant.window.end is None or end < grant.window.end):
            copy["until"] = self._write_end(end)
        return copy

    def _cut_origins(self, at: Span, handle: str) -> Iterator[Origin]:
        """Yield the origins, at the grant at `at`, of the rights that are taken from a user."""
        for decisions in self.cuts.get((at, handle), {}).values():
            for decision in decisions:
                if decision.origin is not None:
                    yield from (other for other in (decision.origin, *decision.origin.others) if other.at == at)

    def _write_end(self, end: datetime) -> str:
        return write_edge(end, self.declaration.timezone, last=True)

    def _take_out_users(self, entry: Entry, handles: Sequence[str]) -> None:
        """Take users out of the `to` of an entry, by name and through each group."""
        written = entry["to"] if isinstance(entry["to"], list) else [entry["to"]]
        kept = []
        for name in written:
            meant = self._names.find(name)
            inside = [handle for handle in handles if handle in self._members.get(meant, {})]
            if meant not in handles:
                kept.append(self._narrow_group(meant, inside) if inside else name)
        entry["to"] = kept[0] if len(kept) == 1 and not isinstance(entry["to"], list) else kept

    def _narrow_group(self, group: str, handles: Sequence[str]) -> str:
        """Return the name of a group like this one without some users.

        A user leaves the group itself where nothing that it gives them is left; the others are left out of a new group.
        """
        grants = [grant for grant in self.declaration.grants or () if group in grant.to]
        groups = self._files.open(self.declaration.groups[group].source).data["groups"]
        apart = [handle for handle in handles if not all(self._is_all_taken(grant, handle) for grant in grants)]
        for handle in handles:
            if handle not in apart:
                remove_member(groups, group, handle, self._names)
        if not apart:
            return group
        name = f"{group}-without-{'-'.join(apart)}"
        if name not in groups:
            groups.put_after(group, name, [group, *(f"!{handle}" for handle in apart)])
        return name

    def _is_all_taken(self, grant: Grant, handle: str) -> bool:
        """Return whether everything that a grant gives a user was taken away."""
        cut = self.cuts.get((grant.at, handle), {})
        taken = {(instance, str_of(decision.scope)) for instance, decisions in cut.items() for decision in decisions}
        given = self.given.get((grant.at, handle), frozenset())
        return given <= taken and bool(taken) and self.seen.issuperset(self._instances_of(grant))

    def _suspend(self, decisions: Iterable[Decision]) -> None:
        """Declare undeclared accounts as suspended users, where everything they hold was revoked."""
        decided: dict[tuple[str, str], list[Decision]] = defaultdict(list)
        for decision in decisions:
            if decision.handle is None and decision.kind == "undeclared":
                decided[decision.instance, decision.account].append(decision)
        for (instance, account), made in decided.items():
            words = {decision.word for decision in made}
            if "revoke" not in words:
                continue
            if words != {"revoke"}:
                self.undone.append(f"{account} on {instance}: revoke everything it holds, or declare it first")
                continue
            users = self._files.root().data.setdefault("users", {})
            why = next((decision.why(self.why) for decision in made if decision.reason or decision.by), self.why)
            user: Entry = {"logins": {instance: account}, "state": {instance: "suspended"}, "reason": why}
            users[choose_handle(account, (*self.declaration.users, *users, *self.declaration.groups))] = user


def _unite(copies: list[Entry], entry: Entry, instances: Sequence[str]) -> list[Entry]:
    """Return the entries for one user with those that differ by `on` alone as one; without `on` where that is all."""
    united: list[Entry] = []
    for copy in copies:
        same = next((other for other in united if _without_on(other) == _without_on(copy)), None)
        if same is None:
            united.append(copy)
            continue
        on = [*_listed(same["on"]), *_listed(copy["on"])]
        same["on"] = on
        if "on" not in entry and set(on) == set(instances):
            del same["on"]
    return united


def _without_on(entry: Entry) -> Entry:
    return {key: value for key, value in entry.items() if key != "on"}


def _listed(names: Any) -> list[str]:
    return list(names) if isinstance(names, list) else [names]


def _turn_into(entry: Entry, kept: Entry, written: object) -> None:
    """Let an entry stay where it is, as what one user keeps of it; `written` were its users."""
    to = kept["to"]
    for key in [key for key in entry if key not in kept]:
        del entry[key]
    entry.update(kept)
    entry["to"] = written if written in (to, [to]) else to


def _leave_out_scope(entry: Entry, decision: Decision) -> bool:
    """Take the scope of a decision out of an entry; return whether the entry still names another."""
    key = f"{decision.scope.kind}s"
    written = entry.get(key)
    words = [written] if isinstance(written, str) else list(written or ())
    kept = [word for word in words if word != decision.selector and word not in decision.names]
    if len(kept) == len(words):
        kept.append(f"!{decision.selector}")
    entry[key] = kept
    return any(not word.startswith("!") for word in kept)


def remove_member(groups: Keys, group: str, handle: str, names: Names) -> None:
    """Remove a user from a group: as a member, or by an exclusion where another group or `from` brings them in."""
    written = groups[group]
    members = written.get("members", ()) if isinstance(written, dict) else written
    if isinstance(members, str):
        members = [members]
    kept = [member for member in members if names.find(_name_in(member)) != handle]
    brought = len(kept) == len(members) or (isinstance(written, dict) and "from" in written)
    if brought and f"!{handle}" not in kept:
        kept.append(f"!{handle}")
    if isinstance(written, dict):
        written["members"] = kept
    else:
        groups[group] = kept


def _take_out_member(data: Keys, path: Path) -> None:
    """Take the member at a path out of its list; one that stands without a list leaves an empty one."""
    *around, number = path
    members: Any = data
    for step in around:
        members = members[step]
    if isinstance(members, list):
        del members[int(number)]
    else:
        members[number] = []


def _name_in(member: Any) -> str:
    """Return whom a member of a group names, be it written as a name or with dates."""
    return str(member.get("user")) if isinstance(member, dict) else str(member)


def choose_handle(account: str, taken: Iterable[str]) -> str:
    """Return a handle that no user or group has in any letter case, made from an account's name."""
    names = set(map(lowered, taken))
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", account.partition("@")[0]).strip("-._") or "account"
    name, number = base, 1
    while lowered(name) in names:
        number += 1
        name = f"{base}-{number}"
    return name


def str_of(scope: Scope) -> str:
    """Return a scope as one text, `KIND:NAME`."""
    return f"{scope.kind}:{scope.name}"


def _describe(decision: Decision) -> str:
    return f"{decision.handle or decision.account} on {decision.instance}, {decision.scope}"
