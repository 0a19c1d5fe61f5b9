"""A stand-in for a Piwik PRO account, with the server's rules as API.md tells them, limits and traps included.

It keeps state; it issues tokens that live for thirty minutes, throttles at 600 reads and 60 other calls a minute,
pages by ten unless asked, and answers errors in the five shapes of the product. Where the facts leave something
open, it takes the reading that is harder on a client: adding a present member fails, levels of owners are stored
and sleep, a request over the limit is refused before it is looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import Any

from werkzeug.wrappers import Request, Response

from siteward.platforms.fakery import Clock, Fake, World
from siteward.platforms.piwikpro.fake import apps, audit, groups, levels, metas, modules, users
from siteward.platforms.piwikpro.fake.state import EntityKind, Person, State
from siteward.platforms.piwikpro.fake.wire import PLAIN, Area, Asked, ProblemError, answer, error
from siteward.platforms.piwikpro.fake.world import CLIENT_ID, CLIENT_SECRET, FRESH, LIVED_IN, build

READS_A_MINUTE, WRITES_A_MINUTE = 600, 60
MINUTE = timedelta(minutes=1)
Handler = Callable[..., Response]


@dataclass
class PiwikPro(Fake):
    """The account behind one host."""

    state: State = field(default_factory=State)

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return all that is answered: the vendor's descriptions, without three calls they call deprecated."""
        apis: Mapping[Area, Mapping[str, Handler]] = {
            "users": _USERS,
            "groups": _GROUPS,
            "apps": _APPS,
            "grants": _GRANTS,
            "metas": _METAS,
            "modules": _MODULES,
            "audit": {"GET /api/audit-log/v1/entries": audit.list_audit},
        }
        routes = {
            _rule(line): self._guarded(area, handler) for area, api in apis.items() for line, handler in api.items()
        }
        return {**routes, ("POST", "/auth/token"): self._token}

    def throttled(self, request: Request) -> Response:  # noqa: ARG002 — other platforms look at it
        """Answer a request over the limit: 429, `Retry-After` in seconds, no body."""
        return Response(status=429, headers={"Retry-After": "1"})

    def _guarded(self, area: Area, handler: Handler) -> Handler:
        def guarded(request: Request, **arguments: Any) -> Response:
            if wait := self._over_limit(request):
                return Response(status=429, headers={"Retry-After": str(wait)})
            try:
                caller = self._caller(request)
                asked = Asked(area, self.state, request, caller, self.clock(), self.touch, self.struck)
                response: Response = handler(asked, **arguments)
            except ProblemError as problem:
                return error(area, request.method, problem)
            return response

        return guarded

    def _over_limit(self, request: Request) -> int:
        """Count this request; return the seconds to wait if it is over the limit. Refused ones do not count."""
        if not self.state.throttles:
            return 0
        verb, most = ("reads", READS_A_MINUTE) if request.method == "GET" else ("writes", WRITES_A_MINUTE)
        now, asked = self.clock(), self.state.asked.setdefault(verb, deque())
        while asked and asked[0] <= now - MINUTE:
            asked.popleft()
        if len(asked) >= most:
            return max(1, ceil((asked[0] + MINUTE - now).total_seconds()))
        asked.append(now)
        return 0

    def _caller(self, request: Request) -> Person:
        text = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.struck("expire-token", request):
            self.state.tokens.clear()
        token = self.state.tokens.get(text)
        if token is None or token.ends <= self.clock():
            raise ProblemError(401)
        return self.state.people[token.person]

    def _token(self, request: Request) -> Response:
        """Exchange client credentials for a token of thirty minutes (API.md section 1)."""
        given = request.get_json() if request.is_json else request.form
        if not given.get("client_id"):
            return _refused(400, "invalid_client", "a required parameter is absent", "client_id")
        if given.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", "grant not offered", "check parameters")
        key = self.state.keys.get(str(given["client_id"]))
        if key is None or key.secret != given.get("client_secret"):
            return _plain({"error": "invalid_client"}, 401)
        if not self.state.licence_active:
            return _plain({"code": 402, "message": "licence of organisation default is not active"}, 402)
        token = self.state.issue(self.state.people[key.person], self.clock())
        return _plain({"token_type": "Bearer", "expires_in": 1800, "access_token": token}, 200)


def _plain(data: Mapping[str, object], status: int) -> Response:
    response = answer(data, status)
    response.content_type = PLAIN
    return response


def _refused(status: int, code: str, words: str, hint: str) -> Response:
    return _plain({"error": code, "error_description": words, "hint": hint, "message": words}, status)


def _rule(line: str) -> tuple[str, str]:
    method, _, path = line.partition(" ")
    return method, path


