"""A real nginx before a sandbox, and a file for what is behind it; skipped in words where nginx is not installed."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from crossings.programs import listening
from platforms.plausible.at import needs_postgres
from rig import NOW, Rig
from siteward import platforms
from siteward.access.hosts import address_of
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve
from siteward.transport.link import Link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siteward.access.report import Report
    from siteward.platforms.fakery import Fake

SHOP, BLOG = "shop.example.org", "blog.example.org"
PEOPLE = ("anna", "ben", "carla")
EVERY = [
    ("umami", "3.2"),
    ("matomo", "5.3"),
    ("piwik-pro", "current"),
    ("plausible", "enterprise"),
    ("plausible", "ce-3"),
]
_OWNER = "siteward@example.org"
_SETTINGS: dict[str, dict[str, Any]] = {
    "umami": {"self": "siteward", "layout": "per-site", "accept_blind": ["board-links"]},
    "matomo": {"self": "root"},
    "piwik-pro": {"self": _OWNER},
    "plausible": {
        "self": _OWNER,
        "accept_blind": ["team-members", "shared-links"],
        "team_members": {"olga@example.org": "owner"},
    },
}
_ROLES = {"umami": "team-view-only", "matomo": "view", "piwik-pro": "view", "plausible": "viewer"}
_CONFIG = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/log info;
events {{ worker_connections 256; }}
http {{
    log_format seen '$request_method $request_uri $status $upstream_status $sent_http_content_encoding';
    access_log {folder}/seen seen;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        {server}
        location {base} {{
            proxy_pass http://127.0.0.1:{behind}/;
            {location}
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Seen:
    """A line of nginx's log: `passed` is whether the request came to the platform, `packed` whether the answer is gzip."""

    method: str
    path: str
    status: int
    passed: bool
    packed: bool


@dataclass
class Nginx:
    """An nginx that runs; `url` leads through it."""

    folder: Path
    port: int
    base: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base.rstrip('/')}"

    def seen(self) -> list[Seen]:
        """Return what it noted so far, in order."""
        lines = [line.split() for line in (self.folder / "seen").read_text().splitlines()]
        return [Seen(line[0], line[1], int(line[2]), line[3] != "-", line[4] == "gzip") for line in lines]

    def writes(self, on: str) -> list[Seen]:
        """Return what it noted of the commands to a path."""
        return [seen for seen in self.seen() if seen.method != "GET" and on in seen.path]


@contextmanager
def before(
    folder: Path, behind: int, *, base: str = "/", location: str = "", server: str = "", http: str = ""
) -> Iterator[Nginx]:
    """Run nginx before the port `behind`, which is mounted at `base`; the texts are lines of the blocks of these names."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: nginx)")
    folder.mkdir(parents=True)
    places = {"folder": folder, "base": base, "behind": behind, "location": location, "server": server, "http": http}

    def command_for(port: int) -> list[str]:
        (folder / "nginx.conf").write_text(_CONFIG.format(port=port, **places))
        return [program, "-p", str(folder), "-e", str(folder / "log"), "-c", str(folder / "nginx.conf")]

    with listening(command_for, folder / "said") as port:
        yield Nginx(folder, port, base)


def start(platform: str) -> World:
    """Return a world of two sites in which Anna sees the shop, and Ben too."""
    logins = {name: f"{name}@example.org" if platform in {"piwik-pro", "plausible"} else name for name in PEOPLE}
    accounts = tuple(WorldAccount(login=logins[name], email=f"{name}@example.org") for name in PEOPLE)
    if platform == "piwik-pro":
        accounts = (WorldAccount(login=_OWNER, role="owner"), *accounts)
    if platform == "plausible":
        accounts = (WorldAccount(login="olga@example.org", role="owner"),)
    more: dict[str, object] = {"self": _OWNER, "throttles": False} if platform == "piwik-pro" else {}
    return World(
        accounts=accounts,
        sites=(WorldSite(name=SHOP, domain=SHOP), WorldSite(name=BLOG, domain=BLOG)),
        grants=tuple(WorldGrant(account=logins[name], site=SHOP, role=_ROLES[platform]) for name in ("anna", "ben")),
        more={"limits": False} if platform == "plausible" else more,
    )


def document(platform: str, url: str) -> dict[str, Any]:
    """Return a file in which Ben has left the shop, Carla came to it, and Anna to the blog (not where that is a mail too many)."""
    blog = [] if platform == "plausible" else [{"to": "anna", "role": "view", "sites": "blog"}]
    wide = {"count": 99, "percent": 100}
    return {
        "version": 1,
        "instances": {"it": {"platform": platform, "url": url} | _SETTINGS[platform]},
        "users": {name: {"email": f"{name}@example.org"} for name in PEOPLE},
        "sites": {"shop": {"domain": SHOP}, "blog": {"domain": BLOG}},
        "policy": {
            "admins": {"min": 1},
            "limits": dict.fromkeys(("removals", "revocations", "escalations", "expiries", "mails"), wide),
        },
        "grants": [{"to": ["anna", "carla"], "role": "view", "sites": "shop"}, *blog],
    }


@dataclass
class Crossed(Rig):
    """A rig whose instance is reached over the network, through what stands before it."""

    more: dict[str, Any] = field(default_factory=dict)

    def declare(self, document: Any) -> None:
        super().declare(document)
        url = document["instances"]["it"]["url"]
        link = Link(**{"url": url, "workers": 4, **self.more.get("link", {})})
        env = {**self.instance.env, **self.more.get("env", {})}
        self.instance = replace(self.instance, link=link, env=env)

    def done(self) -> Report:
        """Plan and apply."""
        reviewed = self.plan().plan
        assert reviewed is not None
        return self.apply(reviewed)

    def left(self) -> int:
        """Return how many steps a new plan still has."""
        again = self.plan()
        assert again.plan is not None, [(told.code, told.message) for told in again.diagnostics]
        (part,) = again.plan.instances
        return len(part.steps)


@dataclass
class Crossing:
    """A sandbox, an nginx before it, and a rig that goes through it."""

    fake: Fake
    nginx: Nginx
    rig: Crossed


@contextmanager
def crossing(
    folder: Path,
    platform: str = "umami",
    release: str = "3.2",
    *,
    base: str = "/",
    env: dict[str, str] | None = None,
    link: dict[str, Any] | None = None,
    **lines: str,
) -> Iterator[Crossing]:
    """Give a sandbox of a platform with nginx before it."""
    if release == "ce-3":
        needs_postgres()
    ticks = count()
    # Community Edition takes five logins in a minute, so time passes there whenever it looks at its clock.
    fake = platforms.fake(platform).of(
        start(platform), release, clock=lambda: NOW + timedelta(seconds=5 * next(ticks) if release == "ce-3" else 0)
    )
    with serve(fake) as sandbox:
        fake.url = sandbox.url
        port = int(address_of(sandbox.url).rpartition(":")[2])
        with before(folder / "nginx", port, base=base, **lines) as nginx:
            more = {"env": env or {}, "link": link or {}}
            yield Crossing(fake, nginx, Crossed(folder / "rig", fake, document(platform, nginx.url), more=more))
