"""What must not happen, guard by guard: promises 3 to 7, the rules, and what is told besides."""

from __future__ import annotations

from datetime import timedelta

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
    wish,
)
from siteward.access.diagnostic import Diagnostic, Severity, Span, error
from siteward.access.limits import Begun, allowed
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Power, Resource, Scope
from siteward.access.plan import InstancePlan
from siteward.access.policy import Limit, Policy, Rule
from siteward.access.state import (
    Claim,
    DeclaredUser,
    Desired,
    Ended,
    Listing,
    Live,
    Memory,
    Origin,
    home_domains,
    is_external,
)
from siteward.access.traits import Traits
from strategies import MATOMO, ME, NOW, PIWIKPRO, PLAUSIBLE, UMAMI

EXPIRED = Ended("expired", AT)
PEOPLE = tuple(f"user{number}" for number in range(10))


def warned(found: tuple[Diagnostic, ...]) -> set[str]:
    return {diagnostic.code for diagnostic in found if diagnostic.severity is Severity.WARNING}


# -- promise 3: absence must be proven

UNPROVEN = (Listing(name="sites", rows=100, complete=False, proof="the last page is full"),)


@pytest.mark.parametrize("gap", ["listings", "unreadable"])
def test_a_removal_needs_a_whole_reading(gap: str) -> None:
    """What follows from silence or from leaving is blocked; what the file names as over is not, nor is a gift."""
    world = live(grant("anna", "team-member"), grant("mia", "team-member"), grant("ed", "team-member"))
    world = replace(world, listings=UNPROVEN) if gap == "listings" else replace(world, unreadable=("sites",))
    desired = wish(
        grant("li", "team-member"), declared=[declared_user("anna"), declared_user("mia", ending="suspended")]
    )
    found = proposed(world, desired, memory=Memory(users={"ed": "ed"}))
    assert len(found.changes) == 5
    assert codes(found) == {("incomplete-reading", key("anna")), ("incomplete-reading", key("ed"))}


def test_a_deletion_needs_a_whole_reading_in_any_case() -> None:
    """Who knows what an account owns that was not read."""
    world = replace(live(Account("ed")), listings=UNPROVEN)
    found = proposed(world, wish(declared=[declared_user("ed", ending="absent")]))
    assert codes(found, allow_delete=True) == {("incomplete-reading", ("account", "ed"))}


def test_a_list_of_accounts_without_ourselves_is_refused() -> None:
    """Where accounts are listed; in any case of letters."""
    desired = wish(grant("li", "team-member"))
    assert codes(proposed(replace(live(), me="somebody"), desired)) == {("self-not-listed", None)}
    assert codes(proposed(replace(live(), me=ME.title()), desired)) == set()
    assert codes(proposed(replace(live(), me=None), desired)) == {("self-unknown", None)}
    assert (
        codes(proposed(replace(live(table=PLAUSIBLE), me=None), wish(grant("li@x.org", "viewer")), table=PLAUSIBLE))
        == set()
    )


def test_nothing_where_there_was_something_is_refused() -> None:
    """Zero sites, or zero grants, when the last run saw some."""
    empty = replace(live(), sites={})
    assert codes(proposed(empty, wish(), memory=Memory(sites=12))) == {("implausible-reading", None)}
    bare = replace(live(table=PLAUSIBLE), sites={})
    assert codes(proposed(bare, wish(), memory=Memory(grants=3), table=PLAUSIBLE)) == {("implausible-reading", None)}
    assert codes(proposed(empty, wish(), memory=Memory())) == set()
    assert codes(proposed(empty, wish(), memory=None)) == set()
    ours_alone = proposed(live(), wish(), memory=Memory(sites=12, grants=9))
    assert codes(ours_alone) == {("implausible-reading", None)}
    held = grant("anna", "team-member")
    assert codes(proposed(live(held), wish(held), memory=Memory(sites=12, grants=9))) == set()


def test_grants_that_are_an_empty_list_need_consent() -> None:
    """`grants: []` means none, and is blocked without `--accept empty`."""
    desired = replace(wish(declared=[declared_user("anna")]), empty=True)
    found = proposed(live(grant("anna", "team-member")), desired)
    assert codes(found) == {("empty-grants", None)}
    assert codes(found, accept={"empty": "closing down"}) == set()
    assert warned(judged(found, accept={"empty": "closing down"})) >= {"empty-grants"}
    assert codes(proposed(live(), desired)) == set()


# -- promise 4: no lock-out


def test_we_are_never_changed() -> None:
    """Whoever wishes it, in whatever spelling, and by whatever new login."""
    for name in (ME, ME.upper()):
        assert codes(proposed(live(), wish(grant(name, "team-member")))) >= {("self-protected", key(name))}
    renamed = wish(Account("anna", renamed=ME), grant("anna", "team-member"))
    assert codes(proposed(live(grant("anna", "team-member")), renamed)) == {("self-protected", ("account", "anna"))}


def test_we_lose_nothing_through_a_group() -> None:
    """Taking from a group that we are in takes from us."""
    world = live(Member("analysts", ME), grant("group:analysts", "edit"), table=PIWIKPRO)
    desired = wish(grant("group:analysts", "view"), Member("analysts", ME))
    assert ("self-protected", key("group:analysts")) in codes(proposed(world, desired, table=PIWIKPRO))


THREE = (admin("anna"), admin("ben"), admin("cem"))


def test_too_few_admins_are_never_left() -> None:
    """The step that would leave too few is blocked, and only that."""
    found = proposed(
        live(*THREE),
        wish(admin("cem"), declared=[declared_user("anna"), declared_user("ben")]),
        replace(OPEN, admins_min=2),
    )
    assert codes(found) == {("too-few-admins", key("ben", EVERYWHERE))}
    assert len(planned(found).runnable) == 1


def test_new_admins_are_made_before_old_ones_are_unmade() -> None:
    """So a whole change of guard passes, and each demotion waits for the promotions it needs."""
    found = proposed(
        live(*THREE),
        wish(admin("dora"), admin("eva"), declared=[declared_user(name) for name in ("anna", "ben", "cem")]),
    )
    assert codes(found) == set()
    plan = planned(found)
    assert [step.change.action for step in plan.steps] == [
        "create",
        "create",
        "create",
        "create",
        "delete",
        "delete",
        "delete",
    ]
    assert all({"s3", "s4"} <= set(step.depends_on) for step in plan.steps[4:])


def test_who_is_not_made_admin_after_all_does_not_count() -> None:
    """A promotion that a rule, or the platform, blocks saves nobody; one that is not needed is not waited for."""
    rule = Rule(id="admin-needs-ticket", match={"power": "admin"}, require=("ticket",))
    desired = wish(admin("dora"), declared=[declared_user("anna")])
    world = live(admin("anna"), Account("dora"))
    assert planned(proposed(world, desired, replace(OPEN, rules=(rule,)))).runnable == ()
    refused = error("cannot", "the platform says no", about=key("dora", EVERYWHERE))
    assert codes(proposed(world, desired)) == set()
    assert planned(proposed(world, desired), refused).runnable == ()
    enough = wish(admin("dora"), admin("eva"), declared=[declared_user("anna")])
    plan = planned(proposed(live(admin("anna"), admin("eva"), Account("dora")), enough), refused)
    assert [step.change.key for step in plan.runnable] == [key("anna", EVERYWHERE)]


