"""The check for secrets in free texts: a reason or a key's description is no place for the key itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import problem
from siteward.access.secret_looks import is_likely
from siteward.declaration.secret_texts import LEAKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Location, User
    from siteward.declaration.source import Path


def secrets(context: Context) -> Iterator[Diagnostic]:
    """Report free texts that may be a secret; the message does not repeat them."""
    for location, path, text in _list_texts(context):
        if text is not None and is_likely(text):
            yield problem("secret-in-file", "this looks like a secret", location.at(*path), hint=LEAKED)


def _list_texts(context: Context) -> Iterator[tuple[Location, Path, str | None]]:
    """Yield the free texts of the file, each with its place; an id, login or address is none."""
    declaration = context.declaration
    for site in declaration.sites.values():
        yield site.location, ("name",), site.name
    yield from _list_texts_of(declaration.users.values())
    for group in declaration.groups.values():
        yield group.location, ("description",), group.description
        yield group.location, ("ticket",), group.ticket
        for number, member in enumerate(group.members):
            if member.by is None and (member.reason or member.ticket):
                where = group.member_path(number)[len(group.location.path) :]
                yield group.location, (*where, "reason"), member.reason
                yield group.location, (*where, "ticket"), member.ticket
    for grant in declaration.grants or ():
        if grant.reason is not None or grant.ticket is not None:
            yield grant.location, ("reason",), grant.reason
            yield grant.location, ("ticket",), grant.ticket


def _list_texts_of(users: Iterable[User]) -> Iterator[tuple[Location, Path, str | None]]:
    """Yield the free texts of users."""
    for user in users:
        if user.reason is not None or user.ticket is not None or user.name is not None:
            yield user.location, ("reason",), user.reason
            yield user.location, ("ticket",), user.ticket
            yield user.location, ("name",), user.name
        for number, text in enumerate(user.also):
            yield user.location, ("also", number), text
        for number, key in enumerate(user.keys):
            yield user.location, ("keys", number, "name"), key.name
            yield user.location, ("keys", number, "used_by"), key.used_by
