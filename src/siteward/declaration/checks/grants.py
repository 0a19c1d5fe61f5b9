"""Checks of grants: their form, their roles on the platforms that they reach, and the policy."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Severity, problem
from siteward.access.hosts import domain_in
from siteward.access.patterns import fold, matcher
from siteward.access.policy import (
    SITE_WORDS,
    Gain,
    Person,
    about_right,
    concerning,
    judge,
    least_power,
    names_of_role,
    person_of,
)
from siteward.declaration.roles import ACCOUNT_ROLES, PORTABLE, Elsewhere, Lack, Meaning
from siteward.declaration.selector import parse, within
from siteward.declaration.selectors import names_of
from siteward.declaration.subjects import declared_user_of, ends, login_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.policy import Rule
    from siteward.access.traits import Traits
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Bound, Declaration, Grant, Group, Instance, Site
    from siteward.declaration.selector import Selector
    from siteward.declaration.subjects import Way


class NamedSites(Struct, dict=True):
    """The names of the sites that grants reach on one instance, as rules compare them and as far as the file tells."""

    declaration: Declaration
    instance: Instance
    _chosen: dict[tuple[tuple[str, ...], int], tuple[frozenset[str], ...]] = {}
    _means: dict[str, tuple[tuple[frozenset[str], bool], ...]] = {}

    def of(self, grant: Grant, kind: str) -> tuple[frozenset[str], ...]:
        """Return the names of each site, or `*` pattern of sites, that a grant reaches on that kind of scope.

        A pattern stands for itself: a rule whose own pattern covers it is about every site that it can reach. Sites
        that an exclusion, the instance's `manages` or an include's bound may take from the grant are left out.
        """
        written = {"site": grant.sites, "metasite": grant.metasites}.get(kind, ())
        key = (written, id(grant.bound))
        names = self._chosen.get(key)
        if names is None:
            names = self._chosen[key] = self._choose(written, grant.bound)
        return names

    def _choose(self, written: tuple[str, ...], bound: Bound | None) -> tuple[frozenset[str], ...]:
        selectors = tuple(map(parse, written))
        exclusions = [selector for selector in selectors if selector.excludes]
        bounds = [] if bound is None or bound.sites is None else [bound.sites]
        bounds += [] if self.instance.manages is None else [self.instance.manages]
        chosen: dict[frozenset[str], None] = {}
        for selector in selectors:
            for names, open_ended in self._find_meant(selector) if not selector.excludes else ():
                if open_ended or (
                    not _may_hit(exclusions, names) and all(_is_within(bound, names) for bound in bounds)
                ):
                    chosen[names] = None
        return tuple(chosen)

    def _find_meant(self, selector: Selector) -> tuple[tuple[frozenset[str], bool], ...]:
        """Return the names of each site that a selector means, with true for a pattern, which others only narrow."""
        meant = self._means.get(selector.written)
        if meant is None:
            named = ((frozenset(map(fold, names)), open_ended) for names, open_ended in self._find_names(selector))
            meant = self._means[selector.written] = tuple(named)
        return meant

    def _find_names(self, selector: Selector) -> Iterator[tuple[frozenset[str], bool]]:
        """Yield the same before names are folded."""
        site = self.declaration.sites.get(selector.text) if selector.kind == "name" else None
        if selector.kind == "tag":
            yield from ((self._names_of_site(site), False) for site in self._sites_here if selector.text in site.tags)
        elif site is not None:
            if self._is_here(site):
                yield self._names_of_site(site), False
        elif selector.kind == "name":
            yield self._names_of_host(domain_in(selector.text)), False
        elif selector.kind == "pattern":
            yield frozenset({selector.text}), True
            test = matcher(selector.text)
            yield from (
                (self._names_of_site(site), False) for site in self._sites_surely_here if test(domain_in(site.domain))
            )
        else:
            yield frozenset({f"{selector.kind}:{selector.text}"}), True

    def _is_here(self, site: Site) -> bool:
        return site.only is None or self.instance.name in site.only

    @cached_property
    def _sites_here(self) -> tuple[Site, ...]:
        """The declared sites that may be on the instance."""
        return tuple(site for site in self.declaration.sites.values() if self._is_here(site))

    @cached_property
    def _sites_surely_here(self) -> tuple[Site, ...]:
        """The declared sites that are on the instance for certain, and are found by their domain."""
        alone, name = len(self.declaration.instances) == 1, self.instance.name
        return tuple(site for site in self._sites_here if (alone or site.only is not None) and name not in site.pins)

    @cached_property
    def _declared_names(self) -> Mapping[str, frozenset[str]]:
        """The names of declared sites by the key that finds them: `id:7` where the id is pinned, else the host."""
        by_key: dict[str, set[str]] = defaultdict(set)
        for site in self._sites_here:
            pin = site.pins.get(self.instance.name)
            by_key[domain_in(site.domain) if pin is None else f"id:{pin}"] |= names_of(site)
        return {key: frozenset(names) for key, names in by_key.items()}

    def _names_of_site(self, site: Site) -> frozenset[str]:
        pin = site.pins.get(self.instance.name)
        key = f"id:{pin}"
        return self._names_of_host(domain_in(site.domain)) if pin is None else self._declared_names[key] | {key}

    def _names_of_host(self, host: str) -> frozenset[str]:
        """Return a host with the names that the file and the base revision have for the sites found by it."""
        nothing = frozenset[str]()
        return self._declared_names.get(host, nothing) | self.declaration.former_names.get(host, nothing) | {host}


def _may_hit(selectors: Iterable[Selector], names: frozenset[str]) -> bool:
    """Return whether one of the selectors may mean a site of these names."""
    return any(_means_site(selector, names, unsure=True) for selector in selectors)


def _is_within(bound: Iterable[Selector], names: frozenset[str]) -> bool:
    """Return whether a list of selectors surely means a site of these names."""
    selectors = tuple(bound)
    inside = any(_means_site(selector, names, unsure=False) for selector in selectors if not selector.excludes)
    return inside and not _may_hit((selector for selector in selectors if selector.excludes), names)


def _means_site(selector: Selector, names: frozenset[str], *, unsure: bool) -> bool:
    """Return whether a selector means a site of these names; `unsure` is the answer where the file does not tell."""
    match selector.kind:
        case "pattern":
            test = matcher(selector.text)
            return any(test(name) for name in names if not name.startswith(SITE_WORDS))
        case "name":
            return domain_in(selector.text) in names
        case "tag":
            return f"tag:{selector.text}" in names
        case "id":
            return f"id:{selector.text}" in names or unsure
        case "sitegroup":
            return unsure


def shapes(context: Context) -> Iterator[Diagnostic]:
    """Report grants to nobody, and those without sites, or without instances for a role of the account."""
    for grant in context.declaration.grants or ():
        location = grant.location
        if not grant.to:
            yield problem("grant-to-nobody", "a grant to nobody", location.at("to"), hint="name a user or a group")
        for key, written in (("sites", grant.sites), ("metasites", grant.metasites)):
            if written and written[0].startswith("!") and all(word.startswith("!") for word in written):
                hint = 'name what they are left out of, such as "*"'
                yield problem(
                    "only-exclusions", "every site is left out and none is named", location.at(key), hint=hint
                )
        if grant.on == ():
            hint = "name instances, or leave it out for wherever the sites are"
            yield problem("names-nothing", "`on` names no instance", location.at("on"), hint=hint)
        if grant.for_account and grant.on is None:
            yield _describe_missing_sites(grant)


def empty_groups(context: Context) -> Iterator[Diagnostic]:
    """Warn of groups that are granted something and have no members."""
    groups = context.declaration.groups
    empty = {name for name, people in context.groups.items() if not people and not _may_have_others(groups[name])}
    if not empty:
        return
    for grant in context.declaration.grants or ():
        if empty.isdisjoint(grant.to):
            continue
        for number, name in enumerate(grant.to):
            if name in empty:
                at = grant.location.at("to", number)
                yield problem("grant-to-nobody", f"nobody is in `{name}`", at, severity=Severity.WARNING)


def _may_have_others(group: Group) -> bool:
    """Return whether a group is a platform's own, which may have members that the file does not know."""
    return group.external or group.native is not None