@pytest.mark.parametrize(
    "said",
    [{"kind": "service"}, {"until": NOW + timedelta(days=14)}, {"ending": "suspended"}],
)
def test_who_does_not_count_as_an_admin_by_the_file(said: dict[str, object]) -> None:
    """Services, whoever ends within 14 days, and whoever is suspended."""
    desired = wish(admin("anna"), declared=[declared_user("ben")])
    desired = replace(desired, declared_users={**desired.declared_users, "anna": declared_user("anna", **said)})
    assert ("too-few-admins", key("ben", EVERYWHERE)) in codes(proposed(live(admin("anna"), admin("ben")), desired))


def test_who_ends_later_counts() -> None:
    """Fourteen days and a moment are enough."""
    desired = wish(admin("anna"), declared=[declared_user("ben")])
    later = NOW + timedelta(days=14, seconds=1)
    desired = replace(desired, declared_users={**desired.declared_users, "anna": declared_user("anna", until=later)})
    assert codes(proposed(live(admin("anna"), admin("ben")), desired)) == set()


def test_an_admin_grant_that_ends_soon_does_not_count() -> None:
    """The window of the grant counts as that of the person does."""
    desired = wish(admin("anna"), declared=[declared_user("ben")])
    desired = replace(desired, origins={key("anna", EVERYWHERE): Origin(AT, until=NOW + timedelta(days=3))})
    assert ("too-few-admins", key("ben", EVERYWHERE)) in codes(proposed(live(admin("anna"), admin("ben")), desired))


@pytest.mark.parametrize("status", ["pending", "expired", "suspended"])
def test_who_is_not_active_does_not_count(status: str) -> None:
    """Promise 4: pending, expired and suspended admins save nobody."""
    world = live(Account("anna", status=status), admin("anna"), admin("ben"))  # type: ignore[arg-type]
    assert ("too-few-admins", key("ben", EVERYWHERE)) in codes(
        proposed(world, wish(admin("anna"), declared=[declared_user("ben")]))
    )


def test_who_waits_is_ignored_or_undeclared_does_not_count() -> None:
    """Nor does the account in use."""
    desired = wish(admin("anna"), declared=[declared_user("ben")])
    world = live(admin("anna"), admin("ben"))
    waiting = replace(world, pending=frozenset({key("anna", EVERYWHERE)}))
    assert ("too-few-admins", key("ben", EVERYWHERE)) in codes(proposed(waiting, desired))
    ignoring = replace(OPEN, ignore=("ann*",))
    assert ("too-few-admins", key("ben", EVERYWHERE)) in codes(proposed(world, desired, ignoring))
    assert ("too-few-admins", key("ben", EVERYWHERE)) in codes(proposed(world, wish(declared=[declared_user("ben")])))


def test_who_is_invited_does_not_count_until_they_accept() -> None:
    """A new admin counts at once only where accounts are made with a password."""
    desired = wish(admin("dora", "superuser"), declared=[declared_user("anna")])
    world = live(admin("anna", "superuser"), table=MATOMO)
    found = codes(proposed(world, desired, table=MATOMO), confirmed=True)
    assert ("too-few-admins", key("anna", EVERYWHERE)) in found
    by_password = replace(MATOMO, onboarding=frozenset({"password"}))
    assert codes(proposed(world, desired, table=by_password), confirmed=True) == set()


# -- promise 4: whose credentials these are


TOLD = replace(MATOMO, knows_self=True)


@pytest.mark.parametrize(
    ("there", "declared"),
    [
        ([admin("root", "superuser")], [declared_user("root")]),
        ([admin("root", "superuser")], [declared_user("root", ending="suspended")]),
        ([admin("root", "superuser")], [declared_user("root", ending="absent")]),
        ([admin("root", "superuser"), grant("root", "view")], [declared_user("root", ending="left")]),
    ],
)
def test_the_account_that_may_be_in_use_keeps_its_power(there: list[Resource], declared: list[DeclaredUser]) -> None:
    """Whatever way it would lose it: a line less, suspension, deletion; only more than the file lifts that."""
    desired = wish(admin("boss", "superuser"), declared=declared)
    world = live(*there, admin("boss", "superuser"), table=MATOMO)
    found = proposed(world, desired, table=MATOMO)
    top = key("root", EVERYWHERE)
    assert ("self-unconfirmed", top) in codes(found, allow_delete=True)
    assert "self-unconfirmed" in warned(judged(found, allow_delete=True, accept={"self": "I know"}))
    assert "self-unconfirmed" not in {code for code, _ in codes(found, allow_delete=True, accept={"self": "I know"})}
    assert "self-unconfirmed" not in {
        diagnostic.code for diagnostic in judged(found, allow_delete=True, confirmed=True)
    }
    told = proposed(world, desired, table=TOLD)
    assert "self-unconfirmed" not in {diagnostic.code for diagnostic in judged(told, allow_delete=True)}


def test_deleting_the_account_that_may_be_in_use_is_refused_by_itself() -> None:
    """Not just because the step before it is."""
    desired = wish(admin("boss", "superuser"), declared=[declared_user("root", ending="absent")])
    found = proposed(live(admin("root", "superuser"), admin("boss", "superuser"), table=MATOMO), desired, table=MATOMO)
    assert ("self-unconfirmed", ("account", "root")) in codes(found, allow_delete=True)


def test_who_cannot_be_the_account_in_use_loses_what_the_file_says() -> None:
    """An account with a lesser role, or one that waits for its invitation, holds no credentials that do this work."""
    desired = wish(admin("boss", "superuser"), declared=[declared_user("li"), declared_user("new")])
    world = live(admin("boss", "superuser"), admin("new", "superuser"), grant("li", "view"), table=MATOMO)
    waiting = replace(world, pending=frozenset({key("new", EVERYWHERE), ("account", "new")}))
    found = proposed(waiting, desired, table=MATOMO)
    assert {proposed.key for proposed in found.proposed} >= {key("new", EVERYWHERE), key("li")}
    assert "self-unconfirmed" not in {code for code, _ in codes(found)}


def test_another_self_than_the_last_run_had_needs_a_word() -> None:
    """A branch that edits `self` would make the account in use a person's like any other."""
    desired = wish(admin("boss", "superuser"), grant("li", "view"))
    world = live(admin("boss", "superuser"), table=MATOMO)
    found = proposed(world, desired, table=MATOMO, memory=Memory(me="root"))
    assert codes(found) == {("self-changed", None)}
    assert codes(found, accept={"self": "moved"}) == set()
    assert "self-changed" in warned(judged(found, accept={"self": "moved"}))
    assert codes(found, confirmed=True) == set()
    assert codes(proposed(world, desired, table=TOLD, memory=Memory(me="root"))) == set()
    assert codes(proposed(world, desired, table=MATOMO, memory=Memory(me=ME.upper()))) == set()
    assert codes(proposed(world, desired, table=MATOMO, memory=Memory())) == set()


