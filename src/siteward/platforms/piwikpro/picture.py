"""The adapter's own picture of one Piwik PRO account: what `read` leaves for reviewing and writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import EVERYWHERE, Grant, Subject, account_key
from siteward.platforms.piwikpro.roles import OWNER

if TYPE_CHECKING:
    from siteward.access.model import Access, Key
    from siteward.access.state import Live


class Picture(Struct, frozen=True, kw_only=True):
    """What is known beside the access itself.

    `whole` tells that an owner's key read everything; without it only the apps in `Live.sites` were looked at.
    `native` tells whether groups are managed, `licensed` which modules there are.
    """

    whole: bool
    native: bool
    licensed: frozenset[str] = frozenset()


def picture_of(live: Live) -> Picture:
    """Return the picture that `read` left in `live`."""
    if not isinstance(live.native, Picture):
        raise TypeError("this live state was not read by the Piwik PRO adapter")
    return live.native


def owner_key(account: str) -> Key:
    """Return the key of the ownership of an account."""
    return Grant(Subject("account", account), EVERYWHERE, OWNER).key


def is_owner(access: Access, account: str) -> bool:
    """Tell whether an account is an owner."""
    return owner_key(account) in access


def owners(access: Access) -> frozenset[str]:
    """Return the accounts that are owners."""
    return frozenset(
        each.subject.name
        for each in access.grants()
        if each.scope == EVERYWHERE and each.subject.kind == "account" and account_key(each.subject.name) in access
    )
