"""Review of changes for the limits and side effects of Piwik PRO (MAPPING.md section 3), one function for each hazard."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.change import patch
from siteward.access.diagnostic import error, note, warning
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, account_key, account_of
from siteward.platforms.interface import native
from siteward.platforms.piwikpro.bundle import cost
from siteward.platforms.piwikpro.native_state import NativeState, is_owner, owner_key, owners
from siteward.platforms.piwikpro.roles import ENTITY, WIDEST, objection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Access, Scope
    from siteward.access.state import Live, Memory


def review(changes: Sequence[Change], live: Live, memory: Memory | None) -> Iterable[Diagnostic]:  # noqa: ARG001 — nothing here depends on earlier runs
    """Return what forbids these changes (errors), and their side effects (warnings and notes)."""
    case = _Case(changes, live)
    return [found for hazard in HAZARDS for found in hazard(case)]


class _Case(Struct, frozen=True, dict=True):
    """The changes under review, and the live state before them."""

    changes: Sequence[Change]
    live: Live

    @cached_property
    def after(self) -> Access:
        """The access after all changes."""
        return patch(self.live.access, self.changes)

    @cached_property
    def state(self) -> NativeState:
        """The native state of the account."""
        return native(self.live, NativeState)

    @cached_property
    def groups_of(self) -> Mapping[str, frozenset[str]]:
        """The groups of each account, afterwards."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for member in self.after.members():
            found[member.account].add(member.group)
        return {name: frozenset(groups) for name, groups in found.items()}

    @cached_property
    def level_of_group(self) -> Mapping[tuple[str, Scope], str]:
        """The level of each group on each site, afterwards."""
        return {
            (grant.subject.name, grant.scope): grant.role
            for grant in self.after.grants()
            if grant.subject.kind == "group"
        }

    def through_groups(self, account: str, scope: Scope) -> tuple[int, str, str]:
        """Return the rank, level and group of the highest level that groups give; the rank is -1 if there is none."""
        groups = sorted(self.groups_of.get(account, ()))
        levels = ((self.level_of_group.get((group, scope), ""), group) for group in groups)
        ranked = ((WIDEST.rank(scope.kind, level), level, group) for level, group in levels)
        return max(ranked, key=lambda entry: entry[0], default=(-1, "", ""))


def without_an_owners_key(case: _Case) -> Iterator[Diagnostic]:
    """Refuse changes that need an owner's key, where the key is another user's (API.md section 6)."""
    if case.state.whole:
        return
    for change in case.changes:
        side = change.after or change.before
        if not (isinstance(side, Grant) and side.scope in case.live.sites):
            yield error(
                "needs-owner-key",
                "only the key of an owner may do this",
                about=change.key,
                hint="make the API key with an owner's account",
            )
        elif side.subject.kind == "account" and account_key(side.subject.name) not in case.live.ids:
            yield error(
                "needs-owner-key",
                f"{side.subject.name} cannot be seen on {side.scope}, and only the key of an owner may look further",
                about=change.key,
                hint="make the API key with an owner's account",
            )
        elif isinstance(change.before, Grant) and change.before.role == "manage":
            yield error(
                "needs-owner-key",
                f"only an owner may lower {side.subject.name}, who manages {side.scope}",
                about=change.key,
                hint="make the API key with an owner's account",
            )


def own_account(case: _Case) -> Iterator[Diagnostic]:
    """Refuse changes of the account that made the API key: the key has its rights, and dies with it."""
    for change in case.changes:
        if case.live.is_self(account_of(change.key)):
            yield error(
                "own-account",
                f"{case.live.me} made the API key that is used here: the key has this person's rights, and dies with "
                "the account",
                about=change.key,
                hint="make the key with an owner's account that is Siteward's own, and this one can be managed",
            )


