"""What everybody may see: sites and instances that the file opens or closes, links and pages that nobody here can close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from declaration.tables import read_text
from rig import NOW, Rig, codes, part
from siteward import platforms
from siteward.access.report import exit_code
from siteward.platforms.fakery import World, WorldGrant, WorldSite
from siteward.reconcile.project import read

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic

SHOP, BLOG = "shop.example.org", "blog.example.org"
SITES = (WorldSite(name=SHOP, domain=SHOP), WorldSite(name=BLOG, domain=BLOG))
UMAMI = {"platform": "umami", "self": "siteward", "layout": "per-site", "accept_blind": ["board-links"]}
MATOMO = {"platform": "matomo", "self": "root"}


def rig_of(folder: Path, instance: dict[str, Any], world: World, **more: Any) -> Rig:
    release = {"umami": "3.2", "matomo": "5.3"}[instance["platform"]]
    fake = platforms.fake(instance["platform"]).of(world, release, clock=lambda: NOW)
    document = {
        "version": 1,
        "instances": {"it": {"url": "http://127.0.0.1:1", **instance}},
        "policy": {"admins": {"min": 1}},
        "sites": {"shop": {"domain": SHOP}, "blog": {"domain": BLOG}},
        "grants": [],
        **more,
    }
    return Rig(folder, fake, document)


def shared(folder: Path, **more: Any) -> Rig:
    """Return an Umami on which the blog has a public link."""
    return rig_of(folder, UMAMI, World(sites=SITES, more={"shares": [{"site": BLOG, "slug": "public-slug-1"}]}), **more)


def told(rig: Rig, *, drift: bool = False) -> list[Diagnostic]:
    found = part(rig.drift() if drift else rig.plan()).diagnostics
    return [
        diagnostic for diagnostic in found if diagnostic.code in {"public-share-link", "still-public", "public-access"}
    ]


def blog(public: Any) -> dict[str, Any]:
    return {"sites": {"shop": {"domain": SHOP}, "blog": {"domain": BLOG, "public": public}}}


def test_a_link_that_nobody_speaks_of_is_a_warning_that_says_how_to_declare_it(tmp_path: Path) -> None:
    (found,) = told(shared(tmp_path))
    assert (found.code, found.blocks) == ("public-share-link", False)
    assert found.hint is not None
    assert "public: {it: true}" in found.hint


@pytest.mark.parametrize("public", [True, {"it": True}])
def test_an_intended_link_is_no_warning(tmp_path: Path, public: Any) -> None:
    rig = shared(tmp_path, **blog(public))
    assert told(rig) == []
    assert told(rig, drift=True) == []


@pytest.mark.parametrize("public", [False, {"it": False}])
def test_a_link_that_should_not_be_is_an_error_that_says_who_closes_it(tmp_path: Path, public: Any) -> None:
    """No call closes it: it is told as what is left to people, at its row, and keeps nothing else from being done."""
    rig = shared(tmp_path, **blog(public))
    for drift in (False, True):
        (found,) = told(rig, drift=drift)
        assert (found.code, found.blocks, found.blocks_all) == ("still-public", True, False)
        assert found.at is not None
        assert BLOG in found.message
        assert found.hint is not None
        assert "Umami" in found.hint
        assert "APP_SECRET" in found.hint
    assert exit_code(rig.plan()) == 3
    assert exit_code(rig.drift()) not in {0, 1}


def test_a_closed_site_without_a_link_is_quiet(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, UMAMI, World(sites=SITES), **blog({"it": False}))
    assert told(rig) == []


def test_an_instance_that_is_closed_finds_every_link_and_names_none_twice(tmp_path: Path) -> None:
    rig = shared(tmp_path, instances={"it": {"url": "http://127.0.0.1:1", "public": False, **UMAMI}})
    (found,) = told(rig)
    assert found.code == "still-public"


def open_matomo(folder: Path, **more: Any) -> Rig:
    world = World(
        sites=SITES, grants=tuple(WorldGrant(account="anonymous", site=site, role="view") for site in (SHOP, BLOG))
    )
    return rig_of(folder, {**MATOMO, **more.pop("instance", {})}, world, **more)


def test_a_closed_matomo_is_closed_on_every_site_declared_or_not(tmp_path: Path) -> None:
    rig = open_matomo(tmp_path, instance={"public": False}, sites={})
    plan = rig.plan().plan
    assert plan is not None
    assert {step.change.key[-1] for step in plan.instances[0].steps} == {SHOP, BLOG}
    rig.apply(plan)
    assert [grant for grant in rig.access().grants() if grant.subject.name == "anonymous"] == []
    report = rig.plan()
    assert part(report).steps == ()
    assert codes(part(report)) == set()


def test_what_a_closed_instance_does_not_manage_is_told_and_not_closed(tmp_path: Path) -> None:
    rig = open_matomo(tmp_path, instance={"public": False, "manages": SHOP})
    report = rig.plan()
    assert [step.change.key[-1] for step in part(report).steps] == [SHOP]
    (found,) = told(rig)
    assert found.code == "still-public"
    assert BLOG in found.message


def test_without_a_word_an_open_site_is_a_warning(tmp_path: Path) -> None:
    assert {found.code for found in told(open_matomo(tmp_path))} == {"public-access"}


# -- what the file alone shows


def rules_of(folder: Path, instance: str, rest: str) -> list[str]:
    path = folder / "access.yaml"
    path.write_text(f"version: 1\ninstances:\n  it: {{{instance}, url: 'https://x.example.org'}}\n{rest}grants: []\n")
    return [diagnostic.code for diagnostic in read(path).diagnostics]


@pytest.mark.parametrize(
    ("instance", "found"),
    [
        ("platform: matomo, self: root, public: false", []),
        ("platform: umami, self: root, layout: per-site, public: false", []),
        ("platform: piwik-pro, self: root@example.org, public: false", ["no-public-access"]),
        ("platform: matomo, self: root, public: true", ["wrong-value"]),
    ],
)
def test_an_instance_is_closed_or_says_nothing(tmp_path: Path, instance: str, found: list[str]) -> None:
    assert rules_of(tmp_path, instance, "") == found


@pytest.mark.parametrize("public", ["true", "{it: true}"])
def test_a_site_is_not_open_on_a_closed_instance(tmp_path: Path, public: str) -> None:
    rest = f"sites: {{a: {{domain: a.example.org, public: {public}}}}}\n"
    assert rules_of(tmp_path, "platform: matomo, self: root, public: false", rest) == ["public-clash"]


@pytest.mark.parametrize(
    ("rest", "site"),
    [('a: {domain: "*"}', "a"), ("a: {domain: a.example.org, public: true}", "a")],
)
def test_such_an_error_is_of_its_row_alone(tmp_path: Path, rest: str, site: str) -> None:
    """Nothing is opened or closed on that site, and everybody else's lines go on."""
    path = tmp_path / "access.yaml"
    path.write_text(
        "version: 1\ninstances:\n  it: {platform: matomo, self: root, public: false, url: 'https://x.example.org'}\n"
        f"sites: {{{rest}, b: {{domain: b.example.org}}}}\ngrants: []\n"
    )
    loaded = read(path)
    assert loaded.declaration is None
    assert loaded.usable is not None
    assert set(loaded.usable.faults.sites) == {site}


