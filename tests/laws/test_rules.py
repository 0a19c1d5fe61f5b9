"""The law of the owners' rules: what `validate` refuses `plan` reports under the same id, and no step gives it."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hypothesis import assume, event, given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from declaration.tables import TRAITS, read_text, widest_of
from siteward.access.change import direction
from siteward.access.diagnostic import Diagnostic
from siteward.access.model import (
    Access,
    Account,
    Grant,
    Member,
    Power,
    Resource,
    Scope,
    Subject,
    account_key,
)
from siteward.access.state import Listing, Live, Memory, Site
from siteward.access.traits import Traits, is_site
from siteward.declaration.checks.grants import owners_rules
from siteward.declaration.context import Context
from siteward.declaration.resolve import resolve
from siteward.reconcile.apply.passwords import Passwords
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.dated import Revisions
from siteward.reconcile.revisions.base_policy import BasePolicy
from siteward.reconcile.survey import Survey, surveyed
from strategies import ALL_TRAITS, ME, NOW, some

if TYPE_CHECKING:
    from siteward.access.policy import Rule
    from siteward.access.state import DeclaredUser, Origin
    from siteward.declaration.declared import Declaration

FOLDER = Path(tempfile.mkdtemp(prefix="siteward-laws-"))
HERE = "here"
DOMAINS = {"shop": "shop.example.org", "blog": "blog.example.org", "docs": "docs.partner.test"}
TAGS = ("production", "acme")
PEOPLE = ("anna", "ben", "Cem", "dora")
DATES = ("2026-11-01", "2026-12-24", "2027-03-31")
PAST, SOON, LATER = DATES
SELECTORS = (
    "shop",
    "blog",
    "docs",
    *DOMAINS.values(),
    "*",
    "*.example.org",
    "tag:production",
    "tag:acme",
    "id:shop",
    "nosite.test",
)
SETTINGS = {"umami": {"layout": "per-site"}, "matomo": {}, "piwik-pro": {}, "plausible": {}}


def roles_of(table: Traits, kind: str) -> list[str]:
    """Return how a file may write the roles of a platform on a kind of scope."""
    roles = [role for role in table.roles.get(kind, ()) if role.declarable]
    return [role.portable for role in roles if role.portable] + [f"{table.platform}:{role.name}" for role in roles]


def maybe(draw: st.DrawFn, row: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a row with some of these values."""
    return row | {key: value for key, value in values.items() if draw(st.booleans()) and draw(st.booleans())}


@st.composite
def users(draw: st.DrawFn) -> dict[str, Any]:
    kind = st.sampled_from(("person", "contractor", "client", "service"))
    found = {}
    for name in PEOPLE:
        row = {"email": f"{name}@example.org", "kind": draw(kind)}
        row = maybe(draw, row, ticket="T-1", reason="because", logins={HERE: f"{name}.x@example.org"})
        if draw(st.booleans()):
            row["until"] = draw(st.sampled_from(DATES))
        found[name] = row
    return found


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    def members(*more: str) -> list[Any]:
        names = draw(st.lists(st.sampled_from((*PEOPLE, *more)), unique=True, min_size=1, max_size=3))
        dated = [
            {"user": name, "until": draw(st.sampled_from(DATES))} if draw(st.booleans()) else name for name in names
        ]
        later = {"user": draw(st.sampled_from(PEOPLE)), "from": LATER}
        return [*dated, later] if draw(st.booleans()) else dated

    inner: Any = members()
    if draw(st.booleans()):
        whom = draw(st.sampled_from(({"all": "people"}, {"kind": "contractor"}, {"all": "members"})))
        inner = {"from": whom, "members": ["!ben"]}
    return {"inner": inner, "outer": members(*(("inner",) if isinstance(inner, list) else ()))}


