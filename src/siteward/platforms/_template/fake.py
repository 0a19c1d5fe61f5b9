"""The stand-in server: it keeps state, answers as the real one does, and starts from any world."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from siteward.platforms._template.settings import NAME
from siteward.platforms.fakery import Fake, World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from werkzeug.wrappers import Request

    from siteward.platforms.fakery import Clock, Handler

ME, KEY = "siteward", "sandbox-key"
FIRST = World(accounts=(WorldAccount(login=ME, role="admin"),))
DEMO = World(
    accounts=(*FIRST.accounts, WorldAccount(login="anna"), WorldAccount(login="ben", role="admin")),
    sites=(WorldSite(name="Shop", domain="shop.example.org"), WorldSite(name="Blog", domain="blog.example.org")),
    grants=(WorldGrant(account="anna", site="blog.example.org", role="viewer"),),
)


class ToyFake(Fake):
    """One server: who is admin by login, domains by id, and roles by login and id."""

    def __init__(self, world: World, release: str, clock: Clock) -> None:
        self.admins = {account.login: account.role == "admin" for account in world.accounts}
        self.sites = {f"s{number}": site.domain for number, site in enumerate(world.sites, 1)}
        ids = {domain: at for at, domain in self.sites.items()}
        self.roles = {(grant.account, ids[grant.site]): grant.role for grant in world.grants}
        super().__init__(platform=NAME, release=release, credentials={"key": KEY}, clock=clock)

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return what is answered."""
        return {
            ("GET", "/api/access"): self._access,
            ("PUT", "/api/accounts/<login>"): self._put_account,
            ("DELETE", "/api/accounts/<login>"): self._delete_account,
            ("PUT", "/api/grants/<login>/<site>"): self._put_grant,
            ("DELETE", "/api/grants/<login>/<site>"): self._delete_grant,
        }

    def routed(self, request: Request) -> Response:
        """Answer one request, if it has the key."""
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _answer({"error": "there is no such key"}, 401)
        return super().routed(request)

    def _access(self, _request: Request) -> Response:
        return _answer({
            "version": self.release,
            "me": ME,
            "accounts": [{"login": login, "admin": admin} for login, admin in self.admins.items()],
            "sites": [{"id": at, "domain": domain} for at, domain in self.sites.items()],
            "grants": [{"login": login, "site": at, "role": role} for (login, at), role in self.roles.items()],
        })  # fmt: skip

    def _put_account(self, request: Request, login: str) -> Response:
        body = request.get_json()
        if login not in self.admins and not body.get("password"):
            return _answer({"error": "a new account needs a password"}, 400)
        self.admins[login] = bool(body.get("admin", self.admins.get(login)))
        return self._changed()

    def _delete_account(self, _request: Request, login: str) -> Response:
        if self.admins.pop(login, None) is None:
            return _answer({"error": f"there is no account {login}"}, 404)
        self.roles = {key: role for key, role in self.roles.items() if key[0] != login}
        return self._changed()

    def _put_grant(self, request: Request, login: str, site: str) -> Response:
        role = request.get_json().get("role")
        if login not in self.admins or site not in self.sites or role not in {"viewer", "editor"}:
            return _answer({"error": "there is no such account, site or role"}, 404)
        self.roles[login, site] = role
        return self._changed()

    def _delete_grant(self, _request: Request, login: str, site: str) -> Response:
        if self.roles.pop((login, site), None) is None:
            return _answer({"error": "there is no such grant"}, 404)
        return self._changed()

    def _changed(self) -> Response:
        self.touch()
        return _answer({"ok": True})


def _answer(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, mimetype="application/json")


class _Factory:
    releases = ("1",)

    def fresh(self, release: str, *, clock: Callable[[], datetime]) -> Fake:
        return self.of(FIRST, release, clock=clock)

    def lived_in(self, release: str, *, clock: Callable[[], datetime]) -> Fake:
        return self.of(DEMO, release, clock=clock)

    def of(self, world: World, release: str, *, clock: Callable[[], datetime]) -> Fake:
        return ToyFake(world, release, clock)


FAKE = _Factory()
