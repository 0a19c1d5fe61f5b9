"""What a declaration means for one instance at one moment, sentence by sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from declaration.tables import HEAD, declared, read_text
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Power, Scope, Subject, grant_key
from siteward.access.state import Live, Memory, Site
from siteward.access.traits import Role
from siteward.declaration.resolve import resolve
from siteward.declaration.unmatched import nowhere
from strategies import MATOMO, NOW, PIWIKPRO, PLAUSIBLE, UMAMI

if TYPE_CHECKING:
    from siteward.access.model import Resource
    from siteward.access.state import Desired
    from siteward.access.traits import Traits

USERS = """\
users:
  anna: {email: anna@example.org}
  ben: {email: ben@example.org}
  carla: {email: carla@example.org, kind: contractor, until: 2026-11-22}
  dora: {email: dora@example.org, state: suspended}
"""
MATOMO_HEAD = 'version: 1\ninstances:\n  eu: {platform: matomo, url: "https://matomo.example.org", self: root}\n'
PP_HEAD = 'version: 1\ninstances:\n  pp: {platform: piwik-pro, url: "https://acme.piwik.pro", native: true}\n'


def site(host: str, identity: str = "", *, label: str | None = None, **more: Any) -> Site:
    """Return a live site with that domain."""
    return Site(id=identity or host, label=label or host, domains=(host,), **more)


def live_of(*sites: Site, access: tuple[Resource, ...] = (), me: str = "siteward", kind: str = "site") -> Live:
    """Return a live instance with these sites."""
    return Live(access=Access(access), sites={Scope(kind, site.label): site for site in sites}, me=me)


SHOP, BLOG, DOCS = (site(f"{name}.example.org") for name in ("shop", "blog", "docs"))
THREE = live_of(SHOP, BLOG, DOCS)


def of(
    folder: Path, text: str, live: Live | None = THREE, traits: Traits = UMAMI, instance: str = "stats",
    at: datetime = NOW, memory: Memory | None = None,
) -> Desired:  # fmt: skip
    """Resolve a text for one instance."""
    return resolve(declared(folder, text), instance, traits, live, as_of=at, memory=memory)


def held(desired: Desired) -> dict[tuple[str, str], str]:
    """Return roles by account and scope."""
    return {(grant.subject.name, grant.scope.name): grant.role for grant in desired.access.grants()}


def codes(desired: Desired) -> list[str]:
    return [diagnostic.code for diagnostic in desired.diagnostics]


# -- selectors


@pytest.mark.parametrize(
    ("written", "reached"),
    [
        ("docs.example.org", {"docs"}),
        ("DOCS.Example.ORG.", {"docs"}),
        ("https://docs.example.org/", {"docs"}),
        ("Shop", {"shop"}),
        ("handle", {"blog"}),
        ("id:d7", {"docs"}),
        ('"*"', {"shop", "blog", "docs", "deep"}),
        ('"*.example.org"', {"shop", "blog", "docs", "deep"}),
        ('"*.docs.example.org"', {"deep"}),
        ('"shop.*"', {"shop"}),
        ('"tag:acme"', {"blog", "shop"}),
        ('"sitegroup:shops"', {"shop"}),
        ('["*", "!docs.example.org", "!tag:acme"]', {"deep"}),
        ('["!docs.example.org", "*"]', {"shop", "blog", "deep"}),
        ('["*", "!*.docs.example.org", "!handle"]', {"shop", "docs"}),
        ("bücher.example.org", set()),
    ],
)
def test_selectors(tmp_path: Path, written: str, reached: set[str]) -> None:
    """The union of the plain ones minus the union of the `!` ones, whatever the order."""
    sites = [
        site("shop.example.org", name="Shop", group="Shops"), site("blog.example.org"), site("docs.example.org", "d7"),
        Site(id="e", label="deep", domains=("a.docs.example.org", "b.docs.example.org")),
    ]  # fmt: skip
    text = f"""{HEAD}sites:
  handle: {{domain: blog.example.org, tags: [acme]}}
  till: {{domain: shop.example.org, tags: [acme]}}
{USERS}grants: [{{to: anna, role: view, sites: {written}}}]
"""
    desired = of(tmp_path, text, live_of(*sites))
    assert {name.partition(".")[0] for _, name in held(desired)} == reached
    assert (codes(desired) == ["unknown-site"]) == (not reached)


def test_domains_are_compared_in_idna(tmp_path: Path) -> None:
    """However a domain is written, it is the same site."""
    live = live_of(site("xn--bcher-kva.example.org"))
    for written in ("bücher.example.org", "BÜCHER.example.org", "xn--bcher-kva.example.org", '"b*cher*.example.org"'):
        text = f"{HEAD}{USERS}grants: [{{to: anna, role: view, sites: {written}}}]\n"
        assert len(held(of(tmp_path, text, live))) == (0 if "*" in written else 1)


@pytest.mark.parametrize("written", ["straße.example", "STRAẞE.example", '"*ße.example"', "xn--strae-oqa.example"])
def test_a_letter_that_old_tables_take_for_another_is_another_site(tmp_path: Path, written: str) -> None:
    """`straße.example` and `strasse.example` may have two owners; a grant on one never reaches the other."""
    text = f"{HEAD}{USERS}grants: [{{to: anna, role: view, sites: {written}}}]\n"
    assert held(of(tmp_path, text, live_of(site("strasse.example")))) == {}
    both = live_of(site("strasse.example", "s1"), site("xn--strae-oqa.example", "s2"))
    assert {name for _, name in held(of(tmp_path, text, both))} <= {"xn--strae-oqa.example"}


def test_a_pattern_says_so_in_the_origin(tmp_path: Path) -> None:
    """What a pattern led to is told apart from what is named; a name stands before a pattern."""
    text = f"""{HEAD}sites: {{till: {{domain: shop.example.org, tags: [acme]}}}}
{USERS}groups: {{team: [anna]}}
roles: {{reader: {{umami: view}}}}
grants: [{{to: team, role: reader, sites: ["*", blog.example.org, "tag:acme"], ticket: T-1}}]
"""
    desired = of(tmp_path, text)
    told = {key[4]: (origin.via, origin.wildcard) for key, origin in desired.origins.items() if key[0] == "grant"}
    assert told == {
        "shop.example.org": (("group team", "role reader", "tag acme"), None),
        "blog.example.org": (("group team", "role reader"), None),
        "docs.example.org": (("group team", "role reader", "pattern *"), "*"),
    }
    assert {(origin.at.line, origin.ticket) for key, origin in desired.origins.items() if key[0] == "grant"} == {
        (12, "T-1")
    }


def test_a_site_of_somebody_else_is_matched_by_id_alone(tmp_path: Path) -> None:
    """A domain proves nothing about whose site it is; exclusions hold for everybody's."""
    foreign = site("shop.example.org", "f1", label="shop.example.org#f1", by_id_only=True, owner="petra")
    live = live_of(SHOP, foreign)
    grants = "grants: [{to: anna, role: view, sites: [%s]}]\n"
    assert set(held(of(tmp_path, HEAD + USERS + grants % '"*", shop.example.org', live))) == {
        ("anna", "shop.example.org")
    }
    for named in ('"id:f1"', '"shop.example.org#f1"', "till"):
        text = f"{HEAD}sites: {{till: {{domain: shop.example.org, on: {{stats: f1}}}}}}\n{USERS}{grants % named}"
        assert set(held(of(tmp_path, text, live))) == {("anna", "shop.example.org#f1")}
        text = text.replace("]}]", ', "!*.example.org"]}]')
        assert held(of(tmp_path, text, live)) == {}