def _describe_missing_sites(grant: Grant) -> Diagnostic:
    if grant.role in ACCOUNT_ROLES or ":" in grant.role:
        return problem(
            "account-role-without-on",
            f"`{grant.role}` without sites is a role of the account and needs `on`",
            grant.location.key(),
            hint="name the instances: `on: [stats]`",
        )
    return problem(
        "grant-without-sites",
        "the grant names no sites",
        grant.location.key(),
        hint="add `sites`; a role of the account needs `on` instead",
    )


def roles_on_platforms(context: Context) -> Iterator[Diagnostic]:
    """Report roles that do not exist on a platform which the grant surely reaches."""
    fine: set[tuple[object, ...]] = set()  # most grants ask the same of the same instances
    alone = len(context.declaration.instances) == 1
    for grant in context.declaration.grants or ():
        asks = (grant.role, grant.extras, grant.on, not grant.sites, not grant.metasites)
        if asks in fine or not _is_known(context, grant):
            continue
        lacks = {lack.message: lack for lack in _find_lacks(context, grant)}
        yield from lacks.values()
        if not lacks and (alone or grant.on is not None):
            fine.add(asks)


def _find_lacks(context: Context, grant: Grant) -> Iterator[Diagnostic]:
    for instance in _surely_reached(context, grant):
        yield from _find_lacks_on(context, grant, instance)