@st.composite
def grants(draw: st.DrawFn, table: Traits) -> list[dict[str, Any]]:
    kinds = [kind for kind in ("site", "site", "metasite", "instance") if roles_of(table, kind)]
    found = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds))
        to = draw(st.lists(st.sampled_from((*PEOPLE, "inner", "outer")), unique=True, min_size=1, max_size=2))
        row: dict[str, Any] = {"to": to, "role": draw(st.sampled_from(roles_of(table, kind))), "on": HERE}
        if kind == "site":
            chosen = draw(st.lists(st.sampled_from(SELECTORS), unique=True, min_size=1, max_size=3))
            row["sites"] = [*chosen, *(f"!{selector}" for selector in sorted(draw(some(SELECTORS, most=1))))]
        if kind == "metasite":
            row["metasites"] = ["Europe"]
        if table.extras and kind == "site" and draw(st.booleans()):
            row["extras"] = [draw(st.sampled_from(sorted(table.extras)))]
        row = maybe(draw, row, ticket="T-2", reason="so", until=draw(st.sampled_from(DATES)))
        found.append({**row, "from": SOON} if draw(st.integers(0, 7)) == 0 else row)
    return found


@st.composite
def rules(draw: st.DrawFn, table: Traits) -> list[dict[str, Any]]:
    roles = sorted(
        {role.removeprefix("x") for kind in ("site", "metasite", "instance") for role in roles_of(table, kind)}
    )
    keys: dict[str, tuple[str, ...]] = {
        "kind": ("person", "contractor", "client"),
        "power": ("view", "edit", "manage", "admin"),
        "user": ("anna", "C*", "*", "an?a", "B*"),
        "account": ("anna*", "*@example.org", "*.x@*", "*", "ben"),
        "site": (
            "shop",
            "shop.example.org",
            "*.example.org",
            "tag:production",
            "tag:a*",
            "*",
            "id:shop",
            "Europe",
            "nosite.test",
        ),
        "scope": ("site", "metasite", "instance"),
        "role": (*roles, *(role.partition(":")[2] for role in roles if ":" in role)),
    }
    found = []
    for number in range(draw(st.integers(1, 3))):
        match = {key: draw(st.sampled_from(keys[key])) for key in sorted(draw(some(keys, most=2)))}
        row: dict[str, Any] = {"id": f"rule-{number}", "match": match}
        require = sorted(draw(some(("ticket", "reason", "until", "email"), most=2)))
        if require:
            row["require"] = require
        row = maybe(
            draw,
            row,
            at_most_for=draw(st.sampled_from(("7d", "26d", "365d"))),
            not_with={"group": draw(st.sampled_from(("inner", "OUTER")))},
            login=draw(st.sampled_from(("*@example.org", "*.x@*", "B*"))),
        )
        if len(row) == 2 or draw(st.booleans()):
            row["at_most"] = draw(st.sampled_from(("view", "edit", "manage")))
        found.append(row)
    return found


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    found = {}
    for name, domain in DOMAINS.items():
        row: dict[str, Any] = {"domain": domain, "tags": sorted(draw(some(TAGS)))}
        found[name] = maybe(draw, row, on={HERE: name})
    return found


@st.composite
def documents(draw: st.DrawFn) -> tuple[Traits, dict[str, Any], list[dict[str, Any]]]:
    """Draw a file without rules, on some platform, and rules."""
    table = draw(st.sampled_from(ALL_TRAITS))
    row: dict[str, Any] = {"platform": table.platform, "url": "https://x.example.org", "self": ME}
    row |= SETTINGS[table.platform]
    if table.platform == "piwik-pro":
        row["native"] = draw(st.booleans())
    row = maybe(draw, row, manages=["*.example.org"], mode="observe", ignore=["ben*"])
    text = {
        "version": 1,
        "instances": {HERE: row},
        "sites": draw(sites()),
        "users": draw(users()),
        "groups": draw(groups()),
        "grants": draw(grants(table)),
        "policy": {"wildcards": {"at_most": "admin"}},
    }
    return table, text, draw(rules(table))