@pytest.mark.parametrize("public", [{"it": False}, {"it": True}])
@pytest.mark.parametrize("where", ["site", "instance"])
def test_a_server_that_does_not_tell_is_asked_in_vain(tmp_path: Path, public: Any, where: str) -> None:
    """Plausible's Sites API shows no public pages and no links: what the file says of them is an error, not a silence."""
    fake = platforms.fake("plausible").of(World(sites=SITES), "cloud", clock=lambda: NOW)
    cloud: dict[str, Any] = {
        "platform": "plausible", "url": "http://127.0.0.1:1", "self": "siteward@example.org", "accept_blind": ["team-members", "shared-links"],
    }  # fmt: skip
    site: dict[str, Any] = {"domain": SHOP, "public": public}
    if where == "instance":
        cloud["public"], site = False, {"domain": SHOP}
    rig = Rig(
        tmp_path,
        fake,
        {
            "version": 1,
            "instances": {"it": cloud},
            "sites": {"shop": site},
            "policy": {"admins": {"min": 1}},
            "grants": [],
        },
    )
    report = rig.plan()
    (said,) = {said.message for said in part(report).diagnostics if said.code == "no-public-access"}
    assert said == "plausible cloud or enterprise, guest layer only, does not tell which sites everybody may see"
    assert exit_code(report) == 1


@pytest.mark.parametrize("domain", ["*", "*.example.org", "shop.*"])
def test_a_domain_with_a_star_is_refused(tmp_path: Path, domain: str) -> None:
    rest = f'sites: {{a: {{domain: "{domain}", public: {{it: false}}}}}}\n'
    assert rules_of(tmp_path, "platform: matomo, self: root", rest) == ["pattern-as-domain"]


def test_a_pinned_site_may_have_any_domain(tmp_path: Path) -> None:
    rest = 'sites: {a: {domain: "*", on: {it: 3}}}\n'
    assert rules_of(tmp_path, "platform: matomo, self: root", rest) == []


@pytest.mark.parametrize(
    "instance", ["platform: matomo, self: root, manages: ['*', '!*']", "platform: matomo, self: root, manages: '!*'"]
)
def test_an_instance_that_manages_no_site_is_refused(tmp_path: Path, instance: str) -> None:
    assert rules_of(tmp_path, instance, "") == ["only-exclusions"]


@pytest.mark.parametrize("sites", ['["a.example.org", "!*"]', '["*", "!*"]'])
def test_selectors_that_leave_every_site_out_are_refused(tmp_path: Path, sites: str) -> None:
    loaded = read_text(
        tmp_path,
        'version: 1\ninstances: {eu: {platform: matomo, url: "https://m.example.org", self: root}}\n'
        f"users: {{anna: {{}}}}\ngrants: [{{to: anna, role: view, sites: {sites}}}]\n",
    )
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["only-exclusions"]
