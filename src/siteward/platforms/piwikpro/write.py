"""Writes changes by Piwik PRO's own calls (MAPPING.md sections 1, 4 and 5), and takes back their side effects.

Setting a level, a role, a language, members or modules may be repeated, so such a call is sent again once reading has
shown, after a lost answer, that it did not take place. Inviting and creating a group may not be repeated.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Scope, Subject
from siteward.platforms.confirm import DONE, INVITED, Verdict, confirm, read_back, sent
from siteward.platforms.interface import Receipt, native
from siteward.platforms.piwikpro.commands import (
    GROUPS,
    USERS,
    NotThereError,
    group_id,
    has_code,
    judged,
    person_id,
    set_level,
    set_state,
)
from siteward.platforms.piwikpro.native_state import NativeState
from siteward.platforms.piwikpro.refresh import group_named, level_of, members_of, person, switches_of
from siteward.platforms.piwikpro.roles import ENTITY, NO_ACCESS, ON
from siteward.platforms.piwikpro.rows import One, User, UserGroup, parse
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.platforms.piwikpro.rows import Row
    from siteward.transport.http import Answer, Writer


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Write the changes of one bundle and return their receipts.

    Raises `PlatformError` where the outcome is not known; the caller then reads it back.
    """
    try:
        match bundle.changes[0].after or bundle.changes[0].before:
            case Member(group=group):
                return _change_members(writer, group, bundle.changes, live)
            case Grant(scope=Scope("module"), subject=subject):
                return _change_modules(writer, subject.name, bundle.changes, live)
            case _:
                return [_write_change(writer, change, live, bundle) for change in bundle.changes]
    except NotThereError as missing:
        return [Receipt(key=change.key, status="failed", message=str(missing)) for change in bundle.changes]


def finish(writer: Writer, bundle: Bundle, live: Live) -> Receipt:
    """Take back the side effects of a change that has taken place; most changes have none. Raises `PlatformError`."""
    (change,) = bundle.changes
    try:
        match change.before, change.after:
            case None, Account() as account:
                return _close_modules(writer, account, live, bundle)
            case Grant(scope=scope) as grant, None if scope == EVERYWHERE:
                return _take_returned_access(writer, grant, live, bundle)
            case _:
                return Receipt(key=change.key, status="sent")
    except NotThereError as missing:
        return Receipt(key=change.key, status="unknown", message=str(missing))


def _write_change(writer: Writer, change: Change, live: Live, bundle: Bundle) -> Receipt:
    match change.before, change.after:
        case (None, Account()) | (Account(), Account() | None):
            return _write_account(writer, change, live, bundle)
        case (None, Group()) | (Group(), Group() | None):
            return _write_group(writer, change, live)
        case Grant(scope=scope) as grant, None if scope == EVERYWHERE:
            return _demote(writer, grant, live, bundle)
        case _, Grant(scope=scope) as grant if scope == EVERYWHERE:
            return _set_role(writer, grant, "OWNER", live)
        case Grant() as grant, None:
            return set_level(writer, grant, NO_ACCESS, live)
        case _, Grant() as grant:
            return set_level(writer, grant, grant.role, live)
        case _:
            raise TypeError(f"no call of Piwik PRO carries this change of {change.key}")


def _write_account(writer: Writer, change: Change, live: Live, bundle: Bundle) -> Receipt:
    match change.before, change.after:
        case None, Account() as account:
            return _invite(writer, account, live, bundle)
        case Account(), Account() as account:
            return _set_language(writer, account, live)
        case _:
            return _delete_account(writer, change.key, live)


def _write_group(writer: Writer, change: Change, live: Live) -> Receipt:
    match change.before, change.after:
        case None, Group() as group:
            return _create_group(writer, group)
        case Group(), Group(renamed=str(new)) as group:
            return _rename_group(writer, group, new, group_id(writer, group.name, live))
        case Group(), Group() as group:
            return _tie_group(writer, group, group_id(writer, group.name, live))
        case _:
            name, path = change.key[1], f"{GROUPS}/{group_id(writer, change.key[1], live)}"
            return set_state(writer, change.key, ("DELETE", path, None), lambda: group_named(writer, name) is None)


# --- accounts ---------------------------------------------------------------------------------------------------------


