"""Which release does what (API.md section 7); everything that depends on the version is decided here."""

from __future__ import annotations

import re

from msgspec import Struct

from siteward.transport.errors import NotThePlatform

_OLDEST = (2, 2)  # `hasSuperUserAccess` came with it; before 2.1 there was one superuser, in the config file


class Version(Struct, frozen=True, order=True):
    """The release of one server: `text` as it calls itself, `number` for comparing."""

    number: tuple[int, int]
    text: str

    @property
    def product(self) -> str:
        """The name it went by."""
        return "Matomo" if self.number >= (3, 3) else "Piwik"

    @property
    def has_write_role(self) -> bool:
        """Tell whether there is the role `write`, and capabilities."""
        return self.number >= (3, 6)

    @property
    def invites(self) -> bool:
        """Tell whether people can be invited."""
        return self.number >= (4, 11)

    @property
    def keeps_last_seen(self) -> bool:
        """Tell whether users show when they last opened a page (API calls never count)."""
        return self.number >= (3, 0)

    @property
    def confirms_email(self) -> bool:
        """Tell whether changing an e-mail needs the password of the token's owner, a token being no session."""
        return self.number >= (3, 8)

    @property
    def confirms_superuser(self) -> bool:
        """Tell whether making and unmaking superusers needs that password."""
        return self.number >= (3, 10)

    @property
    def splits_early(self) -> bool:
        """Tell whether an entry of a bulk is decoded before it is split, so that `&` in a value damages it."""
        return self.number < (5, 0)

    @property
    def mails_creator(self) -> bool:
        """Tell whether the acting user gets a mail for each account made or deleted."""
        return self.number >= (4, 0)

    @property
    def mails_changed_email(self) -> bool:
        """Tell whether a changed e-mail is told to the old and the new address."""
        return self.number >= (3, 0)

    @property
    def reinvites_changed_email(self) -> bool:
        """Tell whether a pending user gets a new invitation instead."""
        return self.number >= (5, 2)

    @property
    def mails_public(self) -> bool:
        """Tell whether every superuser gets a mail when a site is opened to everybody."""
        return self.number >= (5, 1)

    @property
    def refuses_login_like_email(self) -> bool:
        """Tell whether a login may not be another user's e-mail."""
        return self.number >= (4, 0)


def parse(text: str) -> Version:
    """Return the version that a server names; raises `NotThePlatform` for none, or one that is too old."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if not found:
        raise NotThePlatform(f"the server calls its version {text[:40]!r}, which is none of Matomo's")
    version = Version((int(found[1]), int(found[2])), text)
    if version.number < _OLDEST:
        raise NotThePlatform(f"{version.product} {text} is too old; 2.2 is the oldest that can be managed")
    return version
