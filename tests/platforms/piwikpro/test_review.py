"""The hazards of MAPPING.md section 3, each told or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platforms.piwikpro.opened import account, grant, opened, site
from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic, Severity
from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Resource, Scope, Subject, account_key
from siteward.platforms.forecast import Cost
from siteward.platforms.piwikpro.platform import PLATFORM
from siteward.platforms.piwikpro.roles import objection
from siteward.platforms.piwikpro.session import WRITE_RATES
from siteward.transport.pace import Speed

if TYPE_CHECKING:
    from siteward.access.state import Live

SHOP, BLOG, STAGING = (site(f"{name}.example.org") for name in ("shop", "blog", "staging"))
EUROPE = Scope("metasite", "Europe")


@pytest.fixture(scope="module")
def live() -> Live:
    return opened().live()


@pytest.fixture(scope="module")
def native() -> Live:
    return opened(native=True).live()


def _review(live: Live, *changes: Change, but: str = "cost") -> list[Diagnostic]:
    return [diagnostic for diagnostic in PLATFORM.review(changes, live, None) if diagnostic.code != but]


def _removals(live: Live, *resources: Resource) -> list[Change]:
    return [Change(live.access[resource.key], None) for resource in resources]


def _owner(name: str) -> Grant:
    return grant(f"{name}@example.org", EVERYWHERE, "owner")


def test_demoting_the_last_other_owner_is_refused(live: Live) -> None:
    """The server protects only the very last owner, which would be the key's own account."""
    single = _review(live, *_removals(live, _owner("ben")))
    both = _review(live, *_removals(live, _owner("ben"), _owner("anna")))

    assert "last-owner" not in {diagnostic.code for diagnostic in single}
    refused = [diagnostic for diagnostic in both if diagnostic.code == "last-owner"]
    assert {diagnostic.about for diagnostic in refused} == {_owner("ben").key, _owner("anna").key}
    assert all(diagnostic.blocks and "nobody but siteward@example.org" in diagnostic.message for diagnostic in refused)


def test_deleting_the_last_other_owner_is_refused(live: Live) -> None:
    """With the account goes the ownership."""
    accounts = [Account(f"{name}@example.org") for name in ("anna", "ben")]
    said = _review(live, *_removals(live, *accounts, _owner("anna"), _owner("ben")))

    assert {diagnostic.about for diagnostic in said if diagnostic.code == "last-owner"} >= {
        account.key for account in accounts
    }


def test_another_owner_made_in_the_same_plan_is_enough(live: Live) -> None:
    """Promotions come before demotions."""
    said = _review(live, *_removals(live, _owner("ben"), _owner("anna")), Change(None, _owner("carla")))

    assert not [diagnostic for diagnostic in said if diagnostic.code == "last-owner"]


def test_the_person_behind_the_key_is_refused_with_the_reason(live: Live) -> None:
    """Demoted, deleted or lowered: the key has this person's rights and dies with the account."""
    me = Account("siteward@example.org")
    said = _review(live, *_removals(live, me, _owner("siteward")), Change(None, Member("analysts", me.name)))

    refused = [diagnostic for diagnostic in said if diagnostic.code == "own-account"]
    assert len(refused) == 3
    assert all(diagnostic.blocks and "made the API key" in diagnostic.message for diagnostic in refused)
    assert "Siteward's own" in (refused[0].hint or "")


def test_a_deletion_says_what_is_lost(live: Live) -> None:
    """New id on re-invitation, private reports and keys gone, and SAML brings the person back."""
    told = _review(live, *_removals(live, Account("ed@example.org")))

    assert [diagnostic.effect for diagnostic in told] == ["destroys", "irreversible"]
    assert "SAML" in told[0].message


def test_an_invitation_sends_a_mail(live: Live) -> None:
    """One mail, to whom, counted by the limits."""
    (told,) = _review(live, Change(None, Account("new@example.org", "new@example.org")))

    assert (told.effect, told.who, told.count) == ("mail", "new@example.org", 1)


def test_a_demotion_wakes_what_slept(live: Live) -> None:
    """And leaves a moment without access where something is granted in its place."""
    bare = _review(live, *_removals(live, _owner("ben")))
    keeps = _review(live, *_removals(live, _owner("ben")), Change(None, grant("ben@example.org", SHOP, "view")))

    assert [(diagnostic.code, diagnostic.effect) for diagnostic in bare] == [("sleeping-levels", None)]
    assert ("sleeping-levels", "gap") in [(keep.code, keep.effect) for keep in keeps]


def test_lowering_somebody_whom_a_group_holds_up_is_told(live: Live) -> None:
    """Own and group levels combine by maximum, there is no deny; the plan shows what is left after apply."""
    (told,) = _review(live, *_removals(live, grant("carla@example.org", SHOP, "view")))

    assert (told.code, told.severity) == ("group-gives-more", Severity.WARNING)
    assert "carla@example.org has edit on shop.example.org after this, through the group analysts" in told.message
    assert "out of analysts" in (told.hint or "")


def test_raising_somebody_less_than_a_group_does_is_a_note(live: Live) -> None:
    """It changes nothing in effect."""
    (told,) = _review(live, Change(None, grant("dmitri@example.org", SHOP, "view")))

    assert (told.code, told.severity) == ("group-gives-more", Severity.NOTE)


def test_leaving_the_group_in_the_same_plan_counts(native: Live) -> None:
    """What is left is worked out from the memberships after the plan."""
    said = _review(
        native, *_removals(native, grant("carla@example.org", SHOP, "view"), Member("analysts", "carla@example.org"))
    )

    assert not [diagnostic for diagnostic in said if diagnostic.code == "group-gives-more"]


