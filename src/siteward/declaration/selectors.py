"""Selectors resolved to scopes: by the live sites of one instance (`Scopes`), or by the file alone (`Unresolved`).

`deciding` finds the `!` without which something would be granted.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.hosts import domain_in
from siteward.access.model import Scope
from siteward.access.patterns import matcher
from siteward.access.state import Site as LiveSite  # noqa: TC001 — msgspec reads it at run time
from siteward.declaration.selector import parse, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from siteward.access.diagnostic import Span
    from siteward.access.state import Live
    from siteward.declaration.declared import Bound, Declaration, Grant, Site
    from siteward.declaration.selector import Selector


class Exclusion(Struct, frozen=True):
    """An entry with `!` of the file: its description for people, and its place."""

    words: str
    at: Span


def deciding(declaration: Declaration, granted: Callable[[Declaration], bool]) -> Exclusion | None:
    """Return the first exclusion without which something would be granted, if there is one.

    `granted` returns whether a declaration grants it; it is asked once for each exclusion taken away.
    """
    return next((exclusion for exclusion, wider in _list_widened(declaration) if granted(wider)), None)


def _list_widened(declaration: Declaration) -> Iterator[tuple[Exclusion, Declaration]]:
    """Yield each exclusion with the declaration without it."""
    for group in declaration.groups.values():
        for number, member in enumerate(group.members):
            if member.excludes:
                fewer = replace(group, members=(*group.members[:number], *group.members[number + 1 :]))
                exclusion = Exclusion(f"the group {group.handle} leaves out `!{member.name}`", group.at)
                yield exclusion, replace(declaration, groups={**declaration.groups, group.handle: fewer})
    grants = declaration.grants or ()
    for number, grant in enumerate(grants):
        for exclusion, wider in _list_widened_grants(grant):
            yield exclusion, replace(declaration, grants=(*grants[:number], wider, *grants[number + 1 :]))


def _list_widened_grants(grant: Grant) -> Iterator[tuple[Exclusion, Grant]]:
    """Yield each exclusion of a grant with the grant without it."""
    for key, written in (("sites", grant.sites), ("metasites", grant.metasites)):
        for number, word in enumerate(written):
            if parse(word).excludes:
                rest = (*written[:number], *written[number + 1 :])
                exclusion = Exclusion(f"the grant leaves out `{word}`", grant.location.at(key, number))
                yield exclusion, replace(grant, **{key: rest})


class Match(Struct, frozen=True):
    """How a selector that is no name selects: `via` and `wildcard` name the tag, site group or pattern."""

    via: tuple[str, ...] = ()
    wildcard: str | None = None


NAMED = Match()
"""How a name selects."""


class Choice(Struct, frozen=True, gc=False):
    """The scopes that a list of selectors selects on one instance; `matches` has how those are selected that are not named.

    `ambiguous` maps each scope that an unclear name may mean to that name. `missing` and `idle` are the positions in
    the list of plain names and of patterns that select nothing here. `skipped` are, by the position of a pattern, the
    sites that it would match, were they not matched by their id alone. `beyond` are scopes outside an include's bounds,
    `unmanaged` those that were named and that `manages` leaves out. `unmatched_exclusions` are the positions of sites to
    leave out that are not there.
    """

    scopes: tuple[Scope, ...] = ()
    matches: Mapping[Scope, Match] = MappingProxyType({})
    ambiguous: Mapping[Scope, str] = MappingProxyType({})
    missing: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()
    beyond: tuple[Scope, ...] = ()
    unmanaged: tuple[Scope, ...] = ()
    skipped: Mapping[int, tuple[LiveSite, ...]] = MappingProxyType({})
    unmatched_exclusions: tuple[int, ...] = ()

    @property
    def plain(self) -> bool:
        """True if all scopes are named, each without a doubt, so that all that is given on them has one origin."""
        return bool(self.scopes) and not self.ambiguous and not self.matches

    @property
    def remarkable(self) -> bool:
        """True if a selector means something else than sites that are there, managed and within bounds."""
        return bool(
            self.missing or self.idle or self.beyond or self.unmanaged or self.skipped or self.unmatched_exclusions
        )


class _Hit(Struct, frozen=True):
    """The scopes of one selector; `elsewhere` where the file says that the site is on other instances only."""

    scopes: tuple[Scope, ...]
    ambiguous: bool = False
    elsewhere: bool = False


class _Tally(Struct):
    """The choice of a list of selectors while it is built; `out` are the scopes that its `!` selectors take away."""

    managed: frozenset[Scope]
    out: frozenset[Scope]
    reached: dict[Scope, Match] = {}
    ambiguous: dict[Scope, str] = {}
    missing: list[int] = []
    idle: list[int] = []
    beyond: list[Scope] = []
    unmanaged: dict[Scope, None] = {}
    skipped: dict[int, tuple[LiveSite, ...]] = {}
    unmatched_exclusions: list[int] = []

    def count(self, number: int, selector: Selector, hit: _Hit) -> None:
        """Add the scopes of one selector, at position `number`; naming a site comes before matching it."""
        named, match = selector.kind in {"name", "id"}, _match_of(selector)
        if not hit.scopes and not hit.elsewhere:
            (self.missing if named else self.idle).append(number)
        for scope in hit.scopes:
            if scope in self.out:
                continue
            if scope not in self.managed:
                if named:
                    self.unmanaged[scope] = None
                continue
            if hit.ambiguous:
                self.ambiguous[scope] = selector.written
            before = self.reached.get(scope)
            if before is None or (before.wildcard is not None and selector.kind != "pattern"):
                self.reached[scope] = match

    def choice(self) -> Choice:
        """Return the choice that was summed up."""
        return Choice(
            tuple(self.reached),
            {scope: match for scope, match in self.reached.items() if match is not NAMED},
            self.ambiguous,
            tuple(self.missing),
            tuple(self.idle),
            tuple(self.beyond),
            tuple(self.unmanaged),
            self.skipped,
            tuple(self.unmatched_exclusions),
        )


class Scopes:
    """The live sites, or meta sites, of one instance, indexed for selectors.

    `managed` are those that the instance's `manages` leaves in.
    """

    def __init__(self, sites: Mapping[str, Site], instance: str, live: Live, kind: str) -> None:
        self._declared = sites
        self._instance = instance
        self._sites = {scope: site for scope, site in live.sites.items() if scope.kind == kind}
        self._choices: dict[int, dict[tuple[str, ...], Choice]] = defaultdict(dict)
        self._by_id = {site.id: scope for scope, site in self._sites.items()}
        self._by_host: dict[str, list[Scope]] = defaultdict(list)
        self._by_name: dict[str, list[Scope]] = defaultdict(list)
        self._by_group: dict[str, list[Scope]] = defaultdict(list)
        self._foreign: dict[str, list[Scope]] = defaultdict(list)
        self._labels: dict[str, Scope] = {}
        for scope, site in self._sites.items():
            self._index(scope, site)
        self._tagged: dict[str, list[str]] = defaultdict(list)
        for handle, declared in sites.items():
            for tag in declared.tags:
                self._tagged[tag].append(handle)
        self._single: dict[str, Scope | None] = {}
        self.managed = frozenset(self._sites)
        self._in_sight = self.managed

    def _index(self, scope: Scope, site: LiveSite) -> None:
        """Add a live site to the indexes; one that is matched by its id alone goes into those of foreign hosts."""
        hosts = {domain_in(domain) for domain in site.domains}
        if site.by_id_only:
            for host in hosts:
                self._foreign[host].append(scope)
            if site.id in site.label:
                self._labels[scope.name] = scope
            return
        self._labels[scope.name] = scope
        for host in hosts:
            self._by_host[host].append(scope)
        if site.name:
            self._by_name[site.name.casefold()].append(scope)
        if site.group:
            self._by_group[site.group.casefold()].append(scope)

    def manage(self, selectors: Iterable[Selector] | None) -> None:
        """Narrow the managed scopes to those that the selectors select; `None` leaves all."""
        if selectors is not None:
            out, inner = self._find_excluded(selectors), [selector for selector in selectors if not selector.excludes]
            self.managed = self._select(inner) - out
            self._in_sight = self.managed | (
                frozenset(scope for selector in inner for scope in self._find_foreign(selector)) - out
            )

    def by_id_only(self, written: str) -> tuple[LiveSite, ...]:
        """Return the sites that a name or pattern would mean, were they not matched by their id alone."""
        selector = parse(written)
        if selector.kind == "pattern":
            return tuple(self._sites[scope] for scope in self._find_foreign(selector))
        declared = self._declared.get(selector.text)
        host = domain_in(declared.domain if declared is not None else selector.text)
        return tuple(
            site
            for site in self._sites.values()
            if site.by_id_only
            and (host in map(domain_in, site.domains) or site.name.casefold() == selector.text.casefold())
        )

    def choose(self, written: tuple[str, ...], bound: Bound | None) -> Choice:
        """Return the choice of a list of selectors, less its `!` ones, within an include's bounds."""
        choices = self._choices[id(bound)]
        choice = choices.get(written)
        if choice is None:
            choice = (self._choose_plain(written) if bound is None else None) or self._choose_any(written, bound)
            choices[written] = choice
        return choice

    def holds(self, scope: Scope, bounds: tuple[Selector, ...]) -> bool:
        """Return whether a live site lies within an include's bounds."""
        return scope in self._sites and self._is_inside(scope, bounds)

    def site(self, handle: str) -> tuple[Scope, ...]:
        """Return the live scopes of a declared site."""
        return self._find(parse(handle)).scopes

    def names(self) -> Mapping[Scope, frozenset[str]]:
        """Return the handles, domains and tags of the file for each live site; its live name too where that is IDN."""
        by_scope: dict[Scope, set[str]] = defaultdict(set)
        for scope, site in self._sites.items():
            if not (site.name.isascii() and site.label.isascii()):
                by_scope[scope] |= {domain_in(site.name), domain_in(site.label)}
        for declared in self._declared.values():
            for scope in self._find_declared(declared).scopes:
                by_scope[scope] |= names_of(declared)
        return {scope: frozenset(names) for scope, names in by_scope.items()}

    def rows(self) -> Mapping[Scope, tuple[Site, ...]]:
        """Return the rows of the file for each live site; one that means several sites stands with each."""
        found: dict[Scope, tuple[Site, ...]] = {}
        for declared in self._declared.values():
            for scope in self._find_declared(declared).scopes:
                found[scope] = (*found.get(scope, ()), declared)
        return found

    def owners(self) -> Mapping[Scope, tuple[str, ...]]:
        """Return the users and groups that own each live site, by the rows of the file for it."""
        named = {scope: tuple(name for row in rows for name in row.owner) for scope, rows in self.rows().items()}
        return {scope: names for scope, names in named.items() if names}

    def words(self) -> frozenset[str]:
        """Return the plain names by which a live site may be meant: its label and hosts, and handles of the file."""
        return frozenset({*self._labels, *self._by_host, *self._declared})

    def domain_of(self, handle: str) -> str | None:
        """Return the domain of a declared site."""
        return self._declared[handle].domain if handle in self._declared else None

    def ids(self, scopes: Iterable[Scope]) -> str:
        """Return the ids of scopes, sorted and with commas, for a message."""
        return ", ".join(sorted(self._sites[scope].id for scope in scopes if scope in self._sites))

    def _choose_plain(self, written: tuple[str, ...]) -> Choice | None:
        """Return the choice where every word names exactly one managed site, as almost all do; else `None`."""
        single = self._single
        try:
            scopes = dict.fromkeys([single[word] for word in written])
        except KeyError:  # each word is looked up once
            single.update({word: self._only_site(word) for word in written if word not in single})
            scopes = dict.fromkeys([single[word] for word in written])
        return None if None in scopes else Choice(tuple(scopes))  # type: ignore[arg-type]  # as `in` has just shown

    def _only_site(self, word: str) -> Scope | None:
        """Return the only managed site that a plain name names; `None` for any other word."""
        selector = parse(word)
        if selector.excludes or selector.kind != "name":
            return None
        hit = self._find(selector)
        return hit.scopes[0] if len(hit.scopes) == 1 and hit.scopes[0] in self.managed else None

    def _choose_any(self, written: tuple[str, ...], bound: Bound | None) -> Choice:
        selectors = tuple(map(parse, written))
        tally = _Tally(self.managed, self._find_excluded(selectors))
        for number, selector in enumerate(selectors):
            if not selector.excludes:
                tally.count(number, selector, self._find(selector))
                if selector.kind == "pattern" and (skipped := self._find_skipped(selector, tally.out)):
                    tally.skipped[number] = skipped
            elif selector.kind in {"name", "id"} and not self._is_known(selector):
                tally.unmatched_exclusions.append(number)
        if bound is not None and bound.sites is not None:
            for scope in [scope for scope in tally.reached if not self._is_inside(scope, bound.sites)]:
                del tally.reached[scope]
                tally.beyond.append(scope)
        return tally.choice()

    def _is_known(self, selector: Selector) -> bool:
        """Return whether a selector means a live site, be it somebody else's, or one that is on other instances only."""
        hit = self._find(selector)
        return bool(hit.scopes) or hit.elsewhere or bool(self._find_foreign(selector))

    def _find_skipped(self, selector: Selector, out: frozenset[Scope]) -> tuple[LiveSite, ...]:
        """Return the sites that a pattern leaves out because they are matched by their id alone."""
        scopes = (scope for scope in self._find_foreign(selector) if scope not in out and scope in self._in_sight)
        return tuple(self._sites[scope] for scope in dict.fromkeys(scopes))

    def _is_inside(self, scope: Scope, bounds: tuple[Selector, ...]) -> bool:
        """Return whether a live site lies within an include's bounds by a host, and no `!` of them takes it out."""
        site = self._sites[scope]
        hosts = [domain_in(domain) for domain in site.domains] or [domain_in(site.label)]
        inside = any(within(parse(host), [bound for bound in bounds if not bound.excludes]) for host in hosts)
        return inside and scope not in self._find_excluded(bounds)

    def _select(self, selectors: Iterable[Selector]) -> frozenset[Scope]:
        return frozenset(
            scope for selector in selectors if not selector.excludes for scope in self._find(selector).scopes
        )

    def _find_excluded(self, selectors: Iterable[Selector]) -> frozenset[Scope]:
        """Return the scopes of the `!` selectors; these match by host also sites that others must name by id."""
        out: set[Scope] = set()
        for selector in selectors:
            if selector.excludes:
                out.update(self._find(selector).scopes)
                out.update(self._find_foreign(selector))
        return frozenset(out)

    def _find_foreign(self, selector: Selector) -> Iterable[Scope]:
        """Return the sites that a name or pattern matches by host, and that are matched by their id alone."""
        if selector.kind == "pattern":
            test = matcher(selector.text)
            return [scope for host, scopes in self._foreign.items() if test(host) for scope in scopes]
        return self._foreign.get(domain_in(selector.text), ()) if selector.kind == "name" else ()

    def _find(self, selector: Selector) -> _Hit:
        """Return the live scopes of a selector, its `!` aside."""
        match selector.kind:
            case "name":
                return self._find_named(selector.text)
            case "id":
                scope_by_id = self._by_id.get(selector.text)
                return _Hit((scope_by_id,) if scope_by_id is not None else ())
            case "tag":
                scopes = (
                    scope for handle in self._tagged.get(selector.text, ()) for scope in self._find_named(handle).scopes
                )
                return _Hit(tuple(dict.fromkeys(scopes)))
            case "sitegroup":
                return _Hit(tuple(self._by_group.get(selector.text.casefold(), ())))
            case "pattern":
                return _Hit(self._find_matching(selector.text))

    def _find_named(self, text: str) -> _Hit:
        declared = self._declared.get(text)
        if declared is not None:
            return self._find_declared(declared)
        label = self._labels.get(text)
        if label is not None:
            return _Hit((label,))
        scopes = self._by_host.get(domain_in(text)) or self._by_name.get(text.casefold()) or ()
        return _Hit(tuple(scopes), ambiguous=len(scopes) > 1)

    def _find_declared(self, site: Site) -> _Hit:
        if not site.may_be_on(self._instance):
            return _Hit((), elsewhere=True)
        pin = site.pins.get(self._instance)
        if pin is not None:
            pinned = self._by_id.get(pin)
            return _Hit((pinned,) if pinned is not None else ())
        hosts = self._by_host.get(domain_in(site.domain), ())
        return _Hit(tuple(hosts), ambiguous=len(hosts) > 1)

    def _find_matching(self, pattern: str) -> tuple[Scope, ...]:
        test = matcher(pattern)
        hosts = (scope for host, scopes in self._by_host.items() if test(host) for scope in scopes)
        names = (
            scope
            for label, scope in self._labels.items()
            if not (site := self._sites[scope]).by_id_only and not site.domains and test(label.casefold())
        )
        return tuple(dict.fromkeys((*hosts, *names)))