def test_an_ambiguous_name_blocks_the_grants_that_use_it(tmp_path: Path) -> None:
    """The ids are listed, each wish is there and blocked; a pin makes it clear."""
    twins = [site("shop.example.org", id_, label=f"shop.example.org#{id_}") for id_ in ("7", "8")]
    live = live_of(*twins, BLOG)
    text = f"{HEAD}{USERS}grants: [{{to: anna, role: view, sites: [shop.example.org, blog.example.org]}}]\n"
    desired = of(tmp_path, text, live)
    assert codes(desired) == ["ambiguous-site", "ambiguous-site"]
    assert {diagnostic.about for diagnostic in desired.diagnostics} == {
        grant_key(Subject("account", "anna"), Scope("site", f"shop.example.org#{id_}")) for id_ in ("7", "8")
    }
    assert desired.diagnostics[0].message.endswith("7, 8")
    assert len(held(desired)) == 3
    pinned = f"{HEAD}sites: {{till: {{domain: shop.example.org, on: {{stats: 8}}}}}}\n{USERS}"
    desired = of(tmp_path, f"{pinned}grants: [{{to: anna, role: view, sites: till}}]\n", live)
    assert held(desired) == {("anna", "shop.example.org#8"): "team-view-only"}
    assert not desired.diagnostics


def test_names_that_mean_nothing(tmp_path: Path) -> None:
    """A name that nothing bears is an error at its place, a pattern that matches nothing a warning."""
    text = f'{HEAD}{USERS}grants: [{{to: anna, role: view, sites: [shop.example.com, "*.example.com"]}}]\n'
    desired = of(tmp_path, text)
    assert [(diagnostic.code, diagnostic.severity.word, diagnostic.about) for diagnostic in desired.diagnostics] == [
        ("unknown-site", "error", None), ("matches-nothing", "warning", None),
    ]  # fmt: skip
    assert desired.diagnostics[0].at is not None
    assert desired.diagnostics[0].at.column == 41


@pytest.mark.parametrize(
    ("before", "now", "holds"),
    [
        (("shop.example.org",), BLOG, True),
        (("shop.example.org#7", "shop.example.org#8"), BLOG, True),
        (("blog.example.org",), BLOG, False),
        (("shop.example.org#7",), site("shop.example.org", "7", label="shop.example.org#7", by_id_only=True), False),
        (("shop.example.org",), site("shop.example.org", "7", label="shop.example.org#7", by_id_only=True), True),
    ],
)
def test_a_pattern_whose_sites_are_gone_takes_nothing(
    before: tuple[str, ...], now: Site, *, holds: bool, tmp_path: Path
) -> None:
    """The last run left access to them, by a name of their own or with an id; what never was the pattern's does not count."""
    anna = Subject("account", "anna")
    last = Access([Account("anna"), *(Grant(anna, Scope("site", name), "team-view-only") for name in before)])
    text = f'{HEAD}{USERS}grants: [{{to: anna, role: view, sites: "shop*.example.org"}}]\n'
    desired = of(tmp_path, text, live_of(now), memory=Memory(last=last))
    assert codes(desired) == ["matches-nothing"]
    assert (desired.held.cause(("grant", "account", "anna", "instance", "")) is not None) == holds