def test_another_self_is_told_where_nothing_would_change() -> None:
    """Nothing is blocked, and nobody is surprised by the next plan."""
    desired = wish(admin("boss", "superuser"))
    found = proposed(live(admin("boss", "superuser"), table=MATOMO), desired, table=MATOMO, memory=Memory(me="root"))
    assert codes(found) == set()
    assert "self-changed" in warned(judged(found))


def test_a_deleted_admin_is_one_less() -> None:
    """Deleting the account is one way to unmake an admin, should a plan ever hold that alone."""
    found = proposed(live(admin("anna")), wish(declared=[declared_user("anna", ending="absent")]))
    last = tuple(proposed for proposed in found.proposed if proposed.key == ("account", "anna"))
    forged = replace(found, proposed=last, desired=wish(admin("anna")))
    assert codes(forged, allow_delete=True) == {("too-few-admins", ("account", "anna"))}


@pytest.mark.parametrize("ending", ["suspended", "absent", "left"])
def test_the_last_admin_does_not_go_by_a_word_in_the_file(ending: str) -> None:
    """Whom this very file calls gone counted until now; who was never declared never did."""
    world = live(admin("anna"), admin("old"))
    found = proposed(world, wish(declared=[declared_user("anna", ending=ending)]), replace(OPEN, unmanaged="revoke"))
    assert {step.change.key for step in planned(found, allow_delete=True).runnable} == {key("old", EVERYWHERE)}
    assert ("too-few-admins", key("anna", EVERYWHERE)) in codes(found, allow_delete=True)
    left = proposed(world, wish(), memory=Memory(users={"anna": "anna"}))
    assert codes(left) == {("too-few-admins", key("anna", EVERYWHERE))}
    enough = wish(admin("ben"), declared=[declared_user("anna", ending="suspended")])
    assert codes(proposed(live(admin("anna"), admin("ben")), enough)) == set()


def test_where_there_are_no_admins_none_are_missed() -> None:
    """Plausible's guests have no account role to count."""
    assert judged(proposed(live(table=PLAUSIBLE), wish(grant("li@x.org", "viewer")), table=PLAUSIBLE)) == ()


def test_what_leaves_an_admin_an_admin_is_no_lock_out() -> None:
    """A new e-mail, a site grant taken: the last admin may change like others."""
    world = live(Account("anna", "a@example.org"), admin("anna", "superuser"), table=MATOMO)
    renamed = wish(Account("anna", "b@example.org"), admin("anna", "superuser"))
    assert codes(proposed(world, renamed, table=MATOMO, memory=Memory(accounts=frozenset({"anna"})))) == set()
    assert codes(proposed(live(admin("anna"), grant("anna", "team-member")), wish(admin("anna")))) == set()


def test_who_never_counted_may_go_by_a_word() -> None:
    """An invitation that nobody accepted is no admin, also when the file now calls its person absent."""
    world = live(Account("anna", status="pending"), admin("anna"))
    assert codes(proposed(world, wish(declared=[declared_user("anna", ending="suspended")]))) == set()


def test_live_below_the_minimum_is_a_warning() -> None:
    """And only what lowers it further is blocked."""
    policy = replace(OPEN, admins_min=3)
    found = proposed(live(*THREE[:2]), wish(*THREE[:2], grant("li", "team-member")), policy)
    assert codes(found) == set()
    assert warned(judged(found)) >= {"below-min-admins"}
    assert warned(judged(proposed(live(*THREE), wish(*THREE), policy))) == set()
    lower = proposed(
        live(*THREE[:2]), wish(THREE[0], grant("li", "team-member"), declared=[declared_user("ben")]), policy
    )
    assert codes(lower) == {("too-few-admins", key("ben", EVERYWHERE))}


def test_for_the_maximum_everybody_counts_but_ourselves() -> None:
    """Strangers too; a swap passes though there is one more on the way."""
    policy = replace(OPEN, admins_max=2)
    others = (grant("dora", "team-member"), Grant(subject("group:board"), EVERYWHERE, "admin"))
    more = proposed(live(admin("old"), admin("anna"), *others), wish(admin("anna"), admin("ben"), *others), policy)
    fits = proposed(live(admin("anna"), *others), wish(admin("anna"), admin("ben"), *others), policy)
    assert codes(fits) == set()
    assert codes(more) == {("too-many-admins", key("ben", EVERYWHERE))}
    swap = proposed(live(*THREE[:2]), wish(THREE[0], THREE[2], declared=[declared_user("ben")]), policy)
    assert codes(swap) == set()
    above = proposed(live(*THREE), wish(*THREE), policy)
    assert (codes(above), warned(judged(above))) == (set(), {"above-max-admins"})
    mended = proposed(live(*THREE), wish(*THREE[:2], declared=[declared_user("cem")]), policy)
    assert (codes(mended), warned(judged(mended))) == (set(), set())


# -- promise 5: budgets


@pytest.mark.parametrize(
    ("limit", "base", "most"),
    [
        (Limit(count=5, percent=20), 100, 5),
        (Limit(count=5, percent=20), 18, 4),
        (Limit(count=5, percent=20), 16, 4),
        (Limit(count=5, percent=20), 3, 2),
        (Limit(count=1, percent=20), 3, 1),
        (Limit(percent=50), 10, 5),
        (Limit(percent=50), 0, 2),
        (Limit(count=0), 10, 0),
        (Limit(), 10, None),
    ],
)
def test_what_a_limit_allows(limit: Limit, base: int, most: int | None) -> None:
    """min(count, max(2, ceil(percent of live managed))); an open side does not count."""
    assert allowed(limit, base) == most


def crowd(role: str = "team-member") -> tuple[Grant, ...]:
    return tuple(grant(name, role) for name in PEOPLE)


def budget(**limits: Limit) -> Policy:
    return replace(OPEN, limits={**OPEN.limits, **limits})


def over(plan: InstancePlan) -> list[tuple[str, int]]:
    return [
        (diagnostic.code, diagnostic.count)
        for diagnostic in plan.diagnostics
        if diagnostic.code.startswith("limit-") and diagnostic.blocks
    ]


def test_removals_are_accounts_that_lose_everything() -> None:
    """Three of ten lose their only grant; who keeps another does not count, nor what lingers."""
    at = Span("access.yaml", 22, 3)
    policy = budget(removals=Limit(count=5, percent=20, at=at))
    lingering = Grant(subject("user0"), EVERYWHERE, "user")
    world = live(*crowd(), grant("user3", "team-member", BLOG), lingering)
    kept = [grant("user3", "team-member", BLOG), *crowd()[4:]]
    found = proposed(world, wish(*kept, declared=[declared_user(name) for name in PEOPLE[:3]]), policy)
    assert len(found.changes) == 4
    assert over(planned(found)) == [("limit-removals", 3)]
    objection = next(diagnostic for diagnostic in judged(found) if diagnostic.code == "limit-removals")
    assert objection.message == (
        "3 accounts would lose all access, and 2 are allowed (count 5; 20 % of 10 live and managed, but never less than 2)"
    )
    assert objection.at == at
    assert "--accept removals=<digest>" in (objection.hint or "")
    assert "access.yaml:22:3" in (objection.hint or "")
    assert planned(found).blocked
    assert planned(found).runnable == ()