def test_members_of_an_identity_provider_are_not_changed(native: Live) -> None:
    """It would put them back at the next sign-in."""
    said = _review(native, *_removals(native, Member("tag-editors", "mia@example.org")))

    assert [(diagnostic.code, diagnostic.blocks) for diagnostic in said] == [("external-members", True)]
    assert "idp-tag-editors" in said[0].message


def test_tying_a_group_is_a_warning(native: Live) -> None:
    """From then on others decide who is in it."""
    said = _review(native, Change(native.access[("group", "analysts")], Group("analysts", "idp-analysts")))

    assert [(diagnostic.code, diagnostic.severity) for diagnostic in said] == [("external-group", Severity.WARNING)]


def test_a_level_for_an_owner_is_refused(live: Live) -> None:
    """It cannot be seen, has no effect, and would wake one day."""
    (told,) = _review(live, Change(None, grant("anna@example.org", SHOP, "view")))

    assert (told.code, told.blocks) == ("grant-for-owner", True)


def test_a_module_without_a_licence_is_refused(live: Live) -> None:
    """The owner behind the key has all licensed ones, so these are known."""
    (told,) = _review(live, Change(None, grant("mia@example.org", Scope("module", "customer_data_platform"), "on")))

    assert (told.code, told.blocks) == ("unlicensed-module", True)
    assert "analytics" in (told.hint or "")


def test_a_meta_site_shows_everything_in_it(live: Live) -> None:
    """Its reports are pooled, also of sites put in later."""
    (told,) = _review(live, Change(None, grant("lena@example.org", EUROPE, "view")))

    assert (told.code, told.effect) == ("metasite-pools", "opens")


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("de-DE", None),
        ("en-AX", None),
        ("pl-PL", "no `pl`"),
        ("english", "not a valid language tag"),
        ("en-EN", "ISO 3166-1"),
    ],
)
def test_languages_are_judged_before_they_are_sent(live: Live, tag: str, why: str | None) -> None:
    """A few languages, with any region there really is."""
    said = _review(live, Change(live.access[account_key("mia@example.org")], Account("mia@example.org", language=tag)))

    assert [diagnostic.code for diagnostic in said] == ([] if why is None else ["unsupported-language"])
    assert (why or "") in (objection(tag) or "")


def test_the_key_of_a_mere_manager_may_not_do_everything() -> None:
    """Not lower another manager, and nothing beyond levels."""
    place = opened()
    me = place.person("siteward@example.org")
    place.fake.state.people[me].role = "USER"
    place.fake.state.levels["app", place.entity(STAGING), "user", me] = "manage"
    live = place.live()
    lowered = Change(grant("jonas@partner.test", STAGING, "manage"), grant("jonas@partner.test", STAGING, "view"))

    said = _review(
        live,
        lowered,
        Change(None, Account("new@example.org")),
        Change(None, grant("ed@example.org", STAGING, "view")),
        Change(None, grant("nobody@example.org", STAGING, "view")),
    )

    assert [(diagnostic.code, diagnostic.about) for diagnostic in said if diagnostic.blocks] == [
        ("needs-owner-key", lowered.key),
        ("needs-owner-key", account_key("new@example.org")),
        ("needs-owner-key", grant("nobody@example.org", STAGING, "view").key),
    ]


class TestCost:
    """How many calls and minutes, this way and the other."""

    @staticmethod
    def _cost(live: Live, *changes: Change) -> Diagnostic:
        (told,) = (diagnostic for diagnostic in PLATFORM.review(changes, live, None) if diagnostic.code == "cost")
        return told

    def test_nothing_costs_nothing(self, live: Live) -> None:
        assert not list(PLATFORM.review((), live, None))

    def test_many_with_the_same_levels_are_cheaper_as_a_group(self, live: Live) -> None:
        people = [f"p{number}@example.org" for number in range(200)]
        told = self._cost(
            live, *(Change(None, grant(person, on, "view")) for person in people for on in (SHOP, BLOG, STAGING))
        )

        assert told.message == (
            "600 writes, about 10 min at 60 a minute; with native groups it would be 5 writes, about 5 s, which is cheaper"
        )
        assert (told.hint, told.severity) == ("`native: true` on the instance", Severity.WARNING)

    def test_a_group_that_opens_for_few_is_told_the_other_way(self, native: Live) -> None:
        told = self._cost(native, Change(None, Grant(Subject("group", "analysts"), STAGING, "view")))

        assert told.message == (
            "1 write, about 1 s at 60 a minute; with personal grants it would be 3 writes, about 3 s, which is dearer"
        )
        assert told.hint is None

    def test_a_thousand_grants_take_about_seventeen_minutes(self, live: Live) -> None:
        changes = [Change(None, grant(f"p{number}@example.org", SHOP, "view")) for number in range(1000)]
        speed = Speed(command_rates=WRITE_RATES)
        forecast = PLATFORM.forecast(live, speed)
        cost = sum((forecast.write(bundle) for bundle in PLATFORM.bundle(changes, live)), start=Cost())

        assert (cost.requests, cost.commands) == (1000, 1000)
        assert 16 <= speed.least(cost.requests, cost.commands) / 60 <= 17.5
        assert "about 17 min" in self._cost(live, *changes).message


def test_who_is_an_account_is_spelled_as_the_platform_does(live: Live) -> None:
    """The subject of every grant is an account that was read, or a group."""
    names = {found.name for found in live.access.accounts()}

    assert {grant.subject for grant in live.access.grants() if grant.subject.kind == "account"} <= {
        account(name) for name in names
    }