def loaded(text: dict[str, Any]) -> Declaration:
    """Load a file that is to be right."""
    found = read_text(FOLDER, json.dumps(text)).declaration
    assume(found is not None)
    assert found is not None
    return found


def ruled(text: dict[str, Any], rows: list[dict[str, Any]]) -> Declaration:
    """Load a file with rules, which its own grants may break."""
    plain, quiet = loaded(text), loaded({**text, "grants": [], "policy": {**text["policy"], "rules": rows}})
    return replace(plain, instances=quiet.instances)


@st.composite
def worlds(draw: st.DrawFn, table: Traits, declaration: Declaration) -> Live:
    """Draw what is live: all sites, and of what is declared a part, with other roles here and there, and more."""
    places = {Scope("site", domain): name for name, domain in DOMAINS.items()}
    if "metasite" in table.roles:
        places[Scope("metasite", "Europe")] = "m1"
    empty = Live(access=Access(), sites={place: _site(place, id_) for place, id_ in places.items()}, me=ME)
    wish = resolve(declaration, HERE, table, empty, as_of=NOW)
    resources: dict[Any, Resource] = {account_key(ME): Account(ME)}
    for key, resource in wish.access.items():
        if draw(st.booleans()):
            resources[key] = _other_role(draw, table, resource)
    for account in sorted(wish.declared_users):
        for scope in sorted(draw(some(sorted(places), most=1))):
            if scope.kind in table.roles and draw(st.booleans()):
                role = draw(st.sampled_from(table.roles[scope.kind])).name
                grant = Grant(Subject("account", account), scope, role)
                resources.setdefault(grant.key, grant)
    for resource in list(resources.values()):
        if isinstance(resource, Grant) and resource.subject.kind == "account":
            resources.setdefault(account_key(resource.subject.name), Account(resource.subject.name))
    listing = Listing(name="users", rows=len(resources), complete=True, proof="count")
    return replace(empty, access=Access(resources.values()), listings=(listing,))


def _site(scope: Scope, id_: str) -> Site:
    domains = (scope.name,) if scope.kind == "site" else ()
    return Site(id=id_, label=scope.name, domains=domains)


def _other_role(draw: st.DrawFn, table: Traits, resource: Resource) -> Resource:
    if not isinstance(resource, Grant):
        return replace(resource, renamed=None) if isinstance(resource, Account) else resource
    roles = [role.name for role in table.roles[resource.scope.kind]]
    role = draw(st.sampled_from(roles)) if draw(st.booleans()) else resource.role
    return replace(resource, role=role, extras=frozenset() if resource.extras is None else resource.extras)


def planned(
    declaration: Declaration, table: Traits, live: Live, base_policy: BasePolicy | None
) -> tuple[Survey, tuple[Diagnostic, ...]]:
    """Return what was seen, and all that is said of it, by the way that plan and apply go."""
    platform = SimpleNamespace(review=lambda *_: (), known=())
    instance: Any = SimpleNamespace(
        name=HERE,
        origin="https://x.example.org",
        platform=platform,
        confirmed=lambda: True,
        owner=None,
        pathless_bond=None,
    )
    seen = surveyed(
        declaration, instance, table, live, as_of=NOW, memory=Memory(), revisions=Revisions(base_policy=base_policy)
    )
    passwords = Passwords(folder=FOLDER, out=FOLDER / "passwords")
    return seen, seen.verdict(Allowance(accept={}, allow_delete=True, passwords=passwords, asks=False))


def refusals(declaration: Declaration) -> set[tuple[str, str, int]]:
    """Return what `validate` refuses: rule, handle, and the grant's number."""
    context = Context(declaration, frozenset(), widest_of, tuple(TRAITS), NOW)
    found = set()
    for number, grant in enumerate(declaration.grants or ()):
        alone = replace(context, declaration=replace(declaration, grants=(grant,)), _meanings={}, _people={})
        for rule in owners_rules(alone):
            found.add((rule.code, _who(rule), number))
    return found


