"""Checks of users: e-mail addresses, one account for one user, protected accounts, and what instances can do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from siteward.access.diagnostic import problem
from siteward.access.patterns import matching
from siteward.access.traits import fold_login, is_public
from siteward.declaration.references import lowered
from siteward.declaration.subjects import login_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.traits import Traits
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Group, Instance, User

_Row = TypeVar("_Row", "User", "Group")
_NO_ADDRESS = r"\s@<>()\[\],;:\\\""
_ADDRESS = re.compile(rf"[^{_NO_ADDRESS}]{{1,64}}@[^.{_NO_ADDRESS}]+(?:\.[^.{_NO_ADDRESS}]+)+").fullmatch


def is_address(text: str) -> bool:
    """Return whether a text looks like an e-mail address, with a dot in its domain."""
    return _ADDRESS(text) is not None


def addresses(context: Context) -> Iterator[Diagnostic]:
    """Report e-mails that are not valid, or that two users have."""
    seen: dict[str, User] = {}
    for user in context.declaration.users.values():
        if user.email is None:
            continue
        if not is_address(user.email):
            yield problem("bad-email", f"`{user.email}` is not a valid e-mail address", user.location.at("email"))
            continue
        first = seen.setdefault(user.email.casefold(), user)
        if first is not user and not _is_one_name(first, user):
            yield problem(
                "email-twice",
                f"`{first.handle}` and `{user.handle}` have the same e-mail",
                user.location.at("email"),
                related=(first.location.at("email"),),
            )


def _is_one_name(first: User | Group, second: User | Group) -> bool:
    """Return whether two handles differ in letter case alone, which one error tells (`handle-twice`)."""
    return lowered(first.handle) == lowered(second.handle)


def accounts(context: Context) -> Iterator[Diagnostic]:
    """Report logins that two users share, or that are reserved, protected or Siteward's own on an instance."""
    for instance in context.declaration.instances.values():
        traits = context.traits.get(instance.name)
        if traits is not None:
            yield from _check_accounts(context, instance, traits)


def _check_accounts(context: Context, instance: Instance, traits: Traits) -> Iterator[Diagnostic]:
    ours = fold_login(instance.self_account, traits) if instance.self_account else None
    seen: dict[str, User] = {}
    for user in context.declaration.users.values():
        login = login_of(user, instance.name, traits)
        if login is None:
            continue
        account = fold_login(login, traits)
        by_login = instance.name in user.logins
        place = user.location.at("logins", instance.name) if by_login else None
        first = seen.setdefault(account, user)
        if first is not user and not _is_one_name(first, user):
            yield problem(
                "account-twice",
                f"`{first.handle}` and `{user.handle}` are both `{login}` on {instance.name}",
                place or user.location.key(),
                related=(first.location.key(),),
            )
        if account == ours:
            yield problem(
                "self-declared",
                f"`{login}` is the account Siteward itself uses on {instance.name}",
                place or user.location.key(),
                hint="`self` is always protected and never declared",
                related=(instance.location.at("self"),),
            )
        if is_public(traits, login):
            hint = "give another login under `logins`; whether a site is open says `public` of the site"
            yield _describe_reserved(login, instance, place or user.location.key(), hint)
        if by_login and (pattern := matching(instance.policy.protect, login)):
            yield problem(
                "protected-login", f"`{login}` is protected by `{pattern}` and cannot be anybody's login", place
            )


def reserved_names(context: Context) -> Iterator[Diagnostic]:
    """Report former names, and accounts that Siteward should use, that stand for everybody on an instance."""
    for instance in context.declaration.instances.values():
        traits = context.traits.get(instance.name)
        if traits is None or traits.public_account is None:
            continue
        if instance.self_account is not None and is_public(traits, instance.self_account):
            hint = "name the account that the credentials belong to"
            yield _describe_reserved(instance.self_account, instance, instance.location.at("self"), hint)
        for user in context.declaration.users.values():
            for number, name in enumerate(user.previously):
                if is_public(traits, name):
                    at = user.location.at("previously", number)
                    yield _describe_reserved(name, instance, at, "take it out: nobody was called so")


def _describe_reserved(name: str, instance: Instance, at: Span, hint: str) -> Diagnostic:
    message = f"`{name}` stands for everybody on {instance.name}, and is nobody's account"
    return problem("reserved-login", message, at, hint=hint)