def test_a_budget_in_percent_is_of_what_was_there_when_the_run_began() -> None:
    """Of twenty accounts this run has deleted ten: four of the rest are a fifth of what it began with, and not of ten."""
    policy = budget(removals=Limit(percent=20), revocations=Limit(percent=20))
    found = proposed(live(*crowd()), wish(*crowd()[4:], declared=[declared_user(name) for name in PEOPLE[:4]]), policy)
    assert codes(found) == {("limit-removals", None), ("limit-revocations", None)}
    gone = frozenset(f"gone{at}" for at in range(10))
    assert codes(found, begun=Begun(grants=20, taken=gone | {PEOPLE[0]})) == set()
    assert codes(found, begun=Begun(grants=20)) == {("limit-removals", None)}
    assert codes(found, begun=Begun(grants=5, taken=gone)) == {("limit-revocations", None)}


def test_a_budget_of_one_speaks_of_one() -> None:
    """The noun and the verb agree with their numbers."""
    for limit, said in (
        (0, "1 account would lose all access, and 0 are allowed"),
        (1, "2 accounts would lose all access, and 1 is allowed"),
    ):
        leaving = PEOPLE[: limit + 1]
        kept = [held for held in crowd() if held.subject.name not in leaving]
        found = proposed(
            live(*crowd()),
            wish(*kept, declared=[declared_user(name) for name in leaving]),
            budget(removals=Limit(count=limit)),
        )
        objection = next(diagnostic for diagnostic in judged(found) if diagnostic.code == "limit-removals")
        assert objection.message == f"{said} (count {limit})"


def test_an_accepted_budget_is_a_warning_with_its_reason() -> None:
    """The acceptance is for this plan: the caller has compared the digest."""
    found = proposed(
        live(*crowd()), wish(declared=[declared_user(name) for name in PEOPLE]), budget(removals=Limit(count=0))
    )
    assert over(planned(found)) == [("limit-removals", 10)]
    accepted = judged(found, accept={"removals": "media sold, OPS-900"})
    assert [diagnostic.severity for diagnostic in accepted if diagnostic.code == "limit-removals"] == [Severity.WARNING]
    assert "media sold, OPS-900" in next(
        diagnostic.message for diagnostic in accepted if diagnostic.code == "limit-removals"
    )
    assert over(planned(found, accept={"revocations": "no"})) == [("limit-removals", 10)]


def test_a_place_in_a_team_without_sites_is_no_access() -> None:
    """REAL-2026-11.md, F2: ten people in a team "all staff" lose everything just the same."""
    staff = [grant(name, "team-member", Scope("team", "all staff")) for name in PEOPLE]
    found = proposed(
        live(*crowd(), *staff), wish(declared=[declared_user(name) for name in PEOPLE]), budget(removals=Limit(count=0))
    )
    assert over(planned(found)) == [("limit-removals", 10)]


def test_deleted_accounts_are_removals_too() -> None:
    """Also those that had nothing left, and before this run is allowed to delete: a reviewer sees the whole."""
    found = proposed(
        live(*(Account(name) for name in PEOPLE)),
        wish(declared=[declared_user(name, ending="absent") for name in PEOPLE]),
        budget(removals=Limit(count=3)),
    )
    assert over(planned(found, allow_delete=True)) == [("limit-removals", 10)]
    assert over(planned(found)) == [("limit-removals", 10)]
    self_deleted = replace(found, live=replace(found.live, me="root"))
    forged = replace(self_deleted, proposed=tuple(replace(step, cause="silence") for step in found.proposed))
    assert over(planned(forged)) == []


def test_revocations_count_grants_taken_and_lowered() -> None:
    """A mass demotion is no way around the budget."""
    lowered = proposed(live(*crowd()), wish(*crowd("team-view-only")), budget(revocations=Limit(count=9)))
    assert over(planned(lowered)) == [("limit-revocations", 10)]
    taken = proposed(
        live(*crowd()), wish(declared=[declared_user(name) for name in PEOPLE]), budget(revocations=Limit(count=9))
    )
    assert over(planned(taken)) == [("limit-revocations", 10)]
    raised = proposed(live(*crowd()), wish(*crowd("team-manager")), budget(revocations=Limit(count=0)))
    assert over(planned(raised)) == []


def test_escalations_count_what_the_platform_lists_as_powerful() -> None:
    """At creation too; raising to what is not powerful is none."""
    policy = budget(escalations=Limit(count=5))
    assert over(planned(proposed(live(), wish(*crowd("team-manager")), policy))) == [("limit-escalations", 10)]
    assert over(planned(proposed(live(*crowd()), wish(*crowd("team-manager")), policy))) == [("limit-escalations", 10)]
    assert over(planned(proposed(live(), wish(*crowd("team-member")), policy))) == []
    extras = wish(*(grant(name, "view", SHOP, "tagmanager_publish") for name in PEOPLE))
    world = live(*crowd("view"), table=MATOMO)
    assert over(planned(proposed(world, extras, policy, table=MATOMO))) == [("limit-escalations", 10)]


def test_expiries_count_by_themselves() -> None:
    """A New Year's night does not empty the instance; nor does it use up the other budgets."""
    ended = dict.fromkeys(map(key, PEOPLE[:6]), EXPIRED)
    desired = replace(wish(*crowd()[6:], declared=[declared_user(name) for name in PEOPLE[:6]]), ended=ended)
    policy = budget(expiries=Limit(percent=50), removals=Limit(count=0), revocations=Limit(count=0))
    assert over(planned(proposed(live(*crowd()), desired, policy))) == [("limit-expiries", 6)]
    fewer = replace(desired, ended=dict.fromkeys(map(key, PEOPLE[:5]), EXPIRED))
    assert over(
        planned(proposed(live(*crowd()), fewer, replace(policy, limits={**policy.limits, "removals": Limit()})))
    ) == [("limit-revocations", 1)]


def test_mails_are_those_that_are_announced() -> None:
    """By the platform's review, for steps that will be done, and by the caller."""
    found = proposed(live(), wish(*crowd()), budget(mails=Limit(count=4)))
    remark = Diagnostic(
        code="mail", severity=Severity.NOTE, message="a mail", about=("account", "user1"), effect="mail", count=3
    )
    refused = error("cannot", "no", about=("account", "user1"))
    assert [diagnostic.code for diagnostic in judged(found, mails=2, remarks=[remark]) if diagnostic.blocks] == [
        "limit-mails"
    ]
    assert [diagnostic.code for diagnostic in judged(found, mails=1, remarks=[remark]) if diagnostic.blocks] == []
    assert [
        diagnostic.code for diagnostic in judged(found, mails=2, remarks=[remark, refused]) if diagnostic.blocks
    ] == []