def test_a_name_must_exist_on_one_of_several_instances(tmp_path: Path) -> None:
    """Without `on`, a site may be missing here as long as it is somewhere; nothing is said of what was not read."""
    text = f"""{HEAD}  eu: {{platform: matomo, url: "https://matomo.example.org", self: root}}
sites: {{till: {{domain: nowhere.example.org, only: [eu]}}}}
{USERS}grants:
  - {{to: anna, role: view, sites: shop.example.org}}
  - {{to: anna, role: view, sites: [gone.example.org, till, "*.gone.example.org"]}}
"""
    declaration = declared(tmp_path, text)
    other = live_of(BLOG)
    assert not resolve(declaration, "stats", UMAMI, THREE, as_of=NOW).diagnostics
    assert nowhere(declaration, {"stats": THREE}) == ()
    assert [
        (diagnostic.code, diagnostic.message) for diagnostic in nowhere(declaration, {"stats": THREE, "eu": other})
    ] == [
        ("unknown-site", "no site of stats, eu is called `gone.example.org`"),
        ("matches-nothing", "`*.gone.example.org` matches no site of stats, eu"),
    ]


def test_only_keeps_a_site_to_its_instances(tmp_path: Path) -> None:
    """`only` restricts, `on` merely pins."""
    text = f"""{HEAD}sites:
  till: {{domain: shop.example.org, only: [eu]}}
  log: {{domain: blog.example.org, on: {{eu: 7}}}}
{USERS}grants: [{{to: anna, role: view, sites: [till, log]}}]
"""
    text = text.replace("sites:\n", '  eu: {platform: matomo, url: "https://m.example.org", self: root}\nsites:\n', 1)
    assert set(held(of(tmp_path, text))) == {("anna", "blog.example.org")}


def test_manages_narrows_what_is_looked_at(tmp_path: Path) -> None:
    """`"*"` means every managed site; what is named outside is told and left alone."""
    head = HEAD.replace("layout", 'manages: ["*.example.org", "!docs.*"], layout')
    text = f'{head}{USERS}grants: [{{to: anna, role: view, sites: ["*", docs.example.org]}}]\n'
    desired = of(tmp_path, text, live_of(SHOP, DOCS, site("other.org")))
    assert desired.managed == frozenset({Scope("site", "shop.example.org")})
    assert set(held(desired)) == {("anna", "shop.example.org")}
    assert [(diagnostic.code, diagnostic.severity.word) for diagnostic in desired.diagnostics] == [
        ("not-managed", "warning")
    ]


def test_no_grants_key_manages_nothing(tmp_path: Path) -> None:
    """Absent and empty are two things."""
    assert of(tmp_path, HEAD + USERS).managed is None
    nothing = of(tmp_path, f"{HEAD}{USERS}grants: []\n")
    assert nothing.managed == frozenset(Scope("site", site.label) for site in (SHOP, BLOG, DOCS))
    assert nothing.empty
    assert not of(tmp_path, HEAD + USERS).empty


def test_offline_selectors_stand_for_themselves(tmp_path: Path) -> None:
    """Without a server there are wishes for names, and for patterns with what is left out of them; no complaint."""
    text = f"""{HEAD}sites: {{till: {{domain: Shop.example.org, tags: [acme], on: {{stats: 7}}}}}}
{USERS}grants: [{{to: anna, role: view, sites: ["tag:acme", "*.example.org", "!blog.example.org", Docs.example.org]}}]
"""
    desired = of(tmp_path, text, None)
    assert set(held(desired)) == {
        ("anna", "shop.example.org#7"), ("anna", "*.example.org !blog.example.org"), ("anna", "docs.example.org"),
    }  # fmt: skip
    assert not desired.diagnostics


def test_an_include_cannot_reach_beyond_its_bounds(tmp_path: Path) -> None:
    """An id or a name that looks right does not carry a bounded file to another team's site."""
    text = HEAD + USERS + 'include: [{path: team.yaml, sites: ["shop.*"]}]\n'
    team = "sites: {till: {domain: shop.example.org, on: {stats: d7}}}\ngrants: [{to: anna, role: view, sites: till}]\n"
    declaration = declared(tmp_path, text, team=team)
    live = live_of(SHOP, site("docs.example.org", "d7"))
    desired = resolve(declaration, "stats", UMAMI, live, as_of=NOW)
    assert held(desired) == {}
    assert codes(desired) == ["beyond-include"]


# -- roles and extras


def test_portable_own_and_native_roles(tmp_path: Path) -> None:
    """A role of the file may be portable or the platform's own; a native one reaches its platform only."""
    text = f"""{HEAD}  eu: {{platform: matomo, url: "https://m.example.org", self: root}}
{USERS}roles:
  writer: {{umami: edit, matomo: write}}
  chief: {{umami: "umami:team-manager", matomo: admin}}
grants:
  - {{to: anna, role: writer, sites: shop.example.org}}
  - {{to: ben, role: chief, sites: shop.example.org}}
  - {{to: anna, role: "matomo:view", sites: blog.example.org}}
"""
    assert held(of(tmp_path, text)) == {
        ("anna", "shop.example.org"): "team-member", ("ben", "shop.example.org"): "team-manager",
    }  # fmt: skip
    assert held(of(tmp_path, text, THREE, MATOMO, "eu")) == {
        ("anna", "shop.example.org"): "write", ("ben", "shop.example.org"): "admin", ("anna", "blog.example.org"): "view",
    }  # fmt: skip


