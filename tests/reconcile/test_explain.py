"""Why somebody has access or has none, and who can do what: the file and what is live, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from promises.small import ADMINS, BLOG, LAB, SHOP, Somebody, edit, rig, view
from reconcile.asked import Asked, asked, looked_at
from reconcile.test_public import MATOMO, SITES, rig_of
from siteward.access.diagnostic import Span
from siteward.access.explanation import with_beside
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Power, Scope, Subject, grant_key
from siteward.access.state import Origin
from siteward.platforms.fakery import World
from siteward.reconcile.explain import accounts_of, explain, holdings, power_of, scopes_of

if TYPE_CHECKING:
    from siteward.access.explanation import Explanation, Grantee


def why(found: Asked, user: str, site: str = SHOP) -> Explanation:
    """Return the one explanation of a user's access to a site."""
    (explanation,) = explain(found.declaration, found.survey, found.plan, user, site)
    return explanation


def live_role(explanation: Explanation) -> str | None:
    return explanation.live.role if explanation.live else None


# -- which account and which site is meant


def test_a_user_is_meant_by_handle_login_and_e_mail_in_any_case(tmp_path: Path) -> None:
    """A declared user by handle or e-mail; whoever is only live, by the login."""
    found = asked(tmp_path, users={"carla": {"email": "carla@example.org"}}).survey
    for user in ("carla", "CARLA", "carla@example.org", "Carla@Example.ORG"):
        assert accounts_of(found, user) == ("carla",)
    assert accounts_of(found, "Petra") == ("petra",)
    assert accounts_of(found, "nobody") == ()


def test_a_handle_means_the_account_of_that_user_and_no_other_of_that_name(tmp_path: Path) -> None:
    """What the file says goes before what happens to be called so."""
    found = asked(tmp_path, users={"petra": {"logins": {"it": "dora"}}, "dora": {"logins": {"it": "dora-2"}}}).survey
    assert accounts_of(found, "petra") == ("dora",)


def test_a_site_is_meant_by_handle_domain_and_id(tmp_path: Path) -> None:
    """A pinned site by its handle alone is the pinned one; an unknown name is none."""
    found = asked(tmp_path, sites={"till": {"domain": SHOP}})
    shop = Scope("site", SHOP)
    identity = found.survey.live.sites[shop].id
    for name in ("till", SHOP, SHOP.upper(), identity):
        assert scopes_of(found.declaration, found.survey, name) == (shop,)
    assert scopes_of(found.declaration, found.survey, "nowhere.example.org") == ()
    blog = found.survey.live.sites[Scope("site", BLOG)].id
    pinned = asked(tmp_path / "pinned", sites={"till": {"domain": SHOP, "on": {"it": blog}}})
    assert scopes_of(pinned.declaration, pinned.survey, "till") == (Scope("site", BLOG),)
    assert scopes_of(pinned.declaration, pinned.survey, SHOP) == (shop,)


def test_a_role_is_asked_for_by_power_portable_name_or_native_name(tmp_path: Path) -> None:
    """`none` is no power that anybody can have, and an unknown word is told apart."""
    found = asked(tmp_path).survey
    assert power_of(found, "view") is Power.VIEW
    assert power_of(found, "admin") is Power.ADMIN
    assert power_of(found, "team-member") is Power.EDIT
    assert power_of(found, "team-manager") is Power.MANAGE
    assert power_of(found, "none") is None
    assert power_of(found, "veiw") is None


# -- why


def test_who_has_what_the_file_grants_is_told_with_the_line(tmp_path: Path) -> None:
    """Both sides, where it is written, and no step."""
    told = why(asked(tmp_path), "carla")
    assert (told.instance, told.account, told.person, told.scope) == ("it", "carla", "carla", Scope("site", SHOP))
    assert told.wished is not None
    assert (told.wished.role, live_role(told)) == ("team-view-only", "team-view-only")
    assert told.origin is not None
    assert told.origin.at.file.endswith("access.yaml")
    assert (told.step, told.why_not, told.why_kept, told.ended, told.also, told.pending) == (
        None, None, None, None, (), False,
    )  # fmt: skip


def test_what_is_still_to_be_given_is_told_with_its_step(tmp_path: Path) -> None:
    """Declared, not live, and planned."""
    told = why(asked(tmp_path, grants=[ADMINS, view("carla"), edit("dora"), view("carla", BLOG)]), "carla", BLOG)
    assert told.wished is not None
    assert told.live is None
    assert told.step is not None
    assert told.step.change.action == "create"
    assert (told.why_not, told.why_kept) == (None, None)


