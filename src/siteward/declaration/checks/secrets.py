"""The check for secrets in free texts: a reason or a key's description is no place for the key itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import problem
from siteward.access.secret_looks import is_likely
from siteward.declaration.secret_texts import LEAKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Grant, Row
    from siteward.declaration.source import Path


def secrets(context: Context) -> Iterator[Diagnostic]:
    """Report free texts that may be a secret; the message does not repeat them."""
    for row, path, text in _list_texts(context):
        if text is not None and is_likely(text):
            yield problem("secret-in-file", "this looks like a secret", row.location.at(*path), hint=LEAKED)


def _list_texts(context: Context) -> Iterator[tuple[Row | Grant, Path, str | None]]:
    """Yield the free texts of the file, each with its row and its place there; an id, login or address is none."""
    declaration = context.declaration
    for site in declaration.sites.values():
        yield site, ("name",), site.name
    for user in declaration.users.values():
        yield user, ("reason",), user.reason
        yield user, ("ticket",), user.ticket
        yield user, ("name",), user.name
        yield from ((user, ("also", number), text) for number, text in enumerate(user.also))
        for number, key in enumerate(user.keys):
            yield user, ("keys", number, "name"), key.name
            yield user, ("keys", number, "used_by"), key.used_by
    for group in declaration.groups.values():
        yield group, ("description",), group.description
        yield group, ("ticket",), group.ticket
        for number, member in enumerate(group.members):
            if member.by is None and (member.reason or member.ticket):
                where = group.member_path(number)[len(group.location.path) :]
                yield group, (*where, "reason"), member.reason
                yield group, (*where, "ticket"), member.ticket
    for grant in declaration.grants or ():
        if grant.reason is not None or grant.ticket is not None:
            yield grant, ("reason",), grant.reason
            yield grant, ("ticket",), grant.ticket
