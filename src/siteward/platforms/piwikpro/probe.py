"""Detection of the rights of an API key: all, if an owner made it, else those on the apps that its user manages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.interface import Reach
from siteward.platforms.piwikpro.read import managed_ids
from siteward.platforms.piwikpro.roles import listed, manager_traits, owner_traits
from siteward.platforms.piwikpro.session import ME, own_user

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.platforms.piwikpro.settings import Settings
    from siteward.transport.http import Answer, Reader


def probe(reader: Reader, settings: Settings) -> tuple[Traits, None]:
    """Return the traits that the credentials allow, after one request beside the token (two if the user is no owner).

    Raises `PlatformError`.
    """
    if own_user(reader).attributes.role == "OWNER":
        return owner_traits(native=settings.native), None
    return manager_traits(manages=bool(managed_ids(reader))), None


def _list_announced_ends(answer: Answer) -> tuple[str, ...]:
    """Return what an answer announces of the end of its interface; no such header is documented, so none is expected."""
    found = {name: answer.headers[name] for name in ("deprecation", "sunset") if name in answer.headers}
    return tuple(f"{answer.path} announces its end ({name}: {value}); report it" for name, value in found.items())


def reach(reader: Reader, settings: Settings, traits: Traits) -> Reach:  # noqa: ARG001 — the same for all settings
    """Return whose key the credentials are and what it may do, for `doctor`."""
    person = own_user(reader).attributes
    notes = (
        *_list_announced_ends(reader.query(ME)),
        f"the key acts as {person.email} and dies with that account: let it be an account of Siteward's own",
        "60 changes a minute are allowed; a thousand grants take about 17 minutes",
    )
    if listed(traits):
        return Reach(
            account=person.email,
            role="owner",
            may=(
                "read every account, group, site, meta site, level and open module",
                "invite, promote, demote and delete accounts, and set their modules",
                "set levels on every site and meta site, for people and for groups",
            ),
            may_not=("change an e-mail address", "see who has signed in last, or who has not accepted an invitation"),
            notes=notes,
        )
    return Reach(
        account=person.email,
        role="user",
        may=("read and set levels on the sites it manages",) if traits.manages else (),
        may_not=(
            "list accounts, owners, groups, their members and modules",
            "lower somebody who manages the same site",
            *(() if traits.manages else ("change anything",)),
        ),
        notes=notes,
    )
