"""Changes → Piwik PRO's own calls (MAPPING.md sections 1, 4 and 5).

Setting a level, a role, a language or modules may be repeated, so a lost answer is asked for once more. Inviting,
and making a group, may not: after a lost answer it is looked whether it took place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from siteward.access.model import EVERYWHERE, Account, Grant, Group, Key, Member, Scope, account_key
from siteward.platforms.interface import Receipt
from siteward.platforms.piwikpro.look import group_named, level_of, members_of, person, switches_of
from siteward.platforms.piwikpro.picture import picture_of
from siteward.platforms.piwikpro.roles import ENTITY, NO_ACCESS, level_path
from siteward.platforms.piwikpro.rows import Fault, One, User, UserGroup, faults_of, parse, words_of
from siteward.transport.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.transport.http import Answer, Writer

USERS, GROUPS = "/api/users/v2", "/api/user-groups/v1"
Method = Literal["POST", "PUT", "PATCH", "DELETE"]

# What the server's codes mean for the people who read a report (API.md section 2).
_MEANINGS: Mapping[str, tuple[str, str | None]] = {
    "users.error.user-already-exists": (
        "the address belongs to another Piwik PRO account; one address can be in one account only",
        "let its person leave that account, or use another address",
    ),
    "users.error.cannot-delete-last-owner": ("the last owner cannot be deleted", "make another owner first"),
    "users.error.cannot-delete-own-account": ("the account whose API key this is cannot delete itself", None),
    "users.error.cannot-change-own-role": ("the account whose API key this is cannot change its own role", None),
    "users.error.unsupported-language": ("Piwik PRO does not offer this language", None),
    "users.error.unsupported-language-tag": ("the language is no tag such as de-DE", None),
    "users.error.invalid-email": ("Piwik PRO takes this for no e-mail address", None),
    "modules.error.unlicensed-module": ("the account has no licence for this module", None),
}


class _Nowhere(Exception):  # noqa: N818 — says what is missing, and never leaves this module
    """Something that a change is about is not there."""


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Write the changes of one bundle and return what was answered to each.

    Raises `PlatformError` where it cannot be told what took place; whoever called reads then.
    """
    try:
        match bundle.changes[0].after or bundle.changes[0].before:
            case Member(group=group):
                return _members(writer, group, bundle.changes, live)
            case Grant(scope=Scope("module"), subject=subject):
                return _modules(writer, subject.name, bundle.changes, live)
            case _:
                return [_one(writer, each, live, bundle.leave) for each in bundle.changes]
    except _Nowhere as missing:
        return [Receipt(key=each.key, status="failed", message=str(missing)) for each in bundle.changes]


def _one(writer: Writer, change: Change, live: Live, leave: Collection[Scope]) -> Receipt:
    match change.before, change.after:
        case (None, Account()) | (Account(), Account() | None):
            return _account(writer, change, live)
        case (None, Group()) | (Group(), Group() | None):
            return _group(writer, change, live)
        case Grant(scope=scope) as grant, None if scope == EVERYWHERE:
            return _demote(writer, grant, live, leave)
        case _, Grant(scope=scope) as grant if scope == EVERYWHERE:
            return _set_role(writer, grant, "OWNER", live)
        case Grant() as grant, None:
            return _set_level(writer, grant, NO_ACCESS, live)
        case _, Grant() as grant:
            return _set_level(writer, grant, grant.role, live)
        case _:
            raise TypeError(f"no call of Piwik PRO carries this change of {change.key}")


# --- accounts --------------------------------------------------------------------------------------------------------


def _account(writer: Writer, change: Change, live: Live) -> Receipt:
    match change.before, change.after:
        case None, Account() as account:
            return _invite(writer, account)
        case Account(), Account() as account:
            return _set_language(writer, account, live)
        case _:
            return _delete_account(writer, change.key, live)


def _invite(writer: Writer, account: Account) -> Receipt:
    attributes = {"email": account.email or account.name} | ({"language": account.language} if account.language else {})
    body = {"data": {"type": "ppms/user", "attributes": attributes}}
    try:
        answer = writer.command("POST", f"{USERS}/invite", json=body)
    except OutcomeUnknown:
        return _already(writer, account) or Receipt(key=account.key, status="unknown", message="the answer was lost")
    if answer.ok:
        made = parse(One[User], answer).data
        return Receipt(key=account.key, status="sent", ids={account.key: made.id}, sends=1)
    there = (
        _already(writer, account) if _has(answer, "users.error.user-already-exists") or answer.status >= 500 else None
    )
    return there or _sent(writer, account.key, answer)


def _already(writer: Writer, account: Account) -> Receipt | None:
    """Return a receipt if the address is among ours by now; an invitation has gone out to it in any case."""
    row = person(writer, account.email or account.name)
    return Receipt(key=account.key, status="sent", ids={account.key: row.id}, sends=1) if row else None