def instance_abilities(context: Context) -> Iterator[Diagnostic]:
    """Report a missing `self` where the platform does not show it, and keys of an instance that the platform lacks."""
    for instance in context.declaration.instances.values():
        traits = context.traits.get(instance.name)
        if traits is None:
            continue
        if not traits.knows_self and instance.self_account is None and instance.settings is not None:
            yield problem(
                "self-missing",
                f"{instance.platform} does not show whose credentials these are",
                instance.location.key(),
                hint="name the account behind the credentials with `self`",
            )
        if instance.native and "group" not in traits.manages:
            yield problem(
                "native-groups", f"{instance.platform} has no groups of its own", instance.location.at("native")
            )
        if instance.onboarding is not None and instance.onboarding not in traits.onboarding:
            yield problem(
                "onboarding",
                f"{instance.platform} cannot begin accounts with `{instance.onboarding}`",
                instance.location.at("onboarding"),
                allowed=sorted(traits.onboarding),
            )


def blind_spots(context: Context) -> Iterator[Diagnostic]:
    """Report names under `accept_blind` that are no blind spot of the platform."""
    for instance in context.declaration.instances.values():
        traits = context.traits.get(instance.name)
        known = traits.blind_spots if traits is not None else ()
        for name in sorted(instance.policy.accept_blind.difference(known)) if traits is not None else ():
            message = f"`{name}` is nothing that {instance.platform} cannot show"
            at = instance.location.at("accept_blind")
            yield problem("unknown-blind-spot", message, at, allowed=known, word=name, instance=instance.name)


def platform_features(context: Context) -> Iterator[Diagnostic]:
    """Report modules on platforms that have none."""
    declaration, known = context.declaration, context.traits
    for user in declaration.users.values():
        for name in user.modules.keys() & known.keys():
            if "module" not in known[name].roles:
                message = f"{known[name].platform} has no modules to switch"
                yield problem("no-modules", message, user.location.key("modules", name), instance=name)


def former_names(context: Context) -> Iterator[Diagnostic]:
    """Report former names that are a present name of another user or group, or a former one of two of them."""
    users, groups = context.declaration.users.values(), context.declaration.groups.values()
    yield from _find_clashes(users, lambda user: (user.handle, user.email, *user.named_logins.values()), "user")
    yield from _find_clashes(groups, lambda group: (group.handle, group.native), "group")


def _find_clashes(
    rows: Collection[_Row], names: Callable[[_Row], Iterable[str | None]], noun: str
) -> Iterator[Diagnostic]:
    """Report the former names of rows that lead to two of them; `names` are the present names of one."""
    if not any(row.previously for row in rows):
        return
    present: dict[str, _Row] = {}
    for row in rows:
        for name in filter(None, names(row)):
            present.setdefault(name.casefold(), row)
    former: dict[str, _Row] = {}
    for row in rows:
        for number, name in enumerate(row.previously):
            other = present.get(name.casefold()) or former.setdefault(name.casefold(), row)
            if other is not row and not _is_one_name(other, row):
                yield problem(
                    "previously-clash",
                    f"`{name}` is also `{other.handle}`",
                    row.location.at("previously", number),
                    hint=f"a name can lead to one {noun} only",
                    related=(other.location.key(),),
                )


def _directory_of(user: User) -> str:
    """Return the directory that a user's file is written from; empty for files that people write."""
    return str(user.source.data.get("directory", ""))


def known_once(context: Context) -> Iterator[Diagnostic]:
    """Report ids of a directory that two users have, and keys that one user has twice; another directory has ids of its own."""
    by_id: dict[tuple[str, str], User] = {}
    for user in context.declaration.users.values():
        first = by_id.setdefault((_directory_of(user), user.id), user) if user.id is not None else user
        if first is not user and not _is_one_name(first, user):
            message = f"`{first.handle}` and `{user.handle}` have the same id in the directory"
            yield problem("id-twice", message, user.location.at("id"), related=(first.location.at("id"),))
        keys: dict[tuple[str, str], int] = {}
        for number, key in enumerate(user.keys):
            before = keys.setdefault((key.on, key.name), number)
            if before != number:
                message = f"`{user.handle}` has two keys `{key.name}` on {key.on}"
                related = (user.location.at("keys", before, "name"),)
                yield problem("key-twice", message, user.location.at("keys", number, "name"), related=related)


USER_CHECKS: tuple[Callable[[Context], Iterator[Diagnostic]], ...] = (
    addresses,
    accounts,
    reserved_names,
    instance_abilities,
    blind_spots,
    platform_features,
    former_names,
    known_once,
)
