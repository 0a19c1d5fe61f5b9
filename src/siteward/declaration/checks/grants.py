"""Checks of grants: their form, their roles on the platforms that they reach, and the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Severity, plural, problem
from siteward.access.policy import (
    APPROVAL,
    Gain,
    Person,
    RulesByKind,
    about_right,
    concerning,
    judge,
    names_of_role,
    person_of,
)
from siteward.access.window import ALWAYS, stretch
from siteward.declaration.checks.named_sites import NamedSites
from siteward.declaration.roles import ACCOUNT_ROLES, PORTABLE, Elsewhere, Lack, Meaning
from siteward.declaration.selector import EXCLUDES, parse, takes_none_in, within
from siteward.declaration.subjects import declared_user_of, ends, login_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.policy import Rule
    from siteward.access.traits import Traits
    from siteward.access.window import Window
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Bound, Declaration, Grant, Group, Instance
    from siteward.declaration.groups import Way
    from siteward.declaration.selector import Selector


def shapes(context: Context) -> Iterator[Diagnostic]:
    """Report grants to nobody, and those without sites, or without instances for a role of the account."""
    excludes = any(map(EXCLUDES, context.selecting))
    for grant in context.declaration.grants or ():
        if not grant.to:
            at = grant.location.at("to")
            yield problem("grant-to-nobody", "a grant to nobody", at, hint="name a user or a group")
        for key, written in (("sites", grant.sites), ("metasites", grant.metasites)) if excludes else ():
            if written and takes_none_in(written):
                hint, at = 'name what they are left out of, such as "*"', grant.location.at(key)
                yield problem("only-exclusions", "every site is left out and none is named", at, hint=hint)
        if grant.on == ():
            hint = "name instances, or leave it out for wherever the sites are"
            yield problem("names-nothing", "`on` names no instance", grant.location.at("on"), hint=hint)
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
    """Report grants on a pattern, or to a group that takes people in by itself, with more power than these may give."""
    drawing = _find_drawing(context.declaration)
    wide = {written for written in context.selecting if "*" in written and not EXCLUDES(written)}
    for grant in context.declaration.grants or () if wide or drawing else ():
        for number, written in enumerate(grant.sites):
            if written in wide:
                yield from _find_too_wide(context, grant, "sites", number, "name the sites")
                break
        for number, name in enumerate(grant.to):
            if name in drawing:
                yield from _find_too_wide(context, grant, "to", number, "name the people")


def _find_drawing(declaration: Declaration) -> frozenset[str]:
    """Return the groups that take people in by themselves, and those that hold such a group."""
    groups = declaration.groups.values()
    drawing = {group.handle for group in groups if group.intakes}
    while drawing:
        more = {
            group.handle
            for group in groups
            if any(not member.excludes and member.by is None and member.name in drawing for member in group.members)
        }
        if more <= drawing:
            break
        drawing |= more
    return frozenset(drawing)


def _find_too_wide(context: Context, grant: Grant, key: str, number: int, instead: str) -> Iterator[Diagnostic]:
    """Yield an error about the pattern or group at `number` of `key` for the first instance where it is too powerful."""
    for instance in context.instances(grant).values():
        means = context.meaning(
            grant, instance, "site" if grant.sites else "metasite" if grant.metasites else "instance"
        )
        most = instance.policy.wildcards_at_most
        if isinstance(means, Meaning) and means.power > most:
            wide = (grant.sites if key == "sites" else grant.to)[number]
            message = (
                f"`{wide}` may give {most.word} at most, and `{grant.role}` is {means.power.word} on {instance.name}"
            )
            hint = f"{instead}, or raise `policy.wildcards.at_most`"
            at = grant.location.at(key, number)
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
        named, rules = NamedSites(context.declaration, instance), RulesByKind(instance.policy.rules)
        ruling = _Ruling(context, instance, traits, named, rules)
        for grant in context.declaration.grants or ():
            for diagnostic in ruling.of(grant) if grant.reaches(instance.name) else ():
                key = (diagnostic.code, diagnostic.at, diagnostic.message)
                if key not in reported:
                    reported.add(key)
                    yield diagnostic


def approvals_wanted(context: Context) -> Iterator[Diagnostic]:
    """Tell once for each rule how many lines give what somebody has to approve where it is new, and who owns the sites."""
    lines: dict[str, dict[Span, Grant]] = {}
    rules: dict[str, Rule] = {}
    for instance in context.declaration.instances.values():
        traits = context.traits.get(instance.name)
        asking = tuple(rule for rule in instance.policy.rules if APPROVAL in rule.require)
        if traits is None or not asking:
            continue
        named = NamedSites(context.declaration, instance)
        ruling = _Ruling(context, instance, traits, named, RulesByKind(asking))
        for grant in context.declaration.grants or ():
            wanting = ruling.about(grant) if grant.reaches(instance.name) else {}
            rules.update(wanting)
            for name in wanting:
                lines.setdefault(name, {})[grant.at] = grant
    for name, grants in lines.items():
        owners = sorted({owner for grant in grants.values() for owner in _list_owners(context, grant)})
        whose = f" ({', '.join(owners)})" if owners else ""
        count = plural(len(grants), "line gives", "lines give")
        message = f"{count} what an owner of the site{whose}, else an admin, has to approve where it is new, by the rule {name}"
        at = next(iter(grants)) if rules[name].at is None else rules[name].at
        yield replace(problem("approval-wanted", message, at), severity=Severity.NOTE)


def _list_owners(context: Context, grant: Grant) -> Iterator[str]:
    """Yield the owners of the sites of the file that a grant names by handle, domain or tag."""
    hosts = {part.text for word in grant.sites for part in _resolve_names(context, parse(word))}
    for site in context.declaration.sites.values():
        if site.domain in hosts or site.handle in hosts:
            yield from site.owner


class _Ruling(Struct):
    """The rules of one instance, applied to the grants of the file."""

    context: Context
    instance: Instance
    traits: Traits
    named: NamedSites
    rules: RulesByKind
    _people: dict[str, Person] = {}
    _found: dict[tuple[object, ...], Gain | None] = {}

    def of(self, grant: Grant) -> Iterator[Diagnostic]:
        """Yield what rules say to what a grant gives each person on each kind of scope."""
        for kind in _scope_kinds_of(grant):
            means = self.context.meaning(grant, self.instance, kind)
            if isinstance(means, Meaning):
                yield from self._check_rights(grant, means, kind)

    def about(self, grant: Grant) -> Mapping[str, Rule]:
        """Return the rules, by name, that are about what a grant gives anybody."""
        found: dict[str, Rule] = {}
        for kind in _scope_kinds_of(grant):
            means = self.context.meaning(grant, self.instance, kind)
            for handle in self.context.people(grant) if isinstance(means, Meaning) else ():
                person = self._find_person(handle) if handle not in self.context.twice else None
                for rule in concerning(self.rules.rules, person) if person is not None else ():
                    if isinstance(means, Meaning) and self._find_right(rule, grant, means, kind) is not None:
                        found[str(rule)] = rule
        return found

    def _check_rights(self, grant: Grant, means: Meaning, kind: str) -> Iterator[Diagnostic]:
        rights: dict[int, Gain | None] = {}
        for handle, ways in self.context.people(grant).items():
            if handle in self.context.twice:
                continue
            rules = self.rules.about(self.context.declaration.users[handle].kind, means.power)
            person = self._find_person(handle) if rules else None
            for rule in concerning(rules, person) if person is not None else ():
                if id(rule) not in rights:
                    rights[id(rule)] = self._find_right(rule, grant, means, kind)
                right = rights[id(rule)]
                if right is not None:
                    given, window = _given_fields(grant, ways), self._find_window(rule, grant, ways, handle)
                    gain = replace(right, person=person, given=given, window=window)
                    for breach in judge((rule,), gain, self.context.times):
                        yield breach.told(grant.location.key() if breach.lacks else grant.location.at("role"))

    def _find_right(self, rule: Rule, grant: Grant, means: Meaning, kind: str) -> Gain | None:
        """Return what a grant gives, on one of the sites a rule is about; `None` if the rule is about none of it."""
        key = (id(rule), grant.role, grant.extras, kind, grant.sites, grant.metasites, id(grant.bound))
        if key not in self._found:
            plain = Gain(Person(""), kind, means.power, grant.role, names_of_role(means.role, self.traits.platform))
            sites = self.named.of(grant, kind) if "site" in rule.match else (None,)
            rights = (plain if names is None else replace(plain, sites=names) for names in sites)
            self._found[key] = next((right for right in rights if about_right(rule, right)), None)
        return self._found[key]

    def _find_window(self, rule: Rule, grant: Grant, ways: tuple[Way, ...], handle: str) -> Window | None:
        """Return the time in which a user whom these ways lead to has what a grant gives, where the rule asks for it."""
        now = self.context.as_of
        if now is None or (rule.at_most_for is None and rule.not_with is None):
            return ALWAYS
        own = grant.window.meet(self.context.declaration.users[handle].window)
        return stretch((own.meet(way.window) for way in ways), now)

    def _find_person(self, handle: str) -> Person:
        """Return a declared user as rules see them here."""
        found = self._people.get(handle)
        if found is None:
            user = self.context.declaration.users[handle]
            login = login_of(user, self.instance.name, self.traits)
            found = self._people[handle] = person_of(login or "", declared_user_of(user, None))
        return found


def _given_fields(grant: Grant, ways: tuple[Way, ...]) -> frozenset[str]:
    """Return the required fields that a grant fills, for a user whom these ways lead to."""
    fields = (
        ("ticket", grant.ticket or any(way.ticket for way in ways)),
        ("reason", grant.reason or any(way.reason for way in ways)),
        ("until", ends(grant.window, ways)),
    )
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
                if handle in context.twice:
                    continue
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
    approvals_wanted,
    logins_needed,
)
