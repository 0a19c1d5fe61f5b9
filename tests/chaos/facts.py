"""What a stand-in server holds, as facts that each belong to somebody, and a second writer who changes some of them.

Nothing here asks an adapter: the facts come from the tables of the stand-in, so that they also tell what an adapter
does not read. A fact is (owner, scope, text); the owner is a login, `group:x` or `site:x`; the scope is a site's domain,
or empty for what is about the whole account.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from siteward.platforms.fakery import Fake

Fact = tuple[str, str, str]


def facts(fake: Fake) -> frozenset[Fact]:
    """Return all facts about access that a stand-in holds."""
    return frozenset(_FACTS[fake.platform](fake))


def admins(fake: Fake) -> frozenset[str]:
    """Return the accounts that hold the top role and are active."""
    state: Any = fake.state  # type: ignore[attr-defined]
    match fake.platform:
        case "umami":
            return frozenset(
                user.username for user in state.users.values() if user.role == "admin" and not user.deleted
            )
        case "matomo":
            return frozenset(user.login for user in state.users.values() if user.superuser and not user.pending)
        case "piwik-pro":
            return frozenset(person.email for person in state.owners())
        case _:
            return frozenset()


def _umami(fake: Any) -> Iterator[Fact]:
    state = fake.state
    names = {user.id: user.username for user in state.users.values()}
    sites_of: dict[str, list[str]] = {}
    for site in state.websites.values():
        if site.team:
            sites_of.setdefault(site.team, []).append(site.domain)
        owner = names.get(site.user or "", "nobody")
        yield f"site:{site.domain}", site.domain, f"owned by {owner} {state.teams[site.team].name if site.team else ''}"
    for user in state.users.values():
        yield user.username, "", f"role {user.role}"
        yield user.username, "", f"password {user.password}"
        yield user.username, "", f"deleted {user.deleted}"
    for team in state.teams.values():
        domains = sites_of.get(team.id, [])
        scope = domains[0] if len(domains) == 1 else team.name.removeprefix("acl:")
        yield f"site:{scope}", scope, f"team {team.name} {team.deleted}"
        for member in state.members.get(team.id, ()):
            yield names.get(member.user, f"ghost {member.user}"), scope, f"{member.role} in {team.name}"
    for share in state.shares.values():
        yield f"share:{share.slug}", "", f"of {share.entity} {share.parameters}"


def _matomo(fake: Any) -> Iterator[Fact]:
    state = fake.state
    for site in state.sites.values():
        yield f"site:{site.name}", site.name, "there"
    for user in state.users.values():
        yield user.login, "", f"superuser {user.superuser}"
        yield user.login, "", f"email {user.email}"
        yield user.login, "", f"password {user.password}"
        yield user.login, "", f"invitation {user.expires}"
    for row in state.all_rows():
        user = state.user(row.login)
        site = state.sites.get(row.site)
        yield user.login if user else row.login, site.name if site else str(row.site), row.access


def _piwik_pro(fake: Any) -> Iterator[Fact]:
    state = fake.state
    things = {
        **{app.id: app.name for app in state.apps.values()},
        **{meta.id: meta.name for meta in state.metas.values()},
    }
    for name in things.values():
        yield f"site:{name}", name, "there"
    for person in state.people.values():
        yield person.email, "", f"role {person.role}"
        yield person.email, "", f"language {person.language}"
        for module in sorted(person.modules):
            yield person.email, "", f"module {module}"
    for group in state.groups.values():
        yield f"group:{group.name}", "", f"modules {sorted(group.modules)}"
        for member in sorted(group.members):
            yield state.people[member].email, "", f"in {group.name}"
    for (_, entity, kind, subject), level in state.levels.items():
        owner = state.people[subject].email if kind == "user" else f"group:{state.groups[subject].name}"
        if level != "no-access":
            yield owner, things[entity], level


def _plausible(fake: Any) -> Iterator[Fact]:
    state = fake.state
    domains = {site.id: site.domain for site in state.sites.values()}
    emails = {user.id: user.email for user in state.users.values()}
    for site in state.sites.values():
        yield f"site:{site.domain}", site.domain, f"public {site.public}"
        yield f"site:{site.domain}", site.domain, f"links {sorted(site.slugs)}"
    for user in state.users.values():
        yield user.email, "", f"password {user.password}"
    for member in state.members.values():
        yield emails[member.user], "", f"member {member.role}"
    for guest in state.guests.values():
        yield emails[state.members[guest.member].user], domains[guest.site], guest.role
    for invitation in state.invitations.values():
        yield invitation.email, "", f"invited as {invitation.role}"
    for offered in state.guest_invitations.values():
        yield state.invitations[offered.parent].email, domains[offered.site], f"invited as {offered.role}"
    for transfer in state.transfers.values():
        yield f"site:{domains[transfer.site]}", domains[transfer.site], f"on its way to {transfer.email}"


_FACTS = {"umami": _umami, "matomo": _matomo, "piwik-pro": _piwik_pro, "plausible": _plausible}


def follow(fake: Fake) -> None:
    """Let the database of a stand-in that has one follow its tables, which were changed without a request."""
    tables: Any = getattr(fake, "tables", None)
    if tables is not None:
        tables.write(fake.state)  # type: ignore[attr-defined]


def lost(before: frozenset[Fact], after: frozenset[Fact]) -> frozenset[str]:
    """Return the sites, groups and public links that are gone."""
    kinds = ("site:", "group:", "share:")
    there = {owner for owner, _, _ in after}
    return frozenset(owner for owner, _, _ in before if owner.startswith(kinds) and owner not in there)


_TOP = {"matomo": "superuser True", "piwik-pro": "role OWNER"}


def shows(fake: Fake, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Return whether the tables show a change of a person's role, as the journal has it; of other changes, true."""
    resource = after or before or {}
    if resource["type"] != "grant" or resource["subject"]["kind"] != "account":
        return True
    login, scope = resource["subject"]["name"], resource["scope"]
    own = [(where, text) for owner, where, text in facts(fake) if owner.casefold() == login.casefold()]
    if scope["kind"] == "instance":
        held = _TOP.get(fake.platform, f"role {resource['role']}") in {text for _, text in own}
        return held == (after is not None)
    if scope["kind"] not in {"site", "metasite"}:
        return True
    here = [text.split() for where, text in own if where == scope["name"].partition("#")[0]]
    return any(after["role"] in words for words in here) if after is not None else not here


