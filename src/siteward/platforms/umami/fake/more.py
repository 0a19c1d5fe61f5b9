"""The Umami stand-in's answers beside users, teams, sites and public links: figures, reports, segments, tracking.

They matter for access because what hangs on a site or an account decides whether the account can be deleted
(API.md section 4), and because reading figures is what most grants are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.umami.fake.ask import PAGING, SEARCH, Ask, Listing, RefusalError, Route, bad_request, page
from siteward.platforms.umami.fake.rows import CrashError, Json, Thing
from siteward.platforms.umami.fake.schema import (
    Schema,
    UnfitError,
    loose_uuid,
    mapping,
    moment,
    one_of,
    optional,
    text,
    whole,
)
from siteward.platforms.umami.fake.sites import may_see, may_touch
from siteward.platforms.umami.fake.state import ident, token

if TYPE_CHECKING:
    from collections.abc import Mapping

_REPORTS = one_of(
    "attribution", "breakdown", "funnel", "goal", "heatmap", "journey", "performance", "retention", "revenue", "utm"
)
_OLD_REPORTS = one_of("funnel", "insights", "retention", "utm", "goals", "journey", "revenue", "attribution")
_FIGURES = ("pageviews", "visitors", "visits", "bounces", "totaltime")
_SITE = "/api/websites/<site>"


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers beside users, teams, sites and public links."""
    old = release == "2.20"
    report = {
        "websiteId": loose_uuid,
        "type": _OLD_REPORTS if old else _REPORTS,
        "name": text(200),
        "description": text(500) if old else optional(text(500)),
        "parameters": mapping,
    }
    kind = {"type": one_of("segment", "cohort")}
    segment = {**kind, "name": text(200), "parameters": mapping}
    found = {
        ("GET", "/api/heartbeat"): Route(lambda _: {"ok": True}, open=True),
        ("POST", "/api/send"): Route(send, {"type": optional(text()), "payload": mapping}, open=True),
        ("GET", f"{_SITE}/stats"): Route(stats, {"startAt": whole, "endAt": whole} if old else _RANGE),
        ("GET", f"{_SITE}/active"): Route(active),
        ("GET", "/api/reports/<report>"): Route(show_report),
        ("POST", "/api/reports"): Route(create_report, report),
        ("POST", "/api/reports/<report>"): Route(update_report, report),
        ("DELETE", "/api/reports/<report>"): Route(delete_report),
        ("GET", f"{_SITE}/reports"): Route(reports, {"type": optional(report["type"]), **PAGING}),
        ("GET", f"{_SITE}/segments"): Route(segments, kind if old else {**kind, **PAGING, **SEARCH}),
        ("POST", f"{_SITE}/segments"): Route(create_segment, segment),
        ("GET", f"{_SITE}/segments/<segment>"): Route(show_segment),
        ("POST", f"{_SITE}/segments/<segment>"): Route(update_segment, segment),
        ("DELETE", f"{_SITE}/segments/<segment>"): Route(delete_segment),
    }
    if not old:
        found["GET", "/api/config"] = Route(config, open=True)
        found["GET", "/api/reports"] = Route(
            lambda ask: reports(ask, ask.need("websiteId")),
            {"websiteId": loose_uuid, "type": optional(_REPORTS), **PAGING},
        )
    return found


def _in_time(values: object) -> None:
    """Ask for a whole range of time, as 3.x does of every figure."""
    named = set(values) if isinstance(values, dict) else set()
    if not ({"startAt", "endAt"} <= named or {"startDate", "endDate"} <= named):
        raise UnfitError("Either startAt+endAt or startDate+endDate must be provided")


_RANGE: Schema = {
    "startAt": optional(moment),
    "endAt": optional(moment),
    "startDate": optional(text()),
    "endDate": optional(text()),
    "": _in_time,
}


def config(ask: Ask) -> Json:
    """Return the public settings; the version is not among them, only whether 3.1 knows one."""
    shown: Json = {"cloudMode": False, "privateMode": False, "telemetryDisabled": True, "updatesDisabled": True}
    if ask.fake.factored:
        shown["sessionDeletionEnabled"] = False
    return shown if ask.fake.new else {**shown, "currentVersion": True}


def stats(ask: Ask, site: str) -> Json:
    """Return a site's figures, of which this server has none."""
    ask.must(may_see(ask, site))
    if ask.fake.old:
        return {key: {"value": 0, "prev": 0} for key in _FIGURES}
    return {**dict.fromkeys(_FIGURES, 0), "comparison": dict.fromkeys(_FIGURES, 0)}


def active(ask: Ask, site: str) -> Json:
    """Return how many look at a site right now."""
    ask.must(may_see(ask, site))
    return {"visitors": 0}


