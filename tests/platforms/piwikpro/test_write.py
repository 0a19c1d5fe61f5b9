"""Each change becomes the right calls, survives a lost answer, and is told truly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from platforms.piwikpro.opened import account, carry_out, grant, opened, site
from platforms.proxy import Page, Proxy
from siteward.access.change import Change
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Member, Scope, Subject, account_key
from siteward.platforms.fakery import Fault, in_process
from siteward.platforms.piwikpro.platform import PLATFORM
from siteward.platforms.piwikpro.roles import ENTITY

if TYPE_CHECKING:
    from platforms.piwikpro.opened import Opened
    from siteward.access.model import Key, Resource
    from siteward.platforms.interface import Receipt

SHOP, BLOG, DOCS = (site(f"{name}.example.org") for name in ("shop", "blog", "docs"))
EUROPE = Scope("metasite", "Europe")
NEW = Account("new@example.org", "new@example.org", "de-DE")


def _writes(place: Opened) -> list[tuple[str, str]]:
    """Return the calls that were no reading, ids left out."""
    known = {**place.fake.state.people, **place.fake.state.groups, **place.fake.state.apps, **place.fake.state.metas}
    return [
        (call.method, "/".join(part for part in call.path.split("/") if part not in known)[1:])
        for call in place.fake.calls
        if call.method != "GET" and not call.path.endswith(("/auth/token", "/by-users"))
    ]


def _write(place: Opened, *changes: Change) -> list[Receipt]:
    return carry_out(place, place.live(), changes)


def _read(place: Opened, *keys: Key) -> list[Resource | None]:
    seen = PLATFORM.refresh(place.doors.reader, keys, place.live())
    return [seen[key] for key in keys]


LEVELS = [
    (Change(None, grant("mia@example.org", DOCS, "view")), "view"),
    (
        Change(grant("carla@example.org", SHOP, "view"), grant("carla@example.org", SHOP, "edit-publish")),
        "edit-publish",
    ),
    (Change(grant("ed@example.org", SHOP, "manage"), grant("ed@example.org", SHOP, "edit")), "edit"),
    (Change(grant("ed@example.org", SHOP, "manage"), None), "no-access"),
    (Change(None, grant("ed@example.org", EUROPE, "manage")), "manage"),
    (Change(grant("mia@example.org", EUROPE, "view"), None), "no-access"),
]


@pytest.mark.parametrize(
    ("change", "level"), LEVELS, ids=lambda value: value if isinstance(value, str) else value.action
)
def test_a_level_is_one_post(change: Change, level: str) -> None:
    """Granting, raising, lowering and revoking are the same call; there is no DELETE (API.md section 6)."""
    place = opened()
    side = change.after or change.before
    assert isinstance(side, Grant)

    receipts = _write(place, change)

    kind = "app" if side.scope.kind == "site" else "meta-site"
    assert [receipt.status for receipt in receipts] == ["sent"]
    assert _writes(place) == [("POST", f"api/access-control/v2/{kind}/permission/user")]
    assert place.level(side.scope, side.subject.name) == level
    assert _read(place, change.key) == [change.after]


def test_an_owner_takes_an_invitation_and_a_promotion() -> None:
    """The role cannot be given with the invitation (API.md section 3); the mail goes out once."""
    place = opened()

    receipts = _write(place, Change(None, NEW), Change(None, grant(NEW.name, EVERYWHERE, "owner")))

    assert _writes(place) == [("POST", "api/users/v2/invite"), ("PATCH", "api/users/v2/change-role")]
    assert sum(receipt.sends for receipt in receipts) == 1
    assert place.fake.state.mails == [NEW.name]
    assert _read(place, NEW.key, grant(NEW.name, EVERYWHERE, "owner").key) == [
        NEW,
        grant(NEW.name, EVERYWHERE, "owner"),
    ]


def test_a_new_account_gets_its_levels_in_the_same_run() -> None:
    """The id of the invitation's answer serves the grants that follow; nothing is searched for."""
    place = opened()

    _write(place, Change(None, NEW), Change(None, grant(NEW.name, DOCS, "edit")))

    assert place.level(DOCS, NEW.name) == "edit"
    assert not [call for call in place.fake.calls if call.method == "GET" and call.path.endswith("/users/v2")][1:]