def _invite(writer: Writer, account: Account, live: Live, bundle: Bundle) -> Receipt:
    """Invite an account, then close the modules that the file does not want: a new account has all modules."""
    receipt = _send_invitation(writer, account)
    if account.key not in receipt.ids:
        return receipt
    known = replace(live, ids={**live.ids, **receipt.ids})
    try:
        closed = _close_modules(writer, account, known, bundle)
    except PlatformError as problem:
        closed = Receipt(key=account.key, status="unknown", message=f"its modules could not be closed: {problem}")
    return receipt if closed.status == "sent" else replace(receipt, status="unknown", message=closed.message)


def _close_modules(writer: Writer, account: Account, live: Live, bundle: Bundle) -> Receipt:
    """Close the modules of a new account that the file does not want."""
    user_id = person_id(writer, account.name, live)
    modules = [_open_module(account.name, module) for module in sorted(native(live, NativeState).licensed)]
    unwanted = bundle.unwanted([account, *modules])
    switches = {module.scope.name: False for module in modules if module.key in unwanted}
    closed = _send_switches(writer, user_id, switches)
    if closed.status == "sent":
        return Receipt(key=account.key, status="sent")
    still_open = _read_open_modules(writer, user_id, account.name)
    if not any(module.key in unwanted for module in still_open):
        return Receipt(key=account.key, status="sent")
    return Receipt(key=account.key, status="unknown", message=f"its modules could not be closed: {closed.message}")


def _send_invitation(writer: Writer, account: Account) -> Receipt:
    """Send an invitation; where the answer leaves the outcome open, the account is searched for."""
    attributes = {"email": account.email or account.name} | ({"language": account.language} if account.language else {})
    body = {"data": {"type": "ppms/user", "attributes": attributes}}
    accounts: list[Row[User]] = []

    def is_there() -> bool:
        row = person(writer, account.email or account.name)
        accounts[:] = [row] if row else []
        return bool(accounts)

    def judge(answer: Answer) -> Verdict:
        if answer.ok:
            accounts[:] = [parse(One[User], answer).data]
            return INVITED
        verdict = judged(writer, answer)
        if has_code(answer, "users.error.user-already-exists"):
            return read_back(verdict, is_there)
        return verdict

    send = partial(writer.command, "POST", f"{USERS}/invite", json=body)
    verdict = confirm(writer, send, judge, is_there, repeatable=False, parse=partial(parse, One[User]), done=INVITED)
    return verdict.receipt(account.key, {account.key: accounts[0].id} if verdict.status == "sent" else {})


def _set_language(writer: Writer, account: Account, live: Live) -> Receipt:
    """Set the language of an account."""
    user_id = person_id(writer, account.name, live)
    body = {"data": {"id": user_id, "type": "ppms/user", "attributes": {"language": account.language}}}

    def is_set() -> bool:
        row = person(writer, account.name)
        return row is not None and row.attributes.language == account.language

    return set_state(writer, account.key, ("PATCH", f"{USERS}/{user_id}", body), is_set)


def _delete_account(writer: Writer, key: Key, live: Live) -> Receipt:
    """Delete an account for good; it is no failure if it is gone already."""
    path = f"{USERS}/{person_id(writer, key[1], live)}"
    return set_state(
        writer, key, ("DELETE", path, None), lambda: person(writer, key[1]) is None, gone="it was gone already"
    )


# --- ownership --------------------------------------------------------------------------------------------------------


def _set_role(writer: Writer, grant: Grant, role: Literal["OWNER", "USER"], live: Live) -> Receipt:
    """Make an account an owner, or a user again."""
    user_id = person_id(writer, grant.subject.name, live)
    body = {"data": {"id": user_id, "type": "ppms/user", "attributes": {"role": role}}}

    def is_set() -> bool:
        row = person(writer, grant.subject.name)
        return row is not None and row.attributes.role == role

    return set_state(writer, grant.key, ("PATCH", f"{USERS}/{user_id}/change-role", body), is_set)


def _demote(writer: Writer, grant: Grant, live: Live, bundle: Bundle) -> Receipt:
    """Take the ownership, then the levels and modules that take effect again and that the file does not want.

    Levels and modules from before the ownership return with the demotion (MAPPING.md section 2).
    """
    receipt = _set_role(writer, grant, "USER", live)
    if receipt.status != "sent":
        return receipt
    try:
        return _take_returned_access(writer, grant, live, bundle)
    except PlatformError as problem:
        return Receipt(key=grant.key, status="unknown", message=f"{_describe_left_access(grant)}: {problem}")


