"""Tickets and reasons of memberships, users and grants: all are kept, in this order, and reach what they caused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, TRAITS, declared, read_text
from siteward.access.model import Access, Account, Grant, Member, Scope, Subject, grant_key
from siteward.access.state import Live, Origin, Site
from siteward.declaration.resolve import resolve
from strategies import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.state import Desired

SHOP = Scope("site", "shop.example.org")
NORA = Account("nora")
HELD = Grant(Subject("account", "nora"), SHOP, "team-view-only")
KEY = HELD.key
LIVE = Live(
    access=Access([NORA, HELD]), sites={SHOP: Site(id="s1", label=SHOP.name, domains=(SHOP.name,))}, me="siteward"
)

FILE = """\
users:
  nora: {ticket: HR-1, reason: joins in June USER}
groups:
  analysts: [{user: nora, ticket: HR-77, reason: new analyst MEMBER}]
  all: [{user: ANALYSTS, ticket: OPS-5 OUTER}]
grants:
  - {to: TO, role: view, sites: shop.example.org, ticket: OPS-9, reason: needs it GRANT}
"""


def wanted(folder: Path, to: str = "analysts", **words: str) -> Desired:
    text = FILE.replace("TO,", f"{to},")
    for word in ("USER", "MEMBER", "OUTER", "GRANT"):
        text = text.replace(f" {word}", words.get(word.lower(), ""))
    return resolve(declared(folder, HEAD + text), "stats", TRAITS["umami"], LIVE, as_of=NOW)


def test_all_causes_are_kept_member_then_user_then_grant(tmp_path: Path) -> None:
    origin = wanted(tmp_path).origins[KEY]
    assert (origin.ticket, origin.reason) == ("HR-77; HR-1; OPS-9", "new analyst; joins in June; needs it")
    assert wanted(tmp_path, "all").origins[KEY].ticket == "OPS-5; HR-77; HR-1; OPS-9"
    assert wanted(tmp_path, "nora").origins[KEY].ticket == "HR-1; OPS-9"


def test_two_memberships_in_force_keep_both(tmp_path: Path) -> None:
    desired = wanted(tmp_path, "[analysts, all, nora]")
    assert desired.origins[KEY].ticket == "HR-77; OPS-5; HR-1; OPS-9"


@pytest.mark.parametrize(
    ("where", "ticket"),
    [("member", "HR-77; HR-1; OPS-9"), ("grant", "HR-77; HR-1; OPS-9"), ("user", "HR-1")],
)
def test_an_end_carries_the_causes_of_the_line_that_ended(tmp_path: Path, where: str, ticket: str) -> None:
    over = wanted(tmp_path, **{where: ", until: 2026-01-31"}).ended[KEY]
    assert (over.how, over.ticket) == ("expired", ticket)


def test_who_left_for_good_loses_what_is_there_and_gets_no_account(tmp_path: Path) -> None:
    """As a suspended user, and without a line that names them."""
    text = "users: {nora: {state: alumni, ticket: HR-9, reason: left in May}}\n"
    desired = resolve(declared(tmp_path, HEAD + text), "stats", TRAITS["umami"], LIVE, as_of=NOW)
    over = desired.ended[KEY]
    assert (over.how, over.ticket, over.reason) == ("suspended", "HR-9", "left in May")
    assert not list(desired.access.accounts())


@pytest.mark.parametrize("state", ["suspended", "absent"])
def test_who_is_suspended_or_absent_is_so_for_a_reason(tmp_path: Path, state: str) -> None:
    over = wanted(tmp_path, user=f", state: {state}").ended[KEY]
    assert (over.how, over.ticket, over.reason) == (state, "HR-1", "joins in June")


def test_a_membership_of_a_native_group_has_its_causes(tmp_path: Path) -> None:
    head = (
        'version: 1\ninstances: {pro: {platform: piwik-pro, url: "https://p.example.org", self: root, native: true}}\n'
    )
    text = FILE.replace("TO,", "analysts,").replace("nora: {", "nora: {email: nora@example.org, ")
    for word in ("USER", "MEMBER", "OUTER", "GRANT"):
        text = text.replace(f" {word}", "")
    desired = resolve(declared(tmp_path, head + text), "pro", TRAITS["piwik-pro"], None, as_of=NOW)
    origin = desired.origins[Member("analysts", "nora@example.org").key]
    assert (origin.ticket, origin.reason) == ("HR-77; HR-1", "new analyst; joins in June")


RULE = """\
policy: {{rules: [{{id: asked, match: {{power: view}}, require: [ticket, reason]}}]}}
users: {{nora: {{}}}}
groups: {{analysts: [{member}]}}
grants: [{{to: analysts, role: view, sites: shop.example.org}}]
"""


@pytest.mark.parametrize(
    ("member", "found"),
    [
        ("{user: nora, ticket: HR-77, reason: new analyst}", []),
        ("{user: nora, ticket: HR-77}", ["asked"]),
        ("{user: nora, ticket: ' ', reason: new}", ["asked"]),
        ("nora", ["asked"]),
    ],
)
def test_the_cause_of_a_membership_is_one_that_a_rule_asks_for(tmp_path: Path, member: str, found: list[str]) -> None:
    loaded = read_text(tmp_path, HEAD + RULE.format(member=member))
    assert sorted({diagnostic.code for diagnostic in loaded.diagnostics}) == found


def test_origins_without_causes_stay_as_they_are(tmp_path: Path) -> None:
    text = "users: {nora: {}}\ngrants: [{to: nora, role: view, sites: shop.example.org}]\n"
    desired = resolve(declared(tmp_path, HEAD + text), "stats", TRAITS["umami"], LIVE, as_of=NOW)
    origin = desired.origins[grant_key(Subject("account", "nora"), SHOP)]
    assert isinstance(origin, Origin)
    assert (origin.ticket, origin.reason) == (None, None)
