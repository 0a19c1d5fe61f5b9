"""Stand-ins for Plausible: Cloud and Enterprise, which have the Sites API, and Community Edition, which has not.

What the Sites API answers is held to recorded examples, traps included: a put that answers 200 with the old role, a
deletion that says `deleted` and does nothing, 404 for a role that is too low.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.wrappers import Response

from siteward.platforms.fakery import Fake
from siteward.platforms.plausible.fake.state import GUEST, RefusedError, Shown, Site, State, Team

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Request

    from siteward.platforms.plausible.fake.state import Key

RELEASES = ("cloud", "enterprise")
VERSION = "v3.2.0"
HOURLY, BURST = 600, 60
_HOUR, _TEN = 3600, 10
_MOST = 100
READERS = frozenset({"owner", "admin", "editor", "viewer"})
MANAGERS = frozenset({"owner", "admin"})
_MISSING_KEY = "Missing API key. A key of Plausible is needed as Bearer token."
_BAD_KEY = "Invalid API key. It is unknown, or may not do this."
_NO_SITE_ID = "Missing site ID. Say which site with the parameter site_id."
NOT_FOUND = "Site could not be found"
T = TypeVar("T")


class ProblemError(Exception):
    """The request ends here with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: its texts from path, query and body together, the body, and whose key it carries."""

    params: Mapping[str, str]
    body: Mapping[str, object]
    key: Key
    team: Team | None = None


@dataclass
class PlausibleFake(Fake):
    """A Plausible of one team, with the Sites API. `limits` false: no request is one too many."""

    state: State = field(kw_only=True)
    limits: bool = field(default=True, kw_only=True)
    counted: Counter[tuple[object, int, int]] = field(default_factory=Counter, kw_only=True)

    def accept(self, email: str) -> None:
        """Let somebody accept every invitation that waits for them."""
        self.state.accept(email)

    def expire(self, email: str) -> None:
        """Let the invitations of an address end, as the nightly job does after 48 hours."""
        self.state.reject(email)

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Response]]:
        """Return what is answered."""
        base = "/api/v1/sites"
        return {
            ("GET", base): self.handler(self._sites, "read", site=False),
            ("GET", f"{base}/teams"): self.handler(self._teams, "read", site=False),
            ("GET", f"{base}/guests"): self.handler(self._guests, "read"),
            ("PUT", f"{base}/guests"): self.handler(self._put_guest, "write"),
            ("DELETE", f"{base}/guests/<path:email>"): self.handler(self._delete_guest, "write"),
            ("GET", "/api/system"): self._system,
        }

    def answer(self, request: Request) -> Response:
        """Answer one request after what happened by itself since the last; every answer tells the server's clock."""
        self.state.run_jobs()
        response = super().answer(request)
        response.headers["Date"] = format_datetime(self.clock(), usegmt=True)
        return response

    def throttled(self, request: Request) -> Response:  # noqa: ARG002 — the same for all
        """Answer a request over the limit; nothing says for how long."""
        return json_answer(
            {
                "error": f"Too many API requests in a short period of time: beyond {BURST} per {_TEN} seconds. Slow down."
            },
            429,
        )

    def not_routed(self, request: Request, problem: HTTPException) -> Response:  # noqa: ARG002 — the same for all
        """Answer a path that is none."""
        return json_answer({"status": 404, "message": "Not Found"}, 404)

    def handler(self, run: Callable[[Ask], Any], kind: str, *, site: bool = True) -> Callable[..., Response]:
        """Return what answers a route: it lets in who may `read` or `write`, and tells `run` what is asked."""

        def handle(request: Request, **path: str) -> Response:
            try:
                return json_answer(run(self._admitted(request, path, kind, site=site)))
            except ProblemError as problem:
                return json_answer({"error": problem.text}, problem.status)
            except (RefusedError, ValueError, binascii.Error):
                return json_answer({"error": "internal server error"}, 500)

        return handle

    def _admitted(self, request: Request, path: Mapping[str, str], kind: str, *, site: bool) -> Ask:
        """Check a request in the server's own order (API.md section 3)."""
        if not request.accept_mimetypes.accept_json:
            raise ProblemError(406, "Not Acceptable")
        header = request.headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            raise ProblemError(401, _MISSING_KEY)
        body = _body(request)
        texts = {name: each for name, each in body.items() if isinstance(each, str)}
        params = {**request.args, **texts, **path}
        if site and not params.get("site_id"):
            raise ProblemError(400, _NO_SITE_ID)
        key = self.state.keys.get(header.removeprefix("Bearer "))
        if key is None:
            raise ProblemError(401, _BAD_KEY)
        self._count(key)
        if kind == "write" and "sites" not in key.scopes:
            raise ProblemError(401, _BAD_KEY)
        feature = "sites" if kind == "write" else "stats"
        if site:
            self._allowed(key, self.state.site(params["site_id"]), feature)
        return Ask(params, body, key, self._team(key, params, feature))

    def _count(self, key: Key) -> None:
        """Count in windows of the clock: first the hour's, then the burst's (API.md section 4)."""
        if not self.limits:
            return
        now, bucket = int(self.clock().timestamp()), key.team if key.team is not None else ("user", key.user)
        for most, seconds, text in (
            (HOURLY, _HOUR, f"Too many API requests. The limit is {HOURLY} per hour. Ask for more."),
            (
                BURST,
                _TEN,
                f"Too many API requests in a short period of time: beyond {BURST} per {_TEN} seconds. Slow down.",
            ),
        ):
            window = (bucket, seconds, now // seconds)
            self.counted[window] += 1
            if self.counted[window] > most:
                raise ProblemError(429, text)

    def _allowed(self, key: Key, site: Site | None, feature: str) -> None:
        if site is None:
            return
        if site.consolidated:
            raise ProblemError(400, "This operation is unavailable for a consolidated view.")
        if key.team is not None and key.team != site.team:
            raise ProblemError(401, _BAD_KEY)
        self._paid(self.state.teams[site.team], feature)
        if self.state.role(site.team, key.user) is None:
            raise ProblemError(401, _BAD_KEY)

    def _paid(self, team: Team, feature: str) -> None:
        if team.locked:
            raise ProblemError(402, "This Plausible site is locked because its subscription has ended.")
        if feature not in team.features:
            raise ProblemError(
                402, f"The owner's account does not have access to {feature.capitalize()} API. Upgrade it."
            )

    def _team(self, key: Key, params: Mapping[str, str], feature: str) -> Team | None:
        """Return the team a request is confined to; an old key's unknown `team_id` is ignored."""
        wanted = next((team for team in self.state.teams.values() if team.identifier == params.get("team_id")), None)
        team = self.state.teams[key.team] if key.team is not None else wanted
        if team is None:
            return None
        self._paid(team, feature)
        if self.state.role(team.id, key.user) in {None, GUEST}:
            raise ProblemError(401, _BAD_KEY)
        return team

    def at(self, ask: Ask, roles: frozenset[str]) -> Site:
        """Return the site that is spoken of; a role that is too low looks like no site."""
        site = self.state.site(ask.params["site_id"])
        if site is None or self.state.role(site.team, ask.key.user) not in roles:
            raise ProblemError(404, NOT_FOUND)
        return site

    # -- the calls

    def _teams(self, ask: Ask) -> object:
        mine = [
            team
            for team in self.state.teams.values()
            if self.state.role(team.id, ask.key.user) not in {None, GUEST} and ask.key.team in {None, team.id}
        ]
        rows = [
            (-team.id, {"id": team.identifier, "name": team.name, "api_available": "stats" in team.features})
            for team in mine
        ]
        return page("teams", sorted(rows, key=lambda row: row[0]), ask.params)

    def _sites(self, ask: Ask) -> object:
        teams = (
            {ask.team.id}
            if ask.team
            else {member.team for member in self.state.members.values() if member.user == ask.key.user}
        )
        seen = [site for site in self.state.sites.values() if site.team in teams and self._sees(site, ask.key)]
        rows = [
            (-site.id, {"domain": site.domain, "timezone": site.timezone}) for site in seen if not site.consolidated
        ]
        return page("sites", sorted(rows, key=lambda row: row[0]), ask.params)

    def _sees(self, site: Site, key: Key) -> bool:
        if self.state.role(site.team, key.user) != GUEST:
            return True
        return self.state.guest(site, self.state.users[key.user].email) is not None

    def _guests(self, ask: Ask) -> object:
        site = self.at(ask, READERS)
        return page("guests", [(shown.order, _shown(shown)) for shown in self.state.shown(site)], ask.params)

    def _put_guest(self, ask: Ask) -> object:
        site = self.at(ask, MANAGERS)
        if ask.params.get("role") not in {"viewer", "editor"}:
            raise ProblemError(400, "Parameter `role` is required to be viewer or editor.")
        if "email" not in ask.params:
            raise ProblemError(400, "Parameter `email` is required to put a guest.")
        email = ask.params["email"]
        if self._entry(site, email) is None:
            self.state.invite(site, email, ask.params["role"], ask.key.user)
            self.touch()
        found = self._entry(site, email)
        return _shown(found) if found else {}

    def _delete_guest(self, ask: Ask) -> object:
        if self.state.remove(self.at(ask, MANAGERS), ask.params["email"]):
            self.touch()
        return {"deleted": True}

    def _entry(self, site: Site, email: str) -> Shown | None:
        return next((shown for shown in self.state.shown(site) if shown.email.lower() == email.lower()), None)

    def _system(self, request: Request) -> Response:  # noqa: ARG002 — the same for all
        build = {"version": VERSION, "commit": "0123abcd", "created": "2026-01-16T10:00:00Z", "tags": [VERSION]}
        return json_answer({"geo_database": "(not configured)", "build": build})


def _shown(each: Shown) -> dict[str, str]:
    return {"email": each.email, "role": each.role, "status": each.status}


def _body(request: Request) -> dict[str, object]:
    """Return the parameters in a body: JSON, form or multipart."""
    if request.is_json:
        data = json.loads(request.get_data() or b"{}")
        return data if isinstance(data, dict) else {}
    return dict(request.form)


def page(name: str, rows: Sequence[tuple[int, T]], params: Mapping[str, str]) -> object:
    """Return one page of rows that are sorted by their number, with the cursors around it (API.md section 5)."""
    asked = int(params.get("limit", _MOST))
    limit = asked if 1 <= asked <= _MOST else _MOST
    after, before = _cursor(params.get("after")), _cursor(params.get("before"))
    left = [row for row in rows if (after is None or row[0] > after) and (before is None or row[0] < before)]
    page = left[-limit:] if before is not None else left[:limit]
    more = bool(page) and page[-1][0] != rows[-1][0]
    earlier = bool(page) and page[0][0] != rows[0][0]
    return {
        name: [each for _, each in page],
        "meta": {
            "after": _written(page[-1][0]) if more else None,
            "before": _written(page[0][0]) if earlier else None,
            "limit": limit,
        },
    }


def _written(order: int) -> str:
    return base64.urlsafe_b64encode(f"sort:{order}".encode()).decode()


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    return int(base64.b64decode(text, altchars=b"-_", validate=True).decode().removeprefix("sort:"))


def json_answer(data: object, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(json.dumps(data), status=status, content_type="application/json; charset=utf-8")
