"""What else the Sites API stand-in answers: making and renaming sites, shared links, goals, custom properties.

Siteward asks for none of it; it is here so that a sandbox can be furnished the way a real Plausible is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from siteward.platforms.plausible.fake.server import (
    MANAGERS,
    READERS,
    Ask,
    PlausibleFake,
    ProblemError,
    page,
)
from siteward.platforms.plausible.fake.state import GUEST, Goal, Site, Team

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug.wrappers import Response

SWITCHES = (
    "track_404_pages", "hash_based_routing", "outbound_links", "file_downloads", "revenue_tracking", "tagged_events",
    "form_submissions", "pageview_props",
)  # fmt: skip
_INSTALLATIONS = frozenset({"manual", "wordpress", "gtm", "npm"})
_BUILDERS = MANAGERS | {"editor"}
_RESERVED = re.compile(r"[!*'();:@&=+$,?#\[\]%\s]")
_RESERVED_NAME = "WordPress - Shared Dashboard"
_LONGEST_PROPERTY = 300
MOST_GOALS = 1000


class FurnishedFake(PlausibleFake):
    """A Plausible whose sites can be made, renamed and deleted, with links, goals and properties."""

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Response]]:
        """Return what is answered."""
        base = "/api/v1/sites"
        found = dict(super().routes())
        found[("POST", base)] = self.handler(self._create, "write", site=False)
        found[("GET", f"{base}/<path:site_id>")] = self.handler(self._show, "read")
        found[("PUT", f"{base}/<path:site_id>")] = self.handler(self._update, "write")
        found[("DELETE", f"{base}/<path:site_id>")] = self.handler(self._delete, "write")
        found[("PUT", f"{base}/shared-links")] = self.handler(self._link, "write")
        found[("GET", f"{base}/goals")] = self.handler(self._goals, "read")
        found[("PUT", f"{base}/goals")] = self.handler(self._put_goal, "write")
        found[("DELETE", f"{base}/goals/<goal>")] = self.handler(self._delete_goal, "write")
        found[("GET", f"{base}/custom-props")] = self.handler(self._properties, "read")
        found[("PUT", f"{base}/custom-props")] = self.handler(self._put_property, "write")
        found[("DELETE", f"{base}/custom-props/<path:property>")] = self.handler(self._delete_property, "write")
        return found

    # -- sites

    def _show(self, ask: Ask) -> object:
        return _described(self.at(ask, READERS | {GUEST}))

    def _create(self, ask: Ask) -> object:
        team = ask.team or self._chosen(ask)
        if self.state.role(team.id, ask.key.user) not in _BUILDERS:
            raise ProblemError(403, "You can't add sites to the selected team.")
        if team.most_sites is not None and self._how_many(team) >= team.most_sites:
            raise ProblemError(402, "Your account has reached the limit of sites.")
        domain, zone = str(ask.params.get("domain", "")).strip().lower(), ask.params.get("timezone", "Etc/UTC")
        if not domain:
            raise ProblemError(400, "domain: can't be blank")
        if _RESERVED.search(domain):
            raise ProblemError(400, "domain: must not contain URI reserved characters")
        if zone not in available_timezones():
            raise ProblemError(400, "timezone: is invalid")
        if self.state.site(domain) is not None:
            raise ProblemError(400, "domain: This domain cannot be registered. Somebody has it already.\n")
        tracker = _tracked({}, ask.body.get("tracker_script_configuration"))
        made = self.state.new_site(domain, team)
        made.timezone, made.tracker = zone, tracker
        self.touch()
        return _described(made)

    def _chosen(self, ask: Ask) -> Team:
        """Return where an old key, which names no team, makes a site."""
        own = [team for team in self.state.teams.values() if self.state.role(team.id, ask.key.user) == "owner"]
        if len(own) != 1:
            raise ProblemError(400, "You must select a team with the parameter team_id.")
        return own[0]

    def _how_many(self, team: Team) -> int:
        return sum(site.team == team.id for site in self.state.sites.values())

    def _update(self, ask: Ask) -> object:
        site = self.at(ask, _BUILDERS | {GUEST})
        if not {"domain", "tracker_script_configuration"} & ask.body.keys():
            raise ProblemError(400, "Payload must contain domain or tracker_script_configuration.")
        tracker = _tracked(site.tracker, ask.body.get("tracker_script_configuration"))
        if "domain" in ask.body:
            self._rename(site, str(ask.body["domain"]).strip().lower())
        site.tracker = tracker
        self.touch()
        return _described(site)

    def _rename(self, site: Site, domain: str) -> None:
        if domain == site.domain:
            raise ProblemError(400, "domain: New domain must be different than the current one")
        if not domain or _RESERVED.search(domain) or self.state.site(domain) is not None:
            raise ProblemError(400, "domain: This domain cannot be registered. Somebody has it already.\n")
        site.previous, site.renamed, site.domain = site.domain, self.clock(), domain

    def _delete(self, ask: Ask) -> object:
        self.state.delete_site(self.at(ask, frozenset({"owner"})))
        self.touch()
        return {"deleted": True}

    # -- what is on a site

    def _link(self, ask: Ask) -> object:
        site, name = self.at(ask, _BUILDERS), ask.params.get("name")
        if not name:
            raise ProblemError(400, "Parameter `name` is required to put a shared link.")
        if name == _RESERVED_NAME:
            raise ProblemError(400, "This name is reserved. Take another one.")
        self._included(site, "links", "Shared Links")
        if name not in site.slugs:
            site.slugs[name] = self.state.nanoid()
            self.touch()
        return {"name": name, "url": f"{self.url}/share/{site.domain}?auth={site.slugs[name]}"}

    def _included(self, site: Site, feature: str, words: str) -> None:
        if feature not in self.state.teams[site.team].features:
            raise ProblemError(402, f"Your current subscription plan does not include {words}")

    def _goals(self, ask: Ask) -> object:
        site = self.at(ask, READERS)
        return page(
            "goals", [(-at, _goal(at, each)) for at, each in sorted(site.goals.items(), reverse=True)], ask.params
        )

    def _put_goal(self, ask: Ask) -> object:
        site = self.at(ask, _BUILDERS)
        wish = self._wished_goal(ask)
        if wish.custom_props:
            self._included(site, "props", "Custom Properties")
        known = next((at for at, goal in site.goals.items() if goal.same(wish)), None)
        if known is None:
            if len(site.goals) >= MOST_GOALS:
                raise ProblemError(400, "goal: Maximum number of goals reached")
            known = self.state.new_id()
            site.goals[known] = wish
            self.touch()
        return {"domain": site.domain, **_goal(known, site.goals[known])}

    def _wished_goal(self, ask: Ask) -> Goal:
        kind = ask.params.get("goal_type")
        if kind not in {"event", "page"}:
            raise ProblemError(400, "Parameter `goal_type` is required to be event or page.")
        needed = "event_name" if kind == "event" else "page_path"
        if not ask.params.get(needed):
            raise ProblemError(400, f"Parameter `{needed}` is required to put a goal.")
        props = ask.body.get("custom_props")
        event = ask.params.get("event_name") if kind == "event" else None
        path = ask.params.get("page_path") if kind == "page" else None
        shown = ask.params.get("display_name") or event or f"Visit {path}"
        named = {str(key): str(value) for key, value in props.items()} if isinstance(props, dict) else {}
        return Goal(shown, kind, event, path, named)

    def _delete_goal(self, ask: Ask) -> object:
        site, text = self.at(ask, _BUILDERS), ask.params["goal"]
        if not text.isdigit() or site.goals.pop(int(text), None) is None:
            raise ProblemError(404, "Goal could not be found")
        self.touch()
        return {"deleted": True}

    def _properties(self, ask: Ask) -> object:
        return {"custom_properties": [{"property": prop} for prop in sorted(self.at(ask, READERS).props)]}

    def _put_property(self, ask: Ask) -> object:
        site, name = self.at(ask, _BUILDERS), ask.params.get("property")
        if not name:
            raise ProblemError(400, "Parameter `property` is required to put a property.")
        if len(name) > _LONGEST_PROPERTY:
            raise ProblemError(400, "Parameter `property` is too long")
        if name not in site.props:
            site.props = (*site.props, name)
            self.touch()
        return {"created": True}

    def _delete_property(self, ask: Ask) -> object:
        site = self.at(ask, _BUILDERS)
        if ask.params["property"] in site.props:
            site.props = tuple(prop for prop in site.props if prop != ask.params["property"])
            self.touch()
        return {"deleted": True}


def _described(site: Site) -> object:
    return {
        "domain": site.domain,
        "timezone": site.timezone,
        "custom_properties": list(site.props),
        "tracker_script_configuration": {
            "id": f"pa-{site.id:021d}",
            "installation_type": None,
            **dict.fromkeys(SWITCHES, False),
            **site.tracker,
        },
    }


def _tracked(now: Mapping[str, object], wish: object) -> Mapping[str, object]:
    """Return the options of a site's script after a wish, which is laid over what there is."""
    wished = wish if isinstance(wish, dict) else {}
    for name, value in wished.items():
        good = value in _INSTALLATIONS if name == "installation_type" else name in SWITCHES and isinstance(value, bool)
        if not good:
            raise ProblemError(400, f"tracker_script_configuration.{name}: is invalid")
    return {**now, **wished}


def _goal(at: int, goal: Goal) -> dict[str, object]:
    return {
        "id": at,
        "display_name": goal.display_name,
        "goal_type": goal.kind,
        "event_name": goal.event_name,
        "page_path": goal.page_path,
        "custom_props": dict(goal.custom_props),
    }
