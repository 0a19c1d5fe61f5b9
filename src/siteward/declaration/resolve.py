"""Declaration → what it means for one instance at one moment.

Groups are expanded, roles translated, selectors matched with live sites and windows compared with one clock
value. Everything wanted remembers the line that wants it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from siteward.access.diagnostic import Diagnostic, Severity, error, warning
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Key, Member, Resource, Subject, grant_key
from siteward.access.state import Desired, Origin
from siteward.access.traits import SITE_KINDS
from siteward.declaration.declared import EVERY
from siteward.declaration.identity import Identities, Identity, identities
from siteward.declaration.people import DIRECT, Way, expand
from siteward.declaration.roles import Elsewhere, Lack, Meaning, meaning
from siteward.declaration.scopes import Choice, Reached, Scopes, Unresolved
from siteward.declaration.window import ALWAYS, Window, last_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Span
    from siteward.access.model import Scope
    from siteward.access.state import Ending, Live, Memory
    from siteward.access.traits import Role, Traits
    from siteward.declaration.declared import Declaration
    from siteward.declaration.declared import Grant as Line
    from siteward.declaration.declared import Group as GroupLine

_INSTANCE = Choice((Reached(EVERYWHERE),))


@dataclass(slots=True)
class _Wish:
    """What one account or group shall have on one scope, while grants are still being united."""

    subject: Subject
    scope: Scope
    role: Role
    extras: frozenset[str] | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Bearer:
    """Somebody a grant is for: the subject, the ways that lead to them, and the user behind, if one."""

    subject: Subject
    ways: tuple[Way, ...]
    identity: Identity | None = None


_Over: TypeAlias = "tuple[Ending, Span]"


def resolve(
    declaration: Declaration,
    instance: str,
    traits: Traits,
    live: Live | None,
    *,
    as_of: datetime,
    memory: Memory | None = None,
) -> Desired:
    """Return what the declaration wants of one instance at `as_of`.

    `traits` are those of the server at hand, or the platform's widest before one was asked; then `live` is
    `None` too, and selectors stand for themselves. `memory` tells who was declared in the last run.
    """
    people = identities(declaration, instance, traits, live, as_of=as_of, memory=memory)
    return _Resolution(declaration, instance, traits, live, as_of, people).desired()


@dataclass(slots=True)
class _Resolution:
    """One call of `resolve`: the wishes as they come together."""

    declaration: Declaration
    instance: str
    traits: Traits
    live: Live | None
    as_of: datetime
    people: Identities
    wishes: dict[Key, _Wish] = field(default_factory=dict)
    ended: dict[Key, _Over] = field(default_factory=dict)
    wanted: dict[str, Origin] = field(default_factory=dict)
    resources: dict[Key, Resource] = field(default_factory=dict)
    origins: dict[Key, Origin] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    scopes: dict[str, Scopes | Unresolved] = field(default_factory=dict)
    _groups: Mapping[str, Mapping[str, tuple[Way, ...]]] = field(default_factory=dict)
    _bearers: dict[tuple[str, ...], tuple[_Bearer, ...]] = field(default_factory=dict)
    _meanings: dict[tuple[str, frozenset[str] | None, str], Meaning | Lack | Elsewhere] = field(default_factory=dict)

    def desired(self) -> Desired:
        """Return everything the file wants here."""
        self.diagnostics += self.people.diagnostics
        self._groups = expand(self.declaration.groups)
        for kind in SITE_KINDS:
            self.scopes[kind] = self._scopes(kind)
        for line in self.declaration.grants or ():
            if line.reaches(self.instance):
                self._line(line)
        self._asked_accounts()
        subsumed = self._subsume()
        modules = self._modules()
        self._settle()
        self._end_the_ended()
        return Desired(
            access=Access.of(self.resources),
            origins=self.origins,
            holders=self.people.holders,
            ended=self.ended,
            managed=self._managed(),
            public=self._public(),
            subsumed=subsumed,
            modules=modules,
            empty=self.declaration.grants == (),
            diagnostics=tuple(self.diagnostics),
        )

    def _scopes(self, kind: str) -> Scopes | Unresolved:
        if self.live is None:
            return Unresolved(self.declaration.sites, self.instance, kind)
        scopes = Scopes(self.declaration.sites, self.instance, self.live, kind)
        scopes.manage(self.declaration.instances[self.instance].manages)
        return scopes

    def _managed(self) -> frozenset[Scope] | None:
        if self.declaration.grants is None:
            return None
        return frozenset().union(*(each.managed for each in self.scopes.values() if isinstance(each, Scopes)))

    # -- one line of grants

    def _line(self, line: Line) -> None:
        if line.for_account:
            self._grant(line, "instance", _INSTANCE)
        if line.sites:
            self._grant(line, "site", self._choice(line, "site", line.sites))
        if line.metasites:
            self._grant(line, "metasite", self._choice(line, "metasite", line.metasites))

    def _grant(self, line: Line, kind: str, choice: Choice) -> None:
        if not choice.reached:
            return
        means = self._meaning(line, kind)
        if isinstance(means, Lack):
            self.diagnostics.append(error(means.code, means.message, at=line.spot.at("role"), hint=means.hint))
        if not isinstance(means, Meaning):
            return
        extras = means.extras if self.traits.extras and kind in SITE_KINDS else frozenset()
        for bearer in self._bearers_of(line.to):
            self._bear(line, means, extras, choice, bearer)

    def _meaning(self, line: Line, kind: str) -> Meaning | Lack | Elsewhere:
        key = (line.role, line.extras, kind)
        found = self._meanings.get(key)
        if found is None:
            found = meaning(self.declaration.roles, line.role, line.extras, self.traits, kind)
            self._meanings[key] = found
        return found

    def _bear(self, line: Line, means: Meaning, extras: frozenset[str] | None, choice: Choice, bearer: _Bearer) -> None:
        over, way, until = self._in_force(line, bearer)
        if way is None:
            if over is not None:
                for reached in choice.reached:
                    self.ended.setdefault(grant_key(bearer.subject, reached.scope), over)
            return
        subject, role = bearer.subject, means.role
        head = way.via if means.via is None else (*way.via, means.via)
        origin = Origin(line.at, head, line.ticket, line.reason, until)
        if bearer.identity is not None:
            self.wanted.setdefault(bearer.identity.user.handle, origin)
        kind, name, wishes = subject.kind, subject.name, self.wishes
        for reached in choice.reached:
            scope = reached.scope
            why = origin if not reached.via else self._via(origin, reached)
            key = ("grant", kind, name, scope.kind, scope.name)
            wish = _Wish(subject, scope, role, extras, why)
            before = wishes.get(key)
            wishes[key] = wish if before is None else self._united(key, before, wish)
            if scope in choice.ambiguous:
                self._ambiguous(key, choice, line, scope)

    @staticmethod
    def _via(origin: Origin, reached: Reached) -> Origin:
        return Origin(
            origin.at, (*origin.via, *reached.via), origin.ticket, origin.reason, origin.until, (), reached.wildcard
        )

    def _in_force(self, line: Line, bearer: _Bearer) -> tuple[_Over | None, Way | None, datetime | None]:
        """Return the way by which a bearer has the grant now and until when, or why it is over or not yet."""
        identity = bearer.identity
        user_window = ALWAYS
        if identity is not None:
            if identity.ending is not None:
                return (identity.ending, identity.ended_at or identity.user.at), None, None
            user_window = identity.user.window
        if line.window is ALWAYS and user_window is ALWAYS and bearer.ways is DIRECT:
            return None, DIRECT[0], None
        outer = line.window.meet(user_window)
        windows = [(outer.meet(way.window), way) for way in bearer.ways]
        now = [(window, way) for window, way in windows if not window.empty and window.holds(self.as_of)]
        if now:
            open_windows = [window for window, _ in windows if not window.empty]
            return None, now[0][1], last_end(open_windows, self.as_of)
        return self._over(line, [window for window, _ in windows]), None, None

    def _over(self, line: Line, windows: Iterable[Window]) -> _Over:
        past = any(window.end is not None and window.end <= self.as_of for window in windows)
        return ("expired" if past else "not-yet"), line.at

    def _united(self, key: Key, one: _Wish, two: _Wish) -> _Wish:
        """Return both wishes as one: the greater role, all extras, and the reasons of both."""
        kind = one.scope.kind
        if one.role != two.role and frozenset((one.role.name, two.role.name)) in self.traits.incomparable:
            self.diagnostics.append(
                Diagnostic(
                    code="incomparable-roles",
                    severity=Severity.ERROR,
                    about=key,
                    at=two.origin.at,
                    related=(one.origin.at,),
                    message=f"`{one.role.name}` and `{two.role.name}` on the same {kind}, and neither holds the other",
                )
            )
        first, second = (two, one) if self._rank(two) > self._rank(one) else (one, two)
        named = [each.extras for each in (one, two) if each.extras is not None]
        others = (*first.origin.others, replace(second.origin, others=()), *second.origin.others)
        return _Wish(
            first.subject,
            first.scope,
            first.role,
            frozenset().union(*named) if named else None,
            replace(first.origin, others=others),
        )

    def _rank(self, wish: _Wish) -> tuple[int, int, bool]:
        """Return what decides between two wishes: power, the platform's order, and to be named rather than matched."""
        return wish.role.power, self.traits.rank(wish.scope.kind, wish.role.name), wish.origin.wildcard is None

    # -- whom a grant is for

    def _bearers_of(self, names: tuple[str, ...]) -> tuple[_Bearer, ...]:
        found = self._bearers.get(names)
        if found is None:
            found = self._bearers[names] = tuple(self._found(names))
        return found

    def _found(self, names: tuple[str, ...]) -> Iterator[_Bearer]:
        ways: dict[str, tuple[Way, ...]] = {}
        for name in names:
            group = self.declaration.groups.get(name)
            if name in self.declaration.users:
                ways[name] = (*ways[name], *DIRECT) if name in ways else DIRECT
            elif group is not None and self._native:
                yield self._native_group(group)
            elif group is not None and group.external:
                self.diagnostics.append(
                    error(
                        "external-group",
                        f"the members of `{name}` are known to a directory only, "
                        f"and {self.instance} has no groups of its own",
                        at=group.spot.key(),
                    )
                )
            else:
                for handle, theirs in self._groups.get(name, {}).items():
                    ways[handle] = (*ways.get(handle, ()), *theirs)
        for handle, theirs in ways.items():
            identity = self.people.by_handle.get(handle)
            if identity is not None:
                yield _Bearer(identity.subject, theirs, identity)
            elif handle in self.declaration.users:
                self.diagnostics.append(
                    error(
                        "email-needed",
                        f"`{handle}` needs an e-mail: it is the login on {self.instance}",
                        at=self.declaration.users[handle].at,
                    )
                )

    @property
    def _native(self) -> bool:
        return self.declaration.instances[self.instance].native and "group" in self.traits.manages

    def _native_group(self, group: GroupLine) -> _Bearer:
        """Want a group of the platform, and those who are in it now, and return it as the one a grant is for."""
        name = group.native or group.handle
        origin = Origin(group.at)
        wish = Group(name, self._directory_of(name) if group.external else None)
        self._want(wish, origin)
        for handle, ways in self._groups.get(group.handle, {}).items():
            identity = self.people.by_handle.get(handle)
            if identity is None:
                continue
            over, way, until = self._member_in_force(group, identity, ways)
            member = Member(name, identity.account)
            if way is not None:
                why = Origin(group.at, way.via, until=until)
                self.wanted.setdefault(handle, why)
                self._want(member, why)
            elif over is not None:
                self.ended.setdefault(member.key, over)
        return _Bearer(Subject("group", name), DIRECT)

    def _member_in_force(
        self, group: GroupLine, identity: Identity, ways: tuple[Way, ...]
    ) -> tuple[_Over | None, Way | None, datetime | None]:
        if identity.ending is not None:
            return (identity.ending, identity.ended_at or identity.user.at), None, None
        windows = [(identity.user.window.meet(way.window), way) for way in ways]
        now = [(window, way) for window, way in windows if not window.empty and window.holds(self.as_of)]
        if now:
            return None, now[0][1], last_end([window for window, _ in windows if not window.empty], self.as_of)
        past = any(window.end is not None and window.end <= self.as_of for window, _ in windows)
        return ("expired" if past else "not-yet", group.at), None, None

    def _directory_of(self, name: str) -> str:
        have = self.live.access.get(("group", name)) if self.live is not None else None
        return have.external if isinstance(have, Group) and have.external else name

    # -- where a grant holds

    def _choice(self, line: Line, kind: str, written: tuple[str, ...]) -> Choice:
        choice = self.scopes[kind].choose(written, line.bound)
        if choice.missing or choice.idle or choice.beyond or choice.unmanaged:
            self._say(line, kind, choice, written)
        return choice

    def _say(self, line: Line, kind: str, choice: Choice, written: tuple[str, ...]) -> None:
        only_here = line.on == (self.instance,) or len(self.declaration.instances) == 1
        key = f"{kind}s"
        for number in choice.missing:
            if only_here:
                self._add(unknown_site(line, key, number, written[number], self.instance))
        for number in choice.idle:
            if only_here:
                self._add(
                    warning(
                        "matches-nothing",
                        f"`{written[number]}` matches no {kind} of {self.instance}",
                        at=line.spot.at(key, number),
                    )
                )
        for scope in choice.beyond:
            self._add(error("beyond-include", f"this file may not grant on {scope}", at=line.spot.at(key)))
        for scope in choice.unmanaged:
            self._add(
                warning(
                    "not-managed",
                    f"{scope} is outside what `manages` looks at on {self.instance}",
                    at=line.spot.at(key),
                    hint="nothing is granted or taken there",
                )
            )

    def _ambiguous(self, key: Key, choice: Choice, line: Line, scope: Scope) -> None:
        name = choice.ambiguous[scope]
        found = self.scopes[scope.kind]
        ids = (
            found.ids(each for each, by in choice.ambiguous.items() if by == name) if isinstance(found, Scopes) else ""
        )
        number = (line.sites if scope.kind == "site" else line.metasites).index(name)
        self._add(
            error(
                "ambiguous-site",
                f"`{name}` means several sites of {self.instance}: {ids}",
                about=key,
                at=line.spot.at(f"{scope.kind}s", number),
                hint=f"declare it under `sites` with its id: `on: {{{self.instance}: ID}}`",
            )
        )

    # -- what else the file wants

    def _asked_accounts(self) -> None:
        for user in self.declaration.users.values():
            identity = self.people.by_handle.get(user.handle)
            if self.instance in user.accounts and identity is not None and identity.ending is None:
                self.wanted.setdefault(user.handle, Origin(user.at, ticket=user.ticket, reason=user.reason))

    def _modules(self) -> frozenset[str]:
        """Want the module switches that users speak of, and return whose those are."""
        roles = self.traits.roles.get("module", ())
        spoken: set[str] = set()
        for user in self.declaration.users.values():
            named = user.modules.get(self.instance)
            identity = self.people.by_handle.get(user.handle)
            if named is None or identity is None:
                continue
            if not roles:
                self._add(
                    error("modules", f"{self.traits.platform} has no modules to switch", at=user.spot.at("modules"))
                )
                continue
            spoken.add(identity.account)
            if identity.ending is None:
                for each in named:
                    self._module(identity, each, roles[-1])
        return frozenset(spoken)

    def _module(self, identity: Identity, name: str, role: Role) -> None:
        from siteward.access.model import Scope  # noqa: PLC0415

        self._want(Grant(identity.subject, Scope("module", name), role.name), Origin(identity.user.at))

    def _public(self) -> Mapping[Scope, bool]:
        public: dict[Scope, bool] = {}
        scopes = self.scopes["site"]
        for site in self.declaration.sites.values():
            wish = site.public.get(self.instance, site.public.get(EVERY))
            if wish is not None and isinstance(scopes, Scopes):
                public.update(dict.fromkeys(scopes.site(site.handle), wish))
        return public

    # -- the end

    def _subsume(self) -> Mapping[Key, Origin]:
        """Take away the site grants of those who are admins where that excludes site grants, and return them."""
        if not self.traits.admin_excludes_grants:
            return {}
        tops = {
            each.subject
            for each in self.wishes.values()
            if each.scope == EVERYWHERE and each.role.name == self.traits.top
        }
        gone = {
            key: each.origin
            for key, each in self.wishes.items()
            if each.subject in tops and each.scope.kind in SITE_KINDS
        }
        for key in gone:
            del self.wishes[key]
        return gone

    def _settle(self) -> None:
        """Turn wishes into resources, and want the accounts that bear them."""
        for handle, origin in self.wanted.items():
            identity = self.people.by_handle[handle]
            user = identity.user
            self._want(
                Account(
                    identity.account,
                    user.email if self.traits.keeps_email and self.traits.login != "email" else None,
                    user.language,
                    identity.renamed,
                ),
                origin,
            )
        resources, origins = self.resources, self.origins
        for key, wish in self.wishes.items():
            resources[key] = Grant(wish.subject, wish.scope, wish.role.name, wish.extras)
            origins[key] = wish.origin
            self.ended.pop(key, None)

    def _end_the_ended(self) -> None:
        """Name everything live of those whose time is over, so that no mode holds its end back."""
        over = {
            each.account: (each.ending, each.ended_at or each.user.at)
            for each in self.people.by_handle.values()
            if each.ending is not None
        }
        if self.live is None or not over:
            return
        for key, each in self.live.access.items():
            name = (
                each.subject.name
                if isinstance(each, Grant) and each.subject.kind == "account"
                else (each.account if isinstance(each, Member) else None)
            )
            if name in over:
                self.ended.setdefault(key, over[name])

    def _want(self, resource: Resource, origin: Origin) -> None:
        key = resource.key
        self.resources[key] = resource
        self.origins.setdefault(key, origin)

    def _add(self, found: Diagnostic) -> None:
        if found not in self.diagnostics:
            self.diagnostics.append(found)


