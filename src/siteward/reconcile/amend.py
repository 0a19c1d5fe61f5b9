"""Edits of the file in one line: a right is granted, taken away or given for a time, by the file alone.

Nothing is contacted. The edited files are loaded and resolved on the sites that they know, before and after, at every
moment at which something begins or ends: exactly what was asked for may differ.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.access.diagnostic import error, problem
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE
from siteward.declaration.dead import find_dead_lines
from siteward.declaration.edited import Edit, EditedFiles
from siteward.declaration.groups import expand
from siteward.declaration.references import describe_unknown, names_of
from siteward.declaration.rewrite import Decision, decide, str_of
from siteward.declaration.roles import PORTABLE, Meaning, meaning
from siteward.declaration.selector import parse
from siteward.declaration.splice import CannotEditError
from siteward.declaration.subjects import identities
from siteward.declaration.window import write_edge
from siteward.reconcile.certify import load_with, words_of
from siteward.reconcile.offline import UNKNOWN, KnownWorld, moments_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.model import Scope
    from siteward.access.state import Origin
    from siteward.access.window import Window
    from siteward.declaration.dead import DeadLine
    from siteward.declaration.declared import Grant
    from siteward.declaration.load import Declaration, Loaded
    from siteward.reconcile.offline import Held
    from siteward.reconcile.project import Project


class CannotAmendError(Exception):
    """An edit that cannot be made; `diagnostics` say why, all at once."""

    def __init__(self, *diagnostics: Diagnostic, loaded: Loaded | None = None) -> None:
        super().__init__(diagnostics[0].message if diagnostics else "")
        self.diagnostics = diagnostics
        self.loaded = loaded


class Wish(Struct, frozen=True, kw_only=True):
    """What is asked for: a user or group, the sites and instances, and of a grant its role and more keys of its row.

    `targets` are words of `sites`, and names of instances for the account itself. `on` are the instances that it is
    confined to. `window` is that of a grant; `row` has its keys after `on`, as they are written. With `new_sites` a site
    that the files do not know is taken as it is written.
    """

    subject: str
    targets: tuple[str, ...]
    on: tuple[str, ...] = ()
    role: str = ""
    window: Window | None = None
    row: Mapping[str, str] = field(default_factory=dict)
    new_sites: bool = False


class Amendment(Struct, frozen=True, kw_only=True):
    """An edit that is proven: what it is about in words, and the findings on the files that come with it.

    Where all is so already, the edit has no texts. `undone` describes what is left to people.
    """

    edit: Edit
    said: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    loaded: Loaded | None = None


def grant(project: Project, wish: Wish, as_of: datetime) -> Amendment:
    """Return the edit that grants what is wished. Raises `CannotAmendError`."""
    asked = _Asked(project, wish, as_of)
    refuse_first_grant(project)
    files = EditedFiles(project.declaration)
    files.root().append([asked.row()])
    edit = edit_of(files)
    after = load_checked(project, edit, as_of)
    missing = asked.prove_gain(after)
    if missing is not None:
        return Amendment(edit=Edit(texts={}), said=missing)
    return Amendment(edit=edit, findings=new_findings(project, after, as_of), loaded=after)


def revoke(project: Project, wish: Wish, as_of: datetime) -> Amendment:
    """Return the edit that takes what is wished from a user, now and later. Raises `CannotAmendError`."""
    asked = _Asked(project, wish, as_of)
    if wish.subject not in project.declaration.users and asked.subject not in project.declaration.users:
        hint = "name one user, or take the group out of the line by hand"
        raise CannotAmendError(
            error("unknown-user", f"`{wish.subject}` is a group; a right is taken from a user", hint=hint)
        )
    decisions, given, said = asked.losses()
    dead = tuple(asked.find_dead())
    if not decisions and not dead:
        where = ", ".join(wish.targets)
        return Amendment(edit=Edit(texts={}), said=(f"{asked.subject} holds nothing on {where} by the file",))
    every = frozenset(project.declaration.instances)
    try:
        edit = decide(project.declaration, decisions, given, "", seen=every, dead=dead)
    except CannotEditError as refused:
        raise CannotAmendError(error("cannot-edit", str(refused))) from refused
    if edit.undone or not edit.texts:
        return Amendment(edit=Edit(texts={}), said=said, undone=edit.undone)
    after = load_checked(project, edit, as_of)
    asked.prove_loss(after)
    gone = (
        f"takes out a line that gives nothing any more: {line.what} ({_place(line.at)}), {line.why}" for line in dead
    )
    said = (*said, *gone, *asked.list_kept_by_mode(decisions))
    return Amendment(edit=edit, said=said, findings=new_findings(project, after, as_of), loaded=after)


def refuse_first_grant(project: Project) -> None:
    """Raise `CannotAmendError` for a file without `grants`, which manages none so far."""
    if project.declaration.grants is None:
        hint = "declare everything first with `siteward import`, or write `grants: []` and see what a plan would take"
        message = "the file has no `grants` yet: with the first one, all that it does not grant would be taken away"
        raise CannotAmendError(error("no-grants", message, at=project.declaration.root, hint=hint))


def edit_of(files: EditedFiles) -> Edit:
    """Return the edit of files; raises `CannotAmendError` where it would change more than is meant."""
    try:
        return files.edit()
    except CannotEditError as refused:
        raise CannotAmendError(error("cannot-edit", str(refused))) from refused


def load_checked(project: Project, edit: Edit, as_of: datetime) -> Loaded:
    """Load the edited files; raises `CannotAmendError` with every error in them."""
    try:
        after = load_with(project, edit.texts, lambda _: as_of)
    except CannotEditError as refused:
        raise CannotAmendError(error("cannot-edit", str(refused))) from refused
    if after.declaration is None:
        errors = (diagnostic for diagnostic in after.diagnostics if diagnostic.blocks)
        raise CannotAmendError(*errors, loaded=after)
    return after


def new_findings(project: Project, after: Loaded, as_of: datetime) -> tuple[Diagnostic, ...]:
    """Return what is said of the edited files and was not said before, whatever its place."""
    before = {(said.code, said.message) for said in load_with(project, {}, lambda _: as_of).diagnostics}
    return tuple(said for said in after.diagnostics if (said.code, said.message) not in before)


class _Asked:
    """A wish with its words looked up: raises `CannotAmendError` with all that is wrong with them."""

    def __init__(self, project: Project, wish: Wish, as_of: datetime) -> None:
        self.declaration = project.declaration
        self.wish = wish
        self.as_of = as_of
        self.subject = names_of(self.declaration).find(wish.subject)
        self.accounts_of = [target for target in wish.targets if target in self.declaration.instances]
        self.sites = [target for target in wish.targets if target not in self.declaration.instances]
        faults = (*self._check_names(), *self._check_sites(), *self._check_role())
        if project.loaded.declaration is None:
            faults = tuple(said for said in project.loaded.diagnostics if said.blocks)
        if faults:
            raise CannotAmendError(*faults)
        self.world = KnownWorld(self.declaration, self.sites, as_of)

    # -- the words

    def _check_names(self) -> Iterator[Diagnostic]:
        known = (*self.declaration.users, *self.declaration.groups)
        by_mail = [user.handle for user in self.declaration.users.values() if user.email == self.wish.subject]
        if self.subject not in known and len(by_mail) == 1:
            self.subject = by_mail[0]
        elif self.subject not in known:
            yield describe_unknown(self.declaration, self.wish.subject, None, known)
        for name in self.wish.on:
            if name not in self.declaration.instances:
                message = f"there is no instance `{name}`"
                allowed = tuple(self.declaration.instances)
                yield problem("unknown-instance", message, None, word=name, allowed=allowed)

    def _check_sites(self) -> Iterator[Diagnostic]:
        known = self._known_sites()
        for word in self.wish.targets:
            folded = domain_in(word) if parse(word).kind == "name" else word
            if word in self.declaration.instances and word in known:
                message = f"`{word}` is a site and an instance"
                yield error("unknown-site", message, hint="write the site's domain, or the instance with --on alone")
            elif parse(word).excludes:
                message = f"`{word}` leaves a site out, and names none"
                yield error("unknown-site", message, hint="name the sites that are meant")
            elif word not in self.declaration.instances and not {word, folded} & known and not self._is_open(word):
                message = f"no line of the file names a site `{word}`"
                names = (*known, *self.declaration.instances)
                hint = "if the server has it, say --new-site"
                yield problem("unknown-site", message, None, word=word, known=names, hint=hint)

    def _is_open(self, word: str) -> bool:
        return self.wish.new_sites or (bool(self.wish.role) and parse(word).kind in {"pattern", "sitegroup", "id"})

    def _known_sites(self) -> frozenset[str]:
        """Return all words that mean a site in the files."""
        named = (word.removeprefix("!") for line in self.declaration.grants or () for word in line.sites)
        hosts = (domain_in(site.domain) for site in self.declaration.sites.values())
        tags = (f"tag:{tag}" for site in self.declaration.sites.values() for tag in site.tags)
        words = [word for word in named if parse(word).kind == "name"]
        return frozenset((*self.declaration.sites, *hosts, *tags, *words, *map(domain_in, words)))

    def _check_role(self) -> Iterator[Diagnostic]:
        role, known = self.wish.role, (*PORTABLE, *self.declaration.roles)
        if role and role not in known and ":" not in role:
            yield problem("unknown-role", f"there is no role `{role}`", None, word=role, allowed=known)
        if role and self.accounts_of and self.sites:
            message = f"a role is on sites or on the account, and {', '.join(self.accounts_of)} is no site"
            yield error(
                "unknown-site", message, hint="grant them one after the other; --on confines sites to instances"
            )

    def row(self) -> dict[str, object]:
        """Return the row of `grants` that says the wish."""
        row: dict[str, object] = {"to": self.subject, "role": self.wish.role}
        if self.sites:
            row["sites"] = self.sites[0] if len(self.sites) == 1 else list(self.sites)
        on = (*self.wish.on, *self.accounts_of)
        if on:
            row["on"] = on[0] if len(on) == 1 else list(on)
        return {**row, **self.wish.row}

    # -- where it holds

    def _instances(self) -> Sequence[str]:
        return (*self.wish.on, *self.accounts_of) or tuple(self.declaration.instances)

    def _meant(self, instance: str, rights: Iterable[tuple[str, Scope]]) -> set[tuple[str, Scope]]:
        """Return the accounts and scopes of an instance that the wish is about."""
        people = expand(self.declaration.groups).get(self.subject, {self.subject: ()})
        traits = self.world.traits[instance]
        known = identities(self.declaration, instance, traits, None, as_of=self.as_of, memory=None)
        accounts = {known.by_handle[handle].account for handle in people if handle in known.by_handle}
        scopes = {scope for word in self.sites for scope in self.world.scopes(self.declaration, instance, word)}
        if instance in self.accounts_of:
            scopes |= {EVERYWHERE} if self.wish.role else {scope for _, scope in rights}
        return {(account, scope) for account in accounts for scope in scopes}

    # -- proofs

    def prove_gain(self, after: Loaded) -> tuple[str, ...] | None:
        """Prove that the edit gives what is wished and nothing else; return why it is needless, where it gives nothing."""
        gained = False
        held: list[str] = []
        for instance, moment, before, now in self._compare(after):
            meant = self._meant(instance, before.rights)
            window = self.wish.window
            due = window is None or window.holds(moment)
            for key in before.rights.keys() | now.rights.keys() | meant:
                old, new = before.rights.get(key), now.rights.get(key)
                if old == new:
                    if key in meant and due and instance in self._instances() and old is not None:
                        held.append(self._tell(instance, key, before))
                    continue
                if (
                    key not in meant
                    or not due
                    or instance not in self._instances()
                    or not self._gives(instance, key[1], new)
                ):
                    raise _not_sure(key, instance)
                gained = True
        if gained:
            return None
        if not held:
            message = f"this row would give {self.subject} nothing: {self._why_nothing()}"
            raise CannotAmendError(
                error("gives-nothing", message, hint="siteward explain tells what a user has and why")
            )
        return tuple(dict.fromkeys(held))

    def _why_nothing(self) -> str:
        """Return why a row gives its user nothing: where a user is suspended or left everywhere, that."""
        user = self.declaration.users.get(self.subject)
        states = {user.state(instance) for instance in self._instances()} if user is not None else {"active"}
        if "active" not in states:
            return f"the file has `state: {min(states)}`"
        return "no instance has such a site, or the time is over"

    def _gives(self, instance: str, scope: Scope, new: tuple[str, object, object] | None) -> bool:
        """Return whether a right is the wished role or more."""
        traits = self.world.traits[instance]
        means = meaning(self.declaration.roles, self.wish.role, None, traits, scope.kind)
        return (
            new is not None
            and isinstance(means, Meaning)
            and traits.rank(scope.kind, new[0]) >= traits.rank(scope.kind, means.role.name)
        )

    def prove_loss(self, after: Loaded) -> None:
        """Prove that the edit takes what is wished and nothing else; raises `CannotAmendError`."""
        for instance, _, before, now in self._compare(after):
            meant = self._meant(instance, before.rights) if instance in self._instances() else set()
            for key in before.rights.keys() | now.rights.keys():
                wanted = None if key in meant else before.rights.get(key)
                if now.rights.get(key) != wanted:
                    raise _not_sure(key, instance)

    def _compare(self, after: Loaded) -> Iterator[tuple[str, datetime, Held, Held]]:
        """Yield what is held before and after, on each instance at each moment that matters."""
        edited = after.declaration
        if edited is None:
            return
        dated = (*self._windows(self.declaration), *self._windows(edited))
        for moment in moments_of(dated, self.as_of, self.wish.window):
            for instance in self.declaration.instances:
                before = self.world.held(self.declaration, instance, moment)
                yield instance, moment, before, self.world.held(edited, instance, moment)

    def _windows(self, declaration: Declaration) -> Iterator[Window]:
        """Yield the windows of all rows by which the subject may have something, and of others in the same groups."""
        groups = expand(declaration.groups)
        people = set(groups.get(self.subject, {self.subject: ()}))
        inside = {self.subject, *people, *(name for name, members in groups.items() if people & members.keys())}
        for line in declaration.grants or ():
            if inside.intersection(line.to):
                yield line.window
        for name in inside & declaration.groups.keys():
            yield from (member.window for member in declaration.groups[name].members)
        for handle in inside & declaration.users.keys():
            yield declaration.users[handle].window

    # -- what is taken

    def losses(self) -> tuple[list[Decision], Mapping[tuple[Span, str], frozenset[tuple[str, str]]], tuple[str, ...]]:
        """Return the decisions that take what is wished, what each line gives, and each loss in words."""
        decisions: dict[object, Decision] = {}
        given: dict[tuple[Span, str], set[tuple[str, str]]] = defaultdict(set)
        said: dict[str, None] = {}
        for moment in moments_of(self._windows(self.declaration), self.as_of):
            for instance in self.declaration.instances:
                held = self.world.held(self.declaration, instance, moment)
                for (account, scope), origin in _origins(held):
                    handle = held.desired.declared_users[account].handle
                    for at in (origin.at, *(other.at for other in origin.others)):
                        given[at, handle].add((instance, str_of(scope)))
                meant = self._meant(instance, held.rights) if instance in self._instances() else set()
                for (account, scope), origin in _origins(held):
                    if (account, scope) in meant:
                        found = self._decide(instance, account, scope, origin)
                        decisions.setdefault((instance, scope, origin), found)
                        said.setdefault(self._tell(instance, (account, scope), held, loses=True))
        return list(decisions.values()), {key: frozenset(rights) for key, rights in given.items()}, tuple(said)

    def find_dead(self) -> Iterator[DeadLine]:
        """Yield the grants to the subject alone, on nothing but what is asked for, that give nothing any more.

        Where the mode keeps what only leaves the file they stay: the end that they name is what takes it.
        """
        lines = {line.at: line for line in find_dead_lines(self.declaration, self.as_of) if line.path[0] == "grants"}
        for grant in self.declaration.grants or ():
            if grant.at in lines and grant.to == (self.subject,) and self._covers(grant):
                yield lines[grant.at]

    def _covers(self, grant: Grant) -> bool:
        """Return whether the wish is about all that a grant names, on instances that take what leaves the file."""
        names = [name for name in self.declaration.instances if grant.reaches(name)]
        full = all(self.declaration.instances[name].policy.mode == "full" for name in names)
        if not full or not names or not set(names) <= set(self._instances()):
            return False
        return all(
            name in self.accounts_of or (bool(theirs) and theirs <= self._scopes_of(name, self.sites))
            for name in names
            for theirs in [self._scopes_of(name, grant.sites)]
        )

    def _scopes_of(self, instance: str, words: Iterable[str]) -> set[Scope]:
        return {scope for word in words for scope in self.world.scopes(self.declaration, instance, word)}

    def list_kept_by_mode(self, decisions: Iterable[Decision]) -> Iterator[str]:
        """Yield a line for each instance on which an apply takes nothing that only leaves the file."""
        for name in dict.fromkeys(decision.instance for decision in decisions):
            mode = self.declaration.instances[name].policy.mode
            if mode != "full":
                yield f"{name} is in mode {mode}: what leaves the file stays there; give it an end with `until` instead"

    def _decide(self, instance: str, account: str, scope: Scope, origin: Origin) -> Decision:
        site = self.world.live[instance].sites.get(scope)
        handles = [
            entry.handle
            for entry in self.declaration.sites.values()
            if scope in self.world.scopes(self.declaration, instance, entry.handle)
        ]
        names = {scope.name, *handles, *((f"id:{site.id}",) if site is not None else ())}
        return Decision(
            word="revoke",
            instance=instance,
            account=account,
            kind="person",
            scope=scope,
            selector=handles[0] if "#" in scope.name and handles else scope.name,
            names=frozenset(names),
            handle=self.subject,
            origin=origin,
        )

    def _tell(self, instance: str, key: tuple[str, Scope], held: Held, *, loses: bool = False) -> str:
        """Return what somebody holds, by which line, and through which group, with the group's line."""
        account, scope = key
        role, _, until = held.rights[key]
        user = held.desired.declared_users[account].handle
        origin = held.origin(account, scope)
        via = [self.declaration.groups.get(step.removeprefix("group ")) for step in origin.via] if origin else []
        groups = "".join(f", by the group {group.handle} ({_place(group.at)})" for group in via if group is not None)
        end = f" until {write_edge(until, self.declaration.timezone, last=True)}" if until is not None else ""
        verb = "loses" if loses else "holds"
        line = f" ({_place(origin.at)})" if origin is not None else ""
        return f"{user} {verb} {role} on {self._words(instance, scope)} of {instance}{end}{line}{groups}"

    def _words(self, instance: str, scope: Scope) -> str:
        """Return a scope in words; the sites that the files do not know by the pattern that would match them."""
        site = self.world.live[instance].sites.get(scope)
        if UNKNOWN not in scope.name or site is None:
            return words_of(scope)
        return f"whatever else `{site.id.removeprefix('of-')}` means"


def _origins(held: Held) -> Iterator[tuple[tuple[str, Scope], Origin]]:
    for account, scope in held.rights:
        origin = held.origin(account, scope)
        if origin is not None:
            yield (account, scope), origin


def _place(at: Span) -> str:
    return f"{at.file.rpartition('/')[2]}:{at.line}"


def _not_sure(key: tuple[str, Scope], instance: str) -> CannotAmendError:
    account, scope = key
    message = f"{account} on {words_of(scope)} of {instance} would not be as asked for"
    return CannotAmendError(error("cannot-edit", message, hint="edit the file by hand"))
