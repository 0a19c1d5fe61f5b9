"""What sites and teams are called."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from siteward.access.hosts import domain_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.platforms.umami.picture import Rows
    from siteward.platforms.umami.rows import SiteRow


def is_foreign(site: SiteRow, rows: Rows, me: str) -> bool:
    """Tell whether a site belongs to another account than `me`, or to nobody.

    Anybody with the role `user` can make a site of any domain (API.md section 6: not validated, not unique), so the
    domain of such a site proves nothing about whose it is.
    """
    return site.user_id != me if site.team_id is None else site.team_id not in rows.teams


def site_labels(rows: Rows, me: str) -> dict[str, str]:
    """Return the label of each site by id: the domain where it is unique, else `domain#id`.

    Foreign sites always carry their id and do not count, so that nobody can rename a site of ours by making another
    one of the same domain.
    """
    ours = Counter(domain_of(each) for each in rows.sites.values() if not is_foreign(each, rows, me))
    return {
        each.id: domain
        if (domain := domain_of(each)) and ours[domain] == 1 and not is_foreign(each, rows, me)
        else f"{domain}#{each.id}"
        for each in rows.sites.values()
    }


def team_labels(rows: Rows, idle: Iterable[str]) -> dict[str, str]:
    """Return the label of each team of `idle` by id: the name where it is unique among all teams, else `name#id`."""
    names: Mapping[str, int] = Counter(each.name for each in rows.teams.values())
    return {at: name if (name := rows.teams[at].name) and names[name] == 1 else f"{name}#{at}" for at in idle}


def domain_of(site: SiteRow) -> str:
    """Return the domain that a site answers for, as selectors compare it; it may be empty.

    Umami stores whatever was typed, a whole address too (recording 06_websites_transfer_shares).
    """
    return domain_in(site.domain or "")