def _who(found: Diagnostic) -> str:
    match = re.match(r"`([^`]+)`", found.message)
    assert match is not None, found
    return match[1]


def reached(declaration: Declaration, number: int, handle: str, seen: Survey, pattern: str | None) -> bool:
    """Return whether one grant gives that person anything here and now, on a site that a rule's pattern is about.

    `pattern` is the rule's `site`, None where it has none: a grant may name sites that the instance does not have.
    """
    alone = replace(declaration, grants=(declaration.grants or ())[number : number + 1])
    wish = resolve(alone, HERE, seen.traits, seen.live, as_of=NOW)
    names = {account for account, declared_user in wish.declared_users.items() if declared_user.handle == handle}
    groups_in = {member.group for member in wish.access.members() if member.account in names}
    mine = {("account", name) for name in names} | {("group", group) for group in groups_in}
    held = [*wish.access.grants(), *(claim.wish for claims in wish.claims.values() for claim in claims)]
    given = (grant for grant in held if isinstance(grant, Grant) and astuple(grant.subject) in mine)
    return any(pattern is None or (is_site(grant.scope) and _is_site(seen, pattern, grant.scope)) for grant in given)


def check(head: Declaration, table: Traits, live: Live, base_policy: BasePolicy | None) -> None:
    """Hold the plan against what the files' own check says, and against the rules said the slow way."""
    seen, said = planned(head, table, live, base_policy)
    told = {
        (diagnostic.code, _who(diagnostic))
        for diagnostic in said
        if diagnostic.code.startswith("rule-") and "nobody" not in diagnostic.message
    }
    judged = base_policy.as_judged() if base_policy is not None else head
    patterns = {rule.id: rule.match.get("site") for rule in seen.proposal.policy.rules}
    for code, handle, number in sorted(refusals(judged)):
        if reached(head, number, handle, seen, patterns[code]):
            event("refused and reported")
            assert (code, handle) in told, (code, handle, number)
    _gives_nothing_refused(seen, said)
    _tells_what_stands(seen, told)
    blocked = {diagnostic.about for diagnostic in said if diagnostic.blocks and diagnostic.code.startswith("rule-")}
    assert None not in blocked
    assert blocked <= {proposed.key for proposed in seen.proposal.proposed}


def _gives_nothing_refused(seen: Survey, said: tuple[Diagnostic, ...]) -> None:
    proposal = seen.proposal
    blocked = {diagnostic.about for diagnostic in said if diagnostic.blocks}
    for step in proposal.proposed:
        if step.key in blocked or direction(step.change, seen.traits) == "close":
            continue
        match step.change.after:
            case Grant(subject=Subject("account", name)) as grant:
                pairs = [(name, grant)]
            case Grant(subject=Subject("group", group)) as grant:
                pairs = [(member.account, grant) for member in proposal.projected.members() if member.group == group]
            case Member(group=group, account=name):
                pairs = [
                    (name, grant) for grant in proposal.projected.grants() if grant.subject == Subject("group", group)
                ]
            case _:
                pairs = []
        for name, grant in pairs:
            assert not any(_breaks(seen, rule, name, grant) for rule in proposal.policy.rules), (step, name)


def _tells_what_stands(seen: Survey, told: set[tuple[str, str]]) -> None:
    moved = {proposed.key for proposed in seen.proposal.proposed}
    for grant in seen.live.access.grants():
        name = grant.subject.name
        role = seen.traits.role(grant.scope.kind, grant.role)
        if grant.key in moved or grant.subject.kind == "group" or name not in seen.desired.declared_users or name == ME:
            continue
        if role is not None and role.lingers:
            continue
        for rule in seen.proposal.policy.rules:
            if rule.at_most is not None and _breaks(seen, replace(rule, require=()), name, grant):
                assert (rule.id, seen.desired.declared_users[name].handle) in told


