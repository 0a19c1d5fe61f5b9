"""The access review: what stands out, in what order, and a digest over what is held and not over what is decided."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from siteward.access.certification import FLAGS, Confirmations, Confirmed, Horizon, Item, Review, review
from siteward.access.diagnostic import Span
from siteward.access.effective import Entry, Holding, Ledger
from siteward.access.model import EVERYWHERE, Grant, Power, Scope, Subject
from siteward.access.report import Missing
from siteward.access.state import Origin

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
AT = Span("access.yaml", 7, 3)
SHOP, BLOG = Scope("site", "shop"), Scope("site", "blog")


def grant(scope: Scope = SHOP, role: str = "view", *extras: str, who: str = "ana") -> Grant:
    return Grant(Subject("account", who), scope, role, frozenset(extras))


def holding(scope: Scope = SHOP, power: Power = Power.VIEW, **more: Any) -> Holding:
    """Return a right that is live and declared alike."""
    both = grant(scope)
    return Holding(
        scope=scope, **{"live": both, "declared": both, "live_power": power, "declared_power": power, **more}
    )


def entry(account: str = "ana", *holdings: Holding, **more: Any) -> Entry:
    return Entry(account=account, holdings=holdings or (holding(),), **{"kind": "person", "handle": account, **more})


def ledger(*entries: Entry, instance: str = "stats", **more: Any) -> Ledger:
    return Ledger(instance=instance, platform="umami", entries=entries, **more)


def reviewed(*entries: Entry, **horizon: Any) -> Review:
    return review([ledger(*entries)], Horizon(as_of=NOW, **horizon))


def only(made: Review) -> Item:
    (item,) = made.items
    return item


# -- what is told of a right


def test_an_item_tells_both_sides_the_person_and_the_reason() -> None:
    """Everything that a reviewer decides by stands in it."""
    origin = Origin(AT, ticket="T-1", until=NOW + timedelta(days=90))
    live, declared = grant(role="edit"), grant(role="view")
    held = holding(live=live, declared=declared, live_power=Power.EDIT, origin=origin)
    facts = {"last_seen": "2026-11-30"}
    item = only(reviewed(entry("ana", held, handle="ana-b", email="ana@x.test", facts=facts)))
    assert (item.instance, item.account, item.handle, item.kind, item.email) == (
        "stats", "ana", "ana-b", "person", "ana@x.test",
    )  # fmt: skip
    assert (item.scope, item.live, item.declared, item.power, item.agreement) == (
        SHOP, live, declared, Power.EDIT, "differs",
    )  # fmt: skip
    assert (item.origin, item.until, item.facts, item.commit) == (origin, origin.until, facts, None)
    assert item.flags == ("differs",)


def test_the_power_of_an_item_is_the_greater_of_both_sides() -> None:
    """What is only declared will be held, and what is only live is held."""
    assert only(reviewed(entry("ana", holding(live_power=Power.NONE, declared_power=Power.EDIT)))).power is Power.EDIT
    assert only(reviewed(entry("ana", holding(live_power=Power.EDIT, declared_power=Power.NONE)))).power is Power.EDIT


def test_the_commit_is_that_of_the_line_which_grants() -> None:
    """By file and line; a right without a line has none."""
    lines = {("access.yaml", 7): "abc 2026-01-01", ("access.yaml", 3): "def", ("other.yaml", 7): "ghi"}
    every = [ledger(entry("ana", holding(origin=Origin(AT)), holding(BLOG)))]
    made = review(every, Horizon(as_of=NOW), lines)
    assert {item.scope: item.commit for item in made.items} == {SHOP: "abc 2026-01-01", BLOG: None}
    assert only(review([ledger(entry("ana", holding(origin=Origin(AT))))], Horizon(as_of=NOW))).commit is None


@pytest.mark.parametrize(
    ("line", "user", "until"), [(9, None, 9), (None, 9, 9), (9, 20, 9), (20, 9, 9), (None, None, None)]
)
def test_the_end_is_the_nearer_of_the_line_and_the_user(line: int | None, user: int | None, until: int | None) -> None:
    """Whichever ends first ends the right."""

    def at(days: int | None) -> datetime | None:
        return None if days is None else NOW + timedelta(days=days)

    held = holding(origin=Origin(AT, until=at(line)))
    assert only(reviewed(entry("ana", held, until=at(user)))).until == at(until)


# -- what stands out


@pytest.mark.parametrize(
    ("flag", "found"),
    [
        ("admin", entry("ana", holding(EVERYWHERE, Power.ADMIN))),
        ("admin", entry("ana", holding(EVERYWHERE, Power.NONE, declared_power=Power.ADMIN))),
        ("undeclared", entry("ana", kind="undeclared", handle=None)),
        ("public", entry("anonymous", kind="public", handle=None)),
        ("outsider", entry("ana", kind="contractor")),
        ("service", entry("robot", kind="service")),
        ("pending", entry("ana", status="pending")),
        ("pending", entry("ana", holding(pending=True))),
        ("differs", entry("ana", holding(declared=None, declared_power=Power.NONE))),
        ("differs", entry("ana", holding(live=None, live_power=Power.NONE))),
    ],
)
def test_what_stands_out_carries_a_flag(flag: str, found: Entry) -> None:
    """One fact, one flag, and nothing else."""
    assert only(reviewed(found)).flags == (flag,)


def test_an_ordinary_right_carries_none() -> None:
    """A person of the house with a right that both sides agree on."""
    assert only(reviewed(entry("ana", email="ana@house.test"))).flags == ()
    assert only(reviewed(entry("ana", holding(power=Power.MANAGE)))).flags == ()


def test_who_is_of_another_house_is_told_by_the_domains_of_the_persons() -> None:
    """Services and accounts that nobody declared do not make a domain one of the house."""
    people = [entry(f"p{number}", email=f"p{number}@house.test") for number in range(3)]
    others = [entry(f"s{number}", kind="service", email=f"s{number}@vendor.test") for number in range(9)]
    made = reviewed(*people, *others, entry("x", email="x@vendor.test"))
    flags = {item.account: item.flags for item in made.items}
    assert flags["p0"] == ()
    assert flags["x"] == ("outsider",)
    assert flags["s0"] == ("outsider", "service")


def test_the_house_is_that_of_all_instances_together() -> None:
    """A domain that is strange on one instance may be the house's own."""
    two = [
        ledger(entry("x", email="x@vendor.test"), instance="a"),
        ledger(*(entry(f"p{number}", email=f"p{number}@house.test") for number in range(9)), instance="b"),
    ]
    flags = {item.account: item.flags for item in review(two, Horizon(as_of=NOW)).items}
    assert (flags["x"], flags["p1"]) == (("outsider",), ())


