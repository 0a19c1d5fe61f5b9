"""The laws of proposals, guards and plans: what may be proposed, what passes, and what a second plan holds."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from siteward.access.case import unreachable_steps
from siteward.access.change import Change, diff, direction, patch
from siteward.access.defaults import with_defaults
from siteward.access.diagnostic import Span
from siteward.access.guards import judge
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Key, Subject, account_key, account_of, grant_key
from siteward.access.plan import InstancePlan, compose
from siteward.access.proposal import Proposal, manage
from siteward.access.report import Report, exit_code, summarize
from siteward.access.state import Desired, Live, Origin
from siteward.access.traits import Traits, is_site
from strategies import ME, NOW, instance_plans, lives, plans, policies, proposals, remarks, some, traits


@st.composite
def judged(draw: st.DrawFn, *, hostile: bool = False, limits: bool = True) -> tuple[Proposal, InstancePlan]:
    proposal = draw(proposals(hostile=hostile, limits=limits))
    said = draw(remarks(proposal))
    objections = judge(proposal, as_of=NOW, allow_delete=draw(st.booleans()), remarks=said)
    return proposal, compose(proposal, (*said, *objections), instance="stats", origin="https://stats.example.org")


@given(traits().flatmap(lambda table: st.tuples(st.just(table), lives(table, whole=True), policies())))
def test_an_unchanged_world_plans_nothing(world: tuple[Traits, Live, object]) -> None:
    """Where the file wishes exactly what is there, there is nothing to do, in any mode."""
    table, live, policy = world
    wish = Desired(access=live.access, managed=frozenset(live.sites))
    assert manage(live, wish, table, policy, None).proposed == ()  # type: ignore[arg-type]


@given(proposals())
def test_what_may_be_another_than_it_is_live_is_all_that_differs(proposal: Proposal) -> None:
    """The grants that were found apart while the defaults were filled in lead to every difference there is."""
    live = proposal.live
    wanted, apart = with_defaults(proposal.desired, live, proposal.traits)
    assert set(diff(live.access, wanted, apart)) == set(diff(live.access, wanted))


@given(judged(hostile=True))
def test_no_plan_that_passes_touches_me_or_what_is_protected(case: tuple[Proposal, InstancePlan]) -> None:
    """With a hostile declaration too: neither the account in use nor a protected login, e-mail or handle."""
    proposal, plan = case
    for step in plan.runnable:
        name = account_of(step.change.key)
        if name is not None:
            assert name.casefold() != ME
            assert not any(_protects(proposal, identity) for identity in _identities(proposal, name))


def _identities(proposal: Proposal, name: str) -> tuple[str, ...]:
    account, declared_user = proposal.live.access.get(account_key(name)), proposal.desired.declared_users.get(name)
    email = account.email if isinstance(account, Account) else None
    return tuple(text for text in (name, email, declared_user.handle if declared_user else None) if text)


def _protects(proposal: Proposal, name: str) -> bool:
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in proposal.policy.protect)


@given(judged(hostile=True))
def test_no_plan_that_passes_locks_us_out(case: tuple[Proposal, InstancePlan]) -> None:
    """After every step enough admins are left who count, or as many as there were if they were too few.

    Nobody who counts, or counted until the file called them gone, is unmade while too few others count.
    """
    proposal, plan = case
    world, me = proposal.live.access, Subject("account", ME)
    least = min(proposal.policy.admins_min, len(_admins(proposal, world)))
    for step in plan.runnable:
        before, world = world, patch(world, (step.change,))
        left = _admins(proposal, world)
        assert len(left) >= least
        if _admins(proposal, before, lately=True) != _admins(proposal, world, lately=True) and not _tops(
            proposal, step.change.after
        ):
            assert len(left) >= proposal.policy.admins_min
        assert world.grant(me, EVERYWHERE) == proposal.live.access.grant(me, EVERYWHERE)


def _tops(proposal: Proposal, side: object) -> bool:
    return isinstance(side, Grant) and proposal.traits.is_top(side)


def _admins(proposal: Proposal, world: Access, *, lately: bool = False) -> set[str]:
    """Return the admins who count as promise 4 says, written down a second time and the slow way.

    `lately` adds those who counted until the file called them suspended, absent or no longer there.
    """
    live, desired, found = proposal.live, proposal.desired, set()
    gone = {
        account_of(proposed.key) for proposed in proposal.proposed if proposed.cause in {"suspended", "absent", "left"}
    }
    over = {
        account_of(proposed.key)
        for proposed in (*proposal.proposed, *proposal.held_back)
        if proposed.cause == "expired" and _tops(proposal, proposed.change.before)
    }
    for grant in world.grants():
        name = grant.subject.name
        declared_user, account = desired.declared_users.get(name), world.get(account_key(name))
        key = grant_key(Subject("account", name), EVERYWHERE)
        ends = [
            declared_user.until if declared_user else None,
            desired.origins[key].until if key in desired.origins else None,
        ]
        declared = declared_user is not None and declared_user.ending is None
        if (
            proposal.traits.is_top(grant)
            and isinstance(account, Account)
            and (declared or (lately and name in gone))
            and name.casefold() != ME
            and name not in over  # what ends by its date never counted
            and not (declared_user is not None and declared_user.kind == "service")
            and not (
                declared_user is not None and any(end is not None and end <= NOW + timedelta(days=14) for end in ends)
            )
            and account.status == "active"
            and not {key, account_key(name)} & live.pending
            and not any(fnmatchcase(name.casefold(), pattern) for pattern in proposal.policy.ignore)
            and not (account_key(name) not in live.access and "invite" in proposal.traits.onboarding)
        ):
            found.add(name)
    return found


@given(judged())
def test_what_depends_on_what_is_blocked_is_blocked(case: tuple[Proposal, InstancePlan]) -> None:
    """A step never goes ahead of one that it needs."""
    _, plan = case
    blocked = {step.id for step in plan.steps if step.blocked}
    for step in plan.steps:
        assert step.blocked or not blocked & set(step.depends_on)


@given(judged(limits=False))
def test_a_second_plan_holds_only_what_the_first_announced(case: tuple[Proposal, InstancePlan]) -> None:
    """Once all that may be done is done, what is left was blocked or held back before."""
    proposal, plan = case
    renames = [step for step in plan.runnable if isinstance(step.change.after, Account) and step.change.after.renamed]
    done = [step.change for step in plan.runnable if step not in renames]
    live = replace(proposal.live, access=_wiped(patch(proposal.live.access, done), done, proposal.traits))
    again = manage(live, proposal.desired, proposal.traits, proposal.policy, proposal.memory)
    announced = {step.change.key for step in (*plan.steps, *plan.held_back)} - {change.key for change in done}
    assert {proposed.key for proposed in (*again.proposed, *again.held_back)} <= announced


def _wiped(world: Access, done: list[Change], table: Traits) -> Access:
    """Take away the site grants of those who became admins, as the server does where the two exclude each other."""
    made = {
        change.key[2]
        for change in done
        if table.admin_excludes_grants and isinstance(change.after, Grant) and table.is_top(change.after)
    }
    return Access(
        resource
        for resource in world.values()
        if not (isinstance(resource, Grant) and is_site(resource.scope) and resource.subject.name in made)
    )


@given(proposals())
def test_nobody_outside_the_declaration_is_touched_unless_policy_says_so(proposal: Proposal) -> None:
    """Reported and ignored accounts, everybody's account and our own get no step."""
    known = {*proposal.desired.declared_users, *(proposal.memory.users.values() if proposal.memory else ())}
    wished = {account_of(key) for key in proposal.desired.access}
    for proposed in (*proposal.proposed, *proposal.held_back):
        name = account_of(proposed.key)
        if name is None or name == proposal.traits.public_account:
            continue
        assert not any(fnmatchcase(name.casefold(), pattern) for pattern in proposal.policy.ignore)
        assert name in known | wished or (proposal.policy.unmanaged != "report" and proposed.cause == "unmanaged")