def _find_lacks_on(context: Context, grant: Grant, instance: Instance) -> Iterator[Diagnostic]:
    for kind in _scope_kinds_of(grant):
        means = context.meaning(grant, instance, kind)
        if isinstance(means, Lack):
            at = grant.location.at("role")
            yield problem(means.code, means.message, at, hint=means.hint, instance=instance.name)
        elif isinstance(means, Elsewhere) and grant.on is not None and len(grant.on) == 1:
            message = f"`{grant.role}` is a role of {means.platform}, and {instance.name} is {instance.platform}"
            yield problem("role-of-another-platform", message, grant.location.at("role"), instance=instance.name)


def _is_known(context: Context, grant: Grant) -> bool:
    return grant.role in PORTABLE or grant.role in context.declaration.roles or ":" in grant.role


def _scope_kinds_of(grant: Grant) -> tuple[str, ...]:
    if grant.metasites:
        return ("site", "metasite") if grant.sites else ("metasite",)
    return ("site",) if grant.sites else ("instance",)


def _surely_reached(context: Context, grant: Grant) -> Iterable[Instance]:
    """Return the instances that the file alone shows the grant to reach: named, all by a bare `*`, or by a site."""
    instances = context.declaration.instances
    if grant.on is None and grant.for_account:
        return ()
    if grant.on is not None:
        return [instances[name] for name in grant.on if name in instances]
    if len(instances) == 1 or "*" in grant.sites:
        return instances.values()
    reached: set[str] = set()
    for written in grant.sites:
        site = context.declaration.sites.get(written)
        if site is not None:
            reached |= site.pins.keys() | (site.only or frozenset())
    return [instances[name] for name in sorted(reached & instances.keys())]


def wildcards(context: Context) -> Iterator[Diagnostic]:
    """Report grants on a pattern with more power than the policy allows patterns."""
    for grant in context.declaration.grants or ():
        for number, written in enumerate(grant.sites):
            if "*" in written and not written.startswith("!"):
                yield from _find_too_wide(context, grant, number)
                break