@pytest.mark.parametrize(
    ("ends", "flags"),
    [
        (timedelta(days=-1), ("expired",)),
        (timedelta(0), ("expired",)),
        (timedelta(seconds=1), ("expiring",)),
        (timedelta(days=30), ("expiring",)),
        (timedelta(days=30, seconds=1), ()),
    ],
)
def test_an_end_that_is_over_or_near_is_told(ends: timedelta, flags: tuple[str, ...]) -> None:
    """An end at this moment is over; the day that `--soon` names still counts."""
    held = holding(origin=Origin(AT, until=NOW + ends))
    assert only(reviewed(entry("ana", held))).flags == flags


def test_how_near_an_end_is_told_can_be_chosen() -> None:
    """With `--soon 0` only what is over."""
    held = holding(origin=Origin(AT, until=NOW + timedelta(days=40)))
    assert only(reviewed(entry("ana", held), soon=timedelta(days=41))).flags == ("expiring",)
    assert only(reviewed(entry("ana", held), soon=timedelta(0))).flags == ()


@pytest.mark.parametrize(
    ("seen", "flags"),
    [
        ("2026-06-03", ()),
        ("2026-06-04", ()),
        ("2026-06-03T23:59:59Z", ()),
        ("2026-06-02", ("stale",)),
        ("2026-06-02T23:59:59Z", ("stale",)),
        ("never", ()),
        ("", ()),
    ],
)
def test_an_account_that_was_not_used_for_long_is_stale(seen: str, flags: tuple[str, ...]) -> None:
    """180 days before 1 December is 4 June; a word that is no day proves nothing."""
    made = reviewed(entry("ana", facts={"last_seen": seen}), unused=timedelta(days=181))
    assert only(made).flags == flags
    assert only(reviewed(entry("ana", facts={"created": "2001-01-01"}))).flags == ()


def test_half_a_year_without_use_is_stale_by_itself() -> None:
    """180 days, unless somebody chooses another number."""
    assert only(reviewed(entry("ana", facts={"last_seen": "2026-06-03"}))).flags == ("stale",)
    assert only(reviewed(entry("ana", facts={"last_seen": "2026-06-04"}))).flags == ()