def test_blocked_steps_use_up_no_budget() -> None:
    """What is protected is not removed, so it does not count."""
    policy = replace(budget(removals=Limit(count=2)), protect=("user0", "user1"))
    found = proposed(live(*crowd()[:4]), wish(declared=[declared_user(name) for name in PEOPLE[:4]]), policy)
    assert over(planned(found)) == []


def test_what_goes_through_a_group_counts_for_each_of_its_members() -> None:
    """A group of ten that loses its only grant is ten accounts that lose everything."""
    members = [Member("analysts", name) for name in PEOPLE]
    world = live(grant("group:analysts", "edit"), *members, table=PIWIKPRO)
    policy = budget(removals=Limit(count=9), revocations=Limit(count=9))
    found = proposed(world, wish(Group("analysts"), *members), policy, table=PIWIKPRO)
    assert over(planned(found)) == [("limit-removals", 10), ("limit-revocations", 10)]
    raised = proposed(
        world, wish(grant("group:analysts", "manage"), *members), budget(escalations=Limit(count=9)), table=PIWIKPRO
    )
    assert over(planned(raised)) == [("limit-escalations", 10)]
    joined = proposed(
        live(grant("group:analysts", "manage"), table=PIWIKPRO),
        wish(grant("group:analysts", "manage"), *members),
        budget(escalations=Limit(count=9)),
        table=PIWIKPRO,
    )
    assert over(planned(joined)) == [("limit-escalations", 10)]


def test_what_uses_up_no_budget() -> None:
    """A harmless group joined, what only lingered, a new login; and a limit without percent says none."""
    everything = budget(**{name: Limit(count=0) for name in ("removals", "escalations")})
    joined = wish(grant("group:readers", "view"), grant("boss", "manage"), Member("readers", "anna"))
    world = live(grant("group:readers", "view"), grant("boss", "manage"), Account("anna"), table=PIWIKPRO)
    assert over(planned(proposed(world, joined, everything, table=PIWIKPRO))) == []
    lingering = live(Grant(subject("mia"), EVERYWHERE, "user"))
    gone = proposed(lingering, wish(declared=[declared_user("mia", ending="suspended")]), everything)
    assert len(gone.changes) == 1
    assert over(planned(gone)) == []
    renamed = wish(Account("anna", renamed="ann"), grant("anna", "team-member"))
    assert over(planned(proposed(live(grant("anna", "team-member")), renamed, everything))) == []
    taken = proposed(live(*crowd()), wish(declared=[declared_user(name) for name in PEOPLE]), everything)
    assert next(diagnostic.message for diagnostic in judged(taken) if diagnostic.code == "limit-removals").endswith(
        "(count 0)"
    )


def test_limits_that_are_not_said_are_the_defaults() -> None:
    """Five removals, or a fifth."""
    found = proposed(live(*crowd()), wish(declared=[declared_user(name) for name in PEOPLE]), Policy(limits={}))
    assert ("limit-removals", 10) in over(planned(found))


# -- promise 6: protection outlives the stanza


@pytest.mark.parametrize("pattern", ["ROOT", "ro*", "root@*"])
def test_what_is_protected_is_never_changed(pattern: str) -> None:
    """By login or e-mail, case-folded, declared or not, gains too; and nothing else is blocked."""
    policy = replace(OPEN, protect=(pattern,), unmanaged="revoke")
    world = live(Account("root", "root@example.org"), grant("root", "view"), grant("anna", "view"), table=MATOMO)
    for desired in (
        wish(declared=[declared_user("anna")]),
        wish(grant("root", "admin"), declared=[declared_user("anna")]),
    ):
        found = proposed(world, desired, policy, table=MATOMO)
        assert codes(found) == {("protected", key("root"))}
        assert [step.change.key for step in planned(found).runnable] == [key("anna")]


def test_a_handle_is_protected_too() -> None:
    """Whatever login it resolves to here, and a new account no less."""
    policy = replace(OPEN, protect=("breakglass-*",))
    desired = replace(wish(grant("bg", "team-member")), declared_users={"bg": declared_user("BreakGlass-1")})
    assert codes(proposed(live(), desired, policy)) == {("protected", ("account", "bg")), ("protected", key("bg"))}
    renamed = wish(Account("anna", renamed="breakglass-2"), grant("anna", "team-member"))
    assert codes(proposed(live(grant("anna", "team-member")), renamed, policy)) == {("protected", ("account", "anna"))}


def test_names_that_look_like_patterns_protect_themselves() -> None:
    """A login may be `[/x]`; and two Unicode forms of one name are one."""
    for pattern, name in (("[/x]", "[/x]"), ("a\u0301da", "áda")):
        found = proposed(live(), wish(grant(name, "team-member")), replace(OPEN, protect=(pattern,)))
        assert ("protected", key(name)) in codes(found)


def test_a_group_with_somebody_protected_in_it_is_not_changed() -> None:
    """Its grants are theirs."""
    world = live(grant("group:analysts", "view"), Member("analysts", "root"), table=PIWIKPRO)
    desired = wish(grant("group:analysts", "edit"), Member("analysts", "root"))
    assert ("protected", key("group:analysts")) in codes(
        proposed(world, desired, replace(OPEN, protect=("root",)), table=PIWIKPRO)
    )


# -- promise 7: leaving is not deleting


def test_a_deletion_needs_the_file_and_the_run() -> None:
    """`state: absent` or `unmanaged: remove`, and `--allow-delete`."""
    found = proposed(live(Account("ed")), wish(declared=[declared_user("ed", ending="absent")]))
    assert codes(found) == {("deletion-needs-consent", ("account", "ed"))}
    assert codes(found, allow_delete=True) == set()
    gone = proposed(live(Account("old")), wish(), replace(OPEN, unmanaged="remove"))
    assert codes(gone) == {("deletion-needs-consent", ("account", "old"))}
    forged = replace(found, proposed=tuple(replace(proposed, cause="silence") for proposed in found.proposed))
    assert codes(forged, allow_delete=True) == {("deletion-not-asked", ("account", "ed"))}


# -- rules


RULES = (
    Rule(id="contractors-expire", match={"kind": "contractor"}, require=("until",), at=Span("access.yaml", 40, 5)),
    Rule(id="clients-only-view", match={"kind": "client"}, at_most=Power.VIEW),
    Rule(id="admin-needs-ticket", match={"power": "admin"}, require=("ticket", "reason")),
    Rule(id="ann-is-careful", match={"user": "ANN*"}, at_most=Power.EDIT),
)
RULED = replace(OPEN, rules=RULES)


def ruled(*grants: Grant, **who: object) -> set[str]:
    """Return the rules that a wish of grants to jonas breaks."""
    desired = replace(wish(*grants), declared_users={"jonas": declared_user("jonas", **who)})
    return {code for code, about in codes(proposed(live(), desired, RULED)) if about and about[0] == "grant"}


