"""Which differences are ours, and why, rule by rule."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from access.worlds import (
    AT,
    BLOG,
    OPEN,
    SHOP,
    admin,
    codes,
    declared_user,
    grant,
    judged,
    key,
    keys,
    live,
    planned,
    proposed,
    subject,
    whole,
    wish,
)
from siteward.access.change import Change
from siteward.access.defaults import with_defaults
from siteward.access.diagnostic import Severity, Span
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Power, Resource, Scope
from siteward.access.policy import Policy
from siteward.access.proposal import manage
from siteward.access.state import Ended, Live, Memory, Origin
from strategies import MATOMO, ME, PIWIKPRO, PLAUSIBLE, UMAMI

FULL, ADD_ONLY, OBSERVE = OPEN, replace(OPEN, mode="add-only"), replace(OPEN, mode="observe")
REVOKE, REMOVE = replace(OPEN, unmanaged="revoke"), replace(OPEN, unmanaged="remove")
USER = Grant(subject("anna"), EVERYWHERE, "user")


def said(proposal: object, code: str) -> list[str]:
    return [diagnostic.message for diagnostic in proposal.diagnostics if diagnostic.code == code]  # type: ignore[attr-defined]


# -- a declared user's account is managed whole


def test_what_the_file_does_not_grant_is_revoked() -> None:
    """In mode full silence takes, and the place that is shown is the user's."""
    found = proposed(
        live(grant("anna", "team-member"), grant("anna", "team-view-only", BLOG)), wish(grant("anna", "team-member"))
    )
    assert keys(found) == [("delete", key("anna", BLOG), "silence")]
    assert found.proposed[0].origin is not None
    assert found.proposed[0].origin.at == AT
    assert found.proposed[0].person == "anna"


def test_what_differs_in_nothing_but_the_site_stands_in_one_series() -> None:
    """Another role, another account, another cause or another line of the file begins the next."""
    wished = [grant(name, "team-view-only", site) for name in ("anna", "ben") for site in (BLOG, SHOP)]
    wished[-1] = grant("ben", "team-member")
    line = Origin(AT)
    desired = replace(wish(*wished), origins={resource.key: line for resource in wished})
    found = proposed(live(Account("anna"), Account("ben")), desired)
    assert [[step.key for step in series] for series in found.series] == [
        [key("anna", BLOG), key("anna")], [key("ben", BLOG)], [key("ben")],
    ]  # fmt: skip
    lines = (Origin(AT), Origin(Span("access.yaml", 9, 3)))
    told = tuple(replace(step, origin=line) for step, line in zip(found.proposed[:2], lines, strict=True))
    assert [len(series) for series in replace(found, proposed=told).series] == [1, 1]
    more = replace(found.proposed[1], change=Change(None, grant("anna", "team-view-only", SHOP, "extra")))
    assert [len(series) for series in replace(found, proposed=(found.proposed[0], more)).series] == [1, 1]
    late = (found.proposed[0], replace(found.proposed[1], due="start"))
    assert [len(series) for series in replace(found, proposed=late).series] == [1, 1]


def test_what_manages_leaves_out_is_not_looked_at() -> None:
    """A site outside `manages` is neither taken from nor given."""
    desired = replace(wish(grant("anna", "team-member", BLOG)), managed=frozenset({BLOG}))
    found = proposed(live(grant("anna", "team-member"), grant("anna", "team-view-only", BLOG)), desired)
    assert keys(found) == [("update", key("anna", BLOG), "granted")]
    assert found.sites == 1
    assert found.grants == 1


def test_without_a_grants_key_nothing_is_taken() -> None:
    """No `grants` key means that nothing is managed: silence takes nothing, from whomever."""
    desired = replace(wish(declared=[declared_user("anna")]), managed=None)
    world = live(grant("anna", "team-member"), grant("old", "team-member"))
    assert keys(proposed(world, desired)) == []
    assert keys(proposed(world, desired, REMOVE)) == []