def test_what_the_found_version_lacks_is_told_at_its_line(tmp_path: Path) -> None:
    """The platform at its best has the role, this server has not; a grant that reaches nothing here is no matter."""
    old = replace(
        MATOMO, roles={**MATOMO.roles, "site": tuple(role for role in MATOMO.roles["site"] if role.name != "write")}
    )
    text = f"{MATOMO_HEAD}{USERS}grants: [{{to: anna, role: edit, sites: shop.example.org}}]\n"
    desired = of(tmp_path, text, THREE, old, "eu")
    assert [(diagnostic.code, diagnostic.at and diagnostic.at.line) for diagnostic in desired.diagnostics] == [
        ("role-not-on-platform", 9)
    ]
    assert "the nearest it has is `view`" in str(desired.diagnostics[0].hint)
    assert codes(of(tmp_path, text, live_of(BLOG), old, "eu")) == ["unknown-site"]


def test_extras_absent_empty_and_named(tmp_path: Path) -> None:
    """Absent everywhere: not spoken of. Named: united. Empty: none. Where a platform has none, there are none."""
    text = f"""{MATOMO_HEAD}{USERS}roles: {{implementer: {{matomo: {{role: edit, extras: [tagmanager_write]}}}}}}
grants:
  - {{to: anna, role: view, sites: [shop.example.org, docs.example.org]}}
  - {{to: anna, role: implementer, sites: docs.example.org}}
  - {{to: anna, role: view, extras: [tagmanager_publish], sites: docs.example.org}}
  - {{to: anna, role: view, extras: [], sites: blog.example.org}}
  - {{to: ben, role: admin, on: eu}}
"""
    desired = of(tmp_path, text, THREE, MATOMO, "eu")
    extras = {(grant.subject.name, grant.scope.name): grant.extras for grant in desired.access.grants()}
    assert extras == {
        ("anna", "shop.example.org"): None,
        ("anna", "docs.example.org"): {"tagmanager_write", "tagmanager_publish"},
        ("anna", "blog.example.org"): frozenset(),
        ("ben", ""): frozenset(),
    }
    assert held(desired)["anna", "docs.example.org"] == "write"


def test_two_grants_on_one_pair(tmp_path: Path) -> None:
    """The greater power wins and both reasons are kept, whichever line comes first."""
    lines = [
        "  - {to: anna, role: view, sites: shop.example.org}",
        "  - {to: anna, role: edit, sites: shop.example.org}",
    ]
    for order in (lines, lines[::-1]):
        desired = of(tmp_path, f"{HEAD}{USERS}grants:\n" + "\n".join(order) + "\n")
        assert held(desired) == {("anna", "shop.example.org"): "team-member"}
        origin = desired.origins[grant_key(Subject("account", "anna"), Scope("site", "shop.example.org"))]
        assert origin.at.line == 10 + order.index(lines[1])
        assert [other.at.line for other in origin.others] == [10 + order.index(lines[0])]


def test_incomparable_roles_block_the_pair(tmp_path: Path) -> None:
    """Where neither role holds the other, nobody guesses."""
    traits = replace(UMAMI, incomparable=frozenset({frozenset({"team-view-only", "team-member"})}))
    text = f"""{HEAD}{USERS}grants:
  - {{to: anna, role: view, sites: "*"}}
  - {{to: anna, role: edit, sites: shop.example.org}}
"""
    desired = of(tmp_path, text, THREE, traits)
    assert codes(desired) == ["incomparable-roles"]
    assert desired.diagnostics[0].about == grant_key(Subject("account", "anna"), Scope("site", "shop.example.org"))


def test_an_admin_has_site_grants_subsumed(tmp_path: Path) -> None:
    """Where admins hold nothing on sites, what the file grants them there is kept as a reason only."""
    text = f"""{MATOMO_HEAD}{USERS}grants:
  - {{to: [anna, ben], role: view, sites: shop.example.org}}
  - {{to: anna, role: admin, on: eu}}
"""
    desired = of(tmp_path, text, THREE, MATOMO, "eu")
    assert held(desired) == {("anna", ""): "superuser", ("ben", "shop.example.org"): "view"}
    key = grant_key(Subject("account", "anna"), Scope("site", "shop.example.org"))
    assert desired.subsumed[key].at.line == 10
    assert key not in desired.origins
    everybody = of(tmp_path, text.replace(MATOMO_HEAD, HEAD).replace("on: eu", "on: stats"))
    assert held(everybody)["anna", "shop.example.org"] == "team-view-only"


# -- who


def test_accounts_are_wanted_where_a_grant_reaches(tmp_path: Path) -> None:
    """Or where one is asked for; everybody declared is known, whether or not an account is wanted."""
    text = f"""{HEAD}{USERS}  eve: {{accounts: [stats]}}
grants: [{{to: anna, role: view, sites: shop.example.org}}]
"""
    desired = of(tmp_path, text)
    assert {account.name for account in desired.access.accounts()} == {"anna", "eve"}
    assert set(desired.declared_users) == {"anna", "ben", "carla", "dora", "eve"}
    assert desired.origins["account", "anna"].at.line == 10
    assert desired.origins["account", "eve"].at.line == 9


def test_logins_in_the_spelling_of_the_platform(tmp_path: Path) -> None:
    """The live spelling stands; what is new is written as the platform folds it."""
    text = f"""{HEAD}users: {{Anna: {{}}, ben: {{logins: {{stats: B.Cole}}}}, Dora: {{}}}}
grants: [{{to: [Anna, ben, Dora], role: view, sites: shop.example.org}}]
"""
    live = live_of(SHOP, access=(Account("ANNA"), Account("b.cole")))
    assert {account.name for account in of(tmp_path, text, live).access.accounts()} == {"ANNA", "b.cole", "dora"}
    exact = replace(UMAMI, folds_case=False)
    assert {account.name for account in of(tmp_path, text, live, exact).access.accounts()} == {"Anna", "B.Cole", "Dora"}


