"""Random worlds within traits: the tables of four kinds of platform, and what may stand on one instance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from siteward.access.codec import seal
from siteward.access.diagnostic import Diagnostic, Effect, Severity, Span
from siteward.access.guards import judge
from siteward.access.model import (
    EVERYWHERE,
    Access,
    Account,
    Grant,
    Group,
    Key,
    Member,
    Power,
    Resource,
    Scope,
    Status,
    Subject,
    account_key,
)
from siteward.access.plan import InstancePlan, Need, Plan, Step, Waived, compose
from siteward.access.policy import DEFAULT_LIMITS, Limit, Policy, Rule
from siteward.access.proposal import Proposal, manage
from siteward.access.state import DeclaredUser, Desired, Ended, Ending, Listing, Live, Memory, Origin, Site, Unsettled
from siteward.access.traits import Role, Traits, declarable, is_site

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ME = "siteward"
NAMES = ("anna", "ben", "Cem", "dora", "eva", "root", "breakglass-1", "[/x]", "a\u0301da")
SITES = tuple(Scope("site", domain) for domain in ("shop.example.org", "blog.example.org", "docs.example.org"))
STATUSES: tuple[Status, ...] = ("active", "active", "active", "pending", "suspended")
EFFECTS: tuple[Effect | None, ...] = (None, "mail", "destroys", "creates", "irreversible")
ENDINGS: tuple[Ending, ...] = ("expired", "not-yet", "suspended", "absent", "left")

UMAMI = Traits(
    platform="umami",
    version="3.2",
    shows_public=True,
    roles={
        "site": (
            Role(name="team-view-only", power=Power.VIEW, portable="view"),
            Role(name="team-member", power=Power.EDIT, portable="edit"),
            Role(name="team-manager", power=Power.MANAGE, portable="manage"),
            Role(name="owner", power=Power.MANAGE, declarable=False, owns=True),
        ),
        "team": (
            Role(name="team-view-only", power=Power.VIEW),
            Role(name="team-member", power=Power.EDIT),
            Role(name="team-owner", power=Power.MANAGE, declarable=False),
        ),
        "instance": (
            Role(name="user", power=Power.VIEW, portable="member", lingers=True),
            Role(name="admin", power=Power.ADMIN, portable="admin"),
        ),
    },
    top="admin",
    keeps_email=False,
    renames=True,
    powerful=frozenset({"admin", "team-manager"}),
)
MATOMO = Traits(
    platform="matomo",
    version="5.2",
    roles={
        "site": (
            Role(name="view", power=Power.VIEW, portable="view"),
            Role(name="write", power=Power.EDIT, portable="edit"),
            Role(name="admin", power=Power.MANAGE, portable="manage"),
        ),
        "instance": (Role(name="superuser", power=Power.ADMIN, portable="admin"),),
    },
    top="superuser",
    extras={"tagmanager_write": Power.EDIT, "tagmanager_publish": Power.MANAGE},
    included={"tagmanager_write": frozenset({"admin"}), "tagmanager_publish": frozenset({"admin"})},
    admin_excludes_grants=True,
    knows_self=False,
    onboarding=frozenset({"invite", "password"}),
    powerful=frozenset({"superuser", "admin", "tagmanager_publish"}),
    public_account="anonymous",
)
PIWIKPRO = Traits(
    platform="piwik-pro",
    roles={
        "site": (
            Role(name="view", power=Power.VIEW, portable="view"),
            Role(name="edit", power=Power.EDIT, portable="edit"),
            Role(name="edit-publish", power=Power.MANAGE, portable="publish"),
            Role(name="manage", power=Power.MANAGE, portable="manage"),
        ),
        "metasite": (
            Role(name="view", power=Power.VIEW, portable="view"),
            Role(name="edit", power=Power.EDIT, portable="edit"),
            Role(name="manage", power=Power.MANAGE, portable="manage"),
        ),
        "module": (Role(name="on", power=Power.VIEW),),
        "instance": (Role(name="owner", power=Power.ADMIN, portable="admin"),),
    },
    manages=frozenset({"account", "group", "member", "grant"}),
    top="owner",
    admin_excludes_grants=True,
    login="email",
    renames_groups=True,
    onboarding=frozenset({"invite"}),
    powerful=frozenset({"owner", "manage"}),
)
PLAUSIBLE = Traits(
    platform="plausible",
    roles={
        "site": (
            Role(name="viewer", power=Power.VIEW, portable="view"),
            Role(name="editor", power=Power.EDIT, portable="edit"),
        )
    },
    manages=frozenset({"grant"}),
    accounts_listed=False,
    knows_self=False,
    login="email",
    deletes=False,
    role_change="reinvite",
    onboarding=frozenset({"invite"}),
    blind_spots=("team-members",),
    shows_public=True,
)
ALL_TRAITS = (UMAMI, MATOMO, PIWIKPRO, PLAUSIBLE)


T = TypeVar("T")


def some(values: Iterable[T], *, most: int | None = None) -> st.SearchStrategy[set[T]]:
    """Draw a set of some of the values, of which there may be none."""
    every = list(values)
    return st.sets(st.sampled_from(every), max_size=most) if every else st.just(set())


def traits() -> st.SearchStrategy[Traits]:
    """Draw one of the tables."""
    return st.sampled_from(ALL_TRAITS)


def scopes(table: Traits) -> tuple[Scope, ...]:
    """Return the scopes of the little world on which that platform has roles."""
    every = (*SITES, Scope("metasite", "Europe"), Scope("module", "analytics"), Scope("team", "t1"), EVERYWHERE)
    return tuple(scope for scope in every if scope.kind in table.roles)


def spans() -> st.SearchStrategy[Span]:
    """Draw a place in a declaration."""
    return st.builds(Span, st.sampled_from(("access.yaml", "teams/shop.yaml")), st.integers(1, 90), st.integers(1, 20))


@st.composite
def grants(draw: st.DrawFn, table: Traits, subject: Subject, scope: Scope, *, wish: bool = False) -> Grant:
    """Draw a grant the platform can hold; a wish may leave the extras open, and is declarable."""
    roles = [role for role in table.roles[scope.kind] if role.declarable or not wish]
    role = draw(st.sampled_from(roles))
    free = [extra for extra in table.extras if role.name not in table.included.get(extra, ())] if is_site(scope) else []
    extras = draw(st.frozensets(st.sampled_from(free))) if free else frozenset()
    return Grant(subject, scope, role.name, None if wish and table.extras and draw(st.booleans()) else extras)


@st.composite
def held(draw: st.DrawFn, table: Traits, subject: Subject, *, wish: bool = False) -> tuple[Grant, ...]:
    """Draw what one subject holds; an admin has nothing on sites where the platform has it so."""
    places = [scope for scope in scopes(table) if not (wish and scope.kind == "team")]
    if subject.kind == "group":
        places = [place for place in places if is_site(place)]
    chosen = draw(st.lists(st.sampled_from(places), unique=True, max_size=4))
    found = tuple(draw(grants(table, subject, scope, wish=wish)) for scope in chosen)
    top = table.admin_excludes_grants and any(table.is_top(grant) for grant in found)
    return tuple(grant for grant in found if not (top and is_site(grant.scope)))


@st.composite
def access(draw: st.DrawFn, table: Traits, names: tuple[str, ...] = NAMES, *, wish: bool = False) -> Access:
    """Draw a consistent picture of access: whoever holds something is there."""
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=6))
    resources: list[Resource] = []
    for name in chosen:
        resources.append(draw(accounts(table, name, wish=wish)))
        resources.extend(draw(held(table, Subject("account", name), wish=wish)))
    if "group" in table.manages:
        for group in draw(st.lists(st.sampled_from(("analysts", "editors")), unique=True)):
            resources.append(Group(group, renamed=draw(st.sampled_from((None, "readers"))) if wish else None))
            resources.extend(draw(held(table, Subject("group", group), wish=wish)))
            resources.extend(Member(group, name) for name in sorted(draw(some(chosen))))
    return Access(resources)


@st.composite
def accounts(draw: st.DrawFn, table: Traits, name: str, *, wish: bool = False) -> Account:
    """Draw an account of that name."""
    email = draw(st.sampled_from((f"{name}@example.org", f"{name.upper()}@EXAMPLE.org", f"{name}@partner.test")))
    if wish:
        return Account(name, draw(st.sampled_from((None, email))) if table.keeps_email else None)
    status = draw(st.sampled_from(STATUSES))
    return Account(name, email if table.keeps_email else None, status=status)


@st.composite
def lives(draw: st.DrawFn, table: Traits, *, whole: bool | None = None, names: tuple[str, ...] = NAMES) -> Live:
    """Draw what the API shows: a world with ourselves in it, whole or with something unread."""
    world = draw(access(table, names))
    mine: list[Resource] = [Account(ME)]
    if table.top is not None:
        mine.append(Grant(Subject("account", ME), EVERYWHERE, table.top))
    if table.public_account is not None and draw(st.booleans()):
        mine.append(Grant(Subject("account", table.public_account), SITES[0], "view"))
    complete = draw(st.booleans()) if whole is None else whole
    every = Access((*world.values(), *mine))
    placed = [scope for scope in scopes(table) if is_site(scope)]
    return Live(
        access=every,
        sites={scope: Site(id=f"id-{scope.name}", label=scope.name, domains=(scope.name,)) for scope in placed},
        me=ME,
        ids={account.key: f"u-{account.name}" for account in every.accounts()},
        pending=frozenset(draw(some(sorted(every), most=2))),
        facts={account_key(ME): {"created": "2026-01-01"}},
        listings=(Listing(name="users", rows=len(every), complete=complete, proof="count"),),
    )


@st.composite
def declared_users(draw: st.DrawFn, name: str, handle: str = "") -> DeclaredUser:
    """Draw the declared user behind an account."""
    return DeclaredUser(
        handle=handle or name.casefold(),
        at=draw(spans()),
        kind=draw(st.sampled_from(("person", "person", "person", "service", "contractor", "client"))),
        ending=draw(st.sampled_from((None, None, None, *ENDINGS))),
        until=draw(st.sampled_from((None, None, NOW + timedelta(days=3), NOW + timedelta(days=300)))),
        email=draw(st.sampled_from((None, f"{name}@example.org", f"{name}@partner.test"))),
    )


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    """Draw a reason."""
    return Origin(
        at=draw(spans()),
        via=draw(st.sampled_from(((), ("group analysts", "role analyst")))),
        ticket=draw(st.sampled_from((None, "OPS-812"))),
        until=draw(st.sampled_from((None, NOW + timedelta(days=5), NOW + timedelta(days=90)))),
        wildcard=draw(st.sampled_from((None, None, "*.example.org"))),
    )


@st.composite
def desires(
    draw: st.DrawFn,
    table: Traits,
    live: Live,
    *,
    hostile: bool = False,
    names: tuple[str, ...] = NAMES,
    handles: Mapping[str, str] = MappingProxyType({}),
) -> Desired:
    """Draw what a declaration means for that instance; a hostile one may wish for what nobody may have.

    `handles` are those of some names; the others have themselves.
    """
    names = (*names, "newcomer", *((ME, ME.upper(), "ROOT") if hostile else ()))
    wish = draw(access(table, names, wish=True))
    declared = {
        account.name: draw(declared_users(account.name, handles.get(account.name, ""))) for account in wish.accounts()
    }
    for name in draw(some([account.name for account in live.access.accounts() if hostile or account.name != ME])):
        declared.setdefault(name, draw(declared_users(name, handles.get(name, ""))))
    ended = {name for name, declared_user in declared.items() if declared_user.ending is not None}
    kept = [resource for resource in wish.values() if _of(resource) not in ended]
    over = draw(some(sorted(live.access), most=3))
    placed = frozenset(live.sites)
    return Desired(
        access=Access(kept),
        origins={resource.key: draw(origins()) for resource in kept if draw(st.booleans())},
        declared_users=declared,
        ended={key: Ended("expired", Span("access.yaml", 9, 1)) for key in over},
        managed=draw(st.sampled_from((placed, placed, placed, frozenset(SITES[:1]) & placed, None))),
        public=draw(st.sampled_from(({}, {}, {SITES[0]: True}, {SITES[0]: False}))),
        modules=frozenset(draw(some(sorted(declared)))) - _top_accounts(kept, table),
        empty=not any(isinstance(resource, Grant) for resource in kept) and draw(st.booleans()),
    )


def _top_accounts(wishes: Iterable[Resource], table: Traits) -> frozenset[str]:
    """Return the accounts that have every module anyway, so that no file speaks of theirs."""
    if not table.admin_excludes_grants:
        return frozenset()
    return frozenset(wish.subject.name for wish in wishes if isinstance(wish, Grant) and table.is_top(wish))


def _of(resource: Resource) -> str | None:
    match resource:
        case Account(name=name) | Member(account=name) | Grant(subject=Subject("account", name)):
            return name
        case _:
            return None


@st.composite
def policies(draw: st.DrawFn, *, limits: bool = True) -> Policy:
    """Draw a policy; without `limits` its budgets are open."""
    loose = {name: Limit() for name in DEFAULT_LIMITS}
    return Policy(
        mode=draw(st.sampled_from(("full", "full", "full", "add-only", "observe"))),
        unmanaged=draw(st.sampled_from(("report", "revoke", "remove"))),
        admins_min=draw(st.integers(1, 3)),
        admins_max=draw(st.sampled_from((None, None, 1, 3))),
        limits=draw(st.sampled_from((dict(DEFAULT_LIMITS), loose))) if limits else loose,
        protect=draw(st.sampled_from(((), ("root", "breakglass-*"), ("ANNA",), ("*@partner.test",)))),
        ignore=draw(st.sampled_from(((), ("eva",), ("b*",)))),
        rules=draw(st.sampled_from(((), RULES))),
    )


RULES = (
    Rule(id="contractors-expire", match={"kind": "contractor"}, require=("until",)),
    Rule(id="clients-only-view", match={"kind": "client"}, at_most=Power.VIEW),
    Rule(id="admin-needs-ticket", match={"power": "admin"}, require=("ticket",)),
)


@st.composite
def memories(
    draw: st.DrawFn, names: tuple[str, ...] = NAMES, handles: Mapping[str, str] = MappingProxyType({})
) -> Memory | None:
    """Draw what a journal remembers, or that there is none; with `handles`, of former logins and open writes too."""
    if draw(st.booleans()):
        return None
    known = draw(st.sets(st.sampled_from(names)))
    users = {handles.get(name, name.casefold()): name for name in known}
    if not handles:
        return Memory(accounts=frozenset(known), users=users)
    former, now, sent = (draw(st.sampled_from(names)) for _ in range(3))
    write = Unsettled(before=Account(sent), after=Account(sent, renamed=former), sent=NOW, lost=True)
    return Memory(
        accounts=frozenset(known), users=users, renamed={former: now}, identities={sent: "7"},
        unsettled=(write,) if draw(st.booleans()) else (),
    )  # fmt: skip


@st.composite
def proposals(draw: st.DrawFn, *, hostile: bool = False, whole: bool | None = None, limits: bool = True) -> Proposal:
    """Draw a world, a wish and a policy, and return what follows."""
    table = draw(traits())
    live = draw(lives(table, whole=whole))
    wish = draw(desires(table, live, hostile=hostile))
    return manage(live, wish, table, draw(policies(limits=limits)), draw(memories()))


@st.composite
def remarks(draw: st.DrawFn, proposal: Proposal) -> tuple[Diagnostic, ...]:
    """Draw what a platform's review might say of a proposal: consequences, and what it cannot do."""
    keys = [proposed.key for proposed in proposal.proposed]
    chosen = draw(st.lists(st.sampled_from(keys), unique=True, max_size=2)) if keys else []
    return tuple(draw(_remark(account)) for account in chosen)