def test_what_will_be_taken_is_told_with_its_step(tmp_path: Path) -> None:
    """Live, not declared, and planned: the step is the answer, and no reason why it is kept."""
    told = why(asked(tmp_path, grants=[ADMINS, edit("dora")]), "carla")
    assert told.wished is None
    assert live_role(told) == "team-view-only"
    assert told.step is not None
    assert told.step.change.action == "delete"
    assert (told.why_not, told.why_kept) == (None, None)


def test_an_admin_has_it_by_the_role_of_the_account(tmp_path: Path) -> None:
    """What is asked for on the site is not lost among what the account role gives."""
    told = why(asked(tmp_path), "anna", BLOG)
    assert told.wished is not None
    assert (told.wished.role, told.wished.scope) == ("admin", EVERYWHERE)
    assert live_role(told) == "admin"
    assert told.origin is not None


def test_several_ways_are_told_the_strongest_first(tmp_path: Path) -> None:
    """Who has an account role and a role on the site has both told, each with the line that grants it."""
    told = why(asked(tmp_path, grants=[ADMINS, view("carla"), edit("dora"), view("anna", ticket="T-1")]), "anna")
    assert told.wished is not None
    assert told.wished.role == "admin"
    ((grant, origin),) = told.also
    assert grant.role == "team-view-only"
    assert origin is not None
    assert origin.ticket == "T-1"


@pytest.mark.parametrize(
    ("changed", "user", "site", "said"),
    [
        ({}, "carla", BLOG, "no grant in force reaches this site for this user"),
        ({}, "petra", SHOP, "no declared user has this account, and it holds nothing there"),
        (
            {"users": {"carla": {"state": "suspended"}}}, "carla", BLOG,
            "carla is suspended",
        ),
        (
            {"instance": {"manages": ["*", f"!{BLOG}"]}}, "carla", BLOG,
            "the instance's `manages` leaves this site out",
        ),
    ],
)  # fmt: skip
def test_who_has_nothing_is_told_why(tmp_path: Path, changed: dict[str, Any], user: str, site: str, said: str) -> None:
    """Neither declared nor live: the reason stands in words."""
    told = why(asked(tmp_path, **changed), user, site)
    assert (told.wished, told.live, told.why_not, told.why_kept) == (None, None, said, None)


def test_an_exclusion_is_named_that_takes_the_access(tmp_path: Path) -> None:
    """The word and the line that leave the site or the person out."""
    grants = [ADMINS, {"to": "carla", "role": "view", "sites": ["*", f"!{BLOG}"]}, edit("dora")]
    told = why(asked(tmp_path, grants=grants), "carla", BLOG)
    assert told.why_not is not None
    assert f"`!{BLOG}`" in told.why_not
    assert "access.yaml:" in told.why_not
    team = asked(tmp_path / "team", groups={"team": ["dora", "carla", "!carla"]}, grants=[ADMINS, view("team", BLOG)])
    told = why(team, "carla", BLOG)
    assert told.why_not is not None
    assert "`!carla`" in told.why_not


def test_an_end_in_the_file_is_told(tmp_path: Path) -> None:
    """A grant that has run out is told as ended, at its line, with the step that takes it."""
    told = why(asked(tmp_path, grants=[ADMINS, view("carla", until="2026-11-01"), edit("dora")]), "carla")
    assert told.ended is not None
    assert told.ended[0] == "expired"
    assert told.step is not None


@pytest.mark.parametrize(
    ("changed", "user", "said"),
    [
        (
            {"users": {"dora": {}}, "grants": [ADMINS, edit("dora")], "instance": {"ignore": ["carla"]}}, "carla",
            "`ignore` names it, and such accounts are reported, not changed",
        ),
        ({"instance": {"mode": "add-only"}, "grants": [ADMINS, edit("dora")]}, "carla",
         "the instance's mode holds back what would take it"),
        ({"instance": {"mode": "observe"}, "grants": [ADMINS, view("carla"), view("dora")]}, "dora",
         "the instance's mode holds back what would take it"),
        ({"instance": {"manages": ["*", f"!{SHOP}"]}, "grants": [ADMINS]}, "carla",
         "the instance's `manages` leaves this site out"),
    ],
)  # fmt: skip
def test_what_is_live_and_stays_is_told_why(tmp_path: Path, changed: dict[str, Any], user: str, said: str) -> None:
    """More is live than declared, and nothing is planned: the reason stands in words."""
    told = why(asked(tmp_path, **changed), user)
    assert told.step is None
    assert told.why_kept == said


def test_what_an_unmanaged_account_has_is_reported(tmp_path: Path) -> None:
    """Nobody declared it, and policy reports such accounts."""
    small = rig(tmp_path)
    Somebody(small.fake).adds("petra", "team-member")
    told = why(looked_at(small), "petra")
    assert told.person is None
    assert told.why_kept == "no declared user has this account, and such accounts are reported, not changed"
    assert told.why_not is None