_USERS: Mapping[str, Handler] = {
    "GET /api/users/v2": users.list_users,
    "POST /api/users/v2": users.create_user,
    "POST /api/users/v2/invite": users.invite,
    "GET /api/users/v2/me": users.get_me,
    "PATCH /api/users/v2/me": users.edit_me,
    "GET /api/users/v2/<user>": users.get_user,
    "PATCH /api/users/v2/<user>": users.edit_user,
    "DELETE /api/users/v2/<user>": users.delete_user,
    "PATCH /api/users/v2/<user>/change-role": users.change_role,
}
_GROUPS: Mapping[str, Handler] = {
    "GET /api/user-groups/v1": groups.list_groups,
    "POST /api/user-groups/v1": groups.create_group,
    "GET /api/user-groups/v1/<group>": groups.get_group,
    "PATCH /api/user-groups/v1/<group>": groups.edit_group,
    "DELETE /api/user-groups/v1/<group>": groups.delete_group,
    "GET /api/user-groups/v1/<group>/users": groups.list_members,
    "GET /api/user-groups/v1/<group>/users/excluded": groups.list_others,
    "POST /api/user-groups/v1/<group>/relationships/users": groups.add_members,
    "DELETE /api/user-groups/v1/<group>/relationships/users": groups.remove_members,
}
_APPS: Mapping[str, Handler] = {
    "GET /api/apps/v2": apps.list_apps,
    "POST /api/apps/v2": apps.create_app,
    "GET /api/apps/v2/<app>": apps.get_app,
    "PATCH /api/apps/v2/<app>": apps.edit_app,
    "DELETE /api/apps/v2/<app>": apps.delete_app,
    "GET /api/apps/v2/<app>/permissions": apps.people_of_app,
    "GET /api/apps/v2/user-group/<group>/permissions": apps.apps_of_group,
}
_METAS: Mapping[str, Handler] = {
    "GET /api/meta-sites/v1": metas.list_metas,
    "POST /api/meta-sites/v1": metas.create_meta,
    "GET /api/meta-sites/v1/apps-with-meta-sites": metas.list_both,
    "GET /api/meta-sites/v1/<meta>": metas.get_meta,
    "PATCH /api/meta-sites/v1/<meta>": metas.edit_meta,
    "DELETE /api/meta-sites/v1/<meta>": metas.delete_meta,
    "GET /api/meta-sites/v1/<meta>/apps": metas.list_meta_apps,
    "GET /api/meta-sites/v1/<meta>/apps/excluded": metas.list_other_apps,
    "GET /api/meta-sites/v1/<meta>/apps/integrity": metas.integrity,
    "POST /api/meta-sites/v1/<meta>/relationships/apps": metas.add_apps,
    "DELETE /api/meta-sites/v1/<meta>/relationships/apps": metas.remove_apps,
}
_MODULES: Mapping[str, Handler] = {
    "GET /api/modules/v1": modules.my_modules,
    "POST /api/modules/v1/by-users": modules.modules_by_users,
    "GET /api/modules/v1/<module>": modules.my_module,
    "GET /api/modules/v1/access/user/<user>": modules.modules_of,
    "PUT /api/modules/v1/access/user/<user>": modules.set_modules,
}


def _levels(kind: EntityKind) -> dict[str, Handler]:
    base = f"/api/access-control/v2/{kind}/<entity>/permission"
    return {
        f"GET {base}/user": levels.people_on(kind),
        f"GET {base}/user-group": levels.groups_on(kind),
        f"POST {base}/user/<holder_id>": levels.set_level(kind, "user"),
        f"POST {base}/user-group/<holder_id>": levels.set_level(kind, "user-group"),
        f"GET /api/access-control/v2/entry/ppms/{kind}/action/<action>": levels.entities_with(kind),
    }


_GRANTS: Mapping[str, Handler] = {
    **_levels("app"),
    **_levels("meta-site"),
    "GET /api/access-control/v2/global/actions": levels.global_actions,
    "GET /api/access-control/v2/entry/<entity>": levels.entity_actions,
    "GET /api/access-control/v2/entry/ppms/user/action/<action>": levels.people_with,
}


@dataclass(frozen=True, slots=True)
class _Factory:
    releases: tuple[str, ...] = ("current",)

    def fresh(self, release: str, *, clock: Clock) -> PiwikPro:
        return self.of(FRESH, release, clock=clock)

    def lived_in(self, release: str, *, clock: Clock) -> PiwikPro:
        return self.of(LIVED_IN, release, clock=clock)

    def of(self, world: World, release: str, *, clock: Clock) -> PiwikPro:
        credentials = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return PiwikPro("piwik-pro", release, credentials, clock, state=build(world))


FAKE = _Factory()
