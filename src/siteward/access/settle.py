"""The wish in full: what the declaration leaves open is filled from the live access, so that both can be compared."""

from __future__ import annotations

from msgspec.structs import replace

from siteward.access.model import Access, Account, Grant, Group, Key, Resource, Subject, grant_key
from siteward.access.state import Desired, Live
from siteward.access.traits import Traits, declarable


def settle(desired: Desired, live: Live, traits: Traits) -> Access:
    """Return the wish in full: what the file leaves open is filled from the live access.

    Extras, e-mail and language that are not spoken of stay as they are, and an e-mail that differs in case
    only is the same one. A live role that cannot be declared stands, whatever is wished. Extras that are part
    of the role anyway are left out, as they are on the live side.
    """
    find = live.access.find
    settled: dict[Key, Resource] = {}
    for key, wish in desired.access.items():
        have = find(key)
        if wish is have:
            settled[key] = wish
            continue
        match wish:
            case Grant():
                settled[key] = _settled_grant(wish, have if isinstance(have, Grant) else None, traits)
            case Account():
                settled[key] = _settled_account(wish, have if isinstance(have, Account) else None, traits)
            case Group(external=None) if isinstance(have, Group):
                settled[key] = have
            case _:
                settled[key] = wish
    settled |= _settled_public(desired, live.access, traits)
    return Access.of(settled)


def _settled_grant(wish: Grant, have: Grant | None, traits: Traits) -> Grant:
    extras = wish.extras
    if have is not None and have.role == wish.role and (extras is None or have.extras == extras):
        return have
    if have is not None and not declarable(have, traits):
        return have
    if extras is None:
        extras = (have.extras if have is not None else None) or frozenset()
    part = frozenset(each for each in extras if wish.role in traits.included.get(each, ())) if extras else extras
    if have is not None and have.role == wish.role and have.extras == extras - part:
        return have
    return wish if extras is wish.extras and not part else replace(wish, extras=extras - part)


def _settled_account(wish: Account, have: Account | None, traits: Traits) -> Account:
    if wish.email is None and wish.language is None and wish.renamed is None and have is not None:
        return have
    renamed = wish.renamed if traits.renames and wish.renamed != wish.name else None
    if have is None:
        email = wish.email if traits.keeps_email else None
        return replace(wish, email=email, renamed=None)
    keep = wish.email is None or not traits.keeps_email or wish.email.casefold() == (have.email or "").casefold()
    email = have.email if keep else wish.email
    language = have.language if wish.language is None else wish.language
    settled = replace(wish, email=email, language=language, renamed=renamed, status=have.status)
    return have if settled == have else settled


def _settled_public(desired: Desired, live: Access, traits: Traits) -> dict[Key, Resource]:
    if traits.public_account is None:
        return {}
    everybody = Subject("account", traits.public_account)
    weakest = {
        kind: next((each.name for each in roles if each.declarable), None) for kind, roles in traits.roles.items()
    }
    opened: dict[Key, Resource] = {}
    for scope, wish in desired.public.items():
        role = weakest.get(scope.kind)
        if wish and role is not None:
            key = grant_key(everybody, scope)
            opened[key] = live.get(key) or Grant(everybody, scope, role)
    return opened