def test_rules_judge_power_kind_and_what_is_given() -> None:
    """Never the name of a role."""
    edit = grant("jonas", "team-member")
    assert ruled(edit) == set()
    assert ruled(edit, kind="contractor") == {"contractors-expire"}
    assert ruled(edit, kind="contractor", until=NOW + timedelta(days=90)) == set()
    assert ruled(edit, kind="client") == {"clients-only-view"}
    assert ruled(grant("jonas", "team-view-only"), kind="client") == set()
    assert ruled(admin("jonas")) == {"admin-needs-ticket"}
    assert ruled(admin("jonas"), ticket="IAM-1") == {"admin-needs-ticket"}
    assert ruled(admin("jonas"), ticket="IAM-1", reason="owner") == set()


def test_a_rule_on_a_power_is_about_every_greater_one() -> None:
    """What must be given for edit must be given for more."""
    policy = replace(OPEN, rules=(Rule(id="edit-needs-ticket", match={"power": "edit"}, require=("ticket",)),))
    roles = {
        role: codes(proposed(live(), wish(grant("anna", role)), policy))
        for role in ("team-view-only", "team-member", "team-manager")
    }
    assert {role: bool(found) for role, found in roles.items()} == {
        "team-view-only": False,
        "team-member": True,
        "team-manager": True,
    }


MANAGE_SHOP = grant("anna", "team-manager")


def refused(match: dict[str, str], *grants: Grant, **who: object) -> bool:
    """Tell whether a rule with that match refuses every step that gives anna (or who is said) these grants."""
    policy = replace(OPEN, rules=(Rule(id="a-rule", match=match, at_most=Power.NONE),))
    desired = wish(*(grants or (MANAGE_SHOP,)))
    desired = replace(
        desired, declared_users={"anna": declared_user("anna", **who)}, names={SHOP: frozenset({"shop", "tag:prod"})}
    )
    found = codes(proposed(live(), desired, policy))
    assert found in (set(), {("a-rule", grant.key) for grant in grants or (MANAGE_SHOP,)})
    return bool(found)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"user": "ANN*"}, True), ({"user": "an?a"}, False), ({"user": "[a]nna"}, False), ({"user": "ben"}, False),
        ({"account": "An*a"}, True), ({"account": "b*"}, False), ({"kind": "person"}, True), ({"kind": "client"}, False),
        ({"power": "manage"}, True), ({"power": "edit"}, True), ({"power": "admin"}, False),
        ({"role": "team-manager"}, True), ({"role": "manage"}, True), ({"role": "umami:team-manager"}, True),
        ({"role": "edit"}, False), ({"scope": "site"}, True), ({"scope": "instance"}, False),
        ({"site": "shop.example.org"}, True), ({"site": "SHOP"}, True), ({"site": "shop.*"}, True),
        ({"site": "tag:prod"}, True), ({"site": "tag:pr*"}, True), ({"site": "id:shop"}, True), ({"site": "*prod"}, False),
        ({"site": "blog.example.org"}, False), ({"site": "tag:test"}, False), ({"site": "sh?p"}, False),
        ({"site": "shop", "kind": "person", "power": "manage", "user": "a*", "account": "anna"}, True),
        ({"site": "shop", "kind": "client"}, False), ({}, True),
    ],
)  # fmt: skip
def test_a_rule_matches_on_seven_keys(match: dict[str, str], *, fits: bool) -> None:
    """All that stand must hold; only `*` is special."""
    assert refused(match) is fits


def test_what_is_on_no_site_is_about_no_site() -> None:
    """The account's own role lies on the whole instance."""
    assert refused({"scope": "instance"}, admin("anna"))
    assert not refused({"site": "*"}, admin("anna"))
    assert refused({"site": "*"})


def test_a_rule_on_an_account_knows_the_login_it_will_have() -> None:
    """Who is renamed in the same plan is meant by either login."""
    policy = replace(OPEN, rules=(Rule(id="a-rule", match={"account": "root-*"}, at_most=Power.VIEW),))
    renamed = wish(Account("anna", renamed="root-anna"), MANAGE_SHOP)
    assert ("a-rule", MANAGE_SHOP.key) in codes(proposed(live(Account("anna")), renamed, policy))


def test_extras_raise_what_a_rule_judges() -> None:
    """A role is as powerful as the strongest right that travels with it."""
    policy = replace(OPEN, rules=(Rule(id="a-rule", match={"power": "manage"}, require=("ticket",)),))
    for extras, found in (((), set()), (("tagmanager_publish",), {("a-rule", key("anna"))})):
        desired = wish(grant("anna", "view", SHOP, *extras))
        assert codes(proposed(live(table=MATOMO), desired, policy, table=MATOMO)) == found


def test_each_line_that_asks_is_judged() -> None:
    """One with a ticket does not cover another without, and neither one that is included in a greater right."""
    policy = replace(OPEN, rules=(Rule(id="a-rule", match={"power": "view"}, require=("ticket",)),))
    sides = (Origin(AT, ticket="T-1"), Origin(Span("access.yaml", 9, 3)))
    view = grant("anna", "team-view-only")
    claims = (Claim(MANAGE_SHOP, sides[0], ends=False), Claim(view, sides[1], ends=False))
    desired = replace(wish(MANAGE_SHOP), origins={MANAGE_SHOP.key: sides[0]}, claims={MANAGE_SHOP.key: claims})
    found = [diagnostic for diagnostic in judged(proposed(live(), desired, policy)) if diagnostic.code == "a-rule"]
    assert [(diagnostic.severity, diagnostic.at) for diagnostic in found] == [(Severity.ERROR, sides[1].at)]
    included = {view.key: (Claim(grant("anna", "view"), sides[1], ends=False),)}
    boss = replace(wish(admin("anna", "superuser")), origins={admin("anna").key: sides[0]}, claims=included)
    found = [
        diagnostic
        for diagnostic in judged(proposed(live(table=MATOMO), boss, policy, table=MATOMO))
        if diagnostic.code == "a-rule"
    ]
    assert [(diagnostic.severity, diagnostic.at) for diagnostic in found] == [(Severity.WARNING, sides[1].at)]


def test_a_rule_asks_for_what_stands_on_the_person_or_the_grant() -> None:
    """An e-mail is the person's, or that of a live account that nobody declared."""
    policy = replace(OPEN, rules=(Rule(id="mail", match={}, require=("email",)),))
    desired = wish(grant("anna", "team-member"))
    assert codes(proposed(live(), desired, policy)) == {("mail", key("anna"))}
    assert (
        next(diagnostic.at for diagnostic in judged(proposed(live(), desired, policy)) if diagnostic.code == "mail")
        == AT
    )
    mailed = replace(desired, declared_users={"anna": declared_user("anna", email="anna@example.org")})
    assert codes(proposed(live(), mailed, policy)) == set()
    nobodys = replace(desired, declared_users={})
    assert [
        (diagnostic.code, diagnostic.at)
        for diagnostic in judged(proposed(live(), nobodys, policy))
        if diagnostic.blocks
    ] == [("mail", None)]
    assert codes(proposed(live(Account("anna", "anna@example.org")), nobodys, policy)) == set()


