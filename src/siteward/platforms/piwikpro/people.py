"""Commands about people: inviting, languages, ownership, deletion and module switches (API.md sections 3 and 8)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from siteward.access.model import Account, Grant, Scope, Subject
from siteward.platforms.confirm import INVITED, Verdict, confirm, read_back
from siteward.platforms.interface import Receipt, native
from siteward.platforms.piwikpro.commands import USERS, has_code, judged, person_id, receipt_of, repeatable, set_level
from siteward.platforms.piwikpro.native_state import NativeState
from siteward.platforms.piwikpro.refresh import level_of, person, switches_of
from siteward.platforms.piwikpro.roles import ENTITY, NO_ACCESS, ON
from siteward.platforms.piwikpro.rows import One, User, parse
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.platforms.piwikpro.rows import Row
    from siteward.transport.http import Answer, Writer


def invite(writer: Writer, account: Account, live: Live, bundle: Bundle) -> Receipt:
    """Invite an account, then close the modules that the file does not want: a new account has all modules."""
    receipt = _send_invitation(writer, account)
    if account.key not in receipt.ids:
        return receipt
    known = replace(live, ids={**live.ids, **receipt.ids})
    try:
        closed = close_modules(writer, account, known, bundle)
    except PlatformError as problem:
        closed = Receipt(key=account.key, status="unknown", message=f"its modules could not be closed: {problem}")
    return receipt if closed.status == "sent" else replace(receipt, status="unknown", message=closed.message)


def close_modules(writer: Writer, account: Account, live: Live, bundle: Bundle) -> Receipt:
    """Close the modules of a new account that the file does not want."""
    at = person_id(writer, account.name, live)
    modules = [switched_on(account.name, module) for module in sorted(native(live, NativeState).licensed)]
    unwanted = bundle.unwanted([account, *modules])
    closed = _send_switches(writer, at, {module.scope.name: False for module in modules if module.key in unwanted})
    if closed.status == "sent" or not any(
        grant.key in unwanted for grant in _read_open_modules(writer, at, account.name)
    ):
        return Receipt(key=account.key, status="sent")
    return Receipt(key=account.key, status="unknown", message="its modules could not be closed")


def _send_invitation(writer: Writer, account: Account) -> Receipt:
    """Send an invitation; where the answer leaves the outcome open, the account is searched for."""
    attributes = {"email": account.email or account.name} | ({"language": account.language} if account.language else {})
    body = {"data": {"type": "ppms/user", "attributes": attributes}}
    found: list[Row[User]] = []

    def is_there() -> bool:
        row = person(writer, account.email or account.name)
        found[:] = [row] if row else []
        return bool(found)

    def judge(answer: Answer) -> Verdict:
        if answer.ok:
            found[:] = [parse(One[User], answer).data]
            return INVITED
        verdict = judged(writer, answer)
        if has_code(answer, "users.error.user-already-exists"):
            return read_back(verdict, is_there)
        return verdict

    send = partial(writer.command, "POST", f"{USERS}/invite", json=body)
    verdict = confirm(send, judge, is_there, parse=partial(parse, One[User]), done=INVITED)
    return verdict.receipt(account.key, {account.key: found[0].id} if verdict.status == "sent" else {})


def set_language(writer: Writer, account: Account, live: Live) -> Receipt:
    """Set the language of an account."""
    at = person_id(writer, account.name, live)
    body = {"data": {"id": at, "type": "ppms/user", "attributes": {"language": account.language}}}
    return receipt_of(writer, account.key, repeatable(writer, "PATCH", f"{USERS}/{at}", body))


def delete_account(writer: Writer, key: Key, live: Live) -> Receipt:
    """Delete an account for good; it is no failure if it is gone already."""
    answer = repeatable(writer, "DELETE", f"{USERS}/{person_id(writer, key[1], live)}")
    if answer.status == 404:
        return Receipt(key=key, status="sent", message="it was gone already")
    return receipt_of(writer, key, answer)


def set_role(writer: Writer, grant: Grant, role: Literal["OWNER", "USER"], live: Live) -> Receipt:
    """Make an account an owner, or a user again."""
    at = person_id(writer, grant.subject.name, live)
    body = {"data": {"id": at, "type": "ppms/user", "attributes": {"role": role}}}
    return receipt_of(writer, grant.key, repeatable(writer, "PATCH", f"{USERS}/{at}/change-role", body))


def demote(writer: Writer, grant: Grant, live: Live, bundle: Bundle) -> Receipt:
    """Take the ownership, then the levels and modules that take effect again and that the file does not want.

    Levels and modules from before the ownership return with the demotion (MAPPING.md section 2).
    """
    receipt = set_role(writer, grant, "USER", live)
    if receipt.status != "sent":
        return receipt
    try:
        return put_back_to_sleep(writer, grant, live, bundle)
    except PlatformError as problem:
        return Receipt(key=grant.key, status="unknown", message=f"{_describe_awake(grant)}: {problem}")


def put_back_to_sleep(writer: Writer, grant: Grant, live: Live, bundle: Bundle) -> Receipt:
    """Take the levels and modules that returned with a demotion and that the file does not want."""
    name = grant.subject.name
    at = person_id(writer, name, live)
    woken, modules = _read_levels(writer, name, live), _read_open_modules(writer, at, name)
    unwanted = bundle.unwanted([Account(name, name), *woken, *modules])
    answers = [set_level(writer, grant, NO_ACCESS, live) for grant in woken if grant.key in unwanted]
    answers.append(
        _send_switches(writer, at, {module.scope.name: False for module in modules if module.key in unwanted})
    )
    if any(answer.status != "sent" for answer in answers):
        left = (*_read_levels(writer, name, live), *_read_open_modules(writer, at, name))
        if any(grant.key in unwanted for grant in left):
            return Receipt(key=grant.key, status="unknown", message=_describe_awake(grant))
    return Receipt(key=grant.key, status="sent")


def _describe_awake(grant: Grant) -> str:
    return f"not everything that woke could be taken from {grant.subject.name}"


def _read_levels(writer: Writer, name: str, live: Live) -> list[Grant]:
    """Return the grants of a person's own levels, as they are now."""
    scopes = [scope for scope in live.sites if scope.kind in ENTITY]
    rows = writer.map(lambda scope: level_of(writer, scope, live.sites[scope].id, name), scopes)
    levels = {scope: row.attributes.permission for scope, row in zip(scopes, rows, strict=True) if row}
    return [Grant(Subject("account", name), scope, level) for scope, level in levels.items() if level != NO_ACCESS]