def last_owner(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to leave the key's own account as the only owner; the server protects only the last one."""
    others = owners(case.live.access) - {case.live.me}
    if not others or owners(case.after) - {case.live.me}:
        return
    lost = {key for name in others for key in (owner_key(name), account_key(name))}
    for change in case.changes:
        if change.key in lost and change.after is None:
            yield error(
                "last-owner",
                f"nobody but {case.live.me} would be an owner",
                about=change.key,
                hint="make somebody else an owner first",
            )


def deletion(case: _Case) -> Iterator[Diagnostic]:
    """Say what is deleted together with an account, and that this cannot be undone."""
    for change in case.changes:
        if isinstance(change.before, Account) and change.after is None:
            yield note(
                "account-deleted",
                f"deletes {change.before.name} for good, with private reports, API keys, password and second factor; an "
                "invitation makes a new account, and so does a sign-in through SAML",
                about=change.key,
                effect="destroys",
            )
            yield warning("account-deleted", "this cannot be undone", about=change.key, effect="irreversible")


def invitation(case: _Case) -> Iterator[Diagnostic]:
    """Say that a mail goes out, and what the new account can do by itself."""
    for change in case.changes:
        if isinstance(change.after, Account) and change.before is None:
            email = change.after.email or change.after.name
            yield note(
                "invitation",
                f"sends an invitation to {email}; an address that is in another Piwik PRO account is refused",
                about=change.key,
                effect="mail",
                who=email,
            )


def demotion(case: _Case) -> Iterator[Diagnostic]:
    """Warn that levels from before the ownership return; those that the file does not grant are taken in the same run."""
    for change in case.changes:
        if not (isinstance(change.before, Grant) and change.before.scope == EVERYWHERE and change.after is None):
            continue
        name = change.before.subject.name
        if account_key(name) not in case.after:
            continue
        keeps = any(grant.subject.name == name and grant.scope in case.live.sites for grant in case.after.grants())
        yield warning(
            "sleeping-levels",
            f"what {name} held before the ownership wakes with this; it is read again, and what the file does not want "
            "is taken in the same run",
            about=change.key,
            effect="gap" if keeps else None,
        )


def group_gives_more(case: _Case) -> Iterator[Diagnostic]:
    """Say where a group gives a person more than the own level (API.md section 9)."""
    for change in case.changes:
        side = change.after or change.before
        if not isinstance(side, Grant) or side.subject.kind == "group" or side.scope.kind not in ENTITY:
            continue
        own = WIDEST.rank(side.scope.kind, change.after.role) if isinstance(change.after, Grant) else -1
        before = WIDEST.rank(side.scope.kind, change.before.role) if isinstance(change.before, Grant) else -1
        rank, level, group = case.through_groups(side.subject.name, side.scope)
        if rank <= own or is_owner(case.after, side.subject.name):
            continue
        say = warning if own < before else note
        yield say(
            "group-gives-more",
            f"{side.subject.name} has {level} on {side.scope} after this, through the group {group}",
            about=change.key,
            hint=f"take {side.subject.name} out of {group}, or lower the group" if own < before else None,
        )


def external_members(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to change members that an identity provider owns: it would put them back at the next sign-in."""
    for change in case.changes:
        side = change.after or change.before
        group = case.after.get(Group(side.group).key) if isinstance(side, Member) else None
        if isinstance(group, Group) and group.external:
            yield error(
                "external-members",
                f"the members of {group.name} come from {group.external} and are put back at the next sign-in",
                about=change.key,
                hint="write `members: external` for this group, and change it at the identity provider",
            )
        tied = change.before.external if isinstance(change.before, Group) else None
        if isinstance(change.after, Group) and change.after.external not in {None, tied}:
            yield warning(
                "external-group",
                f"ties {change.after.name} to {change.after.external}: the identity provider then decides who is in it",
                about=change.key,
            )


def grant_on_owner(case: _Case) -> Iterator[Diagnostic]:
    """Refuse levels for owners: they are in no list, have no effect, and return when the ownership ends."""
    for change in case.changes:
        side = change.after
        if isinstance(side, Grant) and side.subject.kind == "account" and side.scope != EVERYWHERE:
            name = side.subject.name
            if is_owner(case.after, name):
                yield error(
                    "grant-for-owner",
                    f"{name} is an owner and has everything; a level on {side.scope} could not even be seen",
                    about=change.key,
                )


def unlicensed_module(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to open a module for which the account has no licence."""
    for change in case.changes:
        side = change.after
        if isinstance(side, Grant) and side.scope.kind == "module" and side.scope.name not in case.state.licensed:
            has = ", ".join(sorted(case.state.licensed))
            yield error(
                "unlicensed-module",
                f"there is no module {side.scope.name} here",
                about=change.key,
                hint=f"it has: {has}",
            )


def language(case: _Case) -> Iterator[Diagnostic]:
    """Refuse a language that Piwik PRO does not offer."""
    for change in case.changes:
        if isinstance(change.after, Account) and change.after.language:
            why = objection(change.after.language)
            known = isinstance(change.before, Account) and change.before.language == change.after.language
            if why and not known:
                yield error("unsupported-language", why, about=change.key)


def metasite_opens(case: _Case) -> Iterator[Diagnostic]:
    """Say that a meta site shows the reports of all its sites together, also of sites added later."""
    for change in case.changes:
        side = change.after
        if isinstance(side, Grant) and side.scope.kind == "metasite" and change.before is None:
            yield note(
                "metasite-pools",
                f"shows the reports of every site in {side.scope} together, also of sites that are put in later",
                about=change.key,
                effect="opens",
            )


def duration(case: _Case) -> Iterator[Diagnostic]:
    """Say how many writes the changes take, how long, and whether the other kind of grants would be cheaper."""
    yield from cost(case.changes, case.live.access, native=case.state.native)


HAZARDS: tuple[Callable[[_Case], Iterator[Diagnostic]], ...] = (
    without_an_owners_key,
    own_account,
    last_owner,
    deletion,
    invitation,
    demotion,
    group_gives_more,
    external_members,
    grant_on_owner,
    unlicensed_module,
    language,
    metasite_opens,
    duration,
)