def _set_language(writer: Writer, account: Account, live: Live) -> Receipt:
    at = _person_id(writer, account.name, live)
    body = {"data": {"id": at, "type": "ppms/user", "attributes": {"language": account.language}}}
    return _sent(writer, account.key, _set(writer, "PATCH", f"{USERS}/{at}", body))


def _delete_account(writer: Writer, key: Key, live: Live) -> Receipt:
    answer = _set(writer, "DELETE", f"{USERS}/{_person_id(writer, key[1], live)}")
    if answer.status == 404:
        return Receipt(key=key, status="sent", message="it was gone already")
    return _sent(writer, key, answer)


def _set_role(writer: Writer, grant: Grant, role: Literal["OWNER", "USER"], live: Live) -> Receipt:
    at = _person_id(writer, grant.subject.name, live)
    body = {"data": {"id": at, "type": "ppms/user", "attributes": {"role": role}}}
    return _sent(writer, grant.key, _set(writer, "PATCH", f"{USERS}/{at}/change-role", body))


def _demote(writer: Writer, grant: Grant, live: Live, leave: Collection[Scope]) -> Receipt:
    """Take the ownership, then whatever levels slept under it and woke (MAPPING.md section 2)."""
    receipt = _set_role(writer, grant, "USER", live)
    if receipt.status != "sent":
        return receipt
    name = grant.subject.name
    scopes = [each for each in live.sites if each.kind in ENTITY and each not in leave]
    rows = writer.map(lambda each: level_of(writer, each, live.sites[each].id, name), scopes)
    for scope, row in zip(scopes, rows, strict=True):
        if row is not None and row.attributes.permission != NO_ACCESS:
            woken = _set_level(writer, Grant(grant.subject, scope, row.attributes.permission), NO_ACCESS, live)
            if woken.status != "sent":
                return Receipt(
                    key=grant.key, status="unknown", message=f"on {scope}: {woken.message}", hint="siteward plan"
                )
    return receipt


# --- levels ----------------------------------------------------------------------------------------------------------


def _set_level(writer: Writer, grant: Grant, level: str, live: Live) -> Receipt:
    """Set a level; there is no other way to revoke than `no-access` (API.md section 6)."""
    site = live.sites.get(grant.scope)
    if site is None:
        raise _Nowhere(f"there is no {grant.scope}")
    name = grant.subject.name
    holder: Literal["user", "user-group"] = "user-group" if grant.subject.kind == "group" else "user"
    at = _group_id(writer, name, live) if holder == "user-group" else _person_id(writer, name, live)
    kind = f"{ENTITY[grant.scope.kind]}/permission/{holder}"
    body = {"data": {"type": kind, "attributes": {"permission": level}}}
    return _sent(writer, grant.key, _set(writer, "POST", level_path(grant.scope, site.id, holder, at), body))


# --- groups ----------------------------------------------------------------------------------------------------------


def _group(writer: Writer, change: Change, live: Live) -> Receipt:
    match change.before, change.after:
        case None, Group() as group:
            return _make_group(writer, group)
        case Group(), Group() as group:
            return _tie_group(writer, group, _group_id(writer, group.name, live))
        case _:
            path = f"{GROUPS}/{_group_id(writer, change.key[1], live)}"
            return _sent(writer, change.key, _set(writer, "DELETE", path))


def _make_group(writer: Writer, group: Group) -> Receipt:
    body = {"data": {"type": "ppms/user-group", "attributes": {"name": group.name}}}
    try:
        answer = writer.command("POST", GROUPS, json=body)
        made = parse(One[UserGroup], answer).data if answer.ok else None
    except OutcomeUnknown:
        answer, made = None, group_named(writer, group.name)
    if made is None:
        unknown = Receipt(key=group.key, status="unknown", message="the answer was lost")
        return _sent(writer, group.key, answer) if answer else unknown
    receipt = _tie_group(writer, group, made.id) if group.external else Receipt(key=group.key, status="sent")
    return Receipt(
        key=group.key, status=receipt.status, message=receipt.message, hint=receipt.hint, ids={group.key: made.id}
    )


def _tie_group(writer: Writer, group: Group, at: str) -> Receipt:
    attributes = {"name": group.name, "external_id": group.external}
    body = {"data": {"id": at, "type": "ppms/user-group", "attributes": attributes}}
    return _sent(writer, group.key, _set(writer, "PATCH", f"{GROUPS}/{at}", body))


