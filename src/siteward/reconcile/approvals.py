"""Who may approve what a plan gives, and whose approval counts, as the forge told it; nothing of it is proven.

With a base, both are by the files of the base: a change names neither who may approve it, nor under which account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.approvals import Approvers, asks_for_approvals
from siteward.access.diagnostic import note, plural, warning
from siteward.access.model import EVERYWHERE, Power
from siteward.access.traits import SITE_KINDS
from siteward.declaration.declared import EVERY
from siteward.declaration.groups import expand
from siteward.declaration.resolve import resolve
from siteward.declaration.selectors import Scopes
from siteward.reconcile.revisions.committers import committers_of, handles_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.documents import Approval, Approvals
    from siteward.access.model import Grant, Scope
    from siteward.access.plan import Plan
    from siteward.access.state import Desired, Live
    from siteward.access.traits import Traits
    from siteward.declaration.declared import User
    from siteward.declaration.load import Declaration
    from siteward.reconcile.journal.entries import Actor
    from siteward.reconcile.project import Project
    from siteward.reconcile.revisions.base_policy import BasePolicy


class Counted(Struct, frozen=True, kw_only=True):
    """The users, by handle, whose approval counts for a checkout, and what is to be said of the others."""

    approved: frozenset[str] = frozenset()
    said: tuple[Diagnostic, ...] = ()


def approvers_on(
    instance: str,
    declaration: Declaration,
    desired: Desired,
    base_policy: BasePolicy | None,
    traits: Traits,
    live: Live,
    as_of: datetime,
) -> Approvers:
    """Return who may approve on an instance: by the base, where it has the instance, and active in the checkout too."""
    former = base_policy.named_before(instance) if base_policy is not None else None
    base = base_policy.base if base_policy is not None else None
    if former is not None and base is not None:
        judging, name = base, former
        desired = resolve(base, name, traits, live, as_of=as_of)
    else:
        judging, name = declaration, instance
    able = _find_able(judging, name, as_of) & _find_able(declaration, instance, as_of)
    admins = frozenset(desired.declared_users[login].handle for login in _find_admins(desired, traits, live))
    return Approvers(owners=_find_owners(judging, name, live, as_of, able), admins=admins & able)


def _find_able(declaration: Declaration, instance: str, as_of: datetime) -> frozenset[str]:
    """Return the users who can approve at all: people who are there, on the instance and as such, at a moment."""
    return frozenset(handle for handle, user in declaration.users.items() if _is_able(user, instance, as_of))


def _is_able(user: User, instance: str, as_of: datetime) -> bool:
    states = {user.state(instance), user.states.get(EVERY, "active")}
    return user.kind != "service" and states == {"active"} and user.window.holds(as_of)


def _find_owners(
    declaration: Declaration, instance: str, live: Live, as_of: datetime, able: frozenset[str]
) -> Mapping[Scope, frozenset[str]]:
    """Return the people who own each live site, themselves or in a group; sites without any are left out."""
    groups = expand(declaration.groups)

    def people(name: str) -> Iterable[str]:
        if name not in groups:
            return (name,)
        return (handle for handle, ways in groups[name].items() if any(way.window.holds(as_of) for way in ways))

    found: dict[Scope, frozenset[str]] = {}
    for kind in SITE_KINDS:
        for scope, names in Scopes(declaration.sites, instance, live, kind).owners().items():
            owners = frozenset(handle for name in names for handle in people(name)) & able
            if owners:
                found[scope] = owners
    return found


def _find_admins(desired: Desired, traits: Traits, live: Live) -> Iterator[str]:
    """Yield the accounts that a file makes admins of a whole instance, through groups too, and that are it already."""
    for grant in desired.access.grants():
        if not (traits.is_top(grant) or (grant.scope == EVERYWHERE and traits.power(grant) >= Power.ADMIN)):
            continue
        if live.access.find(grant.key) != grant:
            continue  # who becomes one by this plan approves nothing of it
        for name in _accounts_of(grant, desired):
            if name in desired.declared_users:
                yield name


def _accounts_of(grant: Grant, desired: Desired) -> Iterable[str]:
    if grant.subject.kind == "account":
        return (grant.subject.name,)
    return (member.account for member in desired.access.members() if member.group == grant.subject.name)


# -- approvals as the forge told them


def count_approvals(project: Project, actor: Actor | None) -> Counted:
    """Return whose approvals count for a checkout: of the merged head, by neither author, committer nor pusher of the change.

    Nothing is counted or said where no rule wants approvals.
    """
    told = actor.approvals if actor is not None else None
    if actor is None or told is None or not _any_rule_asks(project):
        return Counted()
    if (why := _describe_mismatch(told, project)) is not None:
        hint = "the job fetches the approvals of the commit that it applies; see docs/ci.md"
        return Counted(said=(warning("approval-not-counted", f"no approval counts: {why}", hint=hint),))
    judging = _find_judging(project)
    people = _handles_by_login(judging, told.forge)
    committed = committers_of(project.path.parent, told.merged or told.head)
    own = handles_of(committed or (), judging, told.forge)
    approved: set[str] = set()
    reasons: list[str] = []
    unknown = 0
    for approval in told.approvals:
        handle = people.get(approval.by.casefold())
        if handle is None:
            unknown += 1
        elif (reason := _why_uncounted(approval, told, actor)) is not None:
            reasons.append(f"{handle} {reason}")
        elif handle in own:
            reasons.append(f"{handle} has committed to the change, by an address in it")
        else:
            approved.add(handle)
    return Counted(approved=frozenset(approved), said=tuple(_warn_of_uncounted(reasons, unknown, told)))


def tell_approved(plan: Plan, counted: Counted, actor: Actor | None) -> tuple[Diagnostic, ...]:
    """Return what is to be said of approvals beside what an apply did: who approved what its plan gave, and what did not count."""
    asked = {name for need in plan.needs if need.need == "approval" for name in need.by}
    names = sorted(asked & counted.approved)
    if not names or actor is None or actor.approvals is None:
        return counted.said
    told = note(
        "approved-as-told", f"approved by {' and '.join(names)}, as the forge told it: {actor.approvals.change}"
    )
    return (*counted.said, told)


def _any_rule_asks(project: Project) -> bool:
    """Return whether any rule wants approvals, of the checkout or of the base."""
    base_policy, instances = project.base_policy, project.declaration.instances
    policies = (base_policy.policy(name) if base_policy else instance.policy for name, instance in instances.items())
    return any(map(asks_for_approvals, policies))


def _find_judging(project: Project) -> Declaration:
    """Return the files that say whose the accounts of the forge are: those of the base, else of the checkout."""
    base_policy = project.base_policy
    return base_policy.base if base_policy is not None and base_policy.base is not None else project.declaration


def _describe_mismatch(told: Approvals, project: Project) -> str | None:
    """Return in words why approvals are not of a checkout; `None` where they are."""
    commit = project.commit
    if commit is None:
        return "this checkout is in no repository, so it cannot be told what was approved"
    if commit.dirty:
        return "the files differ from the commit that was approved"
    if commit.id != (told.merged or told.head):
        return "they are of another commit than this checkout"
    if told.author is None:
        return "the forge names no author, and who approved may be the author"
    return None


def _handles_by_login(declaration: Declaration, forge: str) -> Mapping[str, str]:
    """Return the users by their accounts on a forge, folded; an account that two users have is nobody's."""
    found: dict[str, set[str]] = {}
    for user in declaration.users.values():
        for name, login in user.forge.items():
            if name.casefold() == forge:
                found.setdefault(login.casefold(), set()).add(user.handle)
    return {login: next(iter(handles)) for login, handles in found.items() if len(handles) == 1}


def _why_uncounted(approval: Approval, told: Approvals, actor: Actor) -> str | None:
    """Return in words why an approval does not count; `None` where it does.

    GitHub names the commit of each approval but for commits that are gone; GitLab names none.
    """
    by = approval.by.casefold()
    if by == (told.author or "").casefold():
        return "is the author of the change"
    merged_by = (told.merged_by or "").casefold()
    if actor.how in {"GITHUB_ACTOR", "GITLAB_USER_LOGIN"} and by == actor.actor.casefold() != merged_by:
        return "has pushed what is applied"
    if approval.commit is None and told.forge == "github":
        return "approved a commit that is gone"
    if approval.commit not in {None, told.head}:
        return "approved an earlier commit of the change"
    return None


def _warn_of_uncounted(reasons: list[str], unknown: int, told: Approvals) -> Iterator[Diagnostic]:
    if reasons:
        yield warning("approval-not-counted", f"not counted as an approval: {'; '.join(reasons)}")
    if unknown:
        who = plural(unknown, "approval is by an account", "approvals are by accounts")
        hint = f"give the user the account, as `forge: {{{told.forge}: LOGIN}}`"
        yield warning("approval-not-counted", f"{who} that no user has under `forge`", hint=hint)