def _take_returned_access(writer: Writer, grant: Grant, live: Live, bundle: Bundle) -> Receipt:
    """Take the levels and modules that returned with a demotion and that the file does not want."""
    name = grant.subject.name
    user_id = person_id(writer, name, live)
    levels, modules = _read_levels(writer, name, live), _read_open_modules(writer, user_id, name)
    unwanted = bundle.unwanted([Account(name, name), *levels, *modules])
    receipts = [set_level(writer, level, NO_ACCESS, live) for level in levels if level.key in unwanted]
    switches = {module.scope.name: False for module in modules if module.key in unwanted}
    receipts.append(_send_switches(writer, user_id, switches))
    unsent = next((receipt for receipt in receipts if receipt.status != "sent"), None)
    if unsent is not None:
        left = (*_read_levels(writer, name, live), *_read_open_modules(writer, user_id, name))
        if any(resource.key in unwanted for resource in left):
            message = f"{_describe_left_access(grant)}: {unsent.message}"
            return Receipt(key=grant.key, status="unknown", message=message)
    return Receipt(key=grant.key, status="sent")


def _describe_left_access(grant: Grant) -> str:
    """Return the message for access that returned with a demotion and could not be taken."""
    return f"not everything that woke could be taken from {grant.subject.name}"


def _read_levels(writer: Writer, name: str, live: Live) -> list[Grant]:
    """Return the grants of a person's own levels, as they are now."""
    scopes = [scope for scope in live.sites if scope.kind in ENTITY]
    rows = writer.map(lambda scope: level_of(writer, scope, live.sites[scope].id, name), scopes)
    levels = {scope: row.attributes.permission for scope, row in zip(scopes, rows, strict=True) if row}
    return [Grant(Subject("account", name), scope, level) for scope, level in levels.items() if level != NO_ACCESS]


def _read_open_modules(writer: Writer, user_id: str, name: str) -> list[Grant]:
    """Return the modules that a person's own switches open, as they are now."""
    switches = switches_of(writer, user_id) or {}
    return [_open_module(name, module) for module, switch in switches.items() if switch.access]


# --- modules ----------------------------------------------------------------------------------------------------------


def _open_module(name: str, module: str) -> Grant:
    """Return the grant that stands for an open module of a person."""
    return Grant(Subject("account", name), Scope("module", module), ON)


def _change_modules(writer: Writer, name: str, changes: Sequence[Change], live: Live) -> list[Receipt]:
    """Set the switches of one person in one call, without modules that a group holds open: these would stay open."""
    user_id = person_id(writer, name, live)
    wanted = {change.key: change.after is not None for change in changes}
    held_open = _find_groups_holding_open(writer, user_id, wanted)
    receipt = _send_switches(writer, user_id, {key[4]: on for key, on in wanted.items() if key not in held_open})
    refused = [_refuse_closing(key, groups) for key, groups in held_open.items()]
    return refused + [replace(receipt, key=key) for key in wanted if key not in held_open]


def _send_switches(writer: Writer, user_id: str, switches: Mapping[str, bool]) -> Receipt:
    """Set several switches in one call, or send nothing if there are none; the receipt has an empty key."""
    if not switches:
        return Receipt(key=(), status="sent")
    data = [{"type": "module/access", "id": module, "attributes": {"access": on}} for module, on in switches.items()]

    def is_set() -> bool:
        now = switches_of(writer, user_id) or {}
        return all(module in now and now[module].access == on for module, on in switches.items())

    return set_state(writer, (), ("PUT", f"/api/modules/v1/access/user/{user_id}", {"data": data}), is_set)


def _refuse_closing(key: Key, groups: Sequence[str]) -> Receipt:
    """Return the receipt for a module that was not closed, because groups hold it open for the person."""
    return Receipt(
        key=key,
        status="failed",
        message=f"the group {', '.join(groups) or 'of that person'} holds the module open",
        hint="only Piwik PRO's own administration can take a module from a group",
    )


