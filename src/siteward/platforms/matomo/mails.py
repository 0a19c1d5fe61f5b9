"""Which mails the server sends for a change, and to whom (MAPPING section 6, default settings)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import Account, Grant
from siteward.platforms.matomo.picture import fold, is_anonymous, is_pending

if TYPE_CHECKING:
    from siteward.access.change import Change
    from siteward.platforms.matomo.picture import Picture


def addressees(change: Change, picture: Picture) -> tuple[str, ...]:
    """Return the address of each mail that making this change sends."""
    match change.before, change.after:
        case None, Account() as new:
            invited = (new.email or new.name,) if picture.onboarding == "invite" else ()
            return (*_notice(picture), *invited)
        case Account(), None:
            return _notice(picture)
        case Account() as old, Account() as new:
            return _changed_email(old, new, picture)
        case None, Grant(subject=subject) if is_anonymous(subject.name) and picture.version.mails_public:
            return tuple(each.email for each in picture.superusers)
        case _:
            return ()


def _notice(picture: Picture) -> tuple[str, ...]:
    """Return who hears of accounts made and deleted: the one who does it."""
    return (picture.mine,) if picture.version.mails_creator else ()


def _changed_email(old: Account, new: Account, picture: Picture) -> tuple[str, ...]:
    was, is_ = old.email or "", new.email or ""
    if fold(was) == fold(is_):
        return ()
    user = picture.user(old.name)
    if user is not None and is_pending(user) and picture.version.reinvites_changed_email:
        return (is_,)
    return (is_, was) if picture.version.mails_changed_email else ()
