"""Accounts that a file with bounds finds: what they hold beyond its bounds is not its to take.

A declared user's account is managed whole, so whoever declares it ends what nobody grants. A file that may grant within
bounds could so end, by a row for an account that others have given access, what it could never give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import error
from siteward.access.model import EVERYWHERE, Grant, account_key, account_of
from siteward.access.traits import declarable, is_site
from siteward.declaration.selectors import Scopes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key
    from siteward.access.state import Desired, Live, Memory
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Bound, Instance, User
    from siteward.declaration.draft import Draft
    from siteward.declaration.selectors import Unresolved
    from siteward.declaration.subjects import Identities

_HINT = "declare the user in a file without bounds, or have this taken on the platform first"


def find_beyond(
    instance: Instance,
    people: Identities,
    draft: Draft,
    live: Live | None,
    scopes: Mapping[str, Scopes | Unresolved],
    memory: Memory | None,
) -> Mapping[Key, Diagnostic]:
    """Return by key an error on taking each right that a bounded file's user has beyond its bounds, and on a deletion.

    An account that a run has met is the user's, and theirs to end; it is not met while there is such an error about it.
    Where accounts that nobody declares lose everything, no row can take more.
    """
    known = memory.accounts if memory is not None else frozenset()
    found = {
        identity.account: (identity.user, identity.user.bound, identity.ending is not None)
        for identity in people.by_handle.values()
        if identity.user.bound is not None and identity.account not in known
    }
    if live is None or not found or instance.policy.unmanaged != "report":
        return {}
    beyond: dict[Key, Diagnostic] = {}
    for held in live.access.grants():
        if held.subject.kind != "account" or held.subject.name not in found:
            continue
        user, bound, over = found[held.subject.name]
        if not _stays(held, draft, over=over) and not _is_inside(held, bound, scopes, draft.traits):
            what = f"{held.role} on {'the whole instance' if held.scope == EVERYWHERE else held.scope}"
            beyond[held.key] = _refuse(user, bound, held.key, f"take {what} from an account that it finds")
    for account, (user, bound, _) in found.items():
        if user.state(instance.name) == "absent" and account_key(account) in live.access:
            key = account_key(account)
            beyond[key] = _refuse(user, bound, key, "delete an account that it finds")
    return beyond


def accounts_beyond(desired: Desired) -> frozenset[str]:
    """Return the accounts with rights beyond the bounds of the file that declares them.

    They are not met as their users' before these are gone: else the next run would take them, and so would one after the
    row is gone.
    """
    return frozenset(name for key in desired.beyond if (name := account_of(key)) is not None)


def _stays(held: Grant, draft: Draft, *, over: bool) -> bool:
    """Return whether a live right is granted, or more, or is one that is never taken, or only from whom all is `over`."""
    wish, traits = draft.grant(held.subject, held.scope), draft.traits
    role = traits.role(held.scope.kind, held.role)
    if not declarable(held, traits) or (role is not None and role.lingers and not over):
        return True
    if held.scope != EVERYWHERE and not is_site(held.scope):
        return True  # a module, which a row speaks of or not, and a team without sites
    rank = traits.rank(held.scope.kind, wish.role) if wish is not None else -1
    return rank >= traits.rank(held.scope.kind, held.role)


def _is_inside(held: Grant, bound: Bound, scopes: Mapping[str, Scopes | Unresolved], traits: Traits) -> bool:
    """Return whether a file of these bounds could have granted a right; what is not managed is not looked at."""
    sites = scopes.get(held.scope.kind)
    if isinstance(sites, Scopes) and held.scope not in sites.managed:
        return True
    if bound.at_most is not None and traits.power(held) > bound.at_most:
        return False
    return bound.sites is None or (isinstance(sites, Scopes) and sites.holds(held.scope, bound.sites))


def _refuse(user: User, bound: Bound | None, key: Key, what: str) -> Diagnostic:
    message = f"this file may grant within bounds, and not {what}"
    related = (bound.at,) if bound is not None else ()
    return error("beyond-include", message, about=key, at=user.at, hint=_HINT, related=related)