def test_who_is_suspended_loses_access_also_without_a_grants_key() -> None:
    """What the file says in so many words it says with or without grants."""
    desired = replace(wish(declared=[declared_user("anna", ending="suspended")]), managed=None)
    assert keys(proposed(live(grant("anna", "team-member")), desired)) == [("delete", key("anna"), "suspended")]


def test_an_account_is_made_and_its_grant_given() -> None:
    """Both with the cause that the file grants them."""
    found = proposed(live(), wish(grant("li", "team-member")))
    assert keys(found) == [("create", ("account", "li"), "granted"), ("create", key("li"), "granted")]


def test_a_rename_says_so() -> None:
    """Where the platform can, the login is changed; where not, it is kept and said."""
    desired = wish(Account("anna", renamed="ann"), grant("anna", "team-member"))
    world = live(grant("anna", "team-member"))
    assert keys(proposed(world, desired)) == [("update", ("account", "anna"), "renamed")]
    table = replace(UMAMI, renames=False)
    kept = proposed(world, desired, table=table)
    assert keys(kept) == []
    assert said(kept, "cannot-rename") == ["anna keeps its login: accounts cannot be renamed to ann here"]


def test_the_renaming_of_a_group_says_so() -> None:
    """As of an account; what it is tied to stays."""
    desired = replace(
        wish(Group("readers", renamed="analysts")), origins={("group", "readers"): Origin(Span("a.yaml", 1, 1))}
    )
    world = live(Group("readers", "idp"))
    (found,) = proposed(world, desired, table=PIWIKPRO).proposed
    assert found.change == Change(Group("readers", "idp"), Group("readers", "idp", "analysts"))
    assert found.cause == "renamed"
    kept = proposed(world, desired, table=replace(PIWIKPRO, renames_groups=False))
    assert keys(kept) == []
    assert said(kept, "cannot-rename") == [
        "the group readers keeps its name: groups cannot be renamed to analysts here"
    ]


# -- the wish in full


def test_extras_that_are_not_spoken_of_are_kept_and_sent_again() -> None:
    """Raising somebody on Matomo carries the live capabilities along; `[]` takes them."""
    world = live(grant("anna", "view", SHOP, "tagmanager_write"), table=MATOMO)
    unspoken = wish(Grant(subject("anna"), SHOP, "write", None))
    found = proposed(world, unspoken, table=MATOMO)
    assert found.changes[0].after == grant("anna", "write", SHOP, "tagmanager_write")
    none = proposed(world, wish(grant("anna", "write")), table=MATOMO)
    assert none.changes[0].after == grant("anna", "write")
    same = proposed(world, wish(Grant(subject("anna"), SHOP, "view", None)), table=MATOMO)
    assert same.changes == ()


def test_extras_that_are_part_of_the_role_are_no_difference() -> None:
    """A Matomo admin has the capabilities anyway, and the server does not list them."""
    wished = Grant(subject("anna"), SHOP, "admin", frozenset({"tagmanager_write"}))
    assert proposed(live(grant("anna", "admin"), table=MATOMO), wish(wished), table=MATOMO).changes == ()


def test_an_e_mail_that_differs_in_case_is_the_same() -> None:
    """And one that is not spoken of stays; a real difference is a change."""
    world = live(Account("anna", "Anna@Example.org"), table=MATOMO)
    for email in ("anna@example.ORG", None):
        assert proposed(world, wish(Account("anna", email)), table=MATOMO).changes == ()
    known = Memory(accounts=frozenset({"anna"}))
    changed = proposed(world, wish(Account("anna", "a@example.org")), table=MATOMO, memory=known)
    assert changed.changes[0].after == Account("anna", "a@example.org")


def test_where_no_e_mail_is_kept_none_is_compared() -> None:
    """Umami has no e-mail: that the file has one is no difference, at creation neither."""
    desired = wish(Account("anna", "anna@example.org"), Account("li", "li@example.org"))
    assert with_defaults(desired, live(Account("anna")), UMAMI)[0]["account", "anna"] == Account("anna")
    assert with_defaults(desired, live(Account("anna")), UMAMI)[0]["account", "li"] == Account("li")


