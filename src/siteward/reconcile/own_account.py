"""The account that the credentials belong to, by the file, by what stands beside them, and by the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, Span, error

if TYPE_CHECKING:
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.instance import Instance


class Claim(Struct, frozen=True, kw_only=True):
    """Which account somebody says that the credentials are of: `where` names what says so, `at` its place in the file."""

    account: str | None = None
    where: str = "`self`"
    at: Span | None = None


def claim_of(instance: Instance, named: str | None, at: Span | None = None) -> Claim:
    """Return what is said of an instance: by the file (`named`), or beside the credentials where that says nothing."""
    if named is not None or instance.owner is None:
        return Claim(account=named, at=at)
    return Claim(account=instance.owner, where=instance.owner_variable, at=at)


def told_otherwise(told: str | None, claim: Claim) -> Diagnostic | None:
    """Return the objection where the platform tells of another account than is said."""
    named = claim.account
    if told is None or named is None or told.casefold() == named.casefold():
        return None
    message = f"the credentials are those of {told}, but {claim.where} names {named}"
    hint = f"write `self: {told}`, or use the other account"
    if claim.where != "`self`":
        hint = f"correct {claim.where}, or use the other account"
    return error("self-mismatch", message, at=claim.at, hint=hint)


def own_account(live: Live, traits: Traits, claim: Claim) -> tuple[Live, tuple[Diagnostic, ...]]:
    """Compare the account in use with what is said, or take it from there where the platform does not tell."""
    named = claim.account
    if named is None:
        return live, ()
    if live.me is not None:
        objection = told_otherwise(live.me, claim)
        return live, () if objection is None else (objection,)
    live = replace(live, me=_spelled(named, live, traits))
    top = traits.top is None or any(
        grant.subject.name == live.me and traits.is_top(grant) for grant in live.access.grants()
    )
    if top or not traits.accounts_listed:
        return live, ()
    message = f"{claim.where} names {named}, who is no {traits.top} on this instance"
    return live, (error("self-mismatch", message, at=claim.at, hint="name the account that the credentials belong to"),)


def _spelled(named: str, live: Live, traits: Traits) -> str:
    """Return a login in the spelling of the instance."""
    same = (account.name for account in live.access.accounts() if account.name.casefold() == named.casefold())
    return next(same, named) if traits.folds_case else named