def _find_too_wide(context: Context, grant: Grant, number: int) -> Iterator[Diagnostic]:
    """Yield an error about the pattern at `number` for the first instance where it is too powerful."""
    for instance in context.instances(grant).values():
        means = context.meaning(grant, instance, "site")
        most = instance.policy.wildcards_at_most
        if isinstance(means, Meaning) and means.power > most:
            pattern = grant.sites[number]
            message = (
                f"`{pattern}` may give {most.word} at most, and `{grant.role}` is {means.power.word} on {instance.name}"
            )
            hint = "name the sites, or raise `policy.wildcards.at_most`"
            at = grant.location.at("sites", number)
            yield problem("wildcard-too-powerful", message, at, hint=hint, instance=instance.name)
            return


def include_bounds(context: Context) -> Iterator[Diagnostic]:
    """Report grants of an included file that go beyond its bounds."""
    for grant in context.declaration.grants or ():
        if grant.bound is not None:
            yield from _find_sites_beyond(context, grant, grant.bound)
            yield from _find_power_beyond(context, grant, grant.bound)


def _find_sites_beyond(context: Context, grant: Grant, bound: Bound) -> Iterator[Diagnostic]:
    if bound.sites is None:
        return
    if grant.for_account:
        yield problem(
            "beyond-include",
            "this file may grant on sites only, not roles of the account",
            grant.location.key(),
            related=(bound.at,),
        )
    for key, written in (("sites", grant.sites), ("metasites", grant.metasites)):
        for number, word in enumerate(written):
            selector = parse(word)
            if not selector.excludes and not all(
                within(part, bound.sites) for part in _resolve_names(context, selector)
            ):
                allowed = tuple(part.written for part in bound.sites)
                yield problem(
                    "beyond-include",
                    f"this file may not grant on `{word}`",
                    grant.location.at(key, number),
                    allowed=allowed,
                    related=(bound.at,),
                )


def _resolve_names(context: Context, selector: Selector) -> list[Selector]:
    """Return a selector as those of the domains that the file gives for it; else the selector itself."""
    sites = context.declaration.sites
    if selector.kind == "tag":
        return [parse(site.domain) for site in sites.values() if selector.text in site.tags]
    site = sites.get(selector.text) if selector.kind == "name" else None
    return [parse(site.domain)] if site is not None else [selector]


def _find_power_beyond(context: Context, grant: Grant, bound: Bound) -> Iterator[Diagnostic]:
    if bound.at_most is None:
        return
    for instance in context.instances(grant).values():
        for kind in _scope_kinds_of(grant):
            means = context.meaning(grant, instance, kind)
            if isinstance(means, Meaning) and means.power > bound.at_most:
                yield problem(
                    "beyond-include",
                    f"this file may grant at most {bound.at_most.word}, and `{grant.role}` is "
                    f"{means.power.word} on {instance.name}",
                    grant.location.at("role"),
                    related=(bound.at,),
                    instance=instance.name,
                )
                return


def owners_rules(context: Context) -> Iterator[Diagnostic]:
    """Report grants that break a rule of the policy, as far as the file tells."""
    reported: set[tuple[str, Span | None, str]] = set()
    for instance in context.declaration.instances.values():
        traits = context.traits.get(instance.name)
        if traits is None or not instance.policy.rules:
            continue
        ruling = _Ruling(context, instance, traits, NamedSites(context.declaration, instance))
        for grant in context.declaration.grants or ():
            for diagnostic in ruling.of(grant) if grant.reaches(instance.name) else ():
                key = (diagnostic.code, diagnostic.at, diagnostic.message)
                if key not in reported:
                    reported.add(key)
                    yield diagnostic