def test_an_owner_satisfies_any_weaker_wish() -> None:
    """Promise 14: `owner` is a fact: no step, and it is reported."""
    found = proposed(live(grant("anna", "owner")), wish(grant("anna", "team-view-only")))
    assert found.changes == ()
    assert said(found, "undeclarable-role") == [
        "anna is owner of shop.example.org, which includes the declared role team-view-only; there is nothing to do"
    ]


def test_an_owner_without_a_wish_yields_no_step_either() -> None:
    """Promise 14: not declared, not taken, but told; loudly where the person is suspended."""
    found = proposed(live(grant("anna", "owner")), wish(declared=[declared_user("anna")]))
    assert found.changes == ()
    assert said(found, "undeclarable-role")
    gone = proposed(live(grant("anna", "owner")), wish(declared=[declared_user("anna", ending="suspended")]))
    assert gone.changes == ()
    assert [diagnostic.severity for diagnostic in gone.diagnostics if diagnostic.code == "undeclarable-role"] == [
        Severity.WARNING
    ]


def test_what_an_admin_has_anyway_is_no_step() -> None:
    """Where the top role excludes site grants, promoting takes none of them one by one."""
    world = live(grant("anna", "view"), grant("anna", "write", BLOG), table=MATOMO)
    found = proposed(world, wish(admin("anna", "superuser")), table=MATOMO)
    assert keys(found) == [("create", key("anna", EVERYWHERE), "granted")]


# -- what lingers


def test_an_existing_user_role_is_left_alone() -> None:
    """Promise 14: silence does not take Umami's global `user`, and an expired window neither."""
    for ending in (None, "expired"):
        assert keys(proposed(live(USER), wish(declared=[declared_user("anna", ending=ending)]))) == []
        beside, declared = grant("anna", "team-member"), [declared_user("anna", ending=ending)]
        found = proposed(live(USER, beside), wish(beside, declared=declared))
        assert (keys(found), found.excess) == ([], ())
        more = grant("anna", "team-member", BLOG)
        assert proposed(live(USER, beside, more), wish(beside, declared=declared)).changes == (Change(more, None),)


@pytest.mark.parametrize("ending", ["suspended", "absent", "left"])
def test_an_existing_user_role_goes_with_its_person(ending: str) -> None:
    """Promise 14: who is suspended, absent or left is made view-only."""
    beside, declared = grant("anna", "team-member"), [declared_user("anna", ending=ending)]
    for found in (
        keys(proposed(live(USER), wish(declared=declared))),
        keys(proposed(live(USER, beside), wish(beside, declared=declared))),
    ):
        assert ("delete", key("anna", EVERYWHERE), ending) in found


def test_of_two_declared_accounts_that_look_alike_none_is_called_unmanaged() -> None:
    """They are told with the file; here, who is declared is compared with who is not."""
    pair = grant("anna", "team-member"), grant("\u0430nna", "team-member")
    assert said(proposed(live(*pair), wish(*pair)), "looks-like") == []


def test_an_unmanaged_account_keeps_what_lingers() -> None:
    """`unmanaged: revoke` takes grants, not the global `user` of an account."""
    found = proposed(live(grant("old", "team-member"), Grant(subject("old"), EVERYWHERE, "user")), wish(), REVOKE)
    assert keys(found) == [("delete", key("old"), "unmanaged")]


TEAM = Scope("team", "t1")


@pytest.mark.parametrize(
    ("ending", "closed"), [(None, False), ("expired", False), ("suspended", True), ("absent", True), ("left", True)]
)
def test_teams_are_closed_only_for_who_is_gone(ending: str | None, closed: int) -> None:
    """A team without sites is nothing the file speaks of, but a way in all the same."""
    found = keys(
        proposed(live(grant("anna", "team-member", TEAM)), wish(declared=[declared_user("anna", ending=ending)]))
    )
    assert (("delete", key("anna", TEAM), ending) in found) == closed