@pytest.mark.parametrize("fault", ["500-after-write", "cut-after-write"])
def test_an_invitation_whose_answer_was_lost_is_not_sent_twice(fault: str) -> None:
    """It is looked for by e-mail first, and what follows finds the account."""
    place = opened()
    live = place.live()
    place.fake.faults.append(Fault.parse(f"{fault}:POST /api/users/v2/invite"))

    receipts = carry_out(place, live, [Change(None, NEW), Change(None, grant(NEW.name, DOCS, "edit"))])

    assert [receipt.status for receipt in receipts] == ["sent", "sent"]
    assert place.fake.state.mails == [NEW.name]
    assert place.level(DOCS, NEW.name) == "edit"


@pytest.mark.parametrize(("fault", "status"), [("503", "unknown"), ("cut", "unknown"), ("late", "sent")])
@pytest.mark.parametrize(
    ("change", "on"),
    [(Change(None, NEW), "POST /api/users/v2/invite"), (Change(None, Group("pals")), "POST /api/user-groups/v1$")],
    ids=["invite", "group"],
)
def test_invitations_and_groups_are_made_once(change: Change, on: str, fault: str, status: str) -> None:
    """A mail goes out, and names of groups may not be unique: what may still come is waited for."""
    place = opened()
    live = place.live()
    place.fake.lateness = 5
    place.fake.faults.append(Fault.parse(f"{fault}:{on}"))

    (receipt,) = carry_out(place, live, [change])

    assert receipt.status == status
    sent = [call for call in place.fake.calls if call.method == "POST" and on.split(" ")[1].rstrip("$") == call.path]
    assert len(sent) == (2 if fault == "late" else 1)
    assert len([call for call in sent if call.wrote]) == (fault == "late")


@pytest.mark.parametrize(
    ("fault", "sent"),
    [("500", 2), ("503x3", 4), ("cut", 2), ("500-after-write", 1), ("cut-after-write", 1), ("504-after-write", 1)],
)
def test_a_level_whose_answer_was_lost_is_read_back_and_set_again_if_need_be(fault: str, sent: int) -> None:
    """Setting is repeatable (MAPPING.md section 5), and nothing is repeated that reading shows to be done."""
    place = opened()
    live = place.live()
    place.fake.faults.append(Fault.parse(f"{fault}:POST /api/access-control"))

    receipts = carry_out(place, live, [Change(None, grant("mia@example.org", DOCS, "view"))])

    assert [receipt.status for receipt in receipts] == ["sent"]
    assert place.level(DOCS, "mia@example.org") == "view"
    assert len([call for call in place.fake.calls if call.method == "POST" and "access-control" in call.path]) == sent


def test_an_address_of_another_account_is_a_conflict() -> None:
    """The server says that it exists though no list has it; the rest goes on."""
    place = opened()
    place.fake.state.elsewhere.add(NEW.name)

    receipts = _write(place, Change(None, NEW), Change(None, grant("mia@example.org", DOCS, "view")))

    assert [(receipt.status, receipt.key[0]) for receipt in receipts] == [("failed", "account"), ("sent", "grant")]
    assert "another Piwik PRO account" in receipts[0].message
    assert "another address" in (receipts[0].hint or "")


def test_somebody_who_was_invited_meanwhile_is_not_invited_again() -> None:
    """The address is among ours by now, so the account is as wanted."""
    place = opened()
    live = place.live()
    carry_out(place, live, [Change(None, NEW)])

    receipts = carry_out(place, live, [Change(None, NEW)])

    assert [(receipt.status, receipt.sends) for receipt in receipts] == [("sent", 0)]
    assert place.fake.state.mails == [NEW.name]


def test_language_is_a_patch() -> None:
    """With the id in the body, equal to the path's."""
    place = opened()
    before = Account("mia@example.org", "mia@example.org", "en-US")
    after = Account("mia@example.org", "mia@example.org", "fi-FI")

    _write(place, Change(before, after))

    assert _writes(place) == [("PATCH", "api/users/v2")]
    assert _read(place, after.key) == [after]


def test_deleting_an_account_that_is_gone_is_done() -> None:
    """Somebody else was quicker."""
    place = opened()
    live = place.live()
    gone = live.access[account_key("ed@example.org")]
    place.fake.state.forget(place.fake.state.people[place.person("ed@example.org")])

    receipts = carry_out(place, live, [Change(gone, None)])

    assert [receipt.status for receipt in receipts] == ["sent"]
    assert PLATFORM.refresh(place.doors.reader, [gone.key], live) == {gone.key: None}


