"""SitesManager: websites and their groups."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import ADMIN, VIEW, ApiError, Call, api
from siteward.platforms.matomo.fake.state import SITE_NAME_LENGTH, Site
from siteward.platforms.matomo.fake.users import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.platforms.matomo.fake.php import Value

CURRENCIES = {
    "USD": "US Dollar",
    "EUR": "Euro",
    "GBP": "British Pound",
    "CHF": "Swiss Franc",
    "JPY": "Japanese Yen",
    "SEK": "Swedish Krona",
    "PLN": "Polish Zloty",
    "CAD": "Canadian Dollar",
    "AUD": "Australian Dollar",
}


def site_record(call: Call, site: Site) -> dict[str, Value]:
    """Return a site as the release shows it; who made it is shown to superusers alone."""
    number, release = call.number, call.release
    shown: dict[str, Value] = {
        "idsite": number(site.id),
        "name": site.name,
        "main_url": site.urls[0] if site.urls else "",
        "ts_created": moment(site.created),
        "ecommerce": number(0),
        "sitesearch": number(1),
        "sitesearch_keyword_parameters": "",
        "sitesearch_category_parameters": "",
        "timezone": site.timezone,
        "currency": site.currency,
        "exclude_unknown_urls": number(0),
        "excluded_ips": "",
        "excluded_parameters": "",
        "excluded_user_agents": "",
    }
    if release.since(4):
        shown["excluded_referrers"] = ""
    shown |= {"group": site.group, "type": "website", "keep_url_fragment": number(0)}
    if release.since(5, 11):
        shown["description"] = site.description
    if release.since(3):
        shown |= {"creator_login": site.creator} if call.actor.superuser else {}
        shown |= {"timezone_name": site.timezone, "currency_name": CURRENCIES[site.currency]}
    return shown


def _records(call: Call, ids: Iterable[int]) -> list[Value]:
    return [site_record(call, call.state.sites[site_id]) for site_id in sorted(ids)]


def _ids(call: Call, ids: Iterable[int]) -> list[Value]:
    return [call.number(site_id) for site_id in ids]


def _limited(call: Call, found: list[Value]) -> list[Value]:
    limit = call.integer("limit")
    return found[:limit] if limit > 0 else found


# reading


@api("SitesManager.getAllSites")
def _get_all_sites(call: Call) -> Value:
    call.require_superuser()
    return {str(site): site_record(call, call.state.sites[site]) for site in sorted(call.state.sites)}


@api("SitesManager.getAllSitesId")
def _get_all_sites_id(call: Call) -> Value:
    call.require_superuser()
    return _ids(call, sorted(call.state.sites))


@api("SitesManager.getSitesGroups")
def _get_sites_groups(call: Call) -> Value:
    call.require_superuser()
    return list(dict.fromkeys(site.group for site in call.state.sites.values()))


@api("SitesManager.getSitesFromGroup")
def _get_sites_from_group(call: Call) -> Value:
    call.require_superuser()
    group = call.text("group").strip()
    return _records(call, (site.id for site in call.state.sites.values() if site.group == group))


@api("SitesManager.getSitesWithAtLeastViewAccess")
def _get_sites_with_at_least_view(call: Call) -> Value:
    return _limited(call, _records(call, call.sites_with(VIEW)))


@api("SitesManager.getSitesWithAdminAccess")
def _get_sites_with_admin(call: Call) -> Value:
    found = call.sites_with(ADMIN)
    if call.given("pattern"):
        found = [site for site in found if _matches(call.state.sites[site], call.text("pattern"))]
    return _limited(call, _records(call, found))


@api("SitesManager.getSitesWithViewAccess")
def _get_sites_with_view(call: Call) -> Value:
    return [] if call.actor.superuser else _records(call, call.sites_with(("view",)))


@api("SitesManager.getSitesIdWithAtLeastViewAccess")
def _get_ids_with_at_least_view(call: Call) -> Value:
    if call.actor.superuser:
        return _ids(call, sorted(call.state.sites))
    return _ids(call, [site for role in VIEW for site in call.sites_with((role,))])


@api("SitesManager.getSitesIdWithAdminAccess")
def _get_ids_with_admin(call: Call) -> Value:
    return _ids(call, call.sites_with(ADMIN))


@api("SitesManager.getSitesIdWithViewAccess")
def _get_ids_with_view(call: Call) -> Value:
    return [] if call.actor.superuser else _ids(call, call.sites_with(("view",)))


@api("SitesManager.getSitesIdWithWriteAccess", since=(3, 6))
def _get_ids_with_write(call: Call) -> Value:
    return [] if call.actor.superuser else _ids(call, call.sites_with(("write",)))


@api("SitesManager.getSiteFromId", "idSite")
def _get_site_from_id(call: Call) -> Value:
    site = call.integer("idSite")
    call.require_on(VIEW, [site])
    if site not in call.state.sites:
        raise ApiError(unexpected_site(call.text("idSite")))
    return site_record(call, call.state.sites[site])


def unexpected_site(given: str) -> str:
    """Return the words for a site that does not exist."""
    return f"An unexpected website was found in the request: website id was set to '{given}' ."


@api("SitesManager.getSiteUrlsFromId", "idSite")
def _get_site_urls(call: Call) -> Value:
    site = call.integer("idSite")
    call.require_on(VIEW, [site])
    return list(call.state.sites[site].urls) if site in call.state.sites else []


@api("SitesManager.getPatternMatchSites", "pattern")
def _get_pattern_match_sites(call: Call) -> Value:
    found = (site for site in call.sites_with(VIEW) if _matches(call.state.sites[site], call.text("pattern")))
    return _limited(call, _records(call, found))


def _matches(site: Site, pattern: str) -> bool:
    return any(pattern.lower() in text.lower() for text in (site.name, site.group, *site.urls))


@api("SitesManager.getSitesIdFromSiteUrl", "url")
def _get_ids_from_url(call: Call) -> Value:
    url = call.text("url").rstrip("/")
    allowed = set(call.sites_with(VIEW))
    return [
        {"idsite": call.number(site.id)}
        for site in call.state.sites.values()
        if url in site.urls and site.id in allowed
    ]


@api("SitesManager.getNumWebsitesToDisplayPerPage")
def _get_sites_per_page(call: Call) -> Value:
    call.require_some(VIEW)
    return 15


# writing


def _urls(call: Call) -> list[str]:
    return [
        address if "://" in address else f"http://{address}"
        for address in (url.strip().rstrip("/") for url in call.array("urls"))
        if address
    ]


def _zone(call: Call) -> str:
    zone = call.text("timezone") or "UTC"
    if zone not in zoneinfo.available_timezones():
        raise ApiError(f'The timezone "{zone}" is not valid. Please enter a valid timezone.')
    return zone


def _description(call: Call) -> str:
    """Return the description of a site, 255 characters at most (5.11; read, not driven)."""
    description = call.text("description") if call.release.since(5, 11) else ""
    if len(description) > 255:
        raise ApiError("The description may have 255 characters at most.", 400)
    return description


def _currency(call: Call) -> str:
    currency = call.text("currency") or "USD"
    if currency not in CURRENCIES:
        raise ApiError(
            f'The currency "{currency}" is not valid. Please enter a valid currency symbol (eg. USD, EUR, etc.)'
        )
    return currency


@api("SitesManager.addSite", "siteName", since=(3,))
@api("SitesManager.addSite", "siteName", "urls", until=(3,))
def _add_site(call: Call) -> Value:
    call.require_superuser()
    zone, currency = _zone(call), _currency(call)
    site = Site(
        call.state.next("site"),
        call.text("siteName").strip()[:SITE_NAME_LENGTH],
        _urls(call),
        call.state.now(),
        call.text("group").strip(),
        call.actor.login,
        zone,
        currency,
        _description(call),
    )
    call.state.sites[site.id] = site
    call.touched = True
    return site.id


def _existing(call: Call) -> Site:
    site = call.integer("idSite")
    if site not in call.state.sites:
        raise ApiError(f"website id = {site} not found")
    return call.state.sites[site]


@api("SitesManager.updateSite", "idSite")
def _update_site(call: Call) -> Value:
    call.require_on(ADMIN, [call.integer("idSite")])
    if call.release.since(3):
        call.require_login()
    site = _existing(call)
    site.name = call.text("siteName").strip()[:SITE_NAME_LENGTH] or site.name
    site.urls = _urls(call) or site.urls
    if "description" in call.params:
        site.description = _description(call)
    if "group" in call.params and call.actor.superuser:
        site.group = call.text("group").strip()
    call.touched = True
    return None


@api("SitesManager.renameGroup", "oldGroupName", "newGroupName", since=(2, 2))
def _rename_group(call: Call) -> Value:
    call.require_superuser()
    old, new = call.text("oldGroupName").strip(), call.text("newGroupName").strip()
    for site in call.state.sites.values():
        if site.group == old:
            site.group = new
    call.touched = True
    return True


@api("SitesManager.deleteSite", "idSite")
def _delete_site(call: Call) -> Value:
    call.require_superuser()
    if call.actor.session:
        call.confirm_password()
    site = _existing(call)
    if len(call.state.sites) == 1:
        raise ApiError(
            "It is not possible to delete this website as it is the only registered website. Add a new "
            "website first, then delete this one."
        )
    call.state.delete_site(site.id)
    call.touched = True
    return None
