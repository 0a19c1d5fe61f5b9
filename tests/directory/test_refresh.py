"""The refreshing of a directory's file: matching by id alone, leavers, newcomers, and what a listing must keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from siteward.access.diagnostic import Span
from siteward.access.policy import Limit
from siteward.directory.file import print_people, read_people
from siteward.directory.listing import Listing, Person
from siteward.directory.refresh import Demands, Known, People, allowed, refresh

if TYPE_CHECKING:
    pass

AT = Span("access.yaml", 3, 3)
DEMANDS = Demands(directory="staff", at=AT, shrink=Limit(count=None, percent=100))


def person(id_: str, handle: str | None = None, **fields: object) -> Person:
    return Person(id=id_, handle=handle or f"p{id_}", at=Span("staff.csv", int(id_) + 1, 1), **fields)  # type: ignore[arg-type]


def listing(*people: Person, **groups: tuple[str, ...]) -> Listing:
    return Listing(people=people, groups=groups)


def file(*known: Known, **groups: tuple[str, ...]) -> People:
    return People(users={row.handle: row for row in known}, groups=groups)


ANNA, BEN = Known(handle="anna", id="1", email="anna@x.org"), Known(handle="ben", id="2", email="ben@x.org")


def codes(result: object) -> list[str]:
    return [found.code for found in result.diagnostics]  # type: ignore[attr-defined]


def test_a_known_id_keeps_its_handle_whatever_changes() -> None:
    """Grants speak of the handle; name and address follow the directory."""
    result = refresh(listing(person("1", "annette", email="berg@x.org", name="Anna Berg")), file(ANNA), DEMANDS)
    assert result.people.users == {"anna": Known(handle="anna", id="1", email="berg@x.org", name="Anna Berg")}
    assert [(change.what, change.detail) for change in result.changes] == [
        ("changed", "email: anna@x.org → berg@x.org"), ("changed", "name: none → Anna Berg"),
    ]  # fmt: skip
    assert not result.diagnostics


def test_who_is_missing_is_suspended_and_may_come_back() -> None:
    """Never taken out: a line that is gone would be an account nobody declares."""
    gone = refresh(listing(person("1", "anna", email="anna@x.org")), file(ANNA, BEN), DEMANDS)
    assert gone.people.users["ben"] == replace(BEN, suspended=True)
    assert [(change.what, change.who, change.detail) for change in gone.changes] == [
        ("left", "ben", "not in the listing any more")
    ]
    both = listing(person("1", "anna", email="anna@x.org"), person("2", "ben", email="ben@x.org"))
    back = refresh(both, gone.people, DEMANDS)
    assert [(change.what, change.who) for change in back.changes] == [("back", "ben")]
    assert back.people == file(ANNA, BEN)


def test_who_is_disabled_there_is_suspended_and_in_no_group() -> None:
    result = refresh(listing(person("1"), person("2", active=False), web=("1", "2")), People(), DEMANDS)
    assert [known.suspended for known in result.people.users.values()] == [False, True]
    assert result.people.groups == {"staff-web": ("p1",)}


@pytest.mark.parametrize(
    "newcomer", [person("9", "ben", email="other@x.org"), person("9", "benjamin", email="BEN@x.org")]
)
def test_an_old_name_or_address_under_a_new_id_stops_it(newcomer: Person) -> None:
    """A restored server, somebody hired again and a login that was given away look the same: a person has to say."""
    both = listing(person("1", "anna", email="anna@x.org"), newcomer)
    stopped = refresh(both, file(ANNA, BEN), DEMANDS)
    assert codes(stopped) == ["identity-changed"]
    same = refresh(both, file(ANNA, BEN), replace(DEMANDS, same={"ben": "9"}))
    assert not same.diagnostics
    assert same.people.users["ben"].id == "9"
    assert set(same.people.users) == {"anna", "ben"}
    other = refresh(both, file(ANNA, BEN), replace(DEMANDS, others={"9": "ben-2"}))
    assert not other.diagnostics
    assert (other.people.users["ben"].suspended, other.people.users["ben-2"].id) == (True, "9")


def test_two_who_are_there_may_share_a_name() -> None:
    """The one who is known keeps it."""
    result = refresh(listing(person("1", "anna", email="anna@x.org"), person("0", "anna")), file(ANNA), DEMANDS)
    assert not result.diagnostics
    assert {handle: known.id for handle, known in result.people.users.items()} == {"anna": "1", "anna-2": "0"}


@pytest.mark.parametrize(
    "demands", [{"same": {"bert": "2"}}, {"same": {"ben": "7"}}, {"others": {"7": "x"}}, {"others": {"2": "ben"}}]
)
def test_a_confirmation_of_nobody_is_an_error(demands: dict[str, dict[str, str]]) -> None:
    both = listing(person("1", "anna"), person("2", "ben"))
    assert "wrong-value" in codes(refresh(both, file(ANNA, BEN), Demands(directory="staff", at=AT, **demands)))  # type: ignore[arg-type]


def test_the_login_of_the_directory_is_kept_where_it_is_no_handle() -> None:
    """It follows the directory, the handle does not; who is missing keeps it."""
    people = (person("1", "Anna", login="anna"), person("2", "ben@x.org", login="ben@x.org"), person("3"))
    first = refresh(listing(*people), People(), DEMANDS).people
    assert {handle: known.login for handle, known in first.users.items()} == {
        "anna": None,
        "ben-x.org": "ben@x.org",
        "p3": None,
    }
    later = refresh(listing(person("1", "anna.berg", login="anna.berg")), first, DEMANDS)
    assert later.people.users["anna"].login == "anna.berg"
    assert later.people.users["ben-x.org"].login == "ben@x.org"
    assert ("changed", "anna", "login: none → anna.berg") in [
        (change.what, change.who, change.detail) for change in later.changes
    ]


def test_names_of_other_files_are_taken() -> None:
    demands = replace(DEMANDS, taken=frozenset({"p2", "staff-web"}))
    assert codes(refresh(listing(person("1"), person("2"), web=("1",)), People(), demands)) == [
        "listing-clash",
        "listing-clash",
    ]
    two = Listing(people=(person("1"),), groups={"Web": ("1",), "web": ("1",)})
    assert codes(refresh(two, People(), DEMANDS)) == ["listing-clash"]


@pytest.mark.parametrize(
    ("people", "demands", "message"),
    [
        ((), {}, "the listing holds nobody"),
        ((person("1", active=False),), {}, "the listing holds nobody"),
        ((person("1"),), {"at_least": 2}, "the listing holds 1 people, and `at_least` is 2"),
        ((person("1"), person("2")), {"witnesses": ("anna", "ben", "p1", "x@x.org")}, "the listing lacks `x@x.org`"),
        ((person("1"), person("2", active=False)), {"witnesses": ("ben",)}, "the listing lacks `ben`"),
    ],
)
def test_a_listing_without_its_witnesses_is_not_whole(
    people: tuple[Person, ...], demands: dict[str, object], message: str
) -> None:
    """A witness is named by handle, id or address; one who is disabled is none."""
    result = refresh(listing(*people), file(ANNA, BEN), Demands(directory="staff", at=AT, **demands))  # type: ignore[arg-type]
    incomplete = [found for found in result.diagnostics if found.code == "listing-incomplete"]
    assert incomplete
    assert incomplete[0].message.startswith(message)


@pytest.mark.parametrize(
    ("before", "limit", "most"),
    [
        (10, None, 3),
        (1000, None, 20),
        (10, Limit(count=1, percent=None), 1),
        (10, Limit(count=None, percent=10), 2),
        (1000, Limit(count=5, percent=10), 5),
        (10, Limit(count=0, percent=None), 0),
    ],
)  # fmt: skip
def test_how_many_may_be_gone(before: int, limit: Limit | None, most: int) -> None:
    assert allowed(before, limit) == most


def test_more_may_not_be_gone() -> None:
    """One more than `shrink` allows changes nothing, and names them."""
    known = [Known(handle=f"p{number}", id=str(number)) for number in range(10)]
    demands = replace(DEMANDS, shrink=Limit(count=3, percent=None))
    fine = refresh(listing(*(person(str(number)) for number in range(7))), file(*known), demands)
    assert codes(fine) == []
    cut = refresh(listing(*(person(str(number)) for number in range(6))), file(*known), demands)
    assert codes(cut) == ["listing-incomplete"]
    assert cut.diagnostics[0].message.endswith("4 people are gone at once, and `shrink` allows 3: p6, p7, p8, p9")
    emptied = {f"staff-g{number}": ("p1",) for number in range(4)}
    assert codes(
        refresh(listing(*(person(str(number)) for number in range(10))), file(*known, **emptied), demands)
    ) == ["listing-incomplete"]


ids = st.integers(0, 30).map(str)
texts = st.text(st.sampled_from("ab.-_@ äß'\"#:{}[],\\\t\u00e9"), min_size=1, max_size=8)


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    """A listing of some people, who may share names and addresses."""
    chosen = draw(st.lists(ids, unique=True, min_size=1, max_size=12))
    people = [
        Person(
            id=id_,
            handle=draw(st.none() | texts),
            login=draw(st.none() | texts),
            email=draw(st.none() | texts),
            name=draw(st.none() | texts),
            active=draw(st.booleans()),
            at=AT,
        )
        for id_ in chosen
    ]
    names = draw(st.lists(st.sampled_from(["Web", "ops", "x y"]), unique=True))
    return Listing(
        people=tuple(people),
        groups={name: tuple(draw(st.lists(st.sampled_from(chosen), unique=True))) for name in names},
    )


@given(listings(), st.randoms(use_true_random=False))
def test_the_order_of_a_listing_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, drawn: Listing, chance: object
) -> None:
    """The same people give the same file to the byte, what is written is read again, and a second refresh changes nothing."""
    first = refresh(drawn, People(), DEMANDS).people
    shuffled = list(drawn.people)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert refresh(replace(drawn, people=tuple(shuffled)), People(), DEMANDS).people == first
    path = tmp_path_factory.mktemp("people") / "staff.yaml"
    path.write_text(print_people("staff", first), encoding="utf-8")
    assert read_people(path, "staff.yaml") == first
    again = refresh(drawn, first, DEMANDS)
    assert again.people == first
    assert not again.changes


@given(listings(), listings())
def test_nobody_is_lost_and_no_id_changes_its_handle(before: Listing, after: Listing) -> None:
    first = refresh(before, People(), DEMANDS).people
    result = refresh(after, first, DEMANDS)
    assert result.people.users.keys() >= first.users.keys()
    assert all(result.people.users[handle].id == known.id for handle, known in first.users.items())
    there = {person.id for person in after.people if person.active}
    assert all(known.suspended == (known.id not in there) for known in result.people.users.values())
    if not any(found.blocks for found in result.diagnostics):
        assert {person.id for person in after.people} <= {known.id for known in result.people.users.values()}