def _breaks(seen: Survey, rule: Rule, account: str, grant: Grant) -> bool:
    """Tell whether a right breaks a rule, said a second time and the slow way."""
    declared_user, power, match = seen.desired.declared_users.get(account), seen.traits.power(grant), rule.match
    role = seen.traits.role(grant.scope.kind, grant.role)
    fits = {
        "kind": lambda: declared_user is not None and declared_user.kind == match["kind"],
        "power": lambda: power >= Power[match["power"].upper()],
        "user": lambda: declared_user is not None and _like(match["user"], declared_user.handle),
        "account": lambda: _like(match["account"], account),
        "site": lambda: is_site(grant.scope) and _is_site(seen, match["site"], grant.scope),
        "scope": lambda: match["scope"] == grant.scope.kind,
        "role": lambda: (
            match["role"]
            in {grant.role, f"{seen.traits.platform}:{grant.role}", role.portable if role is not None else None}
        ),
    }
    if not all(fits[key]() for key in match):
        return False
    origin = seen.desired.origins.get(grant.key)
    lines = [] if origin is None else [origin, *origin.others]
    for field in {"ticket", "reason"} & set(rule.require):
        if not any(getattr(line, field) for line in (*lines, *([declared_user] if declared_user else []))):
            return True
    if rule.login is not None and not _like(rule.login, account):
        return True
    if grant.subject.kind == "account" and _lasts_too_long(seen, rule, lines, declared_user):
        return True
    return rule.at_most is not None and power > rule.at_most


def _lasts_too_long(seen: Survey, rule: Rule, lines: list[Origin], declared_user: DeclaredUser | None) -> bool:
    """Tell whether a right that lines ask for lasts longer than a rule allows, or beside a membership it forbids."""
    ends = [line.until for line in lines] or [None]
    if rule.at_most_for is not None:
        last = NOW + timedelta(days=rule.at_most_for, hours=1)
        if any(end is None or end > last for end in ends):
            return True
    handle = declared_user.handle if declared_user is not None else ""
    times = [way.window for way in seen.desired.memberships.get(rule.not_with or "", {}).get(handle, ())]
    return any(
        (time.end is None or time.end > NOW) and (time.start is None or end is None or time.start < end)
        for time in times
        for end in ends
    )


def _like(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.lower().split("*"))), name.lower()) is not None


def _is_site(seen: Survey, pattern: str, scope: Scope) -> bool:
    if pattern.startswith("id:"):
        return seen.live.sites[scope].id == pattern[3:]
    names = {scope.name, *seen.desired.names.get(scope, ())}
    tags = {name for name in names if name.startswith("tag:")}
    return any(_like(pattern, tag) for tag in (tags if pattern.startswith("tag:") else names - tags))


@given(documents(), st.data())
def test_what_validate_refuses_plan_reports_and_no_step_gives(
    drawn: tuple[Traits, dict[str, Any], list[dict[str, Any]]], data: st.DataObject
) -> None:
    """For every grant in force that reaches the instance, on all platforms; what stands and breaks a rule is told."""
    table, text, rows = drawn
    declaration = ruled(text, rows)
    check(declaration, table, data.draw(worlds(table, declaration)), None)


@given(documents(), documents(), st.data())
def test_the_rules_of_the_base_are_as_good_as_ones_own(
    drawn: tuple[Traits, dict[str, Any], list[dict[str, Any]]],
    other: tuple[Traits, dict[str, Any], list[dict[str, Any]]],
    data: st.DataObject,
) -> None:
    """A change that takes the rules away, with the tags and the kinds they speak of, is judged by them all the same."""
    table, text, rows = drawn
    head = loaded(text)
    before = {**text, "sites": other[1]["sites"], "users": other[1]["users"]}
    base_policy = BasePolicy(head=head, ref="main", base=ruled(before, rows))
    check(head, table, data.draw(worlds(table, head)), base_policy)
