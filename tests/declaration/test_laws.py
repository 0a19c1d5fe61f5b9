"""Laws of resolving: groups, exclusions, selectors and windows, on random declarations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from siteward.access.diagnostic import Span
from siteward.access.hosts import domain_in
from siteward.access.patterns import matcher
from siteward.access.window import ALWAYS, Window, last_end
from siteward.declaration.declared import Group, Member
from siteward.declaration.groups import expand
from siteward.declaration.selector import parse, within
from siteward.declaration.source import Source

NAMES = ("anna", "ben", "carla", "dora")
GROUPS = ("g0", "g1", "g2", "g3")
START = datetime(2027, 1, 1, tzinfo=UTC)
HERE = Span("f", 1, 1)
NOWHERE = Source.__new__(Source)

MOMENTS = st.integers(0, 8).map(lambda days: START + timedelta(days=days))
WINDOWS = st.builds(Window, st.none() | MOMENTS, st.none() | MOMENTS)


def _group(handle: str, members: list[Member]) -> Group:
    return Group(handle=handle, members=tuple(members), at=HERE, source=NOWHERE)


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Group]:
    """Draw groups in which each names users and groups before it, so that there is no circle."""
    found: dict[str, Group] = {}
    for number, handle in enumerate(GROUPS):
        known = st.sampled_from((*NAMES, *GROUPS[:number]))
        taken = st.builds(Member, known, WINDOWS.filter(lambda window: not window.empty) | st.just(ALWAYS))
        left = st.builds(Member, known, st.just(ALWAYS), st.just(True))
        found[handle] = _group(handle, draw(st.lists(taken | left, max_size=5)))
    return found


def _in(declared: dict[str, Group], group: str, at: datetime) -> set[str]:
    """Say who is in a group at a moment, straight from the sentence: members first, then exclusions."""
    inside: set[str] = set()
    for member in declared[group].members:
        if not member.excludes and member.window.holds(at):
            inside |= _in(declared, member.name, at) if member.name in declared else {member.name}
    for member in declared[group].members:
        if member.excludes:
            inside -= _ever(declared, member.name) if member.name in declared else {member.name}
    return inside


def _ever(declared: dict[str, Group], group: str) -> set[str]:
    """Say who is ever in a group."""
    people = expand(declared)[group]
    return set(people)


@given(groups(), MOMENTS)
def test_who_is_in_a_group_at_a_moment(declared: dict[str, Group], at: datetime) -> None:
    """What is expanded once answers for every moment like the sentence it stands for."""
    expanded = expand(declared)
    for group in GROUPS:
        now = {name for name, ways in expanded[group].items() if any(way.window.holds(at) for way in ways)}
        assert now == _in(declared, group, at)


@given(groups(), st.randoms())
def test_order_is_nothing(declared: dict[str, Group], random: object) -> None:
    """Neither the order of members nor that of groups changes who is meant, and when."""

    def times(expanded: object) -> dict[str, dict[str, set[Window]]]:
        return {
            group: {name: {way.window for way in ways} for name, ways in people.items()}
            for group, people in expanded.items()  # type: ignore[attr-defined]
        }

    shuffled = {}
    for handle in reversed(declared):
        members = list(declared[handle].members)
        random.shuffle(members)  # type: ignore[attr-defined]
        shuffled[handle] = _group(handle, members)
    assert times(expand(shuffled)) == times(expand(declared))


@given(WINDOWS, WINDOWS, MOMENTS)
def test_windows_meet_as_sets_do(first: Window, second: Window, at: datetime) -> None:
    """An instant lies in the meeting of two windows when it lies in both."""
    assert first.meet(second).holds(at) == (first.holds(at) and second.holds(at))
    assert first.meet(ALWAYS).holds(at) == first.holds(at)
    assert not (first.empty and first.holds(at))


@given(st.lists(WINDOWS.filter(lambda window: not window.empty), min_size=1, max_size=5), MOMENTS)
def test_the_end_of_a_union_is_its_first_gap(windows: list[Window], at: datetime) -> None:
    """Until `last_end` some window holds at every moment, and at that moment none does."""
    end = last_end(windows, at)
    inside = any(window.holds(at) for window in windows)
    moment = at
    while inside and moment < (end or START + timedelta(days=20)):
        assert any(window.holds(moment) for window in windows)
        moment += timedelta(hours=12)
    assert end is None or not inside or not any(window.holds(end) for window in windows)


LABELS = st.sampled_from(["shop", "blog", "x", "example", "org", "de"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PATTERNS = st.lists(LABELS | st.just("*"), min_size=1, max_size=4).map(".".join)


@given(PATTERNS, HOSTS)
def test_a_pattern_matches_what_its_star_can_stand_for(pattern: str, host: str) -> None:
    """The star spans everything, dots too; nothing else is special."""
    parts = pattern.split("*")

    def fits(rest: str, todo: list[str]) -> bool:
        if len(todo) == 1:
            return rest == todo[0] if len(parts) == 1 else rest.endswith(todo[0])
        return rest.startswith(todo[0]) and any(fits(rest[at:], todo[1:]) for at in range(len(todo[0]), len(rest) + 1))

    expected = pattern == host if len(parts) == 1 else fits(host, parts)
    assert bool(matcher(pattern)(host)) == expected


@given(PATTERNS, st.lists(PATTERNS | HOSTS, min_size=1, max_size=3), HOSTS)
def test_bounds_are_sound(written: str, bounds: list[str], host: str) -> None:
    """What passes the bounds of an include never matches a site outside them."""
    inside = [parse(bound) for bound in bounds]
    if within(parse(written), inside) and matcher(domain_in(written))(host):
        assert any(matcher(domain_in(bound))(host) for bound in bounds)