class _Ruling(Struct):
    """The rules of one instance, applied to the grants of the file."""

    context: Context
    instance: Instance
    traits: Traits
    named: NamedSites
    _people: dict[str, tuple[Person, frozenset[str]]] = {}
    _known_rights: dict[tuple[object, ...], tuple[tuple[Rule, Gain], ...]] = {}

    def of(self, grant: Grant) -> Iterator[Diagnostic]:
        """Yield the breaches of rules by the rights that a grant gives each person on each kind of scope."""
        for kind in _scope_kinds_of(grant):
            rights = self._find_rights(grant, kind)
            for handle, ways in self.context.people(grant).items() if rights else ():
                person, concerned = self._find_person(handle)
                for rule, right in rights:
                    if rule.id in concerned:
                        gain = replace(right, person=person, given=_given_fields(grant, ways))
                        for breach in judge((rule,), gain):
                            yield breach.told(grant.location.key() if breach.lacks else grant.location.at("role"))

    def _find_rights(self, grant: Grant, kind: str) -> tuple[tuple[Rule, Gain], ...]:
        """Return each rule that is about what a grant gives, with that right, on one of the sites it is about."""
        key = (grant.role, grant.extras, kind, grant.sites, grant.metasites, id(grant.bound))
        rights = self._known_rights.get(key)
        if rights is None:
            means = self.context.meaning(grant, self.instance, kind)
            rights = tuple(self._match_rules(grant, means, kind)) if isinstance(means, Meaning) else ()
            self._known_rights[key] = rights
        return rights

    def _match_rules(self, grant: Grant, means: Meaning, kind: str) -> Iterator[tuple[Rule, Gain]]:
        """Yield each rule that is about a right of the grant, with the first such right; its person is left empty."""
        plain = Gain(Person(""), kind, means.power, grant.role, names_of_role(means.role, self.traits.platform))
        for rule in self.instance.policy.rules:
            if means.power < least_power(rule):
                continue
            sites = self.named.of(grant, kind) if "site" in rule.match else (None,)
            rights = (plain if names is None else replace(plain, sites=names) for names in sites)
            right = next((right for right in rights if about_right(rule, right)), None)
            if right is not None:
                yield rule, right

    def _find_person(self, handle: str) -> tuple[Person, frozenset[str]]:
        """Return a declared user as rules see them here, and the ids of the rules that are about them."""
        known = self._people.get(handle)
        if known is None:
            user = self.context.declaration.users[handle]
            login = login_of(user, self.instance.name, self.traits)
            person = person_of(login or "", declared_user_of(user, None))
            rules = concerning(self.instance.policy.rules, person)
            known = self._people[handle] = (person, frozenset(rule.id for rule in rules))
        return known


def _given_fields(grant: Grant, ways: tuple[Way, ...]) -> frozenset[str]:
    """Return the required fields that a grant fills, for a user whom these ways lead to."""
    fields = (("ticket", grant.ticket), ("reason", grant.reason), ("until", ends(grant.window, ways)))
    return frozenset(name for name, value in fields if value)


def logins_needed(context: Context) -> Iterator[Diagnostic]:
    """Report users without an e-mail who are granted something where the e-mail is the login."""
    reported: set[tuple[str, str]] = set()
    if all(traits.login == "handle" for traits in context.traits.values()):
        return
    for grant in context.declaration.grants or ():
        for instance in _surely_reached(context, grant):
            traits = context.traits.get(instance.name)
            if traits is None or traits.login != "email":
                continue
            for handle in context.people(grant):
                user = context.declaration.users[handle]
                if user.email is None and instance.name not in user.logins and (handle, instance.name) not in reported:
                    reported.add((handle, instance.name))
                    yield problem(
                        "email-needed",
                        f"`{handle}` needs an e-mail: it is the login on {instance.name}",
                        user.location.key(),
                        related=(grant.at,),
                        instance=instance.name,
                    )


GRANT_CHECKS: tuple[Callable[[Context], Iterator[Diagnostic]], ...] = (
    shapes,
    empty_groups,
    roles_on_platforms,
    wildcards,
    include_bounds,
    owners_rules,
    logins_needed,
)
