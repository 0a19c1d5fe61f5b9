"""The account of the credentials: by the file (`self`), by the variable beside them, and by the platform."""

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
    """The claimed account of the credentials: `where` names the source of the claim, `at` its place in the file."""

    account: str | None = None
    where: str = "`self`"
    at: Span | None = None


def claim_of(instance: Instance, named: str | None, at: Span | None = None) -> Claim:
    """Return the claim of an instance: that of the file (`named`), else that of the variable beside the credentials."""
    if named is not None or instance.owner is None:
        return Claim(account=named, at=at)
    return Claim(account=instance.owner, where=instance.owner_variable, at=at)


def told_otherwise(told: str | None, claim: Claim) -> Diagnostic | None:
    """Return the error where `told`, the account by the platform, is another than the claimed one."""
    named = claim.account
    if told is None or named is None or told.casefold() == named.casefold():
        return None
    message = f"the credentials are those of {told}, but {claim.where} names {named}"
    hint = f"write `self: {told}`, or use the other account"
    if claim.where != "`self`":
        hint = f"correct {claim.where}, or use the other account"
    return error("self-mismatch", message, at=claim.at, hint=hint)


def own_account(live: Live, traits: Traits, claim: Claim) -> tuple[Live, tuple[Diagnostic, ...]]:
    """Compare the account in use with the claim, or take it from the claim where the platform does not give it.

    Returns `live` with `me` set, and the errors: another account, or one without the top role.
    """
    named = claim.account
    if named is None:
        return live, ()
    if live.me is not None:
        objection = told_otherwise(live.me, claim)
        return live, () if objection is None else (objection,)
    live = replace(live, me=_spell_login(named, live, traits))
    top = traits.top is None or any(
        traits.is_top(grant)
        for subject, rights in live.access.by_subject()
        if subject.name == live.me
        for grant in rights.values()
    )
    if top or not traits.accounts_listed:
        return live, ()
    message = f"{claim.where} names {named}, who is no {traits.top} on this instance"
    return live, (error("self-mismatch", message, at=claim.at, hint="name the account that the credentials belong to"),)


def _spell_login(named: str, live: Live, traits: Traits) -> str:
    """Return a login in the spelling of the instance."""
    same = (account.name for account in live.access.accounts() if account.name.casefold() == named.casefold())
    return next(same, named) if traits.folds_case else named