def test_a_rule_is_shown_at_the_line_that_asks() -> None:
    """With the rule's own line beside it."""
    desired = replace(
        wish(grant("jonas", "team-member")), declared_users={"jonas": declared_user("jonas", kind="contractor")}
    )
    desired = replace(desired, origins={key("jonas"): Origin(Span("access.yaml", 33, 5))})
    objection = next(
        diagnostic for diagnostic in judged(proposed(live(), desired, RULED)) if diagnostic.code == "contractors-expire"
    )
    assert (objection.at, objection.related) == (Span("access.yaml", 33, 5), (Span("access.yaml", 40, 5),))
    assert objection.message == "`jonas` may have `team-member` only with `until`, by the rule contractors-expire"


def test_what_stands_and_breaks_a_rule_is_a_warning() -> None:
    """There is no step to block; nor is a lowering blocked because it does not lower enough."""
    desired = replace(
        wish(grant("jonas", "team-member")), declared_users={"jonas": declared_user("jonas", kind="client")}
    )
    stands = proposed(live(grant("jonas", "team-member")), desired, RULED)
    assert (codes(stands), warned(judged(stands)) >= {"clients-only-view"}) == (set(), True)
    once = [
        diagnostic for diagnostic in judged(proposed(live(), desired, RULED)) if diagnostic.code == "clients-only-view"
    ]
    assert [diagnostic.severity for diagnostic in once] == [Severity.ERROR]
    lowers = proposed(live(grant("jonas", "team-manager")), desired, RULED)
    assert (codes(lowers), warned(judged(lowers)) >= {"clients-only-view"}) == (set(), True)


def test_a_right_of_before_that_breaks_a_rule_is_a_warning() -> None:
    """Held back by the mode, of nobody in the file, or through a group: it is told, and no step is made of it."""
    policy = replace(OPEN, rules=(Rule(id="a-rule", match={"site": "shop.*"}, at_most=Power.VIEW),))

    def told(world: Live, desired: Desired, *, table: Traits = UMAMI, **more: object) -> list[tuple[Severity, str]]:
        found = proposed(world, desired, replace(policy, **more), table=table)
        return [
            (diagnostic.severity, diagnostic.message) for diagnostic in judged(found) if diagnostic.code == "a-rule"
        ]

    kept = told(live(MANAGE_SHOP), wish(declared=[declared_user("anna")]), mode="add-only")
    assert [severity for severity, _ in kept] == [Severity.WARNING]
    observed = told(live(), wish(MANAGE_SHOP), mode="observe")
    assert [severity for severity, _ in observed] == [Severity.WARNING]
    assert told(live(MANAGE_SHOP), wish(declared=[declared_user("anna")])) == [], "it is taken"
    unmanaged = told(live(MANAGE_SHOP, grant("ben", "team-member"), grant("carl", "team-view-only")), wish())
    assert unmanaged == [(Severity.WARNING, "2 accounts that nobody declared break the rule a-rule: anna, ben")]
    shared = (grant("group:analysts", "edit"), Member("analysts", "anna"))
    through = told(live(*shared, table=PIWIKPRO), wish(*shared), table=PIWIKPRO)
    assert [severity for severity, _ in through] == [Severity.WARNING]
    ignored = told(live(), wish(MANAGE_SHOP), ignore=("anna",))
    assert [severity for severity, _ in ignored] == [Severity.WARNING]
    mine = told(live(grant(ME, "team-manager")), wish())
    assert mine == [], "the account in use is nobody's to declare"


def test_ten_of_those_whom_nobody_declared_are_named_and_the_rest_is_counted() -> None:
    """The message stays readable, the number is the true one, and the rule's line stands beside."""
    policy = replace(OPEN, rules=(Rule(id="a-rule", match={}, at_most=Power.VIEW, at=AT),))

    def told(count: int) -> Diagnostic:
        world = live(*(grant(f"u{number:02}", "team-member") for number in range(count)))
        (found,) = [told for told in judged(proposed(world, wish(), policy)) if told.code == "a-rule"]
        return found

    names = ", ".join(f"u{number:02}" for number in range(10))
    assert told(1).message == "1 account that nobody declared breaks the rule a-rule: u00"
    assert told(10).message == f"10 accounts that nobody declared break the rule a-rule: {names}"
    assert told(11).message == f"11 accounts that nobody declared break the rule a-rule: {names} and 1 more"
    assert (told(13).count, told(13).related) == (13, (AT,))
    assert told(13).message.endswith(f"{names} and 3 more")


def test_a_pattern_gives_little() -> None:
    """Wildcards carry at most what `policy.wildcards` allows; a name is a name."""
    desired = replace(wish(grant("anna", "team-member")), origins={key("anna"): Origin(AT, wildcard="*.example.org")})
    assert codes(proposed(live(), desired)) == {("wildcard-too-powerful", key("anna"))}
    assert codes(proposed(live(), desired, replace(OPEN, wildcards_at_most=Power.EDIT))) == set()
    named = replace(desired, origins={key("anna"): Origin(AT)})
    assert codes(proposed(live(), named)) == set()


def test_rules_see_through_groups() -> None:
    """Whoever joins a group gets what the group has, and a group's grant goes to everybody in it."""
    client = replace(
        wish(grant("group:analysts", "edit"), Member("analysts", "jonas")),
        declared_users={"jonas": declared_user("jonas", kind="client")},
    )
    found = proposed(
        live(grant("group:analysts", "edit"), Account("jonas"), table=PIWIKPRO), client, RULED, table=PIWIKPRO
    )
    assert codes(found) == {("clients-only-view", ("member", "analysts", "jonas"))}
    found = proposed(live(Member("analysts", "jonas"), table=PIWIKPRO), client, RULED, table=PIWIKPRO)
    assert ("clients-only-view", key("group:analysts")) in codes(found)


# -- what the server does not have, and what is told besides


def test_roles_and_rights_that_are_not_here_are_refused() -> None:
    """Whatever resolving let through: facts cannot be given, unknown words neither."""
    for role in ("owner", "emperor"):
        assert codes(proposed(live(), wish(grant("anna", role)))) == {("role-not-available", key("anna"))}
    objection = next(
        diagnostic for diagnostic in judged(proposed(live(), wish(grant("anna", "owner")))) if diagnostic.blocks
    )
    assert objection.allowed == ("team-view-only", "team-member", "team-manager")
    found = proposed(live(table=MATOMO), wish(grant("anna", "view", SHOP, "fly")), table=MATOMO)
    assert codes(found) == {("extra-not-available", key("anna"))}


def test_a_demotion_with_grants_afterwards_is_marked_as_a_gap() -> None:
    """Promise and law: without a role on the way only where the plan says so."""
    found = proposed(
        live(admin("anna", "superuser"), *[admin("ben", "superuser")], table=MATOMO),
        wish(grant("anna", "view"), admin("ben", "superuser")),
        table=MATOMO,
    )
    plan = planned(found)
    assert [(step.change.key, bool(step.effects("gap"))) for step in plan.steps] == [
        (key("anna", EVERYWHERE), False),
        (key("anna"), True),
    ]