@pytest.mark.parametrize(("policy", "closed"), [(REVOKE, True), (OPEN, False)])
def test_teams_are_closed_for_who_is_not_declared(policy: Policy, closed: int) -> None:
    """`unmanaged: revoke` takes every way in, but for being a team's owner, which cannot be taken."""
    world = live(grant("mal", "team-member", TEAM), grant("own", "team-owner", TEAM))
    found = keys(proposed(world, wish(), policy))
    assert found == ([("delete", key("mal", TEAM), "unmanaged")] if closed else [])


def test_modules_are_left_alone_unless_spoken_of_or_suspended() -> None:
    """Piwik PRO's switches are a second axis."""
    analytics = Scope("module", "analytics")
    world = live(grant("anna", "on", analytics), table=PIWIKPRO)
    silent = wish(declared=[declared_user("anna")])
    assert keys(proposed(world, silent, table=PIWIKPRO)) == []
    assert keys(proposed(world, replace(silent, modules=frozenset({"anna"})), table=PIWIKPRO)) == [
        ("delete", key("anna", analytics), "silence")
    ]
    gone = wish(declared=[declared_user("anna", ending="suspended")])
    assert keys(proposed(world, gone, table=PIWIKPRO)) == [("delete", key("anna", analytics), "suspended")]


# -- unmanaged, ignored, ourselves, everybody


def test_unmanaged_accounts_are_reported_with_what_they_hold() -> None:
    """The default: no step, but named with their power, the powerful ones first."""
    found = proposed(live(grant("old", "team-member"), admin("agency"), grant("agency", "team-view-only")), wish())
    assert found.changes == ()
    assert [
        (unmanaged_account.name, unmanaged_account.power, unmanaged_account.grants)
        for unmanaged_account in found.unmanaged
    ] == [
        ("agency", Power.ADMIN, 2),
        ("old", Power.EDIT, 1),
    ]


def test_the_power_of_an_unmanaged_account_through_a_group_counts() -> None:
    """Who holds nothing but is in a group that does."""
    world = live(grant("group:editors", "edit"), Member("editors", "old"), table=PIWIKPRO)
    found = proposed(world, wish(), table=PIWIKPRO)
    assert [
        (unmanaged_account.name, unmanaged_account.power, unmanaged_account.grants)
        for unmanaged_account in found.unmanaged
    ] == [("old", Power.EDIT, 1)]


def test_revoke_takes_and_remove_deletes() -> None:
    """`unmanaged: revoke` takes every grant; `remove` deletes the account after that."""
    world = live(grant("old", "team-member"), admin("old"))
    taken = [("delete", key("old"), "unmanaged"), ("delete", key("old", EVERYWHERE), "unmanaged")]
    assert keys(proposed(world, wish(), REVOKE)) == taken
    assert keys(proposed(world, wish(), REMOVE)) == [*taken, ("delete", ("account", "old"), "unmanaged")]


def test_ignored_accounts_get_no_step_and_are_named() -> None:
    """Whatever the policy on strangers is; in any case of letters."""
    policy = replace(REMOVE, ignore=("SSO-*",))
    found = proposed(live(grant("sso-paul", "team-manager")), wish(), policy)
    assert found.changes == ()
    assert [
        (unmanaged_account.name, unmanaged_account.ignored, unmanaged_account.power)
        for unmanaged_account in found.unmanaged
    ] == [("sso-paul", True, Power.MANAGE)]


def test_who_is_declared_and_ignored_gets_no_step_but_a_word() -> None:
    """Two wishes that contradict each other: the careful one holds, and it is said."""
    found = proposed(live(), wish(grant("sso-paul", "team-member")), replace(OPEN, ignore=("sso-*",)))
    assert found.changes == ()
    assert said(found, "declared-but-ignored")


