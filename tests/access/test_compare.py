"""Two revisions by what they mean: nothing against itself, and what one way gives the other takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from siteward.access.diagnostic import Span
from siteward.access.diff import Movement, Revision, compare
from siteward.access.model import EVERYWHERE, Access, Grant, Power, Scope, Subject
from siteward.access.state import DeclaredUser, Desired, Origin
from siteward.access.traits import Role, Traits

NOW = datetime(2026, 12, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
AT = Span("access.yaml", 1, 1)
TRAITS = Traits(
    platform="small",
    roles={
        "site": (
            Role(name="view", power=Power.VIEW),
            Role(name="edit", power=Power.EDIT),
            Role(name="manage", power=Power.MANAGE),
        ),
        "instance": (Role(name="user", power=Power.NONE), Role(name="admin", power=Power.ADMIN)),
    },
    top="admin",
    powerful=frozenset({"manage", "admin"}),
)
PEOPLE, SITES = ("anna", "ben", "cleo"), ("shop", "blog", "*.org !docs.org", "*.org")
OPPOSITE = {
    "gained": "lost", "raised": "lowered", "wider": "narrower", "longer": "shorter", "changed": "changed", "moved": "moved",
}  # fmt: skip
OPPOSITE |= {other: kind for kind, other in OPPOSITE.items()}


def grant(who: str, where: str, role: str) -> Grant:
    return Grant(Subject("account", who), EVERYWHERE if where == "" else Scope("site", where), role)


def desired(*held: Grant, until: datetime | None = None, kinds: dict[str, str] | None = None) -> Desired:
    declared_users = {name: DeclaredUser(handle=name, at=AT, kind=(kinds or {}).get(name, "person")) for name in PEOPLE}
    return Desired(
        access=Access(held),
        origins={grant.key: Origin(AT, until=until) for grant in held},
        declared_users=declared_users,
    )


def revision(*moments: tuple[datetime, Desired]) -> Revision:
    return Revision(traits=TRAITS, wished=dict(moments))


def moved(before: Desired, after: Desired) -> tuple[Movement, ...]:
    return compare("stats", revision((NOW, before)), revision((NOW, after)))


held = st.dictionaries(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(SITES)), st.sampled_from(("view", "edit", "manage")), max_size=8
).map(lambda found: desired(*(grant(who, where, role) for (who, where), role in found.items())))


@given(held)
def test_nothing_differs_from_itself(first: Desired) -> None:
    assert moved(first, first) == ()


@given(held, held)
def test_what_one_way_gives_the_other_takes(first: Desired, other: Desired) -> None:
    """Every movement has its opposite in the other direction, on the same person and place."""
    there = {(movement.person, movement.scope, movement.kind) for movement in moved(first, other)}
    back = {(movement.person, movement.scope, OPPOSITE[movement.kind]) for movement in moved(other, first)}
    mixed = {"wider", "narrower"}  # two patterns may each leave out what the other does not
    assert {movement for movement in there if movement[2] not in mixed} == {
        movement for movement in back if movement[2] not in mixed
    }


@given(held, held)
def test_everything_that_differs_is_told_once(first: Desired, other: Desired) -> None:
    """Whoever has not the same on both sides is in the comparison, and nobody else is."""
    told = {movement.person for movement in moved(first, other)}
    for name in PEOPLE:
        sides = [{grant for grant in side.access.grants() if grant.subject.name == name} for side in (first, other)]
        assert (name in told) == (sides[0] != sides[1])


def test_a_top_role_covers_what_it_covers() -> None:
    """Who becomes admin does not lose sites by it, and is told as an escalation alone."""
    found = moved(desired(grant("anna", "shop", "edit")), desired(grant("anna", "", "admin")))
    assert [(movement.kind, movement.scope, movement.band) for movement in found] == [
        ("gained", EVERYWHERE, "escalation")
    ]


def test_what_begins_later_is_told_with_its_moment() -> None:
    later = desired(grant("ben", "shop", "manage"))
    (found,) = compare(
        "stats", revision((NOW, desired()), (LATER, desired())), revision((NOW, desired()), (LATER, later))
    )
    assert (found.kind, found.begins, found.raises) == ("gained", LATER, True)


def test_an_end_is_told_once() -> None:
    """A nearer end is a date that moves, and not a loss besides on the day it comes."""
    now = desired(grant("ben", "shop", "view"))
    before = revision((NOW, now), (LATER, now))
    after = revision((NOW, desired(grant("ben", "shop", "view"), until=NOW + timedelta(days=3))), (LATER, desired()))
    assert [(movement.kind, movement.begins) for movement in compare("stats", before, after)] == [("shorter", None)]


def test_externals_and_other_accounts() -> None:
    """What an outsider gains stands apart, and another login of the same person is a move."""
    (gained,) = moved(desired(), desired(grant("cleo", "shop", "view"), kinds={"cleo": "client"}))
    assert gained.band == "outsider"
    other = desired(grant("ben", "shop", "manage"))
    declared_users = {**other.declared_users, "ben": replace(other.declared_users["ben"], handle="anna")}
    declared_users["anna"] = replace(declared_users["anna"], handle="nobody")
    (away,) = moved(desired(grant("anna", "shop", "manage")), replace(other, declared_users=declared_users))
    assert (away.kind, away.raises) == ("moved", True)


def test_an_instance_that_comes_or_goes() -> None:
    """What is new is given; what the file does not name any more is left as it is."""
    after = revision((NOW, desired(grant("anna", "shop", "view"))))
    assert [movement.kind for movement in compare("stats", None, after)] == ["gained"]
    assert compare("stats", after, None) == ()
    assert compare("stats", None, None) == ()