def test_without_grants_nothing_is_managed(tmp_path: Path) -> None:
    """A file that has no `grants` takes nothing, and says so."""
    small = rig(tmp_path)
    text = {key: value for key, value in small.document.items() if key != "grants"}
    small.declare(text)
    told = why(looked_at(small), "carla")
    assert told.step is None
    assert told.why_kept == "the file has no `grants`, so nothing is managed"


def test_the_account_in_use_is_never_changed(tmp_path: Path) -> None:
    """Whatever it holds stays, and the reason is that it is ours."""
    told = why(asked(tmp_path), "siteward")
    assert live_role(told) is not None
    assert told.why_kept == "this is the account in use here, which is never changed"


def test_what_the_platform_gives_its_owner_is_a_fact(tmp_path: Path) -> None:
    """An owner's site is asked for by its id, and no plan takes it from the owner."""
    found = asked(tmp_path, users={"petra": {}})
    lab = next(scope for scope, site in found.survey.live.sites.items() if LAB in site.domains)
    told = why(found, "petra", found.survey.live.sites[lab].id)
    assert live_role(told) == "owner"
    assert told.why_kept == "owner is a fact of the platform, which no plan takes away"


def test_what_is_to_be_given_is_not_what_is_kept(tmp_path: Path) -> None:
    """Where the mode holds back a raise, what is live is less than declared: nothing is kept against the file."""
    told = why(asked(tmp_path, instance={"mode": "observe"}, grants=[ADMINS, edit("carla"), edit("dora")]), "carla")
    assert (live_role(told), told.step, told.why_kept) == ("team-view-only", None, None)
    assert told.wished is not None


def test_an_unmanaged_account_that_loses_its_access_is_not_said_to_keep_it(tmp_path: Path) -> None:
    """With `unmanaged: revoke` the step is the answer."""
    small = rig(tmp_path, instance={"unmanaged": "revoke"})
    Somebody(small.fake).adds("petra", "team-member")
    told = why(looked_at(small), "petra")
    assert told.step is not None
    assert told.why_kept is None


def test_the_step_on_the_role_behind_the_access_stands_beside(tmp_path: Path) -> None:
    """Who is live an admin and declared a viewer loses by a step on the account's role, which is no step on the site."""
    found = asked(tmp_path, grants=[{"to": "anna", "role": "admin", "on": "it"}, view("carla"), edit("dora")])
    told = why(found, "ben")
    assert (live_role(told), told.step, told.why_kept) == ("admin", None, None)
    beside = with_beside(told, found.plan).beside
    assert [step.change.key for step in beside] == [grant_key(Subject("account", "ben"), EVERYWHERE)]
    assert with_beside(why(found, "dora"), found.plan).beside == ()


def test_a_step_is_not_told_twice(tmp_path: Path) -> None:
    """What is on the site itself is the step, and not beside it."""
    found = asked(tmp_path, grants=[ADMINS, edit("dora")])
    told = why(found, "carla")
    assert told.step is not None
    assert with_beside(told, found.plan).beside == ()


def test_an_account_that_is_still_to_be_made_stands_beside(tmp_path: Path) -> None:
    """Access that is planned for somebody new comes after the account."""
    found = asked(tmp_path, users={"nina": {}}, grants=[ADMINS, view("carla"), edit("dora"), view("nina")])
    (told,) = explain(found.declaration, found.survey, found.plan, "nina", SHOP)
    assert told.step is not None
    assert [step.change.key for step in with_beside(told, found.plan).beside] == [("account", "nina")]


def test_what_somebody_has_yet_to_accept_is_pending(tmp_path: Path) -> None:
    """The invitation is out, so that nothing is planned."""
    found = asked(tmp_path)
    key = grant_key(Subject("account", "carla"), Scope("site", SHOP))
    waiting = replace(found.survey, live=replace(found.survey.live, pending=frozenset({key})))
    assert why(Asked(found.rig, waiting, found.plan), "carla").pending
    assert not why(Asked(found.rig, waiting, found.plan), "dora").pending


def test_a_right_that_being_an_admin_includes_is_told_by_its_line(tmp_path: Path) -> None:
    """Where admins have no roles on sites, the line that asks for one is still where it is written."""
    found = asked(tmp_path)
    key, at = grant_key(Subject("account", "carla"), Scope("site", BLOG)), Span("access.yaml", 99, 1)
    desired = replace(found.survey.desired, subsumed={key: Origin(at)})
    told = why(Asked(found.rig, replace(found.survey, desired=desired), found.plan), "carla", BLOG)
    assert told.origin == Origin(at)


