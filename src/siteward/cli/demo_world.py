"""The small world of `siteward demo`: one Umami server with three sites, and a file that declares six people on it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from siteward.platforms.fakery import World

INSTANCE = "stats"
SELF = "siteward"
"""The account of the sandbox's own credentials."""

_FILE = """version: 1
instances:
  stats: {{platform: umami, url: "{url}", self: siteward, layout: per-site, accept_blind: [board-links]}}
users:
  anna: {{email: anna@example.org}}
  ben: {{email: ben@example.org}}
  carla: {{email: carla@example.org}}
  dmitri: {{email: dmitri@example.org}}
  elif: {{email: elif@example.org}}
  jonas: {{email: jonas@partner.test, kind: contractor, until: {until}}}
groups:
  newsroom: [carla, elif]
grants:
  - {{to: anna, role: admin, on: stats, reason: platform owner}}
  - {{to: ben, role: view, sites: "*.example.org", ticket: OPS-7}}
  - {{to: newsroom, role: edit, sites: blog.example.org, ticket: OPS-9}}
  - {{to: jonas, role: edit, sites: shop.example.org, reason: new shop}}
policy: {{admins: {{min: 1}}, limits: {{revocations: {{count: 5, percent: 100}}}}}}
"""


def small_file(url: str, today: date) -> str:
    """Return the declaration of the demo for a server at `url`; its contractor's access ends in 30 days."""
    return _FILE.format(url=url, until=today + timedelta(days=30))


def after_the_end(today: date) -> str:
    """Return a date on which the contractor's access is over."""
    return (today + timedelta(days=31)).isoformat()


def small_world() -> World:
    """Return what the server holds before: dmitri and ben have too much, elif has no account. Needs the extra `sandbox`."""
    from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

    held = {"ben": ("shop", "team-manager"), "dmitri": ("shop", "team-member"), "carla": ("blog", "team-member")}
    roles = {"anna": "admin"} | dict.fromkeys(("ben", "carla", "dmitri", "jonas"), "user")
    return World(
        accounts=tuple(WorldAccount(login=login, role=role) for login, role in roles.items()),
        sites=tuple(WorldSite(name=name.title(), domain=f"{name}.example.org") for name in ("shop", "blog", "docs")),
        grants=tuple(
            WorldGrant(account=login, site=f"{site}.example.org", role=role) for login, (site, role) in held.items()
        ),
    )
