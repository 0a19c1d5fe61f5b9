"""The file that import writes: metasites by their id, and accounts that no file can name beside the others."""

from __future__ import annotations

import pytest

from siteward.access.model import Access, Account, Grant, Scope, Subject
from siteward.access.state import Live, Site
from siteward.declaration.generate import first_file, written
from strategies import ME, PIWIKPRO, PLAUSIBLE, UMAMI

SHOP, ALL_SHOPS = Scope("site", "shop.example.org"), Scope("metasite", "All shops")


def test_a_metasite_is_granted_by_its_id() -> None:
    """It has no domain, and is no site of the file's own."""
    anna = "anna@example.org"
    live = Live(
        access=Access((Account(anna), Grant(Subject("account", anna), ALL_SHOPS, "view"))),
        sites={
            SHOP: Site(id="s-1", label=SHOP.name, domains=(SHOP.name,)),
            ALL_SHOPS: Site(id="m-1", label=ALL_SHOPS.name),
        },
        me=ME,
    )
    block = {"platform": "piwik-pro", "url": "https://acme.piwik.pro", "self": ME}
    text = first_file("pp", block, live, PIWIKPRO, timezone="Europe/Berlin")
    (line,) = [line for line in text.splitlines() if "metasites" in line]
    assert "id:m-1" in line


def test_an_account_that_cannot_be_named_does_not_hide_the_next() -> None:
    """It stands in a comment with the reason, and whoever follows is declared."""
    names = ("Anna", "anna", "ben")
    held = tuple(Grant(Subject("account", name), SHOP, "team-member") for name in names)
    live = Live(
        access=Access((*map(Account, names), *held)),
        sites={SHOP: Site(id="1", label=SHOP.name, domains=(SHOP.name,))},
        me=ME,
    )
    block = {"platform": "umami", "url": "https://stats.example.org", "self": ME, "layout": "existing"}
    lines = first_file("stats", block, live, UMAMI, timezone="Europe/Berlin").splitlines()
    assert any(line.startswith("#") and "differs from it only in case" in line for line in lines)
    assert any("ben" in line and not line.startswith("#") for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("yes", '"yes"'),
        ("Bücher", '"Bücher"'),
        (True, "true"),
        (7, "7"),
        (["Bücher", "yes"], '["Bücher", "yes"]'),
        ({"Müller": "owner", "on": False}, '{"Müller": "owner", "on": false}'),
    ],
)
def test_a_setting_is_written_so_that_it_is_read_back_as_it_was(value: object, text: str) -> None:
    """A list, a table and a number on one line, in the letters of people, and text as any reader of YAML takes it."""
    assert written(value) == text


def test_the_settings_of_a_platform_stand_in_the_block_of_its_instance() -> None:
    """Also those that are lists and tables; what the importer decides itself is not taken from them."""
    block = {"platform": "plausible", "team_members": {"ö@x.org": "owner"}, "native": True, "accept_blind": ["x"]}
    text = first_file("cloud", block, Live(access=Access(), me=ME), PLAUSIBLE)
    assert '    team_members: {"ö@x.org": "owner"}\n' in text
    assert "native: true" not in text
    assert '"x"' not in text