def test_an_admin_keeps_the_line_on_a_site_where_the_account_role_includes_it(tmp_path: Path) -> None:
    """Matomo's superusers have no roles on sites: the line is included, and told beside the one that makes them admin."""
    grants = [
        {"to": "anna", "role": "admin", "on": "it"},
        {"to": "anna", "role": "edit", "sites": SHOP, "ticket": "T-1"},
    ]
    rig = rig_of(tmp_path, MATOMO, World(sites=SITES), users={"anna": {"email": "anna@example.org"}}, grants=grants)
    told = why(looked_at(rig), "anna")
    assert told.wished is not None
    assert told.wished.role == "superuser"
    ((grant, origin),) = told.also
    assert (grant.role, origin.ticket if origin else None) == ("write", "T-1")


def test_somebody_who_is_only_live_is_found_by_e_mail(tmp_path: Path) -> None:
    """Where the platform knows the address."""
    found = asked(tmp_path).survey
    access = Access((*found.live.access.values(), Account("nina", "nina@example.org")))
    assert accounts_of(replace(found, live=replace(found.live, access=access)), "Nina@Example.org") == ("nina",)


def test_an_end_that_an_exclusion_does_not_undo_is_no_exclusion(tmp_path: Path) -> None:
    """Without the exclusion there would be no access either, so that it is not what takes it."""
    over = {"to": "carla", "role": "view", "sites": ["*", f"!{BLOG}"], "until": "2026-01-31"}
    told = why(asked(tmp_path, grants=[ADMINS, over, edit("dora")]), "carla", BLOG)
    assert told.why_not == "no grant in force reaches this site for this user"


# -- who can


def rows(found: Asked, power: Power, site: str = SHOP) -> dict[str, Grantee]:
    return {row.account: row for row in holdings(found.declaration, found.survey, power, site)}


def test_everybody_with_at_least_a_power_is_listed_the_mightiest_first(tmp_path: Path) -> None:
    """Live or declared, with both roles, and by what way."""
    found = asked(tmp_path, grants=[ADMINS, edit("dora"), edit("carla", BLOG)])
    told = rows(found, Power.VIEW)
    assert list(told) == ["anna", "ben", "siteward", "dora", "carla"]
    carla = told["carla"]
    assert (carla.live, carla.live_power, carla.declared, carla.declared_power) == (
        "team-view-only", Power.VIEW, None, Power.NONE,
    )  # fmt: skip
    assert (carla.instance, carla.person, carla.scope, carla.through, carla.origin) == (
        "it", "carla", Scope("site", SHOP), None, None,
    )  # fmt: skip
    anna = told["anna"]
    assert (anna.live, anna.through, anna.declared, anna.declared_power) == (
        "admin",
        "account role",
        "admin",
        Power.ADMIN,
    )
    assert anna.origin is not None
    assert set(rows(found, Power.EDIT)) == set(told) - {"carla"}
    new = rows(found, Power.EDIT, BLOG)["carla"]
    assert (new.live, new.live_power, new.declared, new.through) == (None, Power.NONE, "team-member", None)
    assert new.origin is not None
    assert "petra" not in told


def test_nobody_can_do_anything_on_a_site_that_is_not_there(tmp_path: Path) -> None:
    """No site, no holder; the caller says that the name is unknown."""
    assert rows(asked(tmp_path), Power.VIEW, "nowhere.example.org") == {}


def test_who_has_it_by_a_group_of_the_platform_is_told_with_the_group(tmp_path: Path) -> None:
    """The group is the way, whatever it holds there."""
    found = asked(tmp_path)
    team = Grant(Subject("group", "team"), Scope("site", SHOP), "team-manager")
    more = (Group("team"), Member("team", "petra"), team)
    access = Access((*found.survey.live.access.values(), *more))
    seen = replace(found.survey, live=replace(found.survey.live, access=access))
    petra = rows(Asked(found.rig, seen, found.plan), Power.MANAGE)["petra"]
    assert (petra.through, petra.live) == ("group team", "team-manager")


def test_somebody_with_nothing_is_told_so_for_the_whole_instance(tmp_path: Path) -> None:
    """And with the reason: an answer is never empty for somebody who is declared."""
    found = asked(tmp_path, grants=[ADMINS, edit("dora")], users={"eve": {"email": "eve@example.org"}})
    (told,) = explain(found.declaration, found.survey, found.plan, "eve", None)
    assert (told.scope, told.live, told.wished) == (EVERYWHERE, None, None)
    assert told.why_not == "no grant in force gives this user anything here"
