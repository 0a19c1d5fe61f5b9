"""The defaulting of the desired state: what the file leaves open is taken from the live one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    Grant,
    Grants,
    Group,
    Resource,
    Scope,
    Subject,
    differing,
)
from siteward.access.state import Desired, Live
from siteward.access.traits import Traits, declarable


def with_defaults(
    desired: Desired, live: Live, traits: Traits, keeps: Callable[[Subject], bool] = lambda _: False
) -> tuple[Access, Grants]:
    """Return the desired access with the attributes that the file leaves open taken from the live access.

    The second are those of its grants that may not be as they are live, for `diff`. Extras, e-mail and language that the
    file does not mention stay as they are, and an e-mail that differs in case only is the same one. A live role that
    cannot be declared stays, whatever is wished. Extras that are part of the role are left out, as on the live side.
    Where `keeps` says so of who has all that is wished, and nothing more than a role on the whole instance that lingers,
    that one is wished too.
    """
    find = live.access.find
    others = {key: _default_other(wish, find(key), traits) for key, wish in desired.access.of_others()}
    held, apart = dict[Subject, dict[Scope, Grant]](), dict[Subject, dict[Scope, Grant]]()
    for subject, wishes in desired.access.by_subject():
        have = live.access.rights(subject)
        # Of a million rights as wished, 0.1 s in all: the same grants are compared by identity.
        if wishes == have or (_is_all_but_lingering(wishes, have, traits) and keeps(subject)):
            held[subject] = have
            continue
        news = {scope: _default_grant(wish, have.get(scope), traits) for scope, wish in differing(wishes, have)}
        same = len(wishes) == len(have) and not any(differing(news, have))
        filled = {**wishes, **news} if any(differing(news, wishes)) else wishes
        held[subject], apart[subject] = (have, {}) if same else (filled, news)
    if opened := _default_public(desired, live.access, traits):
        subject = next(iter(opened.values())).subject
        held[subject] = {**held.get(subject, {}), **opened}
        apart[subject] = {**apart.get(subject, {}), **opened}
    return Access.held_by(held, others), apart  # its order tells nothing: differences are sorted


def _is_all_but_lingering(wishes: Mapping[Scope, Grant], have: Mapping[Scope, Grant], traits: Traits) -> bool:
    """Return whether somebody has all that is wished, and beyond it one role that lingers, as Umami gives everybody."""
    more = have.get(EVERYWHERE) if len(have) == len(wishes) + 1 and EVERYWHERE not in wishes else None
    return more is not None and (EVERYWHERE.kind, more.role) in traits.lingering and wishes.items() <= have.items()


def _default_other(wish: Resource, have: Resource | None, traits: Traits) -> Resource:
    """Return a wish for what is no grant with the attributes that the file leaves open."""
    match wish:
        case Account():
            return _default_account(wish, have if isinstance(have, Account) else None, traits)
        case Group():
            return _default_group(wish, have if isinstance(have, Group) else None, traits)
        case _:
            return wish


def _default_grant(wish: Grant, have: Grant | None, traits: Traits) -> Grant:
    extras = wish.extras
    if have is None and not extras:
        return wish if extras is not None else Grant(wish.subject, wish.scope, wish.role)
    if have is not None and have.role == wish.role and (extras is None or have.extras == extras):
        return have
    if have is not None and not declarable(have, traits):
        return have
    if extras is None:
        extras = (have.extras if have is not None else None) or frozenset()
    if included := [extra for extra in extras if wish.role in traits.included.get(extra, ())]:
        extras = extras.difference(included)
    if have is not None and have.role == wish.role and have.extras == extras:
        return have
    return wish if extras is wish.extras else replace(wish, extras=extras)


def _default_account(wish: Account, have: Account | None, traits: Traits) -> Account:
    if wish.email is None and wish.language is None and wish.renamed is None and have is not None:
        return have
    renamed = wish.renamed if traits.renames and wish.renamed != wish.name else None
    if have is None:
        email = wish.email if traits.keeps_email else None
        return replace(wish, email=email, renamed=None)
    keep = wish.email is None or not traits.keeps_email or wish.email.casefold() == (have.email or "").casefold()
    email = have.email if keep else wish.email
    language = have.language if wish.language is None else wish.language
    completed = replace(wish, email=email, language=language, renamed=renamed, status=have.status)
    return have if completed == have else completed


def _default_group(wish: Group, have: Group | None, traits: Traits) -> Group:
    renamed = wish.renamed if traits.renames_groups and have is not None else None
    external = wish.external if have is None or wish.external is not None else have.external
    return Group(wish.name, external, renamed)


def _default_public(desired: Desired, live: Access, traits: Traits) -> dict[Scope, Grant]:
    """Return the public account's grants for the sites that the file opens: the live one, else the weakest role."""
    if traits.public_account is None:
        return {}
    everybody = Subject("account", traits.public_account)
    weakest = {
        kind: next((role.name for role in roles if role.declarable), None) for kind, roles in traits.roles.items()
    }
    opened: dict[Scope, Grant] = {}
    for scope, wish in desired.public.items():
        role = weakest.get(scope.kind)
        if wish and role is not None:
            opened[scope] = live.grant(everybody, scope) or Grant(everybody, scope, role)
    return opened