# -- order and numbers


def test_the_riskiest_stands_first() -> None:
    """By the gravest flag, then by power, then by name, instance and site."""
    made = review(
        [
            ledger(
                entry("zoe", holding(EVERYWHERE, Power.ADMIN)),
                entry("bob", holding(SHOP), holding(BLOG)),
                entry("max", holding(power=Power.EDIT)),
                entry("uma", kind="undeclared", handle=None),
                entry("dan", holding(declared=None)),
                entry("account-9", handle="abe"),
            ),
            ledger(entry("bob"), instance="eu"),
        ],
        Horizon(as_of=NOW),
    )
    assert [(item.account, item.instance, item.scope.name) for item in made.items] == [
        ("zoe", "stats", ""),
        ("uma", "stats", "shop"),
        ("dan", "stats", "shop"),
        ("max", "stats", "shop"),
        ("account-9", "stats", "shop"),
        ("bob", "eu", "shop"),
        ("bob", "stats", "blog"),
        ("bob", "stats", "shop"),
    ]


def test_flags_are_counted() -> None:
    """Every flag has a number, also where it is nothing."""
    counts = reviewed(
        entry("ana", kind="service"), entry("uma", kind="undeclared"), entry("eva", kind="service")
    ).counts()
    assert dict(counts) == {**dict.fromkeys(FLAGS, 0), "service": 2, "undeclared": 1}


def test_what_was_not_read_is_told_with_the_review() -> None:
    """Instances that were not read at all stand before those that were not read whole."""
    gone = Missing(instance="eu", why="unreachable")
    made = review([ledger(complete=False), ledger(instance="us")], Horizon(as_of=NOW), missing=(gone,))
    assert (made.as_of, made.incomplete, made.missing) == (NOW, ("stats",), (gone,))
    assert made.gaps == (gone, Missing(instance="stats", partly=True))


# -- identity


def test_an_item_keeps_its_id_from_review_to_review() -> None:
    """It is of an instance, an account and a scope, whatever is held there and whoever has the account."""
    first = only(reviewed(entry("ana")))
    other = only(
        reviewed(entry("ana", holding(live=grant(role="edit"), origin=Origin(AT)), handle="b", kind="service"))
    )
    assert first.id == other.id
    assert (first.id[:2], len(first.id)) == ("i-", 18)
    ids = {
        first.id,
        only(reviewed(entry("bob"))).id,
        only(reviewed(entry("ana", holding(BLOG)))).id,
        only(reviewed(entry("ana", holding(Scope("metasite", "shop"))))).id,
        only(review([ledger(entry("ana"), instance="eu")], Horizon(as_of=NOW))).id,
    }
    assert len(ids) == 5


def test_the_digest_is_of_what_is_held() -> None:
    """Every change of what a reviewer decides on makes another digest; time, commits and facts make none."""
    held = holding(origin=Origin(AT))
    first = reviewed(entry("ana", held))
    assert first.digest.startswith("sha256:")
    assert len(first.digest) == len("sha256:") + 64
    same = review(
        [ledger(entry("ana", held, facts={"last_seen": "2026-01-01"}, email="new@x.test"))],
        Horizon(as_of=NOW + timedelta(days=9)),
        {("access.yaml", 7): "abc"},
    )
    assert same.digest == first.digest
    others = [
        entry("bob", held),
        entry("ana", replace(held, scope=BLOG)),
        entry("ana", replace(held, live=grant(role="edit"))),
        entry("ana", replace(held, live=grant(SHOP, "view", "extra"))),
        entry("ana", replace(held, live=None)),
        entry("ana", replace(held, declared=grant(role="edit"))),
        entry("ana", replace(held, declared=None)),
        entry("ana", replace(held, origin=None)),
        entry("ana", replace(held, origin=Origin(replace(AT, line=8)))),
    ]
    digests = {reviewed(other).digest for other in others}
    assert len({*digests, first.digest}) == len(others) + 1


def test_the_digest_is_of_what_was_not_read_too() -> None:
    """A review that left something out is not the review of everything."""
    every = [ledger(entry("ana"))]
    horizon = Horizon(as_of=NOW)
    digests = {
        review(every, horizon).digest,
        review([ledger(entry("ana"), complete=False)], horizon).digest,
        review(every, horizon, missing=(Missing(instance="eu"),)).digest,
        review(every, horizon, missing=(Missing(instance="us"),)).digest,
    }
    assert len(digests) == 4


