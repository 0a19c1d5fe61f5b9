"""The first file of an import: it says what is live, and no more."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from declaration.tables import read_text, told
from siteward.access.diagnostic import note
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Scope, Subject
from siteward.access.proposal import manage
from siteward.access.state import Live, Site
from siteward.declaration.generate import first_file, quoted
from siteward.declaration.resolve import resolve
from siteward.declaration.yaml_reader import read
from strategies import ALL_TRAITS, MATOMO, ME, NOW, PIWIKPRO, PLAUSIBLE, UMAMI, lives

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.declaration.load import Declaration


def _block(traits: Traits) -> dict[str, str]:
    more = {"layout": "existing"} if traits.platform == "umami" else {}
    return {"platform": traits.platform, "url": "https://stats.example.org", "self": ME, **more}


def _loaded(text: str) -> Declaration:
    with TemporaryDirectory() as folder:
        loaded = read_text(Path(folder), text)
    assert loaded.declaration is not None, text + "\n".join(map(told, loaded.diagnostics))
    said = [diagnostic for diagnostic in loaded.diagnostics if diagnostic.code != "looks-like"]  # it may be so live
    assert not said, text + "\n".join(map(told, said))
    return loaded.declaration


def _check(live: Live, traits: Traits) -> str:
    """See that the first file for a world leads to no step there, and knows everybody it can."""
    text = first_file("stats", _block(traits), live, traits, timezone="Europe/Berlin")
    declaration = _loaded(text)
    desired = resolve(declaration, "stats", traits, live, as_of=NOW)
    proposal = manage(live, desired, traits, declaration.instances["stats"].policy, None)
    assert not proposal.changes, text + "\n".join(map(str, proposal.changes))
    assert not any(diagnostic.blocks for diagnostic in desired.diagnostics), text + "\n".join(
        map(told, desired.diagnostics)
    )
    return text


@pytest.mark.parametrize("traits", ALL_TRAITS, ids=lambda traits: traits.platform)
@given(data=st.data())
def test_the_plan_after_an_import_is_empty(traits: Traits, data: st.DataObject) -> None:
    """Whatever is live, the file that import writes wishes for just that."""
    live = data.draw(lives(traits, whole=True))
    _check(live, traits)


@given(st.text(max_size=20), st.sampled_from(ALL_TRAITS))
def test_any_name_can_be_imported(name: str, traits: Traits) -> None:
    """A hostile login is declared, or stands in a comment; it never breaks the file."""
    site = Scope("site", "shop.example.org")
    role = traits.roles["site"][0].name
    world = Access([Account(ME), Account(name), Grant(Subject("account", name), site, role)])
    sites = {site: Site(id="1", label=site.name, domains=(site.name,))}
    _check(Live(access=world, sites=sites, me=ME), traits)


@given(st.text(max_size=30))
def test_what_is_quoted_is_read_back(text: str) -> None:
    """Every text survives the way into a file and out of it, as text."""
    source, faults = read("f", "- key\n"[:0] + f"value: {quoted(text)}\n")
    assert not faults
    assert source is not None
    assert source.data == {"value": text}


def test_equal_sets_of_grants_become_a_group() -> None:
    """People who hold the same are declared once, under a name that says what they hold."""
    sites = {Scope("site", f"{name}.example.org"): Site(id=name, label=f"{name}.example.org",
             domains=(f"{name}.example.org",)) for name in ("shop", "blog")}  # fmt: skip
    shop, blog = sorted(sites, reverse=True)
    world = Access(
        [
            *(Account(login) for login in (ME, "anna", "ben", "carla", "Dörte Ünal")),
            *(Grant(Subject("account", login), shop, "team-view-only") for login in ("anna", "ben")),
            Grant(Subject("account", "carla"), shop, "team-member"),
            Grant(Subject("account", "carla"), blog, "team-member"),
            Grant(Subject("account", "Dörte Ünal"), blog, "owner"),
            Grant(Subject("account", "anna"), EVERYWHERE, "admin"),
        ]
    )
    live = Live(access=world, sites=sites, me=ME, findings=(note("ghost", "a row\n- with {a} hole"),))
    text = _check(live, UMAMI)
    assert "  shop-viewers: [anna, ben]\n" in text
    assert "  - {to: shop-viewers, role: view, sites: shop}\n" in text
    assert "  - {to: carla, role: edit, sites: [blog, shop]}\n" in text
    assert "  - {to: anna, role: admin, on: stats}\n" in text
    assert '  Dorte-Unal: {logins: {stats: "Dörte Ünal"}}\n' in text
    assert (
        "# - Dörte Ünal is owner of blog.example.org, which `siteward adopt` can say by `owner`, and no grant\n" in text
    )
    assert "# - a row\\u000a- with {a} hole\n" in text


def test_sites_that_share_a_name_are_pinned() -> None:
    """A site whose name proves nothing is declared by its id."""
    twins = [
        Scope("site", "shop.example.org#1"),
        Scope("site", "shop.example.org#2"),
        Scope("site", "lab.example.org#3"),
    ]
    sites = {
        twins[0]: Site(id="1", label=twins[0].name, domains=("shop.example.org",)),
        twins[1]: Site(id="2", label=twins[1].name, domains=("shop.example.org",)),
        twins[2]: Site(id="3", label=twins[2].name, domains=("lab.example.org",), by_id_only=True, owner="petra"),
    }
    world = Access([Account(ME), Account("anna"), *(Grant(Subject("account", "anna"), twin, "view") for twin in twins)])
    traits = replace(MATOMO, version="5.2")
    text = _check(Live(access=world, sites=sites, me=ME), traits)
    assert '  shop: {domain: shop.example.org, on: {stats: "1"}}\n' in text
    assert '  shop.example.org: {domain: shop.example.org, on: {stats: "2"}}\n' in text
    assert '  lab: {domain: lab.example.org, on: {stats: "3"}}\n' in text


def test_what_cannot_be_declared_is_told() -> None:
    """Groups with names that hide something, e-mails that are none or shared, and sites of one name without end."""
    sites = {
        Scope("site", f"shop.example.org#{n}"): Site(
            id=str(n), label=f"shop.example.org#{n}", domains=("shop.example.org",)
        )
        for n in range(4)
    }
    world = Access(
        [
            *(Account(login) for login in (ME, "a@x.org", "b@x.org")),
            Group("Team"), Group("Te\u202eam"), Member("Te\u202eam", "a@x.org"), Member("Team", "b@x.org"),
        ]
    )  # fmt: skip
    text = _check(Live(access=world, sites=sites, me=ME, unreadable=("audit log",)), PIWIKPRO)
    assert "  a: " not in text
    assert "  Team: {native: Team, members: [b]}\n" in text
    assert "# - the group Te\\u202eam: the character U+202E hides" in text
    assert "# - not read: audit log" in text
    assert [line.split(":")[0] for line in text.splitlines() if "domain:" in line] == [
        "  shop", "  shop.example.org", "  shop.example.org-1", "  shop.example.org-2",
    ]  # fmt: skip
    mails = Access([Account(ME), Account("a", "same@x.org"), Account("b", "SAME@x.org"), Account("c", "none")])
    text = _check(Live(access=mails, me=ME), MATOMO)
    assert "  a: {email: same@x.org}\n  b: {}\n  c: {}\n" in text
    assert "# - the e-mail of c, none: it is none, or another account has it too\n" in text


def test_who_holds_something_has_an_account_where_none_are_listed() -> None:
    """Guests that only their grants show are people too."""
    site = Scope("site", "shop.example.org")
    world = Access([Grant(Subject("account", "guest@x.org"), site, "viewer")])
    sites = {site: Site(id="1", label=site.name, domains=(site.name,))}
    assert "  guest: {email: guest@x.org}\n" in _check(Live(access=world, sites=sites, me=ME), PLAUSIBLE)


def test_a_world_of_thousands_is_written_in_lines_people_can_read() -> None:
    """No line of a first file is longer than a screen is wide."""
    sites = {Scope("site", f"s{n}.example.org"): Site(id=str(n), label=f"s{n}.example.org",
             domains=(f"s{n}.example.org",)) for n in range(200)}  # fmt: skip
    world = Access(
        [
            *(Account(login) for login in (ME, *(f"user-{n}" for n in range(50)))),
            *(Grant(Subject("account", f"user-{n}"), site, "view") for n in range(50) for site in sites),
        ]
    )
    text = _check(Live(access=world, sites=sites, me=ME), MATOMO)
    assert max(map(len, text.splitlines())) <= 120
