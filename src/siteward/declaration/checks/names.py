"""Checks of names: references to nothing, cycles of groups, and names that hide or reorder text."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity, problem
from siteward.access.patterns import matching
from siteward.access.policy import names_of_role
from siteward.access.traits import is_public
from siteward.declaration.declared import EVERY
from siteward.declaration.directories import group_name, slug
from siteward.declaration.groups import MAX_NESTING, may_take
from siteward.declaration.references import describe_unknown
from siteward.declaration.roles import PORTABLE
from siteward.declaration.selector import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.policy import Rule
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Group, Intake, Location, Row

MAX_NAME = 255
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}").fullmatch


def known_instances(context: Context) -> Iterator[Diagnostic]:
    """Report references to instances that the file does not declare."""
    for site in context.declaration.sites.values():
        yield from _find_unknown_instances(context, site.location, "on", site.pins)
        yield from _find_unknown_instances(context, site.location, "only", site.only or ())
        if site.only is not None and not site.only:
            hint = "leave it out for wherever the site is"
            yield problem("names-nothing", "`only` names no instance", site.location.at("only"), hint=hint)
        yield from _find_unknown_instances(context, site.location, "public", site.public)
    for user in context.declaration.users.values():
        for place, names in (
            ("logins", user.logins),
            ("ids", user.ids),
            ("state", user.states),
            ("managed_by", user.managed_by),
            ("accounts", user.accounts),
            ("modules", user.modules),
        ):
            if names:
                yield from _find_unknown_instances(context, user.location, place, names)
        for number, key in enumerate(user.keys):
            if not context.known("instances", key.on):
                yield _describe_unknown_instance(context, key.on, user.location.at("keys", number, "on"))
    for grant in context.declaration.grants or ():
        if grant.on is not None:
            yield from _find_unknown_instances(context, grant.location, "on", grant.on)


def _find_unknown_instances(
    context: Context, location: Location, key: str, names: Iterable[str]
) -> Iterator[Diagnostic]:
    for number, name in enumerate(names):
        if name != EVERY and not context.known("instances", name):
            listed = isinstance(names, tuple)
            place = location.at(key, number) if listed else location.key(key, name)
            yield _describe_unknown_instance(context, name, place)


def _describe_unknown_instance(context: Context, name: str, at: Span) -> Diagnostic:
    message, known = f"there is no instance `{name}`", tuple(context.declaration.instances)
    return problem("unknown-instance", message, at, word=name, allowed=known)


def known_people(context: Context) -> Iterator[Diagnostic]:
    """Report members of groups, and names after `to`, that are no user or group of the file."""
    for group in context.declaration.groups.values():
        for number, member in enumerate(group.members):
            if not context.knows_person(member.name):
                yield _describe_unknown(context, member.name, _place_of(group, number))
            if member.excludes and (member.window.start or member.window.end):
                yield problem(
                    "window-on-exclusion",
                    f"`!{member.name}` is left out for good; a time for it means nothing",
                    _place_of(group, number),
                    hint="take the dates away",
                )
        if group.members and not group.intakes and all(member.excludes for member in group.members):
            yield problem(
                "only-exclusions", f"the group `{group.handle}` leaves out and takes in nobody", group.location.key()
            )
    left = context.addressees.difference(context.declaration.users, context.declaration.groups)
    unknown = {name for name in left if not context.knows_person(name)}
    for grant in context.declaration.grants or () if unknown else ():
        for number, name in enumerate(grant.to):
            if name in unknown:
                yield _describe_unknown(context, name, grant.location.at("to", number))


def alumni(context: Context) -> Iterator[Diagnostic]:
    """Report members of groups, names after `to`, and wanted accounts, of users who left for good."""
    declaration = context.declaration
    gone = {user.handle: user for user in declaration.users.values() if user.left}
    if not gone:
        return
    for user in gone.values():
        if user.accounts:
            yield _describe_alumni(user.handle, user.location.at("accounts"))
    for group in declaration.groups.values():
        for number, member in enumerate(group.members):
            if member.name in gone and not member.excludes:
                yield _describe_alumni(member.name, _place_of(group, number))
    for grant in declaration.grants or ():
        for number, name in enumerate(grant.to):
            if name in gone:
                yield _describe_alumni(name, grant.location.at("to", number))


def _describe_alumni(name: str, at: Span) -> Diagnostic:
    message = f"`{name}` has left for good (`state: alumni`) and is in no grant and no group"
    return problem("alumni-granted", message, at, hint="take the name out here, or give the user another state")


def _place_of(group: Group, number: int) -> Span:
    return group.source.at(group.member_path(number))


def _describe_unknown(context: Context, name: str, at: Span) -> Diagnostic:
    if name.startswith("!"):
        return problem(
            "unknown-user",
            f"a grant leaves out nobody: `{name}`",
            at,
            hint="make a group that leaves them out, and grant to it",
        )
    if name == "external":
        hint = "write {members: external} for a group whose members a directory knows"
        return problem("unknown-user", "there is no user or group `external`", at, hint=hint)
    if any(is_public(traits, name) for traits in context.traits.values()):
        hint = "it stands for everybody: whether a site is open says `public` of the site"
        return problem("unknown-user", f"there is no user or group `{name}`", at, hint=hint)
    refused = (name for section, name in context.dropped if section in {"users", "groups"})
    declared = (*context.declaration.users, *context.declaration.groups, *sorted(refused))
    return describe_unknown(context.declaration, name, at, declared)


def group_cycles(context: Context) -> Iterator[Diagnostic]:
    """Report groups that contain themselves, nest too deep, or have the name of a user."""
    declaration = context.declaration
    names = context.group_cycle
    if names is not None:
        first = declaration.groups[names[0]].location.key()
        if names[0] == names[-1]:
            places = tuple(declaration.groups[name].location.key() for name in names[1:-1])
            yield problem("group-cycle", "groups hold each other: " + " → ".join(names), first, related=places)
        else:
            yield problem("group-depth", f"groups within groups, more than {MAX_NESTING} deep", first)
    for name in sorted(declaration.groups.keys() & declaration.users.keys()):
        yield problem(
            "name-clash",
            f"`{name}` is a user and a group",
            declaration.groups[name].location.key(),
            related=(declaration.users[name].location.key(),),
        )


def spellings(context: Context) -> Iterator[Diagnostic]:
    """Report names of users and groups that differ in letter case alone: a reference in any case could mean either."""
    declaration = context.declaration
    for names in context.spellings:
        rows = [
            section[name] for section in (declaration.users, declaration.groups) for name in names if name in section
        ]
        *first, last = sorted(row.location.key() for row in rows)
        written = " and ".join(f"`{name}`" for name in names)
        yield problem(
            "handle-twice",
            f"{written} differ in letter case alone, and a name is read in any",
            last,
            hint="make one row of them: references to either spelling mean it",
            related=tuple(first),
        )


def own_roles(context: Context) -> Iterator[Diagnostic]:
    """Report roles of the file with a portable name, for an unknown platform, or with another platform's role."""
    for role in context.declaration.roles.values():
        if role.handle in PORTABLE:
            yield problem(
                "reserved-role",
                f"`{role.handle}` means the same everywhere and cannot be declared anew",
                role.location.key(),
                hint="take another name",
            )
        for platform, on in role.on.items():
            if context.platforms and platform not in context.platforms:
                yield problem(
                    "unknown-platform",
                    f"there is no platform `{platform}`",
                    role.location.key(platform),
                    word=platform,
                    allowed=context.platforms,
                )
            prefix, colon, _ = on.role.partition(":")
            if colon and prefix != platform:
                yield problem(
                    "role-of-another-platform",
                    f"`{on.role}` is a role of {prefix}, not of {platform}",
                    role.location.at(platform),
                )