def test_the_digest_does_not_hang_on_the_order_or_on_half_a_character() -> None:
    """The same rights in another order are the same review, and a login may be anything."""
    one, two = entry("ana", holding(live=grant(SHOP, "view", "a", "b"))), entry("\ud800")
    assert reviewed(one, two).digest == reviewed(two, one).digest


def test_decisions_of_an_earlier_release_are_still_of_this_review() -> None:
    """Ids and digest are what stands in the files that reviewers have, so the way they are made never changes."""
    held = holding(live=grant(SHOP, "view", "b", "a"), declared=None, declared_power=Power.NONE)
    made = review(
        [ledger(entry("\u00e4na", held, holding(BLOG, origin=Origin(AT))), complete=False)],
        Horizon(as_of=NOW),
        missing=(Missing(instance="eu"),),
    )

    def text(*words: str) -> str:
        return "[" + ",".join(json.dumps(word) for word in words) + "]"

    ids = {
        site: sha256(text("stats", "grant", "account", "\u00e4na", "site", site).encode()).hexdigest()[:16]
        for site in ("shop", "blog")
    }
    assert {item.scope.name: item.id for item in made.items} == {site: f"i-{name}" for site, name in ids.items()}
    rows = {
        ids["shop"]: f'["{ids["shop"]}","stats","\\u00e4na","shop",["view","a","b"],null,""]',
        ids["blog"]: f'["{ids["blog"]}","stats","\\u00e4na","blog",["view"],["view"],"access.yaml:7:3"]',
    }
    items = ",".join(rows[name] for name in sorted(rows))
    inputs = f'{{"incomplete":["stats","eu"],"items":[{items}]}}'
    assert made.digest == f"sha256:{sha256(inputs.encode()).hexdigest()}"


CONFIRMED = Confirmed(at=NOW - timedelta(days=40), by="bea", decision="keep", review="q1", role="view")


def with_reviews(
    found: Entry,
    days: dict[str, int],
    confirmed: Confirmed | None = None,
    *,
    since: int | None = None,
    known: int | None = 400,
) -> Item:
    """Return the item of an entry where the policy asks for reviews, and the journal knows of it since so many days."""
    item = only(reviewed(found)).id
    told = Confirmations(
        last={item: confirmed} if confirmed else {}, since={item: NOW - timedelta(days=since)} if since is not None else {},
        known_since={"stats": NOW - timedelta(days=known)} if known is not None else {}, days={"stats": days},
    )  # fmt: skip
    return only(review([ledger(found)], Horizon(as_of=NOW), confirmed=told))


@pytest.mark.parametrize(
    ("found", "days", "overdue"),
    [
        (entry(), {"everybody": 40}, True), (entry(), {"everybody": 41}, False), (entry(), {}, False),
        (entry(), {"admins": 10, "services": 10, "everybody": 90}, False),
        (entry("ana", kind="service"), {"services": 40, "everybody": 90}, True),
        (entry("ana", kind="service"), {"services": 90, "everybody": 40}, True),
        (entry("ana", holding(live_power=Power.ADMIN)), {"admins": 30, "everybody": 90}, True),
        (entry("ana", kind="self"), {"everybody": 1}, False), (entry("ana", kind="public"), {"everybody": 1}, False),
    ],
)  # fmt: skip
def test_the_shortest_time_that_fits_makes_a_right_overdue(
    found: Entry, days: dict[str, int], *, overdue: bool
) -> None:
    """From the last confirmation on, to the second."""
    item = with_reviews(found, days, CONFIRMED)
    assert ("overdue" in item.flags) == overdue
    assert item.confirmed == CONFIRMED


def test_a_right_that_was_never_confirmed_is_overdue_from_its_beginning() -> None:
    """As the journal tells it, or else from the first state there is; without a journal nothing is known."""
    assert "overdue" in with_reviews(entry(), {"everybody": 90}).flags
    assert "overdue" not in with_reviews(entry(), {"everybody": 90}, since=80).flags
    assert "overdue" not in with_reviews(entry(), {"everybody": 90}, known=None).flags


def test_what_was_confirmed_with_another_role_is_not_confirmed() -> None:
    """A change that a review decided on stands for whatever role it led to."""
    other = replace(CONFIRMED, role="edit")
    assert with_reviews(entry(), {}, other).confirmed is None
    changed = replace(CONFIRMED, role=None, decision="change view")
    assert with_reviews(entry(), {}, changed).confirmed == changed