def test_the_servers_own_protection_is_told_in_words() -> None:
    """Whatever a guard has let through, the last owner and the own account stay."""
    place = opened()
    live = place.live()
    me = live.access[account_key("siteward@example.org")]

    receipts = carry_out(place, live, [Change(me, None)])

    assert receipts[0].status == "failed"
    assert "API key" in receipts[0].message


def _through(*pages: Page) -> Opened:
    """Return the demo with a proxy before it."""
    return opened(through=lambda fake: Proxy(in_process(fake), list(pages)))


INVITE = "POST /users/v2/invite$"


@pytest.mark.parametrize("content", [b"<html>", b"", b'{"data": {"id": 7}}', b'{"data": {"id": "", "attributes": {}}}'])
def test_an_invitation_whose_answer_says_nothing_is_looked_for(content: bytes) -> None:
    """The mail is counted, the id is known, and nobody is mailed twice."""
    place = _through(Page(INVITE, passed=True, content=content))

    receipts = _write(place, Change(None, NEW), Change(None, grant(NEW.name, DOCS, "edit")))

    assert [(receipt.status, receipt.sends) for receipt in receipts] == [("sent", 1), ("sent", 0)]
    assert receipts[0].ids == {NEW.key: place.person(NEW.name)}
    assert place.fake.state.mails == [NEW.name]


def test_an_invitation_that_a_page_swallowed_is_open() -> None:
    """It is not among ours, and nobody knows what became of it."""
    place = _through(Page(INVITE))

    (receipt,) = _write(place, Change(None, NEW))

    assert receipt.status == "unknown"
    assert place.fake.state.mails == []


MODULES = "PUT /api/modules/"


@pytest.mark.parametrize("content", [b"<html>", b"", b"{}"])
@pytest.mark.parametrize("passed", [True, False])
def test_modules_that_a_page_says_are_closed_are_looked_at(content: bytes, *, passed: bool) -> None:
    """Reading the account does not show them, so the answer alone decides nothing."""
    place = _through(Page(MODULES, passed=passed, content=content, times=0))
    wish = replace(place.live(), access=Access([NEW]))

    (receipt,) = carry_out(place, place.live(), [Change(None, NEW)], wish)

    modules = place.fake.state.people[place.person(NEW.name)].modules
    assert bool(modules) is not passed
    assert receipt.status == ("sent" if passed else "unknown")
    assert (receipt.sends, set(receipt.ids)) == (1, {NEW.key})


AWAY = Page(MODULES, times=0, status=302, headers={"Location": "https://sso.test/"})


@pytest.mark.parametrize(
    "pages", [[AWAY], [Page(MODULES, times=0), Page("GET /api/modules/v1/access", times=0)]], ids=["closing", "reading"]
)
def test_an_invitation_is_counted_though_a_page_stands_before_its_modules(pages: list[Page]) -> None:
    """What took place is told, with what is open still."""
    place = _through(*pages)
    wish = replace(place.live(), access=Access([NEW]))

    (receipt,) = carry_out(place, place.live(), [Change(None, NEW)], wish)

    assert (receipt.status, receipt.sends, set(receipt.ids)) == ("unknown", 1, {NEW.key})
    assert receipt.message.startswith("its modules could not be closed: ")


@pytest.mark.parametrize(
    "on", [MODULES, "POST /permission/user/", "GET /api/modules/v1/access", "GET /permission/user$"]
)
def test_a_demotion_is_open_while_what_woke_with_it_may_be_awake(on: str) -> None:
    """A page says 200 to all; the role is gone, and the rest was not taken."""
    pages: list[Page] = []
    place = opened(through=lambda fake: Proxy(in_process(fake), pages))
    owner = TestDemotion.OWNER
    levels = place.fake.state.levels
    levels["app", place.entity(SHOP), "user", place.person("ben@example.org")] = "manage"
    live = place.live()
    pages.append(Page(on, times=0))

    (receipt,) = carry_out(place, live, [Change(owner, None)], replace(live, access=Access()))

    assert receipt.status == "unknown"
    assert receipt.message.startswith("not everything that woke could be taken from ben@example.org")


def test_a_group_whose_answer_says_nothing_is_looked_for() -> None:
    """By its name; and then it is filled."""
    place = opened(
        native=True, through=lambda fake: Proxy(in_process(fake), [Page("POST /api/user-groups/v1$", passed=True)])
    )

    receipts = _write(place, Change(None, Group("newsroom")), Change(None, Member("newsroom", "mia@example.org")))

    assert [receipt.status for receipt in receipts] == ["sent", "sent"]