@st.composite
def _remark(draw: st.DrawFn, about: Key) -> Diagnostic:
    effect = draw(st.sampled_from(EFFECTS))
    severity = draw(st.sampled_from((Severity.NOTE, Severity.WARNING, Severity.ERROR)))
    return Diagnostic(code="platform-says", severity=severity, message="by the platform", about=about, effect=effect)


@st.composite
def instance_plans(draw: st.DrawFn, *, hostile: bool = False, limits: bool = True) -> InstancePlan:
    """Draw a judged and composed plan of one instance."""
    proposal = draw(proposals(hostile=hostile, limits=limits))
    said = draw(remarks(proposal))
    judged = judge(proposal, as_of=NOW, allow_delete=draw(st.booleans()), remarks=said)
    part = compose(proposal, (*said, *judged), instance="stats", origin="https://stats.example.org")
    return replace(part, seconds=draw(_SECONDS))


_SECONDS = st.sampled_from((0.0, 0.25, 1.0, 12.5, 1e-7, 1e21))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a sealed plan of up to two instances."""
    parts = draw(st.lists(instance_plans().flatmap(_confined), max_size=2))
    named = tuple(replace(part, instance=f"stats-{at}") for at, part in enumerate(parts))
    plan = Plan(
        tool="0.1.0",
        created=NOW,
        as_of=NOW,
        config="access.yaml",
        commit=draw(st.sampled_from((None, "a1b2c3d"))),
        only=draw(st.sampled_from(((), ("user:a\u0301da \U0001f511\u2028",)))),
        instances=named,
        needs=draw(
            st.sampled_from(((), (Need(need="passwords", steps=2), Need(need="approval", steps=1, by=("anna",)))))
        ),
        waived=draw(st.sampled_from(((), (Waived(rule="public-share-link", about="shop", until="2027-06-30"),)))),
    )
    return seal(plan)


@st.composite
def _confined(draw: st.DrawFn, part: InstancePlan) -> InstancePlan:
    """Draw a plan or a part of it, with ids of groups, and with ends that are told in other zones."""
    if draw(st.booleans()):
        part = replace(part, left_out=part.held_back, held_back=())
    pinned: Mapping[Key, str] = draw(
        st.sampled_from(({}, {("group", "analysts"): "g-1"}, {("scope", "site", "elsewhere"): "s-1"}))
    )
    zone = draw(st.sampled_from((UTC, timezone(timedelta(hours=2)))))
    return replace(part, steps=tuple(_pinned(step, pinned, zone) for step in part.steps))


def _pinned(step: Step, pinned: Mapping[Key, str], zone: timezone) -> Step:
    origin = step.origin
    if origin is not None and origin.until is not None:
        origin = replace(origin, until=origin.until.astimezone(zone))
    return replace(step, ids={**step.ids, **pinned}, origin=origin)


def undeclarable(world: Access, table: Traits) -> frozenset[Key]:
    """Return the keys of what is a fact and not a right."""
    return frozenset(grant.key for grant in world.grants() if not declarable(grant, table))
