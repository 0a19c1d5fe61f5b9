"""The findings about live accounts: facts and objections of the classification that no single guard is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from siteward.access.accounts import GONE, Classification, UnmanagedAccount
from siteward.access.change import Change, direction
from siteward.access.diagnostic import Diagnostic, error, note, warning
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Power,
    Scope,
    account_key,
    account_of,
)
from siteward.access.state import Memory
from siteward.access.traits import Traits, is_public, is_site


def findings(
    classification: Classification,
    wanted: Access,
    memory: Memory | None,
    changes: Sequence[Change],
    unmanaged: Sequence[UnmanagedAccount],
) -> Iterator[Diagnostic]:
    """Yield the facts and objections about live accounts that no single guard is about."""
    if classification.leavers_unknown and any(not unmanaged_account.ignored for unmanaged_account in unmanaged):
        yield note(
            "leavers-unknown",
            "people removed from the file cannot be distinguished from accounts that never were in it: there is no journal of this instance",
            hint="compare with an earlier revision (`--base REVISION`), or keep the journal",
        )
    yield from _existing_accounts(classification, memory, changes)
    yield from _undeclarable_roles(classification)
    yield from _public_sites(classification)
    yield from _impossible_wishes(classification, wanted)


def _existing_accounts(
    classification: Classification, memory: Memory | None, changes: Sequence[Change]
) -> Iterator[Diagnostic]:
    """Yield the declared users whose live accounts existed before and are not in the journal."""
    met = memory.accounts if memory is not None else frozenset()
    new = [
        name
        for name in classification.declared_users
        if classification.classify(name) == "declared" and name not in met and classification.live_account(name)
    ]
    about: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        about[account_of(change.key) or ""].append(change)
    quiet = []
    for name in new:
        mismatch = tuple(_email_mismatches(classification, name, about[name]))
        gained = [
            change
            for change in about[name]
            if isinstance(change.after, Grant) and direction(change, classification.traits) == "open"
        ]
        if mismatch:
            yield from mismatch
        elif gained:
            strongest = max(gained, key=lambda change: _power_after(change, classification.traits))
            yield warning(
                "existing-account",
                f"{name} is an existing account that was not managed so far; it gains access here",
                about=strongest.key,
            )
        else:
            quiet.append(name)
    if quiet:
        listed = ", ".join(sorted(quiet))
        yield note("existing-account", f"met for the first time, as declared: {listed}")


def _power_after(change: Change, traits: Traits) -> Power:
    return traits.power(change.after) if isinstance(change.after, Grant) else Power.NONE


def _email_mismatches(classification: Classification, name: str, changes: Sequence[Change]) -> Iterator[Diagnostic]:
    declared_user, account = classification.declared_users[name], classification.live_account(name)
    live, declared = (account.email if account else None), declared_user.email
    if not live or not declared or live.casefold() == declared.casefold():
        return
    for key in [change.key for change in changes] or [account_key(name)]:
        yield error(
            "identity-mismatch",
            f"the live account {name} has the e-mail {live}, and {declared_user.handle} is declared with {declared}",
            about=key,
            at=declared_user.at,
            hint="if they are the same person, correct the e-mail in the file or in the account; if not, give another login under `logins`",
        )


def _undeclarable_roles(classification: Classification) -> Iterator[Diagnostic]:
    """Yield what declared people have by facts that are not rights to hand out, such as owning a site."""
    facts = {
        (kind, role.name)
        for kind, roles in classification.traits.roles.items()
        for role in roles
        if not role.declarable
    }
    if not facts:
        return
    for held in classification.live.access.grants():
        name = held.subject.name
        if (held.scope.kind, held.role) not in facts or held.subject.kind != "account":
            continue
        if classification.classify(name) not in {"declared", "left"}:
            continue
        yield _describe_undeclarable(classification, held)


def _describe_undeclarable(classification: Classification, held: Grant) -> Diagnostic:
    name, wish = held.subject.name, classification.desired.access.get(held.key)
    what = f"{name} is {held.role} of {held.scope}"
    ending = classification.ending(name)
    if ending in GONE:
        return warning(
            "undeclarable-role",
            f"{what} and keeps that although {ending}: this role cannot be taken away here",
            about=held.key,
        )
    if isinstance(wish, Grant) and not classification.traits.covers(held, wish):
        return warning("undeclarable-role", f"{what}, which stands in the way of the role {wish.role}", about=held.key)
    if isinstance(wish, Grant):
        return note(
            "undeclarable-role",
            f"{what}, which includes the declared role {wish.role}; there is nothing to do",
            about=held.key,
        )
    return note("undeclarable-role", f"{what}, which the file cannot declare and nothing here changes", about=held.key)


def _public_sites(classification: Classification) -> Iterator[Diagnostic]:
    desired = classification.desired
    if classification.traits.public_account is None:
        return
    for grant in classification.live.access.grants():
        if (
            is_public(classification.traits, grant.subject.name)
            and grant.subject.kind == "account"
            and grant.scope not in desired.public
        ):
            yield warning(
                "public-access",
                f"{grant.scope} is open to everybody ({grant.subject.name}: {grant.role}), and the file does not say so",
                hint="say `public: true` or `public: false` for this site and instance",
            )


def _impossible_wishes(classification: Classification, wanted: Access) -> Iterator[Diagnostic]:
    for name, declared_user in classification.declared_users.items():
        key = account_key(name)
        if classification.classify(name) == "ignored" and key in wanted:
            yield warning(
                "declared-but-ignored",
                f"{name} is declared and matches `ignore`, so nothing is done",
                at=declared_user.at,
            )
        if declared_user.ending == "absent" and not classification.traits.deletes and classification.live_account(name):
            yield note(
                "cannot-delete",
                f"{name} stays as an account without access: accounts cannot be deleted here",
                at=declared_user.at,
            )
        wish = classification.desired.access.get(key)
        if isinstance(wish, Account) and wish.renamed and not classification.traits.renames:
            yield note(
                "cannot-rename",
                f"{name} keeps its login: accounts cannot be renamed to {wish.renamed} here",
                at=declared_user.at,
            )
    yield from _out_of_scope(classification)


def _out_of_scope(classification: Classification) -> Iterator[Diagnostic]:
    managed = classification.desired.managed
    if managed is None:
        return
    outside: dict[str, list[Scope]] = defaultdict(list)
    names = {grant.subject.name for grant in classification.live.access.grants()}
    gone = {name for name in names if classification.ending(name) in GONE}
    for grant in classification.live.access.grants() if gone else ():
        if grant.subject.name in gone and is_site(grant.scope) and grant.scope not in managed:
            outside[grant.subject.name].append(grant.scope)
    for name, scopes in outside.items():
        sites = ", ".join(sorted(map(str, scopes)))
        yield warning(
            "out-of-scope",
            f"{name} is {classification.ending(name)} and keeps access to sites that are out of scope: {sites}",
        )
