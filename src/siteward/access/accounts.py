"""The classification of the accounts on one instance.

Every account is exactly one of: the account in use (`self`), everybody (`public`), `ignored`, `declared`, gone from
the file (`left`), or unmanaged (`stranger`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from siteward.access.change import Change, direction
from siteward.access.diagnostic import Diagnostic, error, join_some, note, warning
from siteward.access.effective import Index
from siteward.access.identity import OtherAccount
from siteward.access.lookalikes import code_points, look_alike
from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    Grant,
    Group,
    Power,
    Scope,
    Subject,
    account_key,
    account_of,
)
from siteward.access.openness import still_public
from siteward.access.patterns import matching
from siteward.access.standing import GONE
from siteward.access.state import Desired, Ending, Live, Memory, id_of, is_same
from siteward.access.traits import Traits, is_public, is_site


class UnmanagedAccount(Struct, frozen=True, kw_only=True):
    """A live account that no declared user resolves to, with what it holds; reported, or revoked by policy.

    `pending` is true if all it has is an invitation that is not accepted yet.
    """

    name: str
    email: str | None = None
    power: Power = Power.NONE
    grants: int = 0
    ignored: bool = False
    pending: bool = False
    facts: Mapping[str, str] = MappingProxyType({})


AccountClass = Literal["self", "public", "ignored", "declared", "left", "stranger"]


class Classification:
    """The class of each account on one instance.

    `ignore` are the patterns of the policy; `earlier` maps the handles of an earlier revision or run to logins (`None`
    where neither is known), by which users who left the file are recognised. `others` are the accounts that bear the
    login of a known one and are not that one.
    """

    def __init__(
        self,
        live: Live,
        desired: Desired,
        traits: Traits,
        ignore: Iterable[str],
        earlier: Mapping[str, str] | None,
        others: Mapping[str, OtherAccount] = MappingProxyType({}),
    ) -> None:
        self.live = live
        self.desired = desired
        self.declared_users = desired.declared_users
        self.traits = traits
        self.others = others
        self.leavers_unknown = earlier is None and all(
            user.ending != "left" for user in desired.declared_users.values()
        )
        self.ignore = tuple(ignore)
        handles = {user.handle for user in desired.declared_users.values()}
        self.left = {login: handle for handle, login in (earlier or {}).items() if handle not in handles}
        self._classes: dict[str, AccountClass] = {}
        self.new: tuple[frozenset[str], list[str]] | None = None

    def classify(self, name: str) -> AccountClass:
        """Return the class of an account: the first that fits, in the order of `AccountClass`."""
        known = self._classes.get(name)
        return known if known is not None else self._classes.setdefault(name, self._compute_class(name))

    def _compute_class(self, name: str) -> AccountClass:
        if self.live.is_self(name):
            return "self"
        if is_public(self.traits, name):
            return "public"
        if matching(self.ignore, name):
            return "ignored"
        if name in self.others:
            return "stranger"
        if name in self.declared_users:
            return "left" if self.declared_users[name].ending == "left" else "declared"
        return "left" if name in self.left else "stranger"

    @cached_property
    def declared(self) -> frozenset[str]:
        """The accounts of the class declared, as most are."""
        return frozenset([name for name in self.declared_users if self.classify(name) == "declared"])

    @cached_property
    def _present(self) -> frozenset[str]:
        return frozenset([name for name in self.declared if self.declared_users[name].ending not in GONE])

    def is_present(self, subject: Subject) -> bool:
        """Return whether this is the account of a declared user who is not to lose all: a role that lingers stays with it."""
        return subject.kind == "account" and subject.name in self._present

    @cached_property
    def _live_accounts(self) -> Mapping[str, Account]:
        return {account.name: account for account in self.live.access.accounts()}

    def live_account(self, name: str) -> Account | None:
        """Return the live account of that name, if there is one."""
        return self._live_accounts.get(name)

    def ending(self, name: str) -> Ending | None:
        """Return the ending by which the file takes all access from an account, if it does."""
        declared_user = self.declared_users.get(name)
        if declared_user is not None:
            return declared_user.ending
        return "left" if self.classify(name) == "left" or (name in self.others and name in self.left) else None

    def person(self, name: str) -> str | None:
        """Return the handle of the user of an account, also of one who left; `None` for an unmanaged account."""
        declared_user = self.declared_users.get(name)
        return declared_user.handle if declared_user is not None else self.left.get(name)


class Tally(Struct, frozen=True, kw_only=True):
    """The unmanaged accounts, and the numbers of managed live accounts and grants, and of declared live accounts."""

    unmanaged: tuple[UnmanagedAccount, ...]
    accounts: int
    grants: int
    declared: int


def tally(
    live: Live, desired: Desired, traits: Traits, classification: Classification, *, include_unmanaged: bool
) -> Tally:
    """Count the managed live accounts and grants, and list the unmanaged accounts, the most powerful first.

    Ignored accounts are listed too, marked so, after the others. With `include_unmanaged` (`unmanaged: revoke` or
    `remove`) the accounts that are neither declared nor ignored count as managed.
    """
    managed = {"left", "stranger"} if include_unmanaged else {"left"}
    names = {account.name for account in live.access.accounts()}
    names |= {subject.name for subject, _ in live.access.by_subject() if subject.kind == "account"}
    declared = names & classification.declared
    others = {name: classification.classify(name) for name in names - declared}
    foreign = {name for name, kind in others.items() if kind in {"ignored", "stranger"}}
    held, invited = _measure_access(live.access, traits, foreign), _find_invited(live)
    unmanaged = [
        _build_unmanaged(live, name, *held[name], ignored=others[name] == "ignored", invited=invited)
        for name in foreign
    ]
    ours = declared | {name for name, kind in others.items() if kind in managed}
    return Tally(
        unmanaged=tuple(sorted(unmanaged, key=lambda account: (account.ignored, -account.power, account.name))),
        accounts=len(ours),
        grants=_count_managed(live.access, desired, ours),
        declared=len(declared),
    )


def _measure_access(access: Access, traits: Traits, names: set[str]) -> Mapping[str, tuple[Power, int]]:
    """Return the greatest power and the number of grants of these accounts, by themselves and through groups."""
    index = Index(access)
    measures: dict[str, tuple[Power, int]] = {}
    for name in names:
        held = [grant for ways in index.ways(name).values() for grant, _ in ways]
        measures[name] = (max(map(traits.power, held), default=Power.NONE), len(held))
    return measures


def _find_invited(live: Live) -> set[str]:
    """Return the accounts all of whose own grants wait for acceptance; platforms without a list of accounts have those."""
    waiting = {name for key in live.pending if key[0] == "grant" and (name := account_of(key))}
    if not waiting:
        return waiting
    return waiting - {grant.subject.name for grant in live.access.grants() if grant.key not in live.pending}


def _build_unmanaged(
    live: Live, name: str, power: Power, grants: int, *, ignored: bool, invited: Collection[str]
) -> UnmanagedAccount:
    key = account_key(name)
    account = live.access.get(key)
    email = account.email if isinstance(account, Account) else None
    facts = live.facts.get(key, MappingProxyType({}))
    pending = key in live.pending or name in invited
    return UnmanagedAccount(
        name=name, email=email, power=power, grants=grants, ignored=ignored, pending=pending, facts=facts
    )


def _count_managed(live: Access, desired: Desired, accounts: set[str]) -> int:
    """Count the grants in scope that are held by these accounts or by declared groups."""
    if desired.managed is None:
        return 0
    managed = desired.managed | {EVERYWHERE}
    groups = {key[1] for key, _ in desired.access.of_others() if key[0] == "group"}
    return sum(
        len(rights) if managed.issuperset(rights) else sum([scope in managed or not is_site(scope) for scope in rights])
        for subject, rights in live.by_subject()
        if subject.name in (accounts if subject.kind == "account" else groups)
    )


def findings(
    classification: Classification,
    wanted: Access,
    memory: Memory | None,
    changes: Sequence[Change],
    unmanaged: Sequence[UnmanagedAccount],
    mismatched: Mapping[str, Diagnostic] = MappingProxyType({}),
    left: Sequence[Change] = (),
) -> Iterator[Diagnostic]:
    """Yield the diagnostics on live accounts that belong to no single guard.

    `wanted` is the desired access with defaults, `changes` are the proposed changes, `left` the other differences.
    `mismatched` are the accounts that a guard reports as perhaps somebody else's (see `find_mismatched`).
    """
    if classification.leavers_unknown and any(not account.ignored for account in unmanaged):
        yield warning(
            "leavers-unknown",
            "people removed from the file cannot be distinguished from accounts that never were in it: there is no journal of this instance",
            hint="`siteward apply` begins the journal, also where there is nothing to do; or compare with an earlier revision (`--base REVISION`)",
        )
    yield from _report_lookalikes(classification, unmanaged)
    yield from _report_existing(classification, memory, changes, mismatched)
    yield from _report_undeclarable(classification)
    yield from _warn_public_sites(classification)
    yield from _report_impossible(classification, wanted, {account_of(change.key) for change in left})


def _report_lookalikes(classification: Classification, unmanaged: Sequence[UnmanagedAccount]) -> Iterator[Diagnostic]:
    """Yield the unmanaged accounts whose names look like that of a declared one."""
    names = [account.name for account in unmanaged if not account.ignored]
    for name, declared in look_alike(sorted(classification.declared_users), names):
        yield warning(
            "looks-like",
            f"the unmanaged account {name} looks like {declared}, who is declared: {code_points(name + declared)}",
            hint="make sure whose it is before anything is granted to either",
        )


def _list_new(classification: Classification, memory: Memory | None) -> list[str]:
    """Return the live accounts of declared users that neither the journal knows nor the file names by their id."""
    known = memory.accounts if memory is not None else frozenset()
    if classification.new is not None and classification.new[0] is known:
        return classification.new[1]  # asked for twice
    new = []
    for name, declared_user in classification.declared_users.items():
        if name not in known and name in classification.declared and classification.live_account(name):
            named = declared_user.account_id
            now = id_of(name, classification.live) if named is not None else None
            if now is None or named is None or not is_same(now, named):
                new.append(name)
    classification.new = (known, new)
    return new


def _report_existing(
    classification: Classification,
    memory: Memory | None,
    changes: Sequence[Change],
    mismatched: Mapping[str, Diagnostic],
) -> Iterator[Diagnostic]:
    """Yield diagnostics on declared users whose live accounts are not in the journal: they may be somebody else's."""
    new = [name for name in _list_new(classification, memory) if name not in mismatched]
    gained: dict[str, list[Change]] = defaultdict(list)
    for change in changes if new else ():
        if isinstance(change.after, Grant) and direction(change, classification.traits) == "open":
            gained[account_of(change.key) or ""].append(change)
    for name in filter(gained.__contains__, new):
        strongest = max(gained[name], key=lambda change: _power_after(change, classification.traits))
        yield warning(
            "existing-account",
            f"{name} is an existing account that was not managed so far; it gains access here",
            about=strongest.key,
        )
    if quiet := [name for name in new if name not in gained]:
        yield note("existing-account", f"met for the first time, as declared: {join_some(sorted(quiet))}")