def _read_open_modules(writer: Writer, at: str, name: str) -> list[Grant]:
    """Return the modules that a person's own switches open, as they are now."""
    switches = switches_of(writer, at) or {}
    return [switched_on(name, module) for module, switch in switches.items() if switch.access]


# --- modules ---------------------------------------------------------------------------------------------------------


def switched_on(name: str, module: str) -> Grant:
    """Return the grant that stands for an open module of a person."""
    return Grant(Subject("account", name), Scope("module", module), ON)


def change_modules(writer: Writer, name: str, changes: Sequence[Change], live: Live) -> list[Receipt]:
    """Set the switches of one person in one call, without modules that a group holds open: these would stay open."""
    at = person_id(writer, name, live)
    wanted = {change.key: change.after is not None for change in changes}
    held = _groups_holding_open(writer, at, wanted)
    receipt = _send_switches(writer, at, {key[4]: on for key, on in wanted.items() if key not in held})
    vain = [_refuse_closing(key, groups) for key, groups in held.items()]
    return vain + [replace(receipt, key=key) for key in wanted if key not in held]


def _send_switches(writer: Writer, at: str, switches: Mapping[str, bool]) -> Receipt:
    """Set several switches in one call, or send nothing if there are none; the receipt has an empty key."""
    if not switches:
        return Receipt(key=(), status="sent")
    data = [{"type": "module/access", "id": switch, "attributes": {"access": on}} for switch, on in switches.items()]
    return receipt_of(writer, (), repeatable(writer, "PUT", f"/api/modules/v1/access/user/{at}", {"data": data}))


def _refuse_closing(key: Key, groups: Sequence[str]) -> Receipt:
    return Receipt(
        key=key,
        status="failed",
        message=f"the group {', '.join(groups) or 'of that person'} holds the module open",
        hint="only Piwik PRO's own administration can take a module from a group",
    )


def _groups_holding_open(writer: Writer, at: str, wanted: Mapping[Key, bool]) -> Mapping[Key, tuple[str, ...]]:
    """Return the groups that hold open a module that is to be closed, by key."""
    closing = [key for key, on in wanted.items() if not on]
    switches = (switches_of(writer, at) or {}) if closing else {}
    through = {key: switches[key[4]].group_access for key in closing if key[4] in switches}
    return {key: by_group.group_names for key, by_group in through.items() if by_group.access}
