"""Of two policies the strictest: it forbids what either forbids, whichever comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteward.access.limits import allowed
from siteward.access.model import Grant, Power, Scope, Subject
from siteward.access.policy import LIMIT_NAMES, MODES, UNMANAGED, Limit, Policy, Rule, role_names, site_names, strictest
from siteward.access.state import Site
from strategies import MATOMO

limits = st.builds(Limit, count=st.none() | st.integers(0, 50), percent=st.none() | st.integers(0, 100))
rules = st.builds(Rule, id=st.sampled_from("abc"), match=st.just({"kind": "client"}), at_most=st.sampled_from(Power))
policies = st.builds(
    Policy,
    mode=st.sampled_from(MODES),
    unmanaged=st.sampled_from(UNMANAGED),
    admins_min=st.integers(1, 4),
    admins_max=st.none() | st.integers(1, 9),
    limits=st.fixed_dictionaries({}, optional=dict.fromkeys(LIMIT_NAMES, limits)),
    wildcards_at_most=st.sampled_from(Power),
    protect=st.lists(st.sampled_from("xyz"), unique=True).map(tuple),
    ignore=st.lists(st.sampled_from("xyz"), unique=True).map(tuple),
    rules=st.lists(rules, max_size=3, unique_by=lambda rule: rule.id).map(tuple),
    accept_blind=st.frozensets(st.sampled_from("pq")),
)


def plain(policy: Policy) -> tuple[object, ...]:
    """A policy without the order and the places of its parts."""
    return (
        policy.mode, policy.unmanaged, policy.admins_min, policy.admins_max, policy.wildcards_at_most,
        {name: (limit.count, limit.percent) for name, limit in policy.limits.items()},
        frozenset(policy.protect), frozenset(policy.ignore), policy.accept_blind,
        frozenset(map(repr, policy.rules)),
    )  # fmt: skip


@given(policies, policies)
def test_order_is_nothing(first: Policy, other: Policy) -> None:
    assert plain(strictest(first, other)) == plain(strictest(other, first))


@given(policies)
def test_twice_the_same_is_the_same(first: Policy) -> None:
    assert plain(strictest(strictest(first, first), first)) == plain(strictest(first, first))


@given(policies, policies, st.integers(0, 500))
def test_it_allows_no_more_than_either(first: Policy, other: Policy, base: int) -> None:
    """Budgets, admins, wildcards, protection and rules of the result hold those of both."""
    both = strictest(first, other)
    for side in (strictest(first, first), strictest(other, other)):
        for name in LIMIT_NAMES:
            mine, theirs = allowed(both.limits[name], base), allowed(side.limits[name], base)
            assert theirs is None or (mine is not None and mine <= theirs)
        assert both.admins_min >= side.admins_min
        assert side.admins_max is None or (both.admins_max is not None and both.admins_max <= side.admins_max)
        assert both.wildcards_at_most <= side.wildcards_at_most
        assert set(both.protect) >= set(side.protect)
        assert set(map(repr, both.rules)) >= set(map(repr, side.rules))
        assert both.accept_blind <= side.accept_blind
        assert MODES.index(both.mode) <= MODES.index(side.mode)


@pytest.mark.parametrize(
    ("kind", "role", "found"),
    [
        ("site", "admin", {"admin", "matomo:admin", "manage"}),
        ("instance", "superuser", {"superuser", "matomo:superuser", "admin"}),
    ],
)
def test_a_native_role_is_not_the_portable_one_of_that_name(kind: str, role: str, found: set[str]) -> None:
    """A rule on `matomo:admin` is about admins of a site, one on `admin` about superusers too."""
    assert role_names(Grant(Subject("account", "anna"), Scope(kind, "x"), role), MATOMO) == found


def test_a_site_goes_by_every_name_that_a_rule_may_use() -> None:
    """What the platform calls it, its id and its group, and what the file calls it, folded; nothing empty."""
    scope = Scope("site", "Shop.example.org")
    site = Site(id="S7", label="Shop", name="The Shop", domains=("Shop.example.org", "till.example.org"), group="Shops")
    assert site_names(scope, site, ("till", "tag:Acme")) == {
        "shop.example.org", "shop", "the shop", "till.example.org", "id:s7", "sitegroup:shops", "till", "tag:acme",
    }  # fmt: skip
    assert site_names(scope, Site(id="7", label="Shop.example.org")) == {"shop.example.org", "id:7"}
    assert site_names(scope, None, ("till",)) == {"shop.example.org", "till"}
    assert site_names(scope, None) == {"shop.example.org"}
