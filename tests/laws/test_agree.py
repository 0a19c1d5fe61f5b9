"""The law of agreement: plan, drift, matrix, review, who-can and explain say the same about who has what."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from siteward.access.certification import Horizon, review
from siteward.access.change import patch
from siteward.access.effective import Index, compare, ledger
from siteward.access.model import EVERYWHERE, Access, Grant, Group, Member, Subject
from siteward.access.plan import compose
from siteward.access.proposal import Proposal, manage
from siteward.access.standing import covered, declared_access
from siteward.access.state import Live
from siteward.access.traits import Traits, declarable, is_site
from siteward.reconcile.drift import drift
from strategies import ME, NOW, PIWIKPRO, desires, grants, lives, policies, scopes, some, traits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.effective import Holding
    from siteward.access.model import Resource, Scope
    from siteward.access.state import Desired


@st.composite
def grouped(draw: st.DrawFn, table: Traits) -> Live:
    """Draw a live state in which groups that the file may not know give access too."""
    live = draw(lives(table, whole=True))
    names = [account.name for account in live.access.accounts() if account.name != ME]
    more: list[Resource] = []
    for group in draw(st.lists(st.sampled_from(("guests", "idp")), unique=True)):
        more.append(Group(group, "directory" if group == "idp" else None))
        places = [scope for scope in scopes(table) if is_site(scope)]
        more += [draw(grants(table, Subject("group", group), place)) for place in sorted(draw(some(places, most=2)))]
        more += [Member(group, name) for name in sorted(draw(some(names)))]
    rights = [resource for resource in more if not isinstance(resource, Grant) or declarable(resource, table)]
    return replace(live, access=Access((*live.access.values(), *rights)))


@st.composite
def cases(draw: st.DrawFn) -> Proposal:
    """Draw a world with groups outside the file, a wish and a policy, and return what follows."""
    table = draw(st.one_of(traits(), st.just(replace(PIWIKPRO, manages=frozenset({"account", "grant"})))))
    live = draw(grouped(table))
    desired = draw(desires(table, live))
    reached = [wish for wish in desired.access.values() if _is_in_scope(wish, desired)]
    desired = replace(desired, access=Access(reached))
    if "group" not in table.manages:
        flat = [resource for resource in desired.access.values() if not _is_of_group(resource)]
        desired = replace(desired, access=Access(flat))
    return manage(live, desired, table, draw(policies()), None)


def _is_in_scope(wish: Resource, desired: Desired) -> bool:
    """Return whether a wish is one that a file can lead to.

    A selector reaches managed sites alone, and a file without `grants` wishes no right but modules.
    """
    if not isinstance(wish, Grant):
        return True
    if desired.managed is None:
        return wish.scope.kind == "module"
    return not is_site(wish.scope) or wish.scope in desired.managed


def _is_of_group(resource: Resource) -> bool:
    return isinstance(resource, Group | Member) or (isinstance(resource, Grant) and resource.subject.kind == "group")


def _people(case: Proposal) -> set[str]:
    """Return the accounts of declared people that are neither ours nor ignored."""
    ours = {name for name in case.desired.declared_users if name.casefold() != ME}
    return {name for name in ours if not any(account.name == name for account in case.unmanaged)}


def _deleted(case: Proposal) -> set[str]:
    """Return the accounts that a step deletes, or would."""
    steps = (*case.proposed, *case.held_back)
    return {step.key[1] for step in steps if step.key[0] == "account" and step.change.after is None}


def _is_ignored(case: Proposal, account: str) -> bool:
    """Return whether the plan says of a declared account that `ignore` keeps it from being changed."""
    return any(
        diagnostic.code == "declared-but-ignored" and diagnostic.differs and diagnostic.message.startswith(account)
        for diagnostic in case.diagnostics
    )


def _holdings(case: Proposal) -> Iterator[tuple[str, Holding]]:
    found = ledger("stats", "https://stats.example.org", case.desired, case.live, case.traits)
    for entry in found.entries:
        if entry.account in _people(case):
            yield from ((entry.account, holding) for holding in entry.holdings)


def _acted_on(case: Proposal) -> set[tuple[str, Scope]]:
    """Return the pairs of account and scope that a step, a skipped step or a difference without a step is about."""
    found = {(excess.account, excess.scope) for excess in case.excess}
    indexes = (Index(case.live.access), Index(case.projected))
    for proposed in (*case.proposed, *case.held_back):
        for side in (proposed.change.before, proposed.change.after):
            match side:
                case Grant(subject=Subject("account", name)):
                    found.add((name, side.scope))
                case Grant(subject=Subject("group", group)):
                    found |= {(name, side.scope) for index in indexes for name in index.members.get(group, ())}
                    found |= {(m.account, side.scope) for m in case.desired.access.members() if m.group == group}
                case Member(group=group, account=name):
                    wished = Index(case.desired.access).shared.get(group, ())
                    found |= {(name, grant.scope) for index in indexes for grant in index.shared.get(group, ())}
                    found |= {(name, grant.scope) for grant in wished}
                case _:
                    pass
    return found


@given(cases())
def test_what_the_matrix_calls_different_the_plan_acts_on_or_tells(case: Proposal) -> None:
    """No verb says "differs" where the plan knows no difference."""
    acted_on, deleted = _acted_on(case), _deleted(case)
    facts = {(d.about[2], d.about[3:]) for d in case.diagnostics if d.differs and d.about and d.about[0] == "grant"}
    for account, holding in _holdings(case):
        if holding.agreement != "same" and account not in deleted:
            told = (account, holding.scope) in acted_on or _is_ignored(case, account)
            assert told or (account, (holding.scope.kind, holding.scope.name)) in facts, (account, holding)


@given(cases())
def test_what_the_plan_tells_the_matrix_calls_different(case: Proposal) -> None:
    """Own grants that steps change, and all excess, are differences in the matrix and in the review."""
    differs = {(account, holding.scope) for account, holding in _holdings(case) if holding.agreement != "same"}
    for proposed in (*case.proposed, *case.held_back):
        side = proposed.change.after or proposed.change.before
        if isinstance(side, Grant) and side.subject.kind == "account" and side.subject.name in _people(case):
            assert (side.subject.name, side.scope) in differs, proposed
    left = {(excess.account, excess.scope) for excess in case.excess if excess.account in _people(case)}
    assert left <= differs
    found = ledger("stats", "https://stats.example.org", case.desired, case.live, case.traits)
    items = review([found], Horizon(as_of=NOW, soon=timedelta(days=30))).items
    flagged = {(item.account, item.scope) for item in items if "differs" in item.flags}
    assert differs <= flagged


@given(cases())
def test_nobody_who_holds_more_than_declared_is_called_in_sync(case: Proposal) -> None:
    """After all steps, whoever still has more by a group or an own grant is told, by plan and drift, with exit 2 or worse."""
    done = patch(case.live.access, [proposed.change for proposed in (*case.proposed, *case.held_back)])
    index = Index(done)
    wishes = Index(declared_access(case.desired, case.live, case.traits))
    told = {(excess.account, excess.scope) for excess in case.excess}
    managed = case.desired.managed
    for account in _people(case) - _deleted(case) if managed is not None else ():
        for scope, ways in index.ways(account).items():
            wished = [grant for grant, _ in wishes.ways_to(account, scope, case.traits)]
            more = [held for held, group in ways if group is not None and not covered(held, wished, case.traits)]
            if more and scope in (managed or ()):
                assert (account, scope) in told
    plan = compose(case, instance="stats", origin="https://stats.example.org")
    items = drift(plan, case.live, case.desired, None, case.excess)
    if case.excess:
        assert any(
            diagnostic.differs for diagnostic in (*plan.diagnostics, *(d for s in plan.steps for d in s.diagnostics))
        )
        assert {(excess.account, excess.scope) for excess in case.excess} <= {
            (item.live.subject.name, item.live.scope) for item in items if isinstance(item.live, Grant)
        }


@given(cases())
def test_explain_and_who_can_call_different_what_the_matrix_does(case: Proposal) -> None:
    """On a site, and in the role on the whole instance that reaches it."""
    compared = compare(case.desired, case.live, case.traits)
    by_pair = {(account, holding.scope): holding for account, holding in _holdings(case)}
    for account, scope in [pair for pair in by_pair if is_site(pair[1])]:
        whole = by_pair.get((account, EVERYWHERE))
        tops = whole is not None and any(
            side is not None and case.traits.is_top(side) for side in (whole.live, whole.declared)
        )
        here = {by_pair[account, scope].agreement, *({whole.agreement} if whole is not None and tops else ())}
        agrees = compared.agreement(account, scope) == "same"
        assert agrees == (here == {"same"}), (account, scope, by_pair[account, scope], whole)


@given(cases())
def test_explain_and_who_can_call_nothing_different_where_the_file_wishes_what_is_live(case: Proposal) -> None:
    """On every managed site, whichever right leads there: a grant on it, a group, or the role on the whole instance."""
    wished = [resource for resource in case.live.access.values() if _is_in_scope(resource, case.desired)]
    compared = compare(replace(case.desired, access=Access(wished)), case.live, case.traits)
    for account in _people(case):
        for scope in case.desired.managed or ():
            assert compared.agreement(account, scope) == "same", (account, scope)