@given(proposals())
def test_modes_do_what_they_say(proposal: Proposal) -> None:
    """Observe plans nothing; add-only takes nothing that the file does not name as over."""
    if proposal.policy.mode == "observe":
        assert proposal.proposed == ()
    if proposal.policy.mode == "add-only":
        named = {"expired", "not-yet", "suspended", "absent", "left", "public"}
        for proposed in proposal.proposed:
            taking = proposed.change.after is None or (
                isinstance(proposed.change.after, Grant) and direction(proposed.change, proposal.traits) != "open"
            )
            assert not taking or proposed.cause in named
    if proposal.policy.mode == "full":
        assert proposal.held_back == ()


@given(proposals(whole=False, hostile=True))
def test_nothing_is_taken_because_something_was_not_read(proposal: Proposal) -> None:
    """While a listing lacks its proof, no removal that follows from an absence passes."""
    blocked = {diagnostic.about for diagnostic in judge(proposal, as_of=NOW, allow_delete=True) if diagnostic.blocks}
    for proposed in proposal.proposed:
        if proposed.change.after is None and proposed.cause in {"silence", "unmanaged", "left"}:
            assert proposed.key in blocked


@given(proposals(hostile=True))
def test_accounts_are_deleted_only_where_two_said_so(proposal: Proposal) -> None:
    """No deletion passes without consent, nor one that follows from mere leaving."""
    blocked = {diagnostic.about for diagnostic in judge(proposal, as_of=NOW) if diagnostic.blocks}
    agreed = {
        diagnostic.about
        for diagnostic in judge(proposal, as_of=NOW, allow_delete=True)
        if diagnostic.code.startswith("deletion")
    }
    for proposed in proposal.proposed:
        if isinstance(proposed.change.before, Account) and proposed.change.after is None:
            assert proposed.key in blocked
            assert proposed.cause in {"absent", "unmanaged"}
            assert proposed.key not in agreed