def known_roles(context: Context) -> Iterator[Diagnostic]:
    """Report unknown roles of grants, at every grant that names one."""
    declaration = context.declaration
    platforms = {*context.platforms, *(instance.platform for instance in declaration.instances.values())}
    seen: set[str] = set()
    for grant in declaration.grants or ():
        if grant.role in seen:
            continue
        prefix, colon, _ = grant.role.partition(":")
        if (colon and prefix in platforms) or grant.role in PORTABLE or context.known("roles", grant.role):
            seen.add(grant.role)
        else:
            yield problem(
                "unknown-role",
                f"there is no role `{grant.role}`",
                grant.location.at("role"),
                word=grant.role,
                allowed=(*PORTABLE, *declaration.roles),
            )


def known_tags(context: Context) -> Iterator[Diagnostic]:
    """Report `tag:` selectors whose tag no site of the file has, and selectors of nothing."""
    declaration = context.declaration
    tags = {tag for site in declaration.sites.values() for tag in site.tags}
    selectors = {written: parse(written) for written in context.selecting}
    odd = {
        written
        for written, selector in selectors.items()
        if not selector.text.strip() or (selector.kind == "tag" and selector.text not in tags)
    }
    for grant in declaration.grants or () if odd else ():
        for number, written in enumerate(grant.sites):
            if written not in odd:
                continue
            selector, at = selectors[written], grant.location.at("sites", number)
            if not selector.text.strip():
                yield problem("empty-name", f"`{written}` selects nothing", at)
            else:
                message = f"no site of the file has the tag `{selector.text}`"
                yield problem("unknown-tag", message, at, word=selector.text, known=tags)