def test_we_are_never_unmanaged() -> None:
    """The account in use is no stranger, in whatever spelling."""
    world = replace(live(), me=ME.upper())
    found = proposed(world, wish(), REMOVE)
    assert found.changes == ()
    assert found.unmanaged == ()


def test_everybodys_account_cannot_be_ignored() -> None:
    """Public access is in the report though a pattern fits it, and is no stranger."""
    world = live(grant("anonymous", "view"), table=MATOMO)
    found = proposed(world, wish(), replace(REMOVE, ignore=("anon*",)), table=MATOMO)
    assert found.changes == ()
    assert found.unmanaged == ()
    assert said(found, "public-access")


def test_public_access_is_declared_by_site() -> None:
    """`public: false` closes, `public: true` opens, and both end the warning."""
    closed = replace(wish(), public={SHOP: False})
    world = live(grant("anonymous", "view"), table=MATOMO)
    found = proposed(world, closed, table=MATOMO)
    assert keys(found) == [("delete", key("anonymous"), "public")]
    assert said(found, "public-access") == []
    opened = proposed(live(table=MATOMO), replace(wish(), public={SHOP: True}), table=MATOMO)
    assert keys(opened) == [("create", key("anonymous"), "public")]
    assert planned(opened).steps[0].risks == ("opens-to-all",)


# -- state


def test_suspended_is_no_access_anywhere_and_the_account_stays() -> None:
    """All grants go, with the file's word as cause."""
    world = live(grant("mia", "team-member"), admin("mia"))
    found = proposed(world, wish(declared=[declared_user("mia", ending="suspended")]))
    assert keys(found) == [("delete", key("mia"), "suspended"), ("delete", key("mia", EVERYWHERE), "suspended")]


def test_absent_is_suspended_and_then_deleted() -> None:
    """The deletion comes last and waits for the revocations."""
    found = proposed(live(grant("ed", "team-member")), wish(declared=[declared_user("ed", ending="absent")]))
    assert keys(found) == [("delete", key("ed"), "absent"), ("delete", ("account", "ed"), "absent")]
    assert planned(found, allow_delete=True).steps[1].depends_on == ("s1",)


def test_where_accounts_cannot_be_deleted_absent_is_suspended() -> None:
    """And it is said."""
    table = replace(UMAMI, deletes=False)
    found = proposed(
        live(grant("ed", "team-member")), wish(declared=[declared_user("ed", ending="absent")]), table=table
    )
    assert keys(found) == [("delete", key("ed"), "absent")]
    assert said(found, "cannot-delete")


def test_who_left_is_treated_as_suspended_whatever_unmanaged_says() -> None:
    """Known from the journal, or from an earlier revision of the file."""
    world = live(grant("ed", "team-member"), grant("old", "team-member"))
    taken = [("delete", key("ed"), "left")]
    assert keys(proposed(world, wish(), memory=Memory(users={"edward": "ed"}))) == taken
    base = manage(world, wish(), UMAMI, OPEN, None, base={"edward": "ed"})
    assert keys(base) == taken
    assert base.proposed[0].person == "edward"
    assert [unmanaged_account.name for unmanaged_account in base.unmanaged] == ["old"]
    assert said(base, "leavers-unknown") == []


def test_who_is_still_declared_has_not_left() -> None:
    """A handle that changed its login did not leave, nor did a login that another handle took over."""
    world = live(grant("ed", "team-member"))
    renamed = proposed(world, wish(grant("ed", "team-member")), memory=Memory(users={"edward": "ed"}))
    assert keys(renamed) == []


def test_without_memory_leavers_cannot_be_told() -> None:
    """And the plan says so, where there is anybody who could be one."""
    assert said(proposed(live(grant("old", "team-member")), wish(), memory=None), "leavers-unknown")
    assert not said(proposed(live(), wish(), memory=None), "leavers-unknown")
    assert not said(proposed(live(grant("old", "team-member")), wish(), memory=Memory()), "leavers-unknown")


