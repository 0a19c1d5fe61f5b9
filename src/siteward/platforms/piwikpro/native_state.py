"""The native state that `read` leaves in `Live.native` for reviewing and writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import EVERYWHERE, Grant, Subject, account_key
from siteward.platforms.piwikpro.roles import OWNER

if TYPE_CHECKING:
    from siteward.access.model import Access, Key


class NativeState(Struct, frozen=True, kw_only=True):
    """The extent of a reading, and the licensed modules.

    `whole` is true if an owner's key read everything; otherwise only the apps in `Live.sites` were read. `native` is true
    if groups are managed; `licensed` are the modules that the account has.
    """

    whole: bool
    native: bool
    licensed: frozenset[str] = frozenset()


def owner_key(account: str) -> Key:
    """Return the key of the grant that makes an account an owner."""
    return Grant(Subject("account", account), EVERYWHERE, OWNER).key


def is_owner(access: Access, account: str) -> bool:
    """Return whether an account is an owner."""
    return owner_key(account) in access


def owners(access: Access) -> frozenset[str]:
    """Return the accounts that are owners."""
    return frozenset(
        grant.subject.name
        for grant in access.grants()
        if grant.scope == EVERYWHERE and grant.subject.kind == "account" and account_key(grant.subject.name) in access
    )
