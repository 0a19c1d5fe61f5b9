"""Ledgers for the matrix and the review: a small lived-in instance, and one of any size."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from render.reports import HOSTILE, NOW, grant, site
from siteward.access.diagnostic import Span
from siteward.access.effective import Entry, Holding, Ledger
from siteward.access.model import EVERYWHERE, Power
from siteward.access.state import Origin

ROLES = {Power.VIEW: "team-view-only", Power.EDIT: "team-member", Power.MANAGE: "team-manager", Power.ADMIN: "admin"}
SOON = datetime(2026, 12, 1, tzinfo=UTC)


def holding(
    who: str, where: str, live: Power, declared: Power, *, line: int = 9, until: datetime | None = None
) -> Holding:
    scope = site(where) if where else EVERYWHERE
    why = Origin(Span("access.yaml", line, 5), via=("group analysts",), ticket="OPS-1", reason="work", until=until)
    return Holding(
        scope=scope,
        live=grant(who, scope, ROLES[live]) if live else None,
        declared=grant(who, scope, ROLES[declared]) if declared else None,
        live_power=live,
        declared_power=declared,
        origin=why if declared else None,
    )


def small() -> Ledger:
    shop, blog = "shop.example.org", "blog.example.org"
    view, edit, manage, admin, none = Power.VIEW, Power.EDIT, Power.MANAGE, Power.ADMIN, Power.NONE
    entries = (
        Entry(account="anna", kind="person", handle="anna", email="anna@example.org",
              holdings=(holding("anna", "", admin, admin), holding("anna", shop, manage, manage))),
        Entry(account="b.cole", kind="person", handle="ben", email="ben@example.org",
              holdings=(holding("b.cole", shop, view, edit), holding("b.cole", blog, view, view))),
        Entry(account="jonas@partner.test", kind="contractor", handle="jonas", email="jonas@partner.test", until=SOON,
              holdings=(holding("jonas@partner.test", shop, edit, edit, until=SOON),)),
        Entry(account="li", kind="person", handle="li", email="li@example.org", status="pending",
              holdings=(holding("li", blog, none, view),)),
        Entry(account="old-agency", kind="undeclared", email="team@agency.test", facts={"last_seen": "2024-03-01"},
              holdings=(holding("old-agency", "", admin, none), holding("old-agency", blog, edit, none))),
        Entry(account="reports", kind="service", handle="reports", holdings=(holding("reports", shop, view, view),)),
        Entry(account="idle", kind="undeclared"),
    )  # fmt: skip
    sites = tuple(sorted(map(site, (shop, blog, "docs.example.org"))))
    return Ledger(instance="stats", platform="umami", origin="https://stats.example.org", sites=sites, entries=entries)


def hostile() -> Ledger:
    entries = tuple(
        Entry(account=name, kind="undeclared", email=name, facts={name: name},
              holdings=(holding(name, name, Power.VIEW, Power.ADMIN),))
        for name in HOSTILE
    )  # fmt: skip
    return Ledger(
        instance=HOSTILE[0], platform="umami", complete=False, sites=tuple(map(site, HOSTILE)), entries=entries
    )


def large(people: int, sites: int) -> Ledger:
    """Return a ledger of that size, the same every time; each person holds one to twelve grants."""
    chance = Random(7)
    names = [f"site{at:03}.example.org" for at in range(sites)]
    entries = []
    for at in range(people):
        who = f"user{at:04}"
        held = [
            holding(
                who, where, *chance.choice([(Power.VIEW, Power.VIEW)] * 8 + [(Power.EDIT, Power.MANAGE)]), line=at + 1
            )
            for where in chance.sample(names, min(sites, chance.randint(1, 12)))
        ]
        kind = "service" if at % 50 == 0 else "person"
        entries.append(Entry(account=who, kind=kind, handle=who, email=f"{who}@example.org", holdings=tuple(held)))
    return Ledger(instance="stats", platform="umami", sites=tuple(map(site, names)), entries=tuple(entries))


AS_OF = NOW