def unknown_site(line: Line, key: str, number: int, name: str, where: str) -> Diagnostic:
    """Return what is said of a plain name that no site bears."""
    return error(
        "unknown-site",
        f"no site of {where} is called `{name}`",
        at=line.spot.at(key, number),
        hint="name a live site by its domain, or declare it under `sites`",
    )


def nowhere(declaration: Declaration, lives: Mapping[str, Live]) -> tuple[Diagnostic, ...]:
    """Return an error for each plain name that exists on none of the several instances its grant reaches.

    Grants that reach an instance that was not read are passed over; those of one instance `resolve` judges.
    """
    known = {
        (name, kind): Scopes(declaration.sites, name, live, kind) for name, live in lives.items() for kind in SITE_KINDS
    }
    said: dict[tuple[str, str], Diagnostic] = {}
    for line in declaration.grants or ():
        reached = line.on if line.on is not None else tuple(declaration.instances)
        if len(reached) < 2 or not set(reached) <= lives.keys():
            continue
        for kind, written in (("site", line.sites), ("metasite", line.metasites)):
            if not written:
                continue
            choices = [known[each, kind].choose(written, None) for each in reached]
            for number in set(choices[0].missing).intersection(*(each.missing for each in choices)):
                at = line.spot.at(f"{kind}s", number)
                said[str(at), written[number]] = unknown_site(
                    line, f"{kind}s", number, written[number], ", ".join(reached)
                )
            for number in set(choices[0].idle).intersection(*(each.idle for each in choices)):
                at = line.spot.at(f"{kind}s", number)
                said[str(at), written[number]] = warning(
                    "matches-nothing", f"`{written[number]}` matches no {kind} of " + ", ".join(reached), at=at
                )
    return tuple(said.values())