def test_the_reach_of_a_group_is_told() -> None:
    """One step, and how many people it is about."""
    members = [Member("analysts", name) for name in PEOPLE]
    found = proposed(live(*members, table=PIWIKPRO), wish(grant("group:analysts", "view"), *members), table=PIWIKPRO)
    assert [
        (diagnostic.code, diagnostic.count) for diagnostic in judged(found) if diagnostic.about == key("group:analysts")
    ] == [("reach", 10)]


def test_a_guard_knows_what_those_before_it_blocked() -> None:
    """An account that cannot be made takes its grants with it, so they use up nothing."""
    policy = replace(budget(escalations=Limit(count=0)), protect=("anna",))
    found = proposed(live(), wish(grant("anna", "team-manager")), policy)
    assert over(planned(found)) == []
    assert keys(found)[1][1] == key("anna")
    free = replace(policy, protect=())
    assert over(planned(proposed(live(), wish(grant("anna", "team-manager")), free))) == [("limit-escalations", 1)]
    refused = error("cannot", "no account", about=("account", "anna"))
    assert over(planned(proposed(live(), wish(grant("anna", "team-manager")), free), refused)) == []


# -- what is easily lost when guards are rewritten


def test_an_e_mail_that_a_change_would_give_is_protected() -> None:
    """Nobody gets the address of an account that nobody may touch."""
    world, desired = live(Account("anna", "anna@example.org"), table=MATOMO), wish(Account("anna", "Root@example.org"))
    found = proposed(world, desired, replace(OPEN, protect=("root@*",)), table=MATOMO)
    assert codes(found) == {("protected", ("account", "anna"))}
    assert codes(proposed(world, desired, replace(OPEN, protect=("anne@*",)), table=MATOMO)) == set()


@pytest.mark.parametrize(("kind", "waits"), [("service", True), ("person", False)])
def test_a_demotion_waits_for_the_promotion_where_only_a_service_would_be_left(kind: str, *, waits: bool) -> None:
    """A service mends nothing; a person who stays does."""
    world = live(admin("anna"), admin("bot"), Account("ben"))
    desired = wish(admin("ben"), admin("bot"), declared=[declared_user("anna")])
    desired = replace(desired, declared_users={**desired.declared_users, "bot": declared_user("bot", kind=kind)})
    needs = proposed(world, desired).needs
    assert (admin("ben").key in needs.get(admin("anna").key, ())) is waits


def test_mails_in_percent_are_measured_against_accounts() -> None:
    """Six people with two grants each are six who can get a mail."""
    held = [grant(name, "team-member", scope) for name in PEOPLE[:6] for scope in (SHOP, BLOG)]
    found = proposed(live(*held), wish(*held), budget(mails=Limit(percent=50)))
    assert (found.accounts, found.grants) == (6, 12)
    assert [diagnostic.code for diagnostic in judged(found, mails=4) if diagnostic.blocks] == ["limit-mails"]
    assert [diagnostic.code for diagnostic in judged(found, mails=3) if diagnostic.blocks] == []


def test_a_limit_on_admins_names_who_counts() -> None:
    """Those in no file apart: they count towards the maximum, and nobody finds them by reading the file."""
    found = proposed(
        live(admin("old"), admin("anna")), wish(admin("anna"), admin("ben")), replace(OPEN, admins_min=2, admins_max=2)
    )
    told = {diagnostic.code: diagnostic.message for diagnostic in judged(found)}
    assert told["too-many-admins"] == "this would make more than 2 admins; these count: anna; not in the file: old"
    assert told["below-min-admins"] == "there is 1 active human admin (now: anna), and the policy asks for 2"
    crowd = [admin(f"old-{number}") for number in range(20)]
    above = judged(proposed(live(*crowd), wish(), replace(OPEN, admins_max=2)))
    (said,) = (diagnostic.message for diagnostic in above if diagnostic.code == "above-max-admins")
    assert said.startswith("there are 20 admins in the end, and the policy allows 2: not in the file: old-0, old-1,")
    assert said.endswith(" and 10 more")


def test_of_too_many_promotions_the_later_ones_are_refused() -> None:
    """In the order of the plan, so that the same plan is refused the same way."""
    desired = wish(admin("anna"), admin("ben"), admin("carl"))
    found = proposed(live(), desired, replace(OPEN, admins_max=2))
    assert codes(found) == {("too-many-admins", admin("carl").key)}
    found = proposed(live(admin("anna")), desired, replace(OPEN, admins_max=1))
    assert codes(found) == {("too-many-admins", admin("ben").key), ("too-many-admins", admin("carl").key)}


def test_a_group_that_shrinks_and_loses_a_grant_counts_as_large_as_it_was() -> None:
    """Three lose the grant, two of them the membership too."""
    members = [Member("analysts", name) for name in PEOPLE[:3]]
    world = live(grant("group:analysts", "view"), *members, table=PIWIKPRO)
    desired = wish(Group("analysts"), members[0], declared=[declared_user(name) for name in PEOPLE[:3]])
    for count, blocked in ((4, ["limit-revocations"]), (5, [])):
        found = proposed(world, desired, budget(revocations=Limit(count=count)), table=PIWIKPRO)
        assert [diagnostic.code for diagnostic in judged(found) if diagnostic.blocks] == blocked


def test_a_trade_that_follows_from_an_absence_needs_a_whole_reading() -> None:
    """What takes one right and gives another takes."""
    world = live(grant("anna", "view", SHOP, "tagmanager_write"), table=MATOMO)
    found = proposed(world, wish(grant("anna", "view", SHOP, "tagmanager_publish")), table=MATOMO)
    forged = replace(
        found,
        proposed=tuple(replace(proposed, cause="silence") for proposed in found.proposed),
        live=replace(world, listings=UNPROVEN),
    )
    assert ("incomplete-reading", key("anna")) in codes(forged)


def test_an_owner_whose_time_is_over_is_no_owner_who_was_sent_away() -> None:
    """Only who is suspended, absent or gone keeps something *although*; of others it is a fact."""
    world = live(grant("anna", "owner"))
    for ending, severity in (("expired", Severity.NOTE), ("suspended", Severity.WARNING)):
        found = proposed(world, wish(declared=[declared_user("anna", ending=ending)]))
        said = [diagnostic.severity for diagnostic in found.diagnostics if diagnostic.code == "undeclarable-role"]
        assert said == [severity]


def test_the_domains_of_the_house_are_those_of_a_fifth_of_its_persons() -> None:
    """The most frequent one in any case; a single person makes no house; case is nothing."""
    many = ["a@HOME.example"] * 10
    assert home_domains([*many, *["b@two.example"] * 2]) == {"home.example"}
    assert home_domains([*many, *["b@Two.example"] * 3]) == {"home.example", "two.example"}
    assert home_domains(["a@home.example", "a@home.example", "b@one.example"]) == {"home.example"}
    assert home_domains([None, "nobody"]) == frozenset()
    assert is_external("person", "x@ONE.example", frozenset({"home.example"}))
    assert not is_external("person", "x@HOME.example", frozenset({"home.example"}))
    assert is_external("vendor", "x@home.example", frozenset({"home.example"}))
    assert not is_external(None, None, frozenset({"home.example"}))
