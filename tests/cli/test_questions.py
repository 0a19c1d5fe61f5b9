"""`explain` and `who-can`: from the line of the file to the live grant, or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Program

AS_OF = ("--as-of", "2026-12-01")


@pytest.mark.parametrize(
    ("user", "site", "said"),
    [
        ("jonas", "staging.example.org", ("declared: team-member", "access.yaml:", "live: team-manager", "planned as")),
        ("anna", "shop", ("declared: admin", "and team-view-only", "via group analysts, role analyst, tag acme")),
        ("ben", "blog", ("declared: admin", "live: admin", "nothing is planned")),
        ("vera", "events.example.org", ("declared: nothing", "expired by access.yaml:", "planned as")),
        ("mia", "shop", ("suspended by access.yaml:", "planned as")),
        ("tessa", "shop", ("blocked:",)),
        ("jonas", "internal.example.org", ("why not: the grant leaves out `!internal.example.org` (access.yaml:68:",)),
        ("jonas", "careers.example.org", ("declared: team-view-only",)),
        ("lena", "internal.example.org", ("why not: no grant in force reaches this site",)),
        ("sven", "careers.example.org", ("nothing is planned: no declared user has this account",)),
        ("petra", "lab.example.org", ("live: owner", "nothing is planned: no declared user has this account")),
        ("siteward", "shop", ("nothing is planned: this is the account in use here",)),
        ("anna@example.org", "shop", ("anna on stats",)),
        ("hana", "docs", ("yasmin (login hana)",)),
        ("sven", "shop", ("why not: no declared user has this account",)),
    ],
)
def test_explain_gives_the_way_or_why_not(user: str, site: str, said: tuple[str, ...], checkout: Program) -> None:
    """Each answer names the line, the live way, and what is planned or why nothing is."""
    result = checkout("explain", user, site, *AS_OF)
    assert result.code == 0, result.out + result.err
    for each in said:
        assert each in result.out
    assert checkout("explain", user, site, *AS_OF, "--format", "json").json()["items"]


@pytest.mark.parametrize(
    ("user", "site", "said"), [("nobody", "shop", "no account or declared user 'nobody'"), ("anna", "nosite", "no site 'nosite'")]
)  # fmt: skip
def test_explain_says_which_name_is_unknown(user: str, site: str, said: str, checkout: Program) -> None:
    """An unknown person is not taken for an unknown site."""
    result = checkout("explain", user, site)
    assert result.code == 1
    assert said in result.out


def test_an_exclusion_from_a_group_is_named(checkout: Program) -> None:
    """Who is taken out of a group with `!` is told by which."""
    path = checkout.folder / "access.yaml"
    path.write_text(path.read_text().replace('reports, "!jonas"]', 'reports, "!fatou"]'))
    result = checkout("explain", "fatou", "docs", *AS_OF)
    assert "why not: the group everyone leaves out `!fatou` (access.yaml:60" in result.out


def test_what_manages_leaves_out_is_said(checkout: Program) -> None:
    """A grant outside `manages` is live, stays, and the reason is named."""
    path = checkout.folder / "access.yaml"
    path.write_text(path.read_text().replace('"!legacy.example.org"]', '"!legacy.example.org", "!careers.example.org"]')
                    .replace("  carla: {email", "  sven: {email: sven@example.org}\n  carla: {email"))  # fmt: skip
    result = checkout("explain", "sven", "careers.example.org", *AS_OF)
    assert "nothing is planned: the instance's `manages` leaves this site out" in result.out


def test_who_can_lists_both_sides(checkout: Program) -> None:
    """Live and declared holders, the mightiest first, with what is not live and what is not declared."""
    result = checkout("who-can", "edit", "docs", *AS_OF)
    rows = {line.split()[0]: line for line in result.out.splitlines()}
    assert "not live" in rows["lena"]
    assert "not declared" in rows["tmp-agency"]
    assert next(iter(rows)) == "admin"
    assert "reports" not in rows
    assert checkout("who-can", "veiw", "docs").code == 1
    assert "no site 'nosite'" in checkout("who-can", "view", "nosite").out