def test_who_is_gone_but_keeps_access_out_of_sight_is_told() -> None:
    """`manages` confines what is done, not what is said; and in whatever order they were read."""
    gone = [declared_user(name, ending="suspended") for name in ("mia", "abe")]
    desired = replace(wish(declared=gone), managed=frozenset({BLOG}))
    for names in (("mia", "abe"), ("abe", "mia")):
        found = proposed(live(*(grant(name, "team-member") for name in names)), desired)
        assert found.changes == ()
        told = said(found, "out-of-scope")
        assert [message.split()[0] for message in told] == ["abe", "mia"]
        assert all("shop.example.org" in message for message in told)


# -- first meetings


def test_a_first_meeting_is_told_and_is_no_step_by_itself() -> None:
    """Quietly where nothing is gained, with the step and in the danger section where something is."""
    world = live(grant("anna", "team-member"), grant("ben", "team-view-only"))
    desired = wish(grant("anna", "team-member"), grant("ben", "team-manager"))
    found = proposed(world, desired)
    assert keys(found) == [("update", key("ben"), "granted")]
    assert [
        (diagnostic.about, diagnostic.severity)
        for diagnostic in found.diagnostics
        if diagnostic.code == "existing-account"
    ] == [
        (key("ben"), Severity.WARNING),
        (None, Severity.NOTE),
    ]
    step = planned(found).steps[0]
    assert (step.risk, "existing-account" in step.risks) == ("high", True)


def test_a_first_meeting_that_gains_no_more_than_view_is_no_high_risk() -> None:
    """Nearly everybody is met for the first time in a first plan: they are told, and only the powerful are dangers."""
    found = proposed(live(Account("ben")), wish(grant("ben", "team-view-only")))
    step = planned(found).steps[0]
    assert [said.code for said in step.diagnostics] == ["existing-account"]
    assert (step.risk, step.risks) == ("low", ())


def test_a_note_names_ten_of_the_accounts_that_are_met() -> None:
    """A first plan meets thousands."""
    held = [grant(f"user{number:02}", "team-view-only") for number in range(33)]
    (message,) = said(proposed(live(*held), wish(*held)), "existing-account")
    assert message.endswith("user08, user09 and 23 more")


def test_whom_a_journal_knows_is_not_met_again() -> None:
    """One word, once."""
    found = proposed(
        live(grant("ben", "team-view-only")),
        wish(grant("ben", "team-manager")),
        memory=Memory(accounts=frozenset({"ben"})),
    )
    assert said(found, "existing-account") == []


def test_another_live_e_mail_is_another_person() -> None:
    """Nothing is done to an account that may be somebody else's, until the journal knows it."""
    world = live(Account("anna", "anna@other.test"), grant("anna", "view"), table=MATOMO)
    desired = replace(
        wish(grant("anna", "admin")), declared_users={"anna": declared_user("anna", email="anna@example.org")}
    )
    found = proposed(world, desired, table=MATOMO)
    assert [(diagnostic.code, diagnostic.about) for diagnostic in judged(found) if diagnostic.blocks] == [
        ("identity-mismatch", key("anna"))
    ]
    assert planned(found).runnable == ()
    known = proposed(world, desired, table=MATOMO, memory=Memory(accounts=frozenset({"anna"})))
    assert not [diagnostic for diagnostic in judged(known) if diagnostic.blocks]
    same = replace(desired, declared_users={"anna": declared_user("anna", email="ANNA@other.test")})
    assert not [diagnostic for diagnostic in judged(proposed(world, same, table=MATOMO)) if diagnostic.blocks]


def test_a_mismatch_is_told_where_nothing_would_change_too() -> None:
    """The error is about the account then."""
    world = live(Account("anna", "anna@other.test"), grant("anna", "view"), table=MATOMO)
    desired = replace(
        wish(grant("anna", "view")), declared_users={"anna": declared_user("anna", email="anna@example.org")}
    )
    found = proposed(world, desired, table=MATOMO)
    assert [diagnostic.about for diagnostic in judged(found) if diagnostic.code == "identity-mismatch"] == [
        ("account", "anna")
    ]