def known_intakes(context: Context) -> Iterator[Diagnostic]:
    """Report tags that no user has, and directories that there are not, from which groups take people in."""
    declaration = context.declaration
    drawn = [group for group in declaration.groups.values() if group.intakes]
    if not drawn:
        return
    tags = {tag for user in declaration.users.values() for tag in user.tags}
    whole = not context.some_include_is_missing() and not any(section == "users" for section, _ in context.dropped)
    for group in drawn:
        for intake in group.intakes:
            at = group.location.at(*intake.path, intake.by)
            if intake.by == "tag" and intake.value not in tags and whole:
                message = f"no user of the file has the tag `{intake.value}`"
                yield problem("unknown-tag", message, at, word=intake.value, known=tags)
            elif intake.by == "directory" and not context.known("directories", intake.value):
                message = f"there is no directory `{intake.value}`"
                known = tuple(declaration.directories)
                yield problem("unknown-directory", message, at, word=intake.value, allowed=known)
            elif intake.by == "directory" and group.bound is not None:
                listed = group_name(intake.value, intake.group or "")
                message = f"this file may grant within bounds, and takes in nobody of `{intake.value}` by itself"
                hint = f"list the directory's group: members: [{listed}]"
                yield problem("beyond-include", message, at, hint=hint, related=(group.bound.at,))
            elif intake.by == "directory" and whole:
                yield from _unknown_listed_group(context, group, intake)


def _unknown_listed_group(context: Context, group: Group, intake: Intake) -> Iterator[Diagnostic]:
    """Report a group that the directory's file does not hold."""
    prefix = group_name(intake.value, "")
    listed = [name.removeprefix(prefix) for name in context.declaration.groups if name.startswith(prefix)]
    if slug(intake.group or "") not in listed:
        at = group.location.at(*intake.path, "group")
        message = f"the file of the directory `{intake.value}` holds no group `{intake.group}`"
        hint = (
            None if listed else f"it holds no group; export them too, and run `siteward people refresh {intake.value}`"
        )
        yield problem("unknown-user", message, at, word=intake.group, known=listed, hint=hint)


def tags_of_others(context: Context) -> Iterator[Diagnostic]:
    """Report users of a file with bounds whom a tag puts into a group of another file: its grants know no bounds."""
    users = context.declaration.users
    bound = [user for user in users.values() if user.bound is not None and not user.left]
    for group in context.declaration.groups.values() if bound else ():
        tags = {intake.value for intake in group.intakes if intake.by == "tag"}
        for user in bound:
            if tags.isdisjoint(user.tags) or may_take(group, user) or group.bound is not None or user.bound is None:
                continue
            message = f"this file may grant within bounds, and not put `{user.handle}` into `{group.handle}` by a tag"
            at, related = user.location.at("tags"), (user.bound.at, group.location.key())
            yield problem("beyond-include", message, at, hint="list the user there", related=related)