def reports(ask: Ask, site: str) -> Json:
    """List a site's reports."""
    ask.must(may_see(ask, site))
    wanted = ask.get("type")
    found = _of(ask, "report", site)
    return page(ask, Listing([thing for thing in found if wanted in {None, thing.own["type"]}], _row))


def _of(ask: Ask, table: str, site: str) -> list[Thing]:
    return [thing for thing in ask.state.things.values() if thing.table == table and thing.site == ident(site)]


def _row(thing: Thing) -> Json:
    """Return a report or segment."""
    user: Json = {"userId": thing.user} if thing.table == "report" else {}
    times: Json = {"createdAt": thing.created, "updatedAt": thing.updated}
    return {"id": thing.id, **user, "websiteId": thing.site, **thing.own, **times}


def create_report(ask: Ask) -> Json:
    """Save a report on a site."""
    site = ask.need("websiteId")
    ask.must(may_touch(ask, site, "website:update"))
    made = ask.state.new_thing("report", _report(ask), user=ask.me.id, site=site)
    ask.fake.touch()
    return _row(made)


def _report(ask: Ask) -> Json:
    return {key: ask.values.get(key) or "" for key in ("type", "name", "description", "parameters")}


def _the_report(ask: Ask, report: str) -> Thing:
    found = ask.state.things.get(ident(report))
    if found is None or found.table != "report":
        raise RefusalError(404)
    return found


def show_report(ask: Ask, report: str) -> Json:
    """Return a report; one that is not there makes the server break for whoever is no admin."""
    found = ask.state.things.get(ident(report))
    if found is None:
        raise CrashError
    ask.must(ask.is_admin or found.user == ask.me.id or may_see(ask, str(found.site)))
    return _row(found)


def update_report(ask: Ask, report: str) -> Json:
    """Change a report of one's own."""
    found = _the_report(ask, report)
    ask.must(ask.is_admin or found.user == ask.me.id)
    found.own = _report(ask)
    return _written(ask, found)


def _written(ask: Ask, thing: Thing) -> Json:
    thing.updated = ask.state.stamp()
    ask.fake.touch()
    return _row(thing)


def delete_report(ask: Ask, report: str) -> Json:
    """Delete a report of one's own."""
    found = _the_report(ask, report)
    ask.must(ask.is_admin or found.user == ask.me.id)
    return _gone(ask, found)


def _gone(ask: Ask, thing: Thing) -> Json:
    del ask.state.things[thing.id]
    ask.fake.touch()
    return {"ok": True}


def segments(ask: Ask, site: str) -> Json | list[Json]:
    """List a site's segments, in 2.x without pages."""
    ask.must(may_see(ask, site))
    found = [thing for thing in _of(ask, "segment", site) if thing.own["type"] == ask.get("type")]
    return [_row(thing) for thing in found] if ask.fake.old else page(ask, Listing(found, _row, ("name",)))


def create_segment(ask: Ask, site: str) -> Json:
    """Save a segment on a site, which from then on keeps its owner from being deleted."""
    ask.must(may_touch(ask, site, "website:update"))
    if ident(site) not in ask.state.websites:
        raise CrashError
    made = ask.state.new_thing("segment", dict(ask.values), site=ident(site))
    ask.fake.touch()
    return _row(made)


def _the_segment(ask: Ask, site: str, segment: str) -> Thing:
    found = ask.state.things.get(ident(segment))
    if found is None or found.site != ident(site):
        raise RefusalError(404)
    return found


def show_segment(ask: Ask, site: str, segment: str) -> Json:
    """Return a segment."""
    ask.must(may_see(ask, site))
    return _row(_the_segment(ask, site, segment))


def update_segment(ask: Ask, site: str, segment: str) -> Json:
    """Change a segment."""
    ask.must(may_touch(ask, site, "website:update"))
    found = _the_segment(ask, site, segment)
    found.own = dict(ask.values)
    return _written(ask, found)


def delete_segment(ask: Ask, site: str, segment: str) -> Json:
    """Delete a segment, and with the last one the way to delete the site's owner is free."""
    ask.must(may_touch(ask, site, "website:delete"))
    return _gone(ask, _the_segment(ask, site, segment))


def send(ask: Ask) -> Json:
    """Take in a tracking event; one with a revenue keeps the site's owner from being deleted."""
    payload = ask.json("payload")
    site = ask.state.websites.get(str(payload.get("website")))
    if site is None:
        raise bad_request("Website not found.")
    data = payload.get("data")
    if isinstance(data, dict) and "revenue" in data and "currency" in data:
        site.blocks += 1
    ask.fake.touch()
    return {"cache": token(200), "sessionId": ask.state.new_id(), "visitId": ask.state.new_id()}
