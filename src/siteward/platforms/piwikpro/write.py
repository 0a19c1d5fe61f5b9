"""Writes changes by Piwik PRO's own calls (MAPPING.md sections 1, 4 and 5).

Setting a level, a role, a language or modules may be repeated, so such a call is sent again after a lost answer.
Inviting and creating a group may not: after a lost answer, a search shows whether it took place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Scope
from siteward.platforms.interface import Receipt
from siteward.platforms.piwikpro.commands import GROUPS, NotThereError, group_id, receipt_of, repeatable, set_level
from siteward.platforms.piwikpro.groups import change_members, make_group, tie_group
from siteward.platforms.piwikpro.people import (
    change_modules,
    close_modules,
    delete_account,
    demote,
    invite,
    put_back_to_sleep,
    set_language,
    set_role,
)
from siteward.platforms.piwikpro.roles import NO_ACCESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.transport.http import Writer


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Write the changes of one bundle and return their receipts.

    Raises `PlatformError` where the outcome is not known; the caller then reads it back.
    """
    try:
        match bundle.changes[0].after or bundle.changes[0].before:
            case Member(group=group):
                return change_members(writer, group, bundle.changes, live)
            case Grant(scope=Scope("module"), subject=subject):
                return change_modules(writer, subject.name, bundle.changes, live)
            case _:
                return [_write_change(writer, change, live, bundle) for change in bundle.changes]
    except NotThereError as missing:
        return [Receipt(key=change.key, status="failed", message=str(missing)) for change in bundle.changes]


def finish(writer: Writer, bundle: Bundle, live: Live) -> Receipt:
    """Take back the side effects of a change that has taken place; most have none. Raises `PlatformError`."""
    (change,) = bundle.changes
    try:
        match change.before, change.after:
            case None, Account() as account:
                return close_modules(writer, account, live, bundle)
            case Grant(scope=scope) as grant, None if scope == EVERYWHERE:
                return put_back_to_sleep(writer, grant, live, bundle)
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
            return demote(writer, grant, live, bundle)
        case _, Grant(scope=scope) as grant if scope == EVERYWHERE:
            return set_role(writer, grant, "OWNER", live)
        case Grant() as grant, None:
            return set_level(writer, grant, NO_ACCESS, live)
        case _, Grant() as grant:
            return set_level(writer, grant, grant.role, live)
        case _:
            raise TypeError(f"no call of Piwik PRO carries this change of {change.key}")


def _write_account(writer: Writer, change: Change, live: Live, bundle: Bundle) -> Receipt:
    match change.before, change.after:
        case None, Account() as account:
            return invite(writer, account, live, bundle)
        case Account(), Account() as account:
            return set_language(writer, account, live)
        case _:
            return delete_account(writer, change.key, live)


def _write_group(writer: Writer, change: Change, live: Live) -> Receipt:
    match change.before, change.after:
        case None, Group() as group:
            return make_group(writer, group)
        case Group(), Group() as group:
            return tie_group(writer, group, group_id(writer, group.name, live))
        case _:
            path = f"{GROUPS}/{group_id(writer, change.key[1], live)}"
            return receipt_of(writer, change.key, repeatable(writer, "DELETE", path))