class TestDemotion:
    """Levels sleep under ownership and wake with its end (MAPPING.md section 2)."""

    OWNER = grant("ben@example.org", EVERYWHERE, "owner")

    def _sleeping(self) -> Opened:
        place = opened()
        for scope, level in ((SHOP, "manage"), (DOCS, "view"), (EUROPE, "edit")):
            place.fake.state.levels[
                ENTITY[scope.kind], place.entity(scope), "user", place.person("ben@example.org")
            ] = level
        return place

    def test_what_wakes_and_is_not_wanted_is_taken_in_the_same_run(self) -> None:
        place = self._sleeping()
        live = place.live()
        assert not [grant for grant in live.access.grants() if grant.subject == account("ben@example.org")][1:]
        wish = replace(live, access=Access([grant("ben@example.org", SHOP, "view")]))

        carry_out(place, live, [Change(self.OWNER, None), Change(None, grant("ben@example.org", SHOP, "view"))], wish)

        held = {
            grant.scope: grant.role for grant in place.live().access.grants() if grant.subject.name == "ben@example.org"
        }
        assert held == {SHOP: "view"}

    def test_what_wakes_and_is_wanted_is_left(self) -> None:
        """Sites that nobody looks at, modules the file is silent on: the spine says what is unwanted."""
        place = self._sleeping()
        receipts = carry_out(place, place.live(), [Change(self.OWNER, None)])

        assert [receipt.status for receipt in receipts] == ["sent"]
        assert place.level(SHOP, "ben@example.org") == "manage"
        assert place.fake.state.people[place.person("ben@example.org")].modules


class TestGroups:
    """Groups of the platform: made, filled by the list, tied to an identity provider."""

    NEWSROOM = Group("newsroom")

    def test_a_group_is_made_filled_and_granted(self) -> None:
        place = opened(native=True)
        people = ("julia@example.org", "ivan@example.org", "mia@example.org")
        level = Grant(Subject("group", "newsroom"), BLOG, "edit")

        _write(
            place,
            Change(None, self.NEWSROOM),
            *(Change(None, Member("newsroom", person)) for person in people),
            Change(None, level),
        )

        assert _writes(place) == [
            ("POST", "api/user-groups/v1"),
            ("POST", "api/access-control/v2/app/permission/user-group"),
            ("POST", "api/user-groups/v1/relationships/users"),
        ]
        keys = [self.NEWSROOM.key, level.key, *(Member("newsroom", person).key for person in people)]
        assert _read(place, *keys) == [self.NEWSROOM, level, *(Member("newsroom", person) for person in people)]

    def test_members_go_by_one_delete_with_a_body(self) -> None:
        place = opened(native=True)
        leaving = [Member("analysts", name) for name in ("carla@example.org", "bi@example.org")]

        _write(place, *(Change(member, None) for member in leaving))

        assert _writes(place) == [("DELETE", "api/user-groups/v1/relationships/users")]
        assert _read(place, *(member.key for member in leaving)) == [None, None]

    def test_somebody_who_is_in_already_does_not_keep_the_others_out(self) -> None:
        """Whether that fails is not known; here it does."""
        place = opened(native=True)
        live = place.live()
        wanted = [Member("analysts", name) for name in ("carla@example.org", "lena@example.org")]

        receipts = carry_out(place, live, [Change(None, member) for member in wanted])

        assert {receipt.status for receipt in receipts} == {"sent"}
        assert _read(place, *(member.key for member in wanted)) == wanted

    def test_a_list_with_nothing_left_to_do_is_done(self) -> None:
        place = opened(native=True)
        receipts = carry_out(place, place.live(), [Change(None, Member("analysts", "carla@example.org"))])

        assert [(receipt.status, receipt.message) for receipt in receipts] == [("sent", "it was so already")]

    def test_a_group_whose_answer_was_lost_is_not_made_twice(self) -> None:
        place = opened(native=True)
        live = place.live()
        place.fake.faults.append(Fault.parse("cut-after-write:POST /api/user-groups/v1$"))

        receipts = carry_out(
            place, live, [Change(None, self.NEWSROOM), Change(None, Member("newsroom", "mia@example.org"))]
        )

        assert {receipt.status for receipt in receipts} == {"sent"}
        assert [group.name for group in place.fake.state.groups.values()].count("newsroom") == 1

    def test_a_group_is_tied_to_an_identity_provider(self) -> None:
        place = opened(native=True)
        _write(
            place, Change(None, Group("newsroom", "idp-news")), Change(Group("analysts"), Group("analysts", "idp-a"))
        )

        assert _read(place, ("group", "newsroom"), ("group", "analysts")) == [
            Group("newsroom", "idp-news"),
            Group("analysts", "idp-a"),
        ]

    def test_a_refusal_without_words_is_told_by_its_number(self) -> None:
        """The groups API gives no body to any error (API.md section 2)."""
        place = opened(native=True)
        receipts = _write(place, Change(None, Group("analysts")))

        assert receipts[0].status == "failed"
        assert "400" in receipts[0].message