def unused_groups(context: Context) -> Iterator[Diagnostic]:
    """Warn of groups that nothing uses; most often a grant was forgotten."""
    declaration = context.declaration
    used = set(context.addressees)
    used |= {member.name for group in declaration.groups.values() for member in group.members}
    used |= {name for site in declaration.sites.values() for name in site.owner}
    used |= {name for group in declaration.groups.values() for name in group.owner}
    used |= {rule.not_with for row in declaration.instances.values() for rule in row.policy.rules if rule.not_with}
    for name, group in declaration.groups.items():
        directory = "directory" in group.source.data  # nobody chooses what stands in the file of one
        if name not in used and group.native is None and name not in context.twice and not directory:
            yield problem(
                "unused-group", f"nothing uses the group `{name}`", group.location.key(), severity=Severity.WARNING
            )


def safe_names(context: Context) -> Iterator[Diagnostic]:
    """Report names with characters that hide, reorder or control text: people compare names by eye."""
    declaration = context.declaration
    for user in declaration.users.values():
        yield from _check_name(user.handle, user, key=True)
        if user.email is not None:
            yield from _check_name(user.email, user, "email")
        for instance, login in user.named_logins.items():
            yield from _check_name(login, user, "logins", instance)
        for number, former in enumerate(user.previously):
            if unicodedata.is_normalized("NFC", former):  # a former login is written as it was
                yield from _check_name(former, user, "previously", number)
    for group in declaration.groups.values():
        yield from _check_name(group.handle, group, key=True)
        if group.native is not None:
            yield from _check_name(group.native, group, "native")
        for number, former in enumerate(group.previously):
            yield from _check_name(former, group, "previously", number)
    for site in declaration.sites.values():
        yield from _check_name(site.handle, site, key=True)
        yield from _check_name(site.domain, site, "domain")


def _check_name(text: str, row: Row, *more: str | int, key: bool = False) -> Iterator[Diagnostic]:
    if _HARMLESS(text) is not None:
        return
    fault = name_fault(text, handle=key)
    if fault is not None:
        code, message = fault
        yield problem(code, message, row.location.key(*more) if key else row.location.at(*more))


def name_fault(text: str, *, handle: bool = False) -> tuple[str, str] | None:  # noqa: PLR0911 — one for each fault
    """Return the id of the rule that a name breaks, and a message; `None` for a harmless name."""
    if not text.strip():
        return "empty-name", "a name must not be empty"
    if len(text) > MAX_NAME:
        return "name-too-long", f"a name of {len(text)} characters; {MAX_NAME} is the most"
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}:
            return (
                "hostile-character",
                f"the character U+{ord(character):04X} hides or reorders text and cannot stand in a name",
            )
    if not unicodedata.is_normalized("NFC", text):
        return "not-composed", f"`{text}` is composed on the screen only; write it in composed characters (NFC)"
    if text != text.strip():
        return "hostile-character", "a name must not begin or end with a space"
    if handle and text.startswith("!"):
        return "hostile-character", "a name must not begin with `!`, which leaves out"
    return None


def rules_about_somebody(context: Context) -> Iterator[Diagnostic]:
    """Warn of rules on a user or role that does not exist: a typo would turn the rule off without a trace."""
    declaration = context.declaration
    roles = {
        name
        for traits in context.traits.values()
        for roles_on_kind in traits.roles.values()
        for role in roles_on_kind
        for name in names_of_role(role, traits.platform)
    }
    rules = {id(rule): rule for instance in declaration.instances.values() for rule in instance.policy.rules}
    for rule in rules.values():
        user, role = rule.match.get("user"), rule.match.get("role")
        if user is not None and not any(matching([user], handle) for handle in declaration.users):
            yield _describe_idle_rule(rule, f"no user is `{user}`", user, declaration.users)
        if role is not None and role not in roles:
            yield _describe_idle_rule(rule, f"no role of these platforms is `{role}`", role, roles)


def _describe_idle_rule(rule: Rule, why: str, word: str, known: Iterable[str]) -> Diagnostic:
    message = f"the rule {rule} speaks of nobody: {why}"
    return problem("rule-of-nobody", message, rule.at, word=word, known=known, severity=Severity.WARNING)


NAME_CHECKS: tuple[Callable[[Context], Iterator[Diagnostic]], ...] = (
    known_instances,
    known_people,
    alumni,
    group_cycles,
    spellings,
    own_roles,
    known_roles,
    known_tags,
    known_intakes,
    tags_of_others,
    unused_groups,
    safe_names,
    rules_about_somebody,
)
