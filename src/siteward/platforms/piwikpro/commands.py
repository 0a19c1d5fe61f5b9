"""Helpers for all commands to Piwik PRO: repeating, finding ids, judging answers, and setting a level."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from siteward.access.model import Group, account_key
from siteward.platforms.confirm import DONE, Verdict, confirm, failed, unknown
from siteward.platforms.piwikpro.refresh import group_named, person, refresh
from siteward.platforms.piwikpro.roles import ENTITY, NO_ACCESS, level_path
from siteward.platforms.piwikpro.rows import Fault, faults_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siteward.access.model import Grant, Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Answer, Writer

USERS, GROUPS = "/api/users/v2", "/api/user-groups/v1"
_DONE, _MISSING = 204, 404
Method = Literal["POST", "PUT", "PATCH", "DELETE"]

# Message and hint for the server's error codes (API.md section 2).
_MEANINGS: Mapping[str, tuple[str, str | None]] = {
    "users.error.user-already-exists": (
        "the address belongs to another Piwik PRO account; one address can be in one account only",
        "let its person leave that account, or use another address",
    ),
    "users.error.cannot-delete-last-owner": ("the last owner cannot be deleted", "make another owner first"),
    "users.error.cannot-delete-own-account": ("the account whose API key this is cannot delete itself", None),
    "users.error.cannot-change-own-role": ("the account whose API key this is cannot change its own role", None),
    "users.error.unsupported-language": ("Piwik PRO does not offer this language", None),
    "users.error.unsupported-language-tag": ("the language is not a valid tag such as de-DE", None),
    "users.error.invalid-email": ("Piwik PRO takes this for no e-mail address", None),
    "modules.error.unlicensed-module": ("the account has no licence for this module", None),
}


class NotThereError(Exception):
    """An account, group or site that a change is about does not exist."""


def person_id(writer: Writer, name: str, live: Live) -> str:
    """Return the id of an account, from `live` or by a search: a call whose answer was lost may have made it.

    Raises `NotThereError`.
    """
    known = live.ids.get(account_key(name))
    if known is not None:
        return known
    row = person(writer, name)
    if row is None:
        raise NotThereError(f"there is no account {name}")
    return row.id


def group_id(writer: Writer, name: str, live: Live) -> str:
    """Return the id of a group, from `live` or by a search: a call whose answer was lost may have made it.

    Raises `NotThereError`.
    """
    known = live.ids.get(Group(name).key)
    if known is not None:
        return known
    row = group_named(writer, name)
    if row is None:
        raise NotThereError(f"there is no group {name}")
    return row.id


def set_state(
    writer: Writer, key: Key, call: tuple[Method, str, object], is_done: Callable[[], bool], *, gone: str = ""
) -> Receipt:
    """Send a command that sets a state, and again if its answer was lost; return the receipt for the change of `key`.

    `call` are the method, the path and the body. `is_done` reads whether the state is as wanted. Where `gone` says so, a
    404 means that it is.
    """
    method, path, body = call

    def judge(answer: Answer) -> Verdict:
        if answer.status == _MISSING and gone:
            return replace(DONE, message=gone)
        return replace(judged(writer, answer), sure=answer.ok)

    send = partial(writer.command, method, path, json=body)
    return confirm(writer, send, judge, is_done, repeatable=True).receipt(key)


def has_code(answer: Answer, code: str) -> bool:
    """Return whether an error answer has that code."""
    return any(fault.code == code for fault in faults_of(answer))


def judged(writer: Writer, answer: Answer) -> Verdict:
    """Return the verdict on an answer, whatever its status.

    Answers without a resource have the status 204 (API.md section 2), so any other success is not Piwik PRO's.
    """
    if answer.status == _DONE:
        return DONE
    if answer.ok:
        return unknown(f"{answer.path} was answered {answer.status}, and not as Piwik PRO does")
    if answer.status >= 500:
        return unknown(f"the server answered {answer.status}")
    fault = next(iter(faults_of(answer)), Fault())
    words = words_of(writer, answer)
    return failed(*_MEANINGS.get(fault.code, (words or _describe_status(answer.status), None)))


def _describe_status(status: int) -> str:
    match status:
        case 403:
            return "the key's account may not do this (403); it needs the role Owner"
        case 404:
            return "it is not there (404)"
        case _:
            return f"it was refused ({status}), and the server said no more"


def set_level(writer: Writer, grant: Grant, level: str, live: Live) -> Receipt:
    """Set the level of an account or group on a site; `no-access` revokes it (API.md section 6).

    Raises `NotThereError`.
    """
    site = live.sites.get(grant.scope)
    if site is None:
        raise NotThereError(f"there is no {grant.scope}")
    name = grant.subject.name
    subject: Literal["user", "user-group"] = "user-group" if grant.subject.kind == "group" else "user"
    at = group_id(writer, name, live) if subject == "user-group" else person_id(writer, name, live)
    kind = f"{ENTITY[grant.scope.kind]}/permission/{subject}"
    body = {"data": {"type": kind, "attributes": {"permission": level}}}
    wanted = None if level == NO_ACCESS else replace(grant, role=level)

    def is_set() -> bool:
        return refresh(writer, [grant.key], live)[grant.key] == wanted

    return set_state(writer, grant.key, ("POST", level_path(grant.scope, site.id, subject, at), body), is_set)
