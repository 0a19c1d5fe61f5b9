"""Commands about user groups: creating, tying to a directory, and members (API.md section 4)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.platforms.confirm import DONE, Verdict, confirm
from siteward.platforms.interface import Receipt
from siteward.platforms.piwikpro.commands import GROUPS, group_id, judged, person_id, receipt_of, repeatable
from siteward.platforms.piwikpro.refresh import group_named, members_of
from siteward.platforms.piwikpro.rows import One, UserGroup, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Group
    from siteward.access.state import Live
    from siteward.platforms.piwikpro.rows import Row
    from siteward.transport.http import Answer, Writer


def make_group(writer: Writer, group: Group) -> Receipt:
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
    verdict = confirm(send, judge, is_there, parse=partial(parse, One[UserGroup]))
    if verdict.status != "sent":
        return verdict.receipt(group.key)
    receipt = tie_group(writer, group, made[0].id) if group.external else DONE.receipt(group.key)
    return replace(receipt, ids={group.key: made[0].id})


def tie_group(writer: Writer, group: Group, at: str) -> Receipt:
    """Tie a group to the group of an identity provider that `group.external` names."""
    attributes = {"name": group.name, "external_id": group.external}
    body = {"data": {"id": at, "type": "ppms/user-group", "attributes": attributes}}
    return receipt_of(writer, group.key, repeatable(writer, "PATCH", f"{GROUPS}/{at}", body))


def change_members(writer: Writer, group: str, changes: Sequence[Change], live: Live) -> list[Receipt]:
    """Add members, or remove them, in one call.

    It is not known whether adding an account that is a member already fails (MAPPING.md section 8), so a refused list
    is sent again without the accounts that are as wanted.
    """
    at, adds = group_id(writer, group, live), changes[0].after is not None
    ids = {person_id(writer, change.key[2], live): change.key for change in changes}
    answer = _send_members(writer, at, ids, adds=adds)
    if answer.status == 400:
        present = {row.id for row in members_of(writer, at)}
        rest = ids.keys() - present if adds else ids.keys() & present
        if rest == ids.keys():
            return [receipt_of(writer, key, answer) for key in ids.values()]
        if rest:
            answer = _send_members(writer, at, rest, adds=adds)
        else:
            return [Receipt(key=key, status="sent", message="it was so already") for key in ids.values()]
    return [receipt_of(writer, key, answer) for key in ids.values()]


def _send_members(writer: Writer, group: str, people: Collection[str], *, adds: bool) -> Answer:
    body = {"data": [{"type": "ppms/user", "id": person} for person in sorted(people)]}
    path = f"{GROUPS}/{group}/relationships/users"
    return writer.command("POST" if adds else "DELETE", path, json=body)