def test_where_accounts_are_e_mails(tmp_path: Path) -> None:
    """The login is the e-mail, lower-cased when it is new; who has none is told."""
    head = 'version: 1\ninstances:\n  cloud: {platform: plausible, url: "https://plausible.io", self: r@example.org}\n'
    text = f"""{head}users: {{anna: {{email: Anna@Example.org}}, ben: {{}}}}
groups: {{team: [anna, ben]}}
grants: [{{to: team, role: view, sites: shop.example.org, on: cloud}}]
"""
    with pytest.raises(AssertionError, match="email-needed"):
        declared(tmp_path, text)
    text = text.replace("ben: {}", "ben: {email: b@x.org}")
    live = live_of(SHOP, access=(Account("anna@Example.org"),))
    desired = of(tmp_path, text, live, PLAUSIBLE, "cloud")
    assert {account.name for account in desired.access.accounts()} == {"anna@Example.org", "b@x.org"}
    assert {account.email for account in desired.access.accounts()} == {None}


def test_a_former_login_is_renamed_or_told(tmp_path: Path) -> None:
    """Found by a former login or e-mail; with both there, the new one counts and the old one is pointed at."""
    text = f"""{HEAD}users: {{anna: {{previously: [a.berg, old@example.org]}}}}
grants: [{{to: anna, role: view, sites: shop.example.org}}]
"""
    for former in (Account("A.Berg"), Account("somebody", email="OLD@example.org")):
        desired = of(tmp_path, text, live_of(SHOP, access=(former,)))
        assert list(desired.access.accounts()) == [Account(former.name, renamed="anna")]
        assert desired.declared_users[former.name].handle == "anna"
    desired = of(tmp_path, text, live_of(SHOP, access=(Account("a.berg"), Account("anna"))))
    assert list(desired.access.accounts()) == [Account("anna")]
    assert codes(desired) == ["former-login-remains"]


def test_a_former_group_is_renamed_or_told(tmp_path: Path) -> None:
    """By its handle or its name on the platform, with all that it holds; with both there, the old one is pointed at."""
    text = f"""{PP_HEAD}users: {{anna: {{email: anna@example.org}}}}
groups: {{analysts: {{members: [anna], native: Analysts, previously: [readers, Old]}}}}
grants: [{{to: analysts, role: view, sites: shop.example.org}}]
"""
    for former in ("readers", "Old"):
        desired = of(tmp_path, text, live_of(SHOP, access=(Group(former, "idp"),)), PIWIKPRO, "pp")
        assert desired.access["group", former] == Group(former, None, "Analysts")
        assert held(desired) == {(former, "shop.example.org"): "view"}
        assert Member(former, "anna@example.org") in desired.access.members()
    desired = of(tmp_path, text, live_of(SHOP, access=(Group("Old"), Group("Analysts"))), PIWIKPRO, "pp")
    assert desired.access["group", "Analysts"] == Group("Analysts")
    assert codes(desired) == ["former-group-remains"]


@pytest.mark.parametrize(("head", "traits", "instance"), [
    (HEAD, UMAMI, "stats"), (MATOMO_HEAD, MATOMO, "eu"), (PP_HEAD.replace(", native: true", ""), replace(PIWIKPRO, manages=frozenset({"account", "grant"})), "pp"),
    ('version: 1\ninstances:\n  cloud: {platform: plausible, url: "https://plausible.example.org", self: root@example.org}\n', PLAUSIBLE, "cloud"),
])  # fmt: skip
def test_where_a_group_is_in_the_file_alone_its_new_name_changes_nothing(
    tmp_path: Path, head: str, traits: Traits, instance: str
) -> None:
    """The same access is wished, whatever teams or groups of those names are live."""
    text = f"""{head}users: {{anna: {{email: anna@example.org}}}}
groups: {{readers: [anna]}}
grants: [{{to: readers, role: view, sites: shop.example.org}}]
"""
    live = live_of(SHOP, access=(Account("anna"), Group("readers"), Group("analysts")))
    renamed = text.replace("readers: [anna]", "analysts: {members: [anna], previously: [readers]}")
    before, after = (
        of(tmp_path, written, live, traits, instance)
        for written in (text, renamed.replace("to: readers", "to: analysts"))
    )
    assert before.access == after.access
    assert codes(after) == codes(before)


def test_e_mail_and_language_where_the_platform_keeps_them(tmp_path: Path) -> None:
    """What a platform does not keep is not wished there."""
    text = """users: {anna: {email: a@x.org, language: de-DE}}
grants: [{to: anna, role: view, sites: shop.example.org}]
"""
    assert list(of(tmp_path, HEAD + text).access.accounts()) == [Account("anna")]
    speaking = replace(MATOMO, keeps_language=True)
    assert list(of(tmp_path, MATOMO_HEAD + text, THREE, speaking, "eu").access.accounts()) == [
        Account("anna", "a@x.org", "de-DE")
    ]