def _find_groups_holding_open(
    writer: Writer, user_id: str, wanted: Mapping[Key, bool]
) -> Mapping[Key, tuple[str, ...]]:
    """Return the groups that hold open a module that is to be closed, by key."""
    closing = [key for key, on in wanted.items() if not on]
    switches = (switches_of(writer, user_id) or {}) if closing else {}
    through = {key: switches[key[4]].group_access for key in closing if key[4] in switches}
    return {key: by_group.group_names for key, by_group in through.items() if by_group.access}


# --- groups -----------------------------------------------------------------------------------------------------------


def _create_group(writer: Writer, group: Group) -> Receipt:
    """Create a group and tie it to its directory, if any; after a lost answer it is searched for by name."""
    body = {"data": {"type": "ppms/user-group", "attributes": {"name": group.name}}}
    made: list[Row[UserGroup]] = []

    def is_there() -> bool:
        row = group_named(writer, group.name)
        made[:] = [row] if row else []
        return bool(made)

    def judge(answer: Answer) -> Verdict:
        if not answer.ok:
            return judged(writer, answer)
        made[:] = [parse(One[UserGroup], answer).data]
        return DONE

    send = partial(writer.command, "POST", GROUPS, json=body)
    verdict = confirm(writer, send, judge, is_there, repeatable=False, parse=partial(parse, One[UserGroup]))
    if verdict.status != "sent":
        return verdict.receipt(group.key)
    receipt = _tie_group(writer, group, made[0].id) if group.external else DONE.receipt(group.key)
    return replace(receipt, ids={group.key: made[0].id})


def _rename_group(writer: Writer, group: Group, new: str, id_of_group: str) -> Receipt:
    """Give a group a new name (API.md section 4); members, levels and the tie to a directory stay."""
    attributes = {"name": new, "external_id": group.external}
    body = {"data": {"id": id_of_group, "type": "ppms/user-group", "attributes": attributes}}

    def is_renamed() -> bool:
        row = group_named(writer, new)
        return row is not None and row.id == id_of_group and row.attributes.external_id == group.external

    return set_state(writer, group.key, ("PATCH", f"{GROUPS}/{id_of_group}", body), is_renamed)


def _tie_group(writer: Writer, group: Group, id_of_group: str) -> Receipt:
    """Tie a group to the group of an identity provider that `group.external` names."""
    attributes = {"name": group.name, "external_id": group.external}
    body = {"data": {"id": id_of_group, "type": "ppms/user-group", "attributes": attributes}}

    def is_tied() -> bool:
        row = group_named(writer, group.name)
        return row is not None and row.attributes.external_id == group.external

    return set_state(writer, group.key, ("PATCH", f"{GROUPS}/{id_of_group}", body), is_tied)


def _change_members(writer: Writer, group: str, changes: Sequence[Change], live: Live) -> list[Receipt]:
    """Add members, or remove them, in one call.

    It is not known whether adding an account that is a member already fails (MAPPING.md section 8), so a refused list
    is sent again without the accounts that are as wanted.
    """
    id_of_group, adds = group_id(writer, group, live), changes[0].after is not None
    ids = {person_id(writer, change.key[2], live): change.key for change in changes}
    answer = _send_members(writer, id_of_group, ids, adds=adds)
    if not isinstance(answer, Verdict) and answer.status == 400:
        present = {row.id for row in members_of(writer, id_of_group)}
        rest = ids.keys() - present if adds else ids.keys() & present
        if rest == ids.keys():
            return _make_member_receipts(writer, ids.values(), answer)
        if rest:
            answer = _send_members(writer, id_of_group, rest, adds=adds)
        else:
            return [Receipt(key=key, status="sent", message="it was so already") for key in ids.values()]
    return _make_member_receipts(writer, ids.values(), answer)


def _make_member_receipts(writer: Writer, keys: Iterable[Key], answer: Answer | Verdict) -> list[Receipt]:
    """Return the receipts for an answer about several members: being one is a state, so it may be sent again."""
    verdict = answer if isinstance(answer, Verdict) else judged(writer, answer)
    return [replace(verdict.receipt(key), repeatable=True) for key in keys]


def _send_members(writer: Writer, id_of_group: str, user_ids: Collection[str], *, adds: bool) -> Answer | Verdict:
    body = {"data": [{"type": "ppms/user", "id": user_id} for user_id in sorted(user_ids)]}
    path = f"{GROUPS}/{id_of_group}/relationships/users"
    return sent(partial(writer.command, "POST" if adds else "DELETE", path, json=body))