def _members(writer: Writer, group: str, changes: Sequence[Change], live: Live) -> list[Receipt]:
    """Add or take out many at once.

    Whether adding somebody who is in already fails is not known (MAPPING.md section 8), so a list that was refused
    is sent again without those for whom there is nothing to do.
    """
    at, adds = _group_id(writer, group, live), changes[0].after is not None
    ids = {_person_id(writer, each.key[2], live): each.key for each in changes}
    answer = _send_members(writer, at, ids, adds=adds)
    if answer.status == 400:
        present = {each.id for each in members_of(writer, at)}
        rest = ids.keys() - present if adds else ids.keys() & present
        if rest == ids.keys():
            return [_sent(writer, key, answer) for key in ids.values()]
        if rest:
            answer = _send_members(writer, at, rest, adds=adds)
        else:
            return [Receipt(key=key, status="sent", message="it was so already") for key in ids.values()]
    return [_sent(writer, key, answer) for key in ids.values()]


def _send_members(writer: Writer, group: str, people: Collection[str], *, adds: bool) -> Answer:
    body = {"data": [{"type": "ppms/user", "id": each} for each in sorted(people)]}
    path = f"{GROUPS}/{group}/relationships/users"
    return writer.command("POST" if adds else "DELETE", path, json=body)


# --- modules ---------------------------------------------------------------------------------------------------------


def _modules(writer: Writer, name: str, changes: Sequence[Change], live: Live) -> list[Receipt]:
    """Set the switches of one person in one call; what a group holds open cannot be closed so, and is not sent."""
    at, picture = _person_id(writer, name, live), picture_of(live)
    wanted = {each.key: each.after is not None for each in changes}
    held = _held_open(writer, at, wanted)
    switches = {key[4]: on for key, on in wanted.items() if key not in held}
    if name not in picture.modules:
        # Nobody has read the switches of an owner or of somebody new, who has all: the wish is the whole set.
        switches = {each: switches.get(each, False) for each in picture.licensed} | switches
    receipts = [
        Receipt(
            key=key,
            status="failed",
            message=f"the group {', '.join(groups) or 'of that person'} holds the module open",
            hint="only Piwik PRO's own administration can take a module from a group",
        )
        for key, groups in held.items()
    ]
    if switches:
        data = [{"type": "module/access", "id": each, "attributes": {"access": on}} for each, on in switches.items()]
        answer = _set(writer, "PUT", f"/api/modules/v1/access/user/{at}", {"data": data})
        receipts += [_sent(writer, key, answer) for key in wanted if key not in held]
    return receipts


def _held_open(writer: Writer, at: str, wanted: Mapping[Key, bool]) -> Mapping[Key, tuple[str, ...]]:
    """Return the groups that hold open what is to be closed, by key."""
    closing = [key for key, on in wanted.items() if not on]
    switches = (switches_of(writer, at) or {}) if closing else {}
    through = {key: switches[key[4]].group_access for key in closing if key[4] in switches}
    return {key: each.group_names for key, each in through.items() if each.access}


# --- what they share -------------------------------------------------------------------------------------------------


def _person_id(writer: Writer, name: str, live: Live) -> str:
    """Return the id of an account: known, or made in this run by a call whose answer was lost."""
    known = live.ids.get(account_key(name))
    if known is not None:
        return known
    row = person(writer, name)
    if row is None:
        raise _Nowhere(f"there is no account {name}")
    return row.id


def _group_id(writer: Writer, name: str, live: Live) -> str:
    known = live.ids.get(Group(name).key)
    if known is not None:
        return known
    row = group_named(writer, name)
    if row is None:
        raise _Nowhere(f"there is no group {name}")
    return row.id


def _set(writer: Writer, method: Method, path: str, body: object = None) -> Answer:
    """Send a command that may be repeated, and repeat it once if its answer was lost."""
    try:
        answer = writer.command(method, path, json=body)
        if answer.status < 500:
            return answer
    except OutcomeUnknown:
        pass
    return writer.command(method, path, json=body)


def _has(answer: Answer, code: str) -> bool:
    return any(each.code == code for each in faults_of(answer))


def _sent(writer: Writer, key: Key, answer: Answer) -> Receipt:
    """Return the receipt for an answer, whatever its status."""
    if answer.ok:
        return Receipt(key=key, status="sent")
    if answer.status >= 500:
        return Receipt(key=key, status="unknown", message=f"the server answered {answer.status}")
    fault = next(iter(faults_of(answer)), Fault())
    words = words_of(writer, answer)
    told, hint = _MEANINGS.get(fault.code, (words or _bare(answer.status), None))
    return Receipt(key=key, status="failed", message=told, hint=hint)


def _bare(status: int) -> str:
    match status:
        case 403:
            return "the key's account may not do this (403); it needs the role Owner"
        case 404:
            return "it is not there (404)"
        case _:
            return f"it was refused ({status}), and the server said no more"