def names_of(site: Site) -> frozenset[str]:
    """Return the names of a declared site in the form in which rules compare them: handle, domain and `tag:` tags."""
    return frozenset({domain_in(site.handle), domain_in(site.domain), *(f"tag:{tag}" for tag in site.tags)})


def _match_of(selector: Selector) -> Match:
    """Return how a selector selects, in words."""
    match selector.kind:
        case "tag":
            return Match((f"tag {selector.text}",))
        case "sitegroup":
            return Match((f"site group {selector.text}",))
        case "pattern":
            return Match((f"pattern {selector.written}",), selector.written)
        case _:
            return NAMED


class Unresolved:
    """Selectors without a server: each stands for itself, or for the domain of the declared site that it names."""

    def __init__(self, sites: Mapping[str, Site], instance: str, kind: str) -> None:
        self._declared = sites
        self._instance = instance
        self._kind = kind
        self._choices: dict[tuple[str, ...], Choice] = {}

    def choose(self, written: tuple[str, ...], _bound: Bound | None) -> Choice:
        """Return a scope for each plain name, and one for each pattern as it is written, with its exclusions."""
        if written not in self._choices:
            self._choices[written] = self._choose(written)
        return self._choices[written]

    def _choose(self, written: tuple[str, ...]) -> Choice:
        selectors = tuple(map(parse, written))
        out = [selector for selector in selectors if selector.excludes]
        without = "".join(f" {written}" for written in sorted({selector.written for selector in out}))
        reached: dict[Scope, Match] = {}
        for selector in selectors:
            if selector.excludes:
                continue
            match = _match_of(selector)
            for name in self._list_names(selector):
                open_ended = selector.kind in {"pattern", "sitegroup"}
                if open_ended or not self._is_excluded(name, out):
                    scope = Scope(self._kind, name + without if open_ended else name)
                    reached.setdefault(scope, match)
        return Choice(tuple(reached), {scope: match for scope, match in reached.items() if match is not NAMED})

    def _is_excluded(self, name: str, out: list[Selector]) -> bool:
        host = name.partition("#")[0]
        return any(
            matcher(selector.text)(host) if selector.kind == "pattern" else name in self._list_names(selector)
            for selector in out
        )

    def _list_names(self, selector: Selector) -> list[str]:
        """Return the scope names that stand for a selector: domains of declared sites, or the word itself."""
        if selector.kind == "tag":
            return [
                self._name_site(site)
                for site in self._declared.values()
                if selector.text in site.tags and site.may_be_on(self._instance)
            ]
        site = self._declared.get(selector.text) if selector.kind == "name" else None
        if site is None:
            return [domain_in(selector.text) if selector.kind == "name" else selector.written]
        return [self._name_site(site)] if site.may_be_on(self._instance) else []

    def _name_site(self, site: Site) -> str:
        """Return the domain of a declared site, with its id where it has one: several sites may share a domain."""
        host = domain_in(site.domain)
        pin = site.pins.get(self._instance)
        return host if pin is None else f"{host}#{pin}"