class TestModules:
    """Switches of a person: one call for all of them."""

    @staticmethod
    def _on(name: str, module: str) -> Grant:
        return grant(name, Scope("module", module), "on")

    def test_several_switches_are_one_put(self) -> None:
        place = opened()
        opens, closes = self._on("bi@example.org", "tag_manager"), self._on("bi@example.org", "analytics")

        (bundle,) = PLATFORM.bundle([Change(None, opens), Change(closes, None)], place.live())
        receipts = PLATFORM.write(place.doors.writer, bundle, place.live())

        assert {receipt.status for receipt in receipts} == {"sent"}
        assert _writes(place) == [("PUT", "api/modules/v1/access/user")]
        assert _read(place, opens.key, closes.key) == [opens, None]

    def test_modules_the_file_is_silent_on_are_left_alone(self) -> None:
        place = opened()
        before = set(place.fake.state.people[place.person("mia@example.org")].modules)
        _write(place, Change(self._on("mia@example.org", "analytics"), None))

        assert place.fake.state.people[place.person("mia@example.org")].modules == before - {"analytics"}

    def test_somebody_new_has_just_the_modules_that_are_wanted(self) -> None:
        """New users have all licensed ones (API.md section 8), so those that are not wanted are closed at once."""
        place = opened()
        live = place.live()
        wish = replace(live, access=Access([NEW, self._on(NEW.name, "analytics")]))
        carry_out(place, live, [Change(None, NEW), Change(None, self._on(NEW.name, "analytics"))], wish)

        assert place.fake.state.people[place.person(NEW.name)].modules == {"analytics"}

    def test_an_invitation_counts_though_its_modules_stay(self) -> None:
        """The account is there and its id is known; that its modules are open still is told, and left to be finished."""
        place = opened()
        live = place.live()
        place.fake.faults.append(Fault.parse("500x0:PUT /api/modules"))
        wish = replace(live, access=Access([NEW]))

        (receipt,) = carry_out(place, live, [Change(None, NEW)], wish)

        assert receipt.status == "unknown"
        assert receipt.message.startswith("its modules could not be closed")
        assert receipt.ids == {NEW.key: place.person(NEW.name)}

    def test_what_a_group_holds_open_is_not_called_closed(self) -> None:
        place = opened()
        analysts = next(group for group in place.fake.state.groups.values() if group.name == "analysts")
        analysts.modules = {"analytics"}

        receipts = _write(place, Change(self._on("bi@example.org", "analytics"), None))

        assert receipts[0].status == "failed"
        assert "the group analysts holds the module open" in receipts[0].message
        assert not _writes(place)


def test_looking_at_many_takes_one_list() -> None:
    """One person is searched for; several are one request too."""
    place = opened()
    live = place.live()
    before = len(place.fake.calls)
    names = ("carla@example.org", "ed@example.org", "lena@example.org")

    seen = PLATFORM.refresh(place.doors.reader, [grant(name, SHOP, "view").key for name in names], live)

    assert len(place.fake.calls) == before + 1
    assert [resource.role if isinstance(resource, Grant) else None for resource in seen.values()] == [
        "view",
        "manage",
        None,
    ]


def test_nothing_is_told_of_a_site_that_is_not_known() -> None:
    """A key that could not be looked at is left out, and never called absent."""
    place = opened()
    key = grant("mia@example.org", site("nowhere.example.org"), "view").key

    assert PLATFORM.refresh(place.doors.reader, [key], place.live()) == {}


def test_a_change_on_a_site_that_is_gone_fails_in_words() -> None:
    """No call is made up for it."""
    place = opened()
    receipts = _write(place, Change(None, grant("mia@example.org", site("nowhere.example.org"), "view")))

    assert [(receipt.status, receipt.message) for receipt in receipts] == [
        ("failed", "there is no nowhere.example.org")
    ]
    assert not _writes(place)