# -- modes


def test_add_only_gives_and_holds_back_what_follows_from_silence() -> None:
    """Raises and additions go, revocations and lowerings stay, and are listed."""
    world = live(grant("anna", "team-view-only"), grant("ben", "team-manager"), grant("cem", "team-member"))
    desired = wish(
        grant("anna", "team-member"),
        grant("ben", "team-view-only"),
        grant("li", "team-member"),
        declared=[declared_user("cem")],
    )
    found = proposed(world, desired, ADD_ONLY)
    assert [key[1] for key in keys(found)] == [("account", "li"), key("anna"), key("li")]
    assert [proposed.key for proposed in found.held_back] == [key("ben"), key("cem")]
    assert [step.id for step in planned(found).held_back] == ["h1", "h2"]


def test_add_only_takes_what_the_file_names_as_ended() -> None:
    """Dates passed, suspended, absent, left; also where something lesser remains."""
    world = live(
        grant("anna", "team-member"),
        grant("ben", "team-manager"),
        grant("mia", "team-member"),
        grant("ed", "team-member"),
    )
    desired = replace(
        wish(
            grant("ben", "team-view-only"), declared=[declared_user("anna"), declared_user("mia", ending="suspended")]
        ),
        ended={key("anna"): Ended("expired", Span("a.yaml", 1, 1)), key("ben"): Ended("expired", AT)},
    )
    found = proposed(world, desired, ADD_ONLY, memory=Memory(users={"ed": "ed"}))
    assert keys(found) == [
        ("delete", key("anna"), "expired"),
        ("update", key("ben"), "expired"),
        ("delete", key("ed"), "left"),
        ("delete", key("mia"), "suspended"),
    ]
    assert found.proposed[0].origin is not None
    assert found.proposed[0].origin.at == Span("a.yaml", 1, 1)


def test_add_only_does_not_touch_unmanaged_accounts() -> None:
    """That an account is nobody's follows from silence."""
    found = proposed(live(grant("old", "team-member")), wish(), replace(ADD_ONLY, unmanaged="remove"))
    assert found.changes == ()
    assert [proposed.key for proposed in found.held_back] == [key("old"), ("account", "old")]


def test_add_only_does_not_regrant_under_an_admin_it_keeps() -> None:
    """What can only be given after a demotion is held back with it."""
    found = proposed(
        live(admin("anna", "superuser"), table=MATOMO), wish(grant("anna", "view")), ADD_ONLY, table=MATOMO
    )
    assert found.changes == ()
    assert [proposed.key for proposed in found.held_back] == [key("anna", EVERYWHERE), key("anna")]


def test_observe_never_plans_a_step() -> None:
    """Not even an addition."""
    found = proposed(live(), wish(grant("li", "team-member")), OBSERVE)
    assert found.changes == ()
    assert len(found.held_back) == 2


# -- the rest


def test_what_waits_for_somebody_is_no_difference() -> None:
    """An invitation that is out is counted and nothing is sent again; a greater wish is a change."""
    world = replace(live(grant("li@x.org", "viewer"), table=PLAUSIBLE), pending=frozenset({key("li@x.org")}))
    found = proposed(world, wish(grant("li@x.org", "viewer")), table=PLAUSIBLE)
    assert (found.changes, found.waiting) == ((), (key("li@x.org"),))
    raised = proposed(world, wish(grant("li@x.org", "editor")), table=PLAUSIBLE)
    assert (len(raised.changes), raised.waiting) == (1, ())


def test_kinds_that_the_platform_does_not_manage_are_left_out() -> None:
    """Plausible has no accounts to make: granting somebody is one step."""
    found = proposed(live(table=PLAUSIBLE), wish(grant("li@x.org", "viewer")), table=PLAUSIBLE)
    assert keys(found) == [("create", key("li@x.org"), "granted")]


