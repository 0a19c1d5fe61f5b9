"""Checks of names that people cannot tell apart: reviewers compare names by eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Severity, problem
from siteward.access.lookalikes import code_points, look_alike, mixes_scripts, normal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.context import Context


def lookalikes(context: Context) -> Iterator[Diagnostic]:
    """Report names that mix scripts, or look like another name of the file."""
    if all(map(str.isascii, _names(context))):
        return  # as in most files, whose places need not be computed
    owners: dict[str, str] = {}
    places: dict[str, Span] = {}
    for name, owner, at in _places(context):
        owners[name], places[name] = owner, at
    odd = [name for name in places if not name.isascii()]
    for name in odd:
        yield from _check_alone(name, places[name])
    clashes = [(name, other) for name, other in _equal_names(places) if owners[name] != owners[other]]
    for name, other in clashes:
        message = f"`{name}` and `{other}` are one name in two spellings: {code_points(name + other)}"
        yield problem(
            "looks-like", message, places[name], related=(places[other],), hint="give one of them another name"
        )
    for name, other in look_alike(places):
        twice = (name, other) in clashes or name.lower() == other.lower()  # the latter is `handle-twice`
        if owners[name] != owners[other] and not twice:
            message = f"`{name}` looks like `{other}`: {code_points(name + other)}"
            yield problem(
                "looks-like", message, places[name], related=(places[other],), severity=Severity.WARNING,
                hint="make sure that they are two people; another name helps reviewers",
            )  # fmt: skip


def _names(context: Context) -> Iterator[str]:
    """Yield the names of users, their logins, and groups."""
    for user in context.declaration.users.values():
        yield user.handle
        yield from user.named_logins.values()
    yield from context.declaration.groups


def _places(context: Context) -> Iterator[tuple[str, str, Span]]:
    """Yield the names of users, their logins, and groups, each with the handle that it belongs to and its place."""
    for user in context.declaration.users.values():
        yield user.handle, user.handle, user.location.key()
        for instance, login in user.named_logins.items():
            yield login, user.handle, user.location.at("logins", instance)
    for group in context.declaration.groups.values():
        yield group.handle, group.handle, group.location.key()


def _check_alone(name: str, at: Span) -> Iterator[Diagnostic]:
    if mixes_scripts(name):
        message = f"`{name}` mixes letters of several scripts: {code_points(name)}"
        hint = "make sure that it is meant; letters of two scripts can look alike"
        yield problem("looks-like", message, at, hint=hint, severity=Severity.WARNING)


def _equal_names(places: Mapping[str, Span]) -> Iterator[tuple[str, str]]:
    """Yield each name with an earlier one that it equals but for compatible characters; letter case has its own rule."""
    first: dict[str, str] = {}
    for name in places:
        other = first.setdefault(normal(name), name)
        if other.lower() != name.lower():
            yield name, other