def test_states_take_everything_and_say_so(tmp_path: Path) -> None:
    """Suspended, absent and left: no wish, and all that is live is named as over."""
    text = f"""{HEAD}users:
  mia: {{state: suspended}}
  ed: {{state: {{stats: absent}}}}
  zoe: {{state: {{stats: active}}}}
grants: [{{to: [mia, ed, zoe], role: view, sites: shop.example.org}}]
"""
    shop = Scope("site", "shop.example.org")
    grants = tuple(Grant(Subject("account", login), shop, "team-member") for login in ("mia", "ed", "gone"))
    team = Grant(Subject("account", "mia"), Scope("team", "t"), "team-member")
    live = live_of(SHOP, access=(*(Account(login) for login in ("mia", "ed", "gone")), *grants, team))
    desired = of(tmp_path, text, live, memory=Memory(users={"gone": "gone", "never": "never"}))
    assert held(desired) == {("zoe", "shop.example.org"): "team-view-only"}
    assert {name: user.ending for name, user in desired.declared_users.items()} == {
        "mia": "suspended", "ed": "absent", "zoe": None, "gone": "left",
    }  # fmt: skip
    assert {key[2]: over.how for key, over in desired.ended.items() if key[3] == "site"} == {
        "mia": "suspended", "ed": "absent",
    }  # fmt: skip
    assert team.key in desired.ended


def test_a_new_handle_for_somebody_is_no_leaving(tmp_path: Path) -> None:
    """Who is named in `previously`, or whose account another handle took over, has not left."""
    text = f"{HEAD}users: {{anna: {{previously: [ann]}}, ben: {{logins: {{stats: b}}}}}}\ngrants: []\n"
    live = live_of(SHOP, access=(Account("ann"), Account("b")))
    desired = of(tmp_path, text, live, memory=Memory(users={"ann": "ann", "benny": "b"}))
    assert {user.ending for user in desired.declared_users.values()} == {None}


def test_what_only_the_server_at_hand_shows(tmp_path: Path) -> None:
    """A login that is missing, modules that are not there, and somebody who has not begun."""
    text = """version: 1
instances:
  pp: {platform: piwik-pro, url: "https://acme.piwik.pro"}
  eu: {platform: matomo, url: "https://matomo.example.org", self: root}
users:
  anna: {modules: {pp: [analytics]}}
  ben: {email: ben@example.org, modules: {pp: [analytics]}}
  carla: {email: carla@example.org, from: 2027-01-01}
  dora: {state: suspended}
grants: [{to: [anna, ben, carla, dora], role: view, sites: shop.example.org}]
"""
    bare = replace(PIWIKPRO, roles={kind: role for kind, role in PIWIKPRO.roles.items() if kind != "module"})
    desired = of(tmp_path, text, THREE, bare, "pp")
    assert codes(desired) == ["no-modules", "email-needed"]
    assert set(held(desired)) == set()
    assert "ben@example.org" in desired.held.accounts
    assert {over.how for over in desired.ended.values()} == {"not-yet"}


def test_a_grant_that_reaches_nothing_here_asks_nobody_for_an_e_mail(tmp_path: Path) -> None:
    """A site that only another instance has needs no login on this one; a site that is here does."""
    text = """version: 1
instances:
  pp: {platform: piwik-pro, url: "https://acme.piwik.pro"}
  eu: {platform: umami, url: "https://umami.example.org", layout: existing}
users: {anna: {}}
grants: [{to: anna, role: view, sites: elsewhere.example.org}]
"""
    assert codes(of(tmp_path, text, THREE, PIWIKPRO, "pp")) == []
    here = text.replace("elsewhere.example.org", "shop.example.org")
    assert codes(of(tmp_path, here, THREE, PIWIKPRO, "pp")) == ["email-needed"]


def test_grants_a_platform_has_no_place_for(tmp_path: Path) -> None:
    """Meta sites where there are none, and roles of the account where there are none."""
    text = f"{HEAD}{USERS}grants: [{{to: anna, role: view, metasites: Europe, on: stats}}]\n"
    (found,) = read_text(tmp_path, text).diagnostics
    assert (found.code, found.message) == ("role-not-on-platform", "umami grants nothing on a metasite")
    head = 'version: 1\ninstances:\n  cloud: {platform: plausible, url: "https://plausible.io", self: r@example.org}\n'
    (found,) = read_text(tmp_path, f"{head}{USERS}grants: [{{to: anna, role: admin, on: cloud}}]\n").diagnostics
    assert (found.code, found.message) == ("role-not-on-platform", "plausible has no account roles")


def test_ourselves_are_never_declared(tmp_path: Path) -> None:
    """Also where only the platform knows who we are."""
    text = HEAD.replace("self: siteward, ", "") + USERS + "grants: []\n"
    assert codes(of(tmp_path, text, live_of(SHOP, access=(Account("Anna"),), me="Anna"))) == ["self-declared"]


# -- when


BERLIN = "policy: {timezone: Europe/Berlin}\n"


@pytest.mark.parametrize(
    ("at", "there"),
    [
        (datetime(2027, 2, 27, 22, 59, 59, tzinfo=UTC), False),
        (datetime(2027, 2, 27, 23, 0, tzinfo=UTC), True),
        (datetime(2027, 3, 28, 21, 59, 59, tzinfo=UTC), True),
        (datetime(2027, 3, 28, 22, 0, tzinfo=UTC), False),
    ],
)
def test_days_begin_and_end_in_the_time_zone_of_the_policy(tmp_path: Path, at: datetime, *, there: bool) -> None:
    """`from` at 00:00 and `until` at 24:00 of that day, over a change of the clocks too."""
    text = f"""{HEAD}{BERLIN}users: {{anna: {{}}}}
grants: [{{to: anna, role: view, sites: shop.example.org, from: 2027-02-28, until: 2027-03-28}}]
"""
    desired = of(tmp_path, text, at=at)
    assert bool(held(desired)) == there
    key = grant_key(Subject("account", "anna"), Scope("site", "shop.example.org"))
    ending = desired.ended.get(key)
    assert (ending and ending[0]) == (None if there else "not-yet" if at.month == 2 else "expired")
    if there:
        assert desired.origins[key].until == datetime(2027, 3, 28, 22, 0, tzinfo=UTC)