# The second writer


def meddle(fake: Fake, dice: random.Random, logins: Collection[str]) -> str:
    """Change something by another hand; return in words what, or an empty text where there was nothing to change."""
    there = sorted({owner for owner, _, text in facts(fake) if owner in logins})
    if not there:
        return ""
    powerful = sorted(admins(fake) & set(there))
    login = dice.choice(powerful if powerful and dice.random() < 0.5 else there)
    words = _MEDDLE[fake.platform](fake, dice, login)
    follow(fake)
    return words


def _meddle_umami(fake: Any, dice: random.Random, login: str) -> str:
    state = fake.state
    user = state.names[login]
    memberships = [member for members in state.members.values() for member in members if member.user == user.id]
    if memberships and dice.random() < 0.5:
        member = dice.choice(memberships)
        if member.role == "team-owner":
            return ""
        if dice.random() < 0.5:
            state.members[member.team].remove(member)
            return f"{login} put out of a team"
        member.role = dice.choice(("team-view-only", "team-member", "team-manager"))
        return f"{login} is now {member.role} of a team"
    user.role = "user" if user.role == "admin" else "admin"
    return f"{login} is now {user.role}"


def _meddle_matomo(fake: Any, dice: random.Random, login: str) -> str:
    state = fake.state
    user = state.user(login)
    if dice.random() < 0.5 and not user.superuser:
        site = dice.choice(sorted(state.sites))
        state.delete_rows(login, [site])
        if dice.random() < 0.5:
            state.add_rows(login, "view", [site])
        return f"access of {login} on {site} changed"
    user.superuser = not user.superuser
    if user.superuser:
        state.delete_rows(login)
    return f"{login} superuser: {user.superuser}"


def _meddle_piwik_pro(fake: Any, dice: random.Random, login: str) -> str:
    state = fake.state
    person = state.named(login)
    if dice.random() < 0.5 and person.role == "USER":
        app = dice.choice(sorted(state.apps))
        level = dice.choice(("no-access", "view", "manage"))
        state.levels["app", app, "user", person.id] = level
        return f"{login} has {level} on {state.apps[app].name}"
    person.role = "USER" if person.role == "OWNER" else "OWNER"
    return f"{login} is now {person.role}"


def _meddle_plausible(fake: Any, dice: random.Random, login: str) -> str:
    state = fake.state
    site = dice.choice(sorted(state.sites.values(), key=lambda site: site.id))
    if state.guest(site, login) or state.invited(site, login):
        state.remove(site, login)
        return f"{login} removed from {site.domain}"
    team = state.teams[site.team]
    user = state.user(login)
    if user and state.role(team.id, user.id) not in {None, "guest"}:
        return ""
    state.invite(site, login, dice.choice(("viewer", "editor")), next(iter(state.users)))
    return f"{login} invited to {site.domain}"


_MEDDLE = {
    "umami": _meddle_umami,
    "matomo": _meddle_matomo,
    "piwik-pro": _meddle_piwik_pro,
    "plausible": _meddle_plausible,
}