def _power_after(change: Change, traits: Traits) -> Power:
    return traits.power(change.after) if isinstance(change.after, Grant) else Power.NONE


def find_mismatched(classification: Classification, memory: Memory | None) -> Mapping[str, Diagnostic]:
    """Return the objections to accounts of declared users that no run knows and that have another e-mail, by account."""
    mismatched: dict[str, Diagnostic] = {}
    for name in _list_new(classification, memory):
        declared_user, account = classification.declared_users[name], classification.live_account(name)
        live, declared = (account.email if account else None), declared_user.email
        if live and declared and live.casefold() != declared.casefold():
            say = warning if declared_user.managed else error
            mismatched[name] = say(
                "identity-mismatch",
                f"the live account {name} has the e-mail {live}, and {declared_user.handle} is declared with {declared}",
                at=declared_user.at,
                hint="if they are the same person, correct the e-mail in the file or in the account, or say so once: "
                f"`--accept identity:{name}@<instance>=DIGEST`; if not, give another login under `logins`",
            )
    return mismatched


def _report_undeclarable(classification: Classification) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each role of a declared user that is a fact of the platform, such as owning a site."""
    facts = {
        (kind, role.name)
        for kind, roles in classification.traits.roles.items()
        for role in roles
        if not role.declarable
    }
    if not facts:
        return
    roles = {role for _, role in facts}
    for held in [grant for grant in classification.live.access.grants() if grant.role in roles]:
        name = held.subject.name
        if (held.scope.kind, held.role) not in facts or held.subject.kind != "account":
            continue
        if classification.classify(name) not in {"declared", "left"}:
            continue
        yield _describe_undeclarable(classification, held)


def _describe_undeclarable(classification: Classification, held: Grant) -> Diagnostic:
    name, wish = held.subject.name, classification.desired.access.get(held.key)
    fact = f"{name} is {held.role} of {held.scope}"
    ending = classification.ending(name)
    if ending in GONE:
        return warning(
            "undeclarable-role",
            f"{fact} and keeps that although {ending}: this role cannot be taken away here",
            about=held.key,
            differs=True,
        )
    if isinstance(wish, Grant) and not classification.traits.covers(held, wish):
        return warning("undeclarable-role", f"{fact}, which stands in the way of the role {wish.role}", about=held.key)
    if isinstance(wish, Grant):
        return note(
            "undeclarable-role",
            f"{fact}, which includes the declared role {wish.role}; there is nothing to do",
            about=held.key,
        )
    return note("undeclarable-role", f"{fact}, which the file cannot declare and nothing here changes", about=held.key)


def _warn_public_sites(classification: Classification) -> Iterator[Diagnostic]:
    """Yield a warning for each site that is open to everybody without a word about it in the file."""
    desired = classification.desired
    if classification.traits.public_account is None:
        return
    held, traits = classification.live.access.by_subject(), classification.traits
    public = {subject for subject, _ in held if subject.kind == "account" and is_public(traits, subject.name)}
    for grant in classification.live.access.grants() if public else ():
        if grant.subject in public and grant.scope not in desired.public:
            fact = f"{grant.scope} is open to everybody ({grant.subject.name}: {grant.role})"
            hint = "say `public: true` or `public: false` for this site and instance"
            site = classification.live.sites.get(grant.scope)
            facts = (f"site {site.id}" if site is not None else "", f"role {grant.role}")
            message = f"{fact}, and the file does not say so"
            finding = warning("public-access", message, hint=hint, thing=grant.scope.name, facts=facts)
            in_scope = desired.managed is None or grant.scope in desired.managed
            if desired.closed is None or in_scope:  # in scope and without a word: the site's own row is in error
                yield finding
                continue
            hint = "have `manages` cover it, or say `public: true` of the site and leave the instance open"
            yield still_public(grant.scope, warning("public-access", f"{fact} and out of scope", hint=hint), desired)


def without_resending(diagnostics: Iterable[Diagnostic], desired: Desired) -> Iterator[Diagnostic]:
    """Yield the diagnostics without those on the expired invitations of people who are to have nothing.

    Nobody is invited anew whom the file suspends or declares absent, or whose time is over or not yet come: also where
    no step takes the account, such as in mode observe.
    """
    for found in diagnostics:
        name = account_of(found.about) if found.code == "invitation-expired" and found.about is not None else None
        declared_user = desired.declared_users.get(name) if name is not None else None
        if declared_user is None or declared_user.ending is None:
            yield found


def _report_impossible(
    classification: Classification, wanted: Access, left: Collection[str | None]
) -> Iterator[Diagnostic]:
    """Yield the declared wishes that cannot be fulfilled: on ignored accounts, deletions, renames, out of scope.

    `left` are the accounts with differences that no step is about.
    """
    for name, declared_user in classification.declared_users.items():
        is_ignored = name not in classification.declared and classification.classify(name) == "ignored"
        if is_ignored and account_key(name) in wanted:
            yield warning(
                "declared-but-ignored",
                f"{name} is declared and matches `ignore`, so nothing is done",
                at=declared_user.at,
                differs=name in left,
            )
        if declared_user.ending == "absent" and declared_user.managed and classification.live_account(name):
            yield note(
                "managed-account-stays",
                f"{name} stays as an account without access: what makes it (`managed_by`) deletes it",
                at=declared_user.at,
            )
        elif (
            declared_user.ending == "absent" and not classification.traits.deletes and classification.live_account(name)
        ):
            yield note(
                "cannot-delete",
                f"{name} stays as an account without access: accounts cannot be deleted here",
                at=declared_user.at,
            )
        wish = None if classification.traits.renames else classification.desired.access.get(account_key(name))
        if isinstance(wish, Account) and wish.renamed:
            yield note(
                "cannot-rename",
                f"{name} keeps its login: accounts cannot be renamed to {wish.renamed} here",
                at=declared_user.at,
            )
    yield from _note_kept_names(classification)
    yield from _warn_out_of_scope(classification)


def _note_kept_names(classification: Classification) -> Iterator[Diagnostic]:
    """Yield a note for each group that is to be renamed where the platform cannot."""
    if classification.traits.renames_groups or "group" not in classification.traits.manages:
        return
    for key, wish in classification.desired.access.items():
        if isinstance(wish, Group) and wish.renamed:
            message = f"the group {wish.name} keeps its name: groups cannot be renamed to {wish.renamed} here"
            yield note("cannot-rename", message, at=classification.desired.origins[key].at)


def _warn_out_of_scope(classification: Classification) -> Iterator[Diagnostic]:
    """Yield a warning for each user who is gone and keeps access to sites out of scope."""
    managed = classification.desired.managed
    if managed is None:
        return
    outside: dict[str, list[Scope]] = defaultdict(list)
    for subject, rights in classification.live.access.by_subject():
        if classification.ending(subject.name) in GONE:
            for scope in rights:
                if is_site(scope) and scope not in managed:
                    outside[subject.name].append(scope)
    for name, scopes in sorted(outside.items()):
        sites = ", ".join(sorted(map(str, scopes)))
        yield warning(
            "out-of-scope",
            f"{name} is {classification.ending(name)} and keeps access to sites that are out of scope: {sites}",
        )