def test_windows_meet_along_a_way_and_unite_over_ways(tmp_path: Path) -> None:
    """The user's, the group's and the grant's dates together; a second way may last longer."""
    text = f"""{HEAD}users: {{anna: {{until: 2027-12-31}}}}
groups:
  one: [{{user: anna, until: 2026-11-30}}]
  two: [{{user: one, from: 2026-01-01}}, {{user: anna, from: 2026-11-15, until: 2027-06-30}}]
grants:
  - {{to: two, role: view, sites: shop.example.org, until: 2027-01-31}}
  - {{to: one, role: view, sites: blog.example.org}}
  - {{to: anna, role: view, sites: docs.example.org}}
"""

    def until(desired: Desired) -> dict[str, str]:
        return {key[4]: f"{origin.until:%m-%d}" for key, origin in desired.origins.items() if key[0] == "grant"}

    assert until(of(tmp_path, text)) == {
        "shop.example.org": "02-01", "blog.example.org": "12-01", "docs.example.org": "01-01",
    }  # fmt: skip
    later = of(tmp_path, text, at=datetime(2026, 12, 24, tzinfo=UTC))
    assert set(until(later)) == {"shop.example.org", "docs.example.org"}
    assert {(key[4], over.how) for key, over in later.ended.items()} == {("blog.example.org", "expired")}


def test_the_end_of_a_user_ends_everything(tmp_path: Path) -> None:
    """A contractor whose date has passed has no wish left, and what is live is named as expired."""
    text = f"{HEAD}{USERS}grants: [{{to: carla, role: view, sites: shop.example.org}}]\n"
    blog = Grant(Subject("account", "carla"), Scope("site", "blog.example.org"), "team-member")
    live = live_of(SHOP, BLOG, access=(Account("carla"), blog))
    assert held(of(tmp_path, text, live))
    over = of(tmp_path, text, live, at=datetime(2026, 11, 23, tzinfo=UTC))
    assert not held(over)
    assert over.declared_users["carla"].ending == "expired"
    assert {key[4] for key in over.ended} == {"shop.example.org", "blog.example.org"}


# -- groups, modules, meta sites, public access


def test_groups_of_the_platform_where_it_has_them(tmp_path: Path) -> None:
    """With `native`, a group is granted as one, with those in it who are in force; else its members are."""
    text = f"""{PP_HEAD}{USERS}groups:
  team: [anna, carla, dora, {{user: ben, from: 2027-01-01}}]
  idp: {{native: idp-group, members: external}}
  bare: {{native: Bare, members: [ben]}}
grants:
  - {{to: [team, idp], role: view, sites: shop.example.org}}
  - {{to: ben, role: view, metasites: Europe}}
"""
    europe = Site(id="m", label="Europe", name="Europe")
    live = replace(
        live_of(SHOP, access=(Group("idp-group", external="ext-1"), Member("idp-group", "x@example.org"))),
        sites={Scope("site", "shop.example.org"): SHOP, Scope("metasite", "Europe"): europe},
    )
    desired = of(tmp_path, text, live, PIWIKPRO, "pp")
    groups = [resource for resource in desired.access.values() if isinstance(resource, Group)]
    assert sorted(groups, key=lambda group: group.name) == [Group("Bare"), Group("idp-group", "ext-1"), Group("team")]
    assert {(member.group, member.account) for member in desired.access.members()} == {
        ("team", "anna@example.org"), ("team", "carla@example.org"), ("Bare", "ben@example.org"),
    }  # fmt: skip
    assert {(grant.subject.kind, grant.subject.name, str(grant.scope)) for grant in desired.access.grants()} == {
        ("group", "team", "shop.example.org"), ("group", "idp-group", "shop.example.org"),
        ("account", "ben@example.org", "Europe"),
    }  # fmt: skip
    assert desired.ended[Member("team", "dora@example.org").key][0] == "suspended"
    assert desired.ended[Member("team", "ben@example.org").key][0] == "not-yet"
    plain = of(tmp_path, text.replace("native: true", "native: false"), live, PIWIKPRO, "pp")
    assert not list(plain.access.members())
    assert ("anna@example.org", "shop.example.org") not in held(plain)
    assert "anna@example.org" in plain.held.accounts
    assert codes(plain) == ["external-group"]


def test_module_switches_are_grants_on_modules(tmp_path: Path) -> None:
    """Spoken of for some, left alone for others, off for those whose time is over."""
    text = f"""{PP_HEAD}users:
  anna: {{email: a@x.org, accounts: pp, modules: {{pp: [analytics, tags]}}}}
  ben: {{email: b@x.org, modules: {{pp: []}}}}
  carla: {{email: c@x.org}}
  dora: {{email: d@x.org, modules: {{pp: [analytics]}}, state: suspended}}
grants: []
"""
    desired = of(tmp_path, text, live_of(SHOP), PIWIKPRO, "pp")
    assert {(grant.subject.name, grant.scope) for grant in desired.access.grants()} == {
        ("a@x.org", Scope("module", "analytics")), ("a@x.org", Scope("module", "tags")),
    }  # fmt: skip
    assert desired.modules == {"a@x.org", "b@x.org", "d@x.org"}