def test_groups_of_the_file_are_managed_and_others_left() -> None:
    """Grants and members of a declared group; a directory's members never."""
    world = live(
        grant("group:analysts", "edit"),
        grant("group:others", "edit"),
        Member("analysts", "anna"),
        Member("others", "ben"),
        table=PIWIKPRO,
    )
    desired = replace(wish(Group("analysts"), declared=[declared_user("anna")]), managed=frozenset({SHOP, BLOG}))
    assert keys(proposed(world, desired, table=PIWIKPRO)) == [
        ("delete", key("group:analysts"), "silence"),
        ("delete", ("member", "analysts", "anna"), "silence"),
    ]
    external = replace(desired, access=Access((Group("analysts", external="idp"), grant("group:analysts", "edit"))))
    found = proposed(replace(world, access=whole((*world.access.values(),))), external, table=PIWIKPRO)
    assert all(key[1][0] != "member" for key in keys(found))


def test_a_declared_user_leaves_a_group_that_nobody_declared() -> None:
    """The account is managed whole, so a way in that the file does not know is closed."""
    world = live(grant("group:others", "edit"), Member("others", "anna"), table=PIWIKPRO)
    found = proposed(world, wish(declared=[declared_user("anna")]), table=PIWIKPRO)
    assert keys(found) == [("delete", ("member", "others", "anna"), "silence")]


def test_a_hostile_wish_for_ourselves_is_proposed_and_blocked() -> None:
    """It is seen, and it is refused."""
    found = proposed(live(), wish(grant(ME, "team-member")))
    assert codes(found) >= {("self-protected", key(ME))}


# -- who an account is


def made_anew(*resources: Resource) -> tuple[Live, Memory]:
    """Return a world whose accounts all have another id than the journal knows."""
    world = live(*resources)
    names = [account.name for account in world.access.accounts()]
    ids = {("account", name): f"new-{name}" for name in names}
    return replace(world, ids=ids), Memory(
        accounts=frozenset(names), identities={name: f"old-{name}" for name in names}
    )


BY_ID = replace(UMAMI, ids="unique")


def test_an_admin_who_is_another_account_does_not_count() -> None:
    """Nobody is unmade on the strength of an admin of whom it is not known who that is."""
    world, memory = made_anew(admin("anna"), admin("ben"))
    world = replace(world, ids={**world.ids, ("account", "ben"): "old-ben"})
    desired = wish(admin("anna"), declared=[declared_user("ben", ending="suspended")])
    found = proposed(world, desired, table=BY_ID, memory=memory)
    assert ("too-few-admins", key("ben", EVERYWHERE)) in codes(found)
    known = proposed(world, desired, table=BY_ID, memory=replace(memory, identities={}))
    assert ("too-few-admins", key("ben", EVERYWHERE)) not in codes(known)


def test_the_account_in_use_and_ignored_ones_are_not_doubted() -> None:
    """Nothing is done with them anyway."""
    world, memory = made_anew(grant("root", "team-member"))
    found = proposed(world, wish(), replace(OPEN, ignore=("root",)), table=BY_ID, memory=memory)
    assert found.others == {}


def test_a_base_with_users_and_no_journal_is_told() -> None:
    """It cannot be told then whether their accounts are still theirs; where no ids are shown, nothing is lost."""
    world, memory = made_anew(grant("anna", "team-member"))
    desired = wish(grant("anna", "team-member"))
    for table, journal, told in ((BY_ID, None, 1), (BY_ID, Memory(), 1), (BY_ID, memory, 0), (UMAMI, None, 0)):
        found = manage(
            world,
            desired,
            replace(table, ids="none") if table is UMAMI else table,
            OPEN,
            journal,
            base={"anna": "anna"},
        )
        assert len(said(found, "identities-unknown")) == told