@given(judged())
def test_plans_are_the_same_for_the_same_world(case: tuple[Proposal, InstancePlan]) -> None:
    """Neither the order of the reading nor that of the file shows in a plan."""
    proposal, _ = case
    live, desired = proposal.live, proposal.desired
    turned = manage(
        replace(live, access=Access(reversed(list(live.access.values())))),
        replace(
            desired,
            access=Access(reversed(list(desired.access.values()))),
            declared_users=dict(reversed(list(desired.declared_users.items()))),
        ),
        proposal.traits,
        proposal.policy,
        proposal.memory,
    )
    assert turned.proposed == proposal.proposed
    assert turned.unmanaged == proposal.unmanaged
    first, second = (
        compose(variant, judge(variant, as_of=NOW), instance="a", origin="b") for variant in (proposal, turned)
    )
    assert first.steps == second.steps


@given(proposals(hostile=True), st.booleans())
def test_what_is_judged_once_is_judged_alike_one_by_one(proposal: Proposal, allow_delete: bool) -> None:  # noqa: FBT001
    """Guards and steps are the same where each change is looked at by itself and not in its series."""
    line = Origin(Span("access.yaml", 7, 3), wildcard="*")
    given_by_one_line = [replace(proposed, origin=line) for proposed in proposal.proposed]
    together, apart = (replace(proposal, proposed=tuple(given_by_one_line)) for _ in range(2))
    vars(apart)["series"] = tuple((proposed,) for proposed in apart.proposed)
    assert [proposed for series in together.series for proposed in series] == given_by_one_line
    first, second = (judge(variant, as_of=NOW, allow_delete=allow_delete) for variant in (together, apart))
    assert first == second
    whole, single = (
        compose(variant, said, instance="a", origin="b") for variant, said in ((together, first), (apart, second))
    )
    assert whole == single


@given(proposals(), st.data())
def test_blocking_is_closed_under_dependency(proposal: Proposal, data: st.DataObject) -> None:
    """What depends on what cannot be done cannot be done either."""
    keys: list[Key] = [proposed.key for proposed in proposal.proposed]
    blocked = data.draw(some(keys))
    found = unreachable_steps(blocked, proposal)
    assert blocked <= found
    assert all(key in found for key in keys if found & set(proposal.needs.get(key, ())))


@given(plans())
def test_numbers_and_exit_code_agree(plan: object) -> None:
    """The numbers add up to the steps, and the code is the one that the numbers ask for."""
    report = Report(command="plan", plan=plan)  # type: ignore[arg-type]
    total = summarize(report)
    steps = sum(len(instance.steps) for instance in report.plan.instances) if report.plan else 0
    kinds = total.accounts_created + total.accounts_deleted + total.grants_added + total.grants_raised
    assert kinds + total.grants_lowered + total.grants_revoked + total.other_changes + total.blocked == steps
    assert total.creates + total.updates + total.deletes + total.blocked == steps
    code = exit_code(report)
    assert (code == 4) == bool(total.unreadable or total.blind)
    if code == 0:
        assert steps == 0
        assert total.errors == 0
    assert exit_code(Report(command="apply", plan=plan, applied=True)) in ({0, 3, 4} if code != 1 else {1})  # type: ignore[arg-type]


@given(instance_plans(hostile=True))
def test_ids_and_dependencies_lead_into_the_plan(plan: InstancePlan) -> None:
    """Ids are unique and in order, and what a step depends on stands before it."""
    seen: set[str] = set()
    for at, step in enumerate(plan.steps, 1):
        assert step.id == f"s{at}"
        assert set(step.depends_on) <= seen
        seen.add(step.id)