def test_public_access_is_a_wish_about_a_site(tmp_path: Path) -> None:
    """By instance, or for all; silence is no wish."""
    text = f"""{MATOMO_HEAD}sites:
  shop: {{domain: shop.example.org, public: {{eu: false}}}}
  blog: {{domain: blog.example.org, public: true}}
  docs: {{domain: docs.example.org}}
"""
    desired = of(tmp_path, text, THREE, MATOMO, "eu")
    assert desired.public == {Scope("site", "shop.example.org"): False, Scope("site", "blog.example.org"): True}


def test_an_account_role_holds_everywhere(tmp_path: Path) -> None:
    """It needs no site, and stands on the whole instance."""
    text = f"{HEAD}{USERS}grants: [{{to: anna, role: admin, on: stats}}, {{to: ben, role: member, on: [stats]}}]\n"
    desired = of(tmp_path, text)
    assert {(grant.subject.name, grant.scope, grant.role) for grant in desired.access.grants()} == {
        ("anna", EVERYWHERE, "admin"), ("ben", EVERYWHERE, "user"),
    }  # fmt: skip
    assert UMAMI.power(desired.access.grant(Subject("account", "anna"), EVERYWHERE)) is Power.ADMIN


def test_a_platform_without_a_role_of_the_account(tmp_path: Path) -> None:
    """The table decides, not the name."""
    traits = replace(
        UMAMI, roles={**UMAMI.roles, "instance": (Role(name="root", power=Power.ADMIN, portable="admin"),)}
    )
    text = f"{HEAD}{USERS}grants: [{{to: anna, role: member, on: stats}}]\n"
    assert codes(of(tmp_path, text, THREE, traits)) == ["role-not-on-platform"]


# -- what rules need to know


def test_each_line_that_asks_for_the_same_is_kept(tmp_path: Path) -> None:
    """Also one that lost, and one that is included in a role over everything; and whether it ends for good."""
    text = f"""{MATOMO_HEAD}{USERS}grants:
  - {{to: anna, role: view, sites: shop.example.org, ticket: T-1}}
  - {{to: anna, role: manage, sites: shop.example.org, until: 2027-01-01}}
  - {{to: ben, role: view, sites: shop.example.org}}
  - {{to: ben, role: admin, on: eu}}
"""
    desired = of(tmp_path, text, traits=MATOMO, instance="eu")
    told = {
        key[2]: [
            (claim.wish.role, claim.origin.ticket, claim.ends) for claim in claims if isinstance(claim.wish, Grant)
        ]
        for key, claims in desired.claims.items()
    }
    assert told == {"anna": [("view", "T-1", False), ("admin", None, True)], "ben": [("view", None, False)]}


def test_a_way_that_begins_anew_after_another_has_ended_does_not_end(tmp_path: Path) -> None:
    """Anna is in for two months now, and for good from June on."""
    text = f"""{HEAD}{USERS}groups:
  team: [{{user: anna, until: 2027-01-31}}, {{user: anna, from: 2027-06-01}}]
  term: [{{user: ben, until: 2027-01-31}}]
grants: [{{to: [team, term], role: view, sites: shop.example.org}}]
"""
    desired = of(tmp_path, text)
    assert {key[2]: [claim.ends for claim in claims] for key, claims in desired.claims.items()} == {"anna": [False]}
    assert all(origin.until for key, origin in desired.origins.items() if key[0] == "grant")


def test_live_sites_go_by_the_names_of_the_file(tmp_path: Path) -> None:
    """Handles, domains and tags, by domain or pinned id."""
    text = f"""{HEAD}sites:
  till: {{domain: Shop.example.org, tags: [acme]}}
  diary: {{domain: old.example.org, on: {{stats: blog.example.org}}}}
{USERS}"""
    names = {scope.name: set(names) for scope, names in of(tmp_path, text).names.items()}
    assert names == {
        "shop.example.org": {"till", "shop.example.org", "tag:acme"},
        "blog.example.org": {"diary", "old.example.org"},
    }


def test_what_one_line_gives_many_is_told_apart_by_another_line(tmp_path: Path) -> None:
    """Who is given more beside a group's block has an origin of two lines; the others, and what is live, stay as they are."""
    text = f"{HEAD}{USERS}groups:\n  all: [anna, ben]\ngrants:\n"
    lines = "  - {to: all, role: view, sites: [shop.example.org, blog.example.org]}\n"
    more = "  - {to: ben, role: edit, sites: shop.example.org}\n"
    both = tuple(Subject("account", name) for name in ("anna", "ben"))
    shop, blog = (Scope("site", f"{name}.example.org") for name in ("shop", "blog"))
    there = tuple(Grant(person, scope, "team-view-only") for person in both for scope in (shop, blog))
    live = live_of(SHOP, BLOG, DOCS, access=there)
    desired = of(tmp_path, text + lines + more, live)
    roles = {(name, f"{site}.example.org"): "team-view-only" for name in ("anna", "ben") for site in ("shop", "blog")}
    assert held(desired) == roles | {("ben", "shop.example.org"): "team-member"}
    assert [len(desired.origins[grant_key(person, shop)].others) for person in both] == [0, 1]
    assert not desired.origins[grant_key(both[1], blog)].others
    assert live.access == Access(there)
    assert [grant.subject.name for grant in desired.access.grants() if grant.scope == shop] == ["anna", "ben"]
