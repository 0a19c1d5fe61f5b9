"""What Piwik PRO cannot do, and what it will do besides: the hazards of MAPPING.md section 3, one function each."""

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
    """Return everything a reviewer should know of these changes that the core cannot know."""
    case = _Case(changes, live)
    return [found for hazard in HAZARDS for found in hazard(case)]


class _Case(Struct, frozen=True, dict=True):
    """The changes, the world before, and the world after them."""

    changes: Sequence[Change]
    live: Live

    @cached_property
    def after(self) -> Access:
        """The access once everything is done."""
        return patch(self.live.access, self.changes)

    @cached_property
    def state(self) -> NativeState:
        """What the adapter knows beside the access."""
        return native(self.live, NativeState)

    @cached_property
    def groups_of(self) -> Mapping[str, frozenset[str]]:
        """The groups of each account, afterwards."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for member in self.after.members():
            found[member.account].add(member.group)
        return {name: frozenset(groups) for name, groups in found.items()}

    @cached_property
    def group_members(self) -> Mapping[tuple[str, Scope], str]:
        """The level of each group on each site, afterwards."""
        return {
            (grant.subject.name, grant.scope): grant.role
            for grant in self.after.grants()
            if grant.subject.kind == "group"
        }

    def through_groups(self, account: str, scope: Scope) -> tuple[int, str, str]:
        """Return the rank, the level and the group of the most that groups give; rank -1 for nothing."""
        ways = ((self.group_members.get((each, scope), ""), each) for each in sorted(self.groups_of.get(account, ())))
        ranked = ((WIDEST.rank(scope.kind, level), level, group) for level, group in ways)
        return max(ranked, key=lambda each: each[0], default=(-1, "", ""))


def without_an_owners_key(case: _Case) -> Iterator[Diagnostic]:
    """Refuse what a key of somebody who is no owner may not do (API.md section 6)."""
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
    """Refuse whatever concerns the person whose API key this is: the key has that person's rights and dies with it."""
    me = (case.live.me or "").casefold()
    for change in case.changes:
        if (account_of(change.key) or "").casefold() == me:
            yield error(
                "own-account",
                f"{case.live.me} made the API key that is used here: the key has this person's rights, and dies with "
                "the account",
                about=change.key,
                hint="make the key with an owner's account that is Siteward's own, and this one can be managed",
            )


def last_owner(case: _Case) -> Iterator[Diagnostic]:
    """Refuse to leave nobody but the key's own account as owner; the server protects only the very last one."""
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
    """Say what goes with an account; inviting the address again makes another one."""
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
    """Say that levels from before the ownership wake, and that what the file does not grant is taken at once."""
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
    """Say what a person can do after all, where a group gives more than the own level (API.md section 9)."""
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
        if isinstance(change.after, Group) and change.after.external and change.after != change.before:
            yield warning(
                "external-group",
                f"ties {change.after.name} to {change.after.external}: the identity provider then decides who is in it",
                about=change.key,
            )


def grant_on_owner(case: _Case) -> Iterator[Diagnostic]:
    """Refuse levels for owners: they are shown nowhere, have no effect, and wake when the ownership ends."""
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
    """Refuse to open what the account has no licence for."""
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
    """Refuse a language that would be refused."""
    for change in case.changes:
        if isinstance(change.after, Account) and change.after.language:
            why = objection(change.after.language)
            known = isinstance(change.before, Account) and change.before.language == change.after.language
            if why and not known:
                yield error("unsupported-language", why, about=change.key)


def metasite_opens(case: _Case) -> Iterator[Diagnostic]:
    """Say that a meta site shows the pooled reports of all sites in it, also of those put in later."""
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
    """Say how many calls this takes, how long, and whether groups would make it cheaper."""
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
