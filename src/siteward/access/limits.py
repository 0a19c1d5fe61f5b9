"""The budgets: the amounts that a proposal takes and gives at once, against those allowed by the owners (promise 5).

What counts: `removals`, accounts that lose all access or are deleted; `revocations`, grants taken or lowered;
`escalations`, grants that gain what the platform lists as powerful; `expiries`, grants taken or lowered because their
time has come; `mails`. What goes through a group counts once for each of its members. What has expired counts as that
and nothing else. Blocked steps do not count: they are not done. Deletions that wait for consent do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from math import ceil

from msgspec import Struct

from siteward.access.change import Change, deletes_account, direction, escalates
from siteward.access.diagnostic import Diagnostic, Severity, diagnostic, plural
from siteward.access.effective import Index, opens
from siteward.access.model import Grant, Key, Member, account_of
from siteward.access.ownership import Proposed, Series
from siteward.access.policy import DEFAULT_LIMITS, LIMIT_NAMES, Limit
from siteward.access.proposal import Proposal
from siteward.access.traits import Traits

FLOOR = 2
WORDS: Mapping[str, tuple[str, str]] = {
    "removals": ("account", "would lose all access"),
    "revocations": ("grant", "would be taken or lowered"),
    "escalations": ("grant", "would gain privileges"),
    "expiries": ("grant", "would end because the time has come"),
    "mails": ("mail", "would be sent"),
}


def allowed(limit: Limit, base: int) -> int | None:
    """Return how many a limit allows where `base` are live and managed; `None` for as many as one likes."""
    share = max(FLOOR, ceil(limit.percent * base / 100)) if limit.percent is not None else None
    sides = [side for side in (limit.count, share) if side is not None]
    return min(sides) if sides else None


class Begun(Struct, frozen=True, kw_only=True):
    """The state at the begin of a run that has made some of its changes since.

    `grants` were live then, without our own; `taken` are the accounts that had something the run takes.
    """

    grants: int
    taken: frozenset[str] = frozenset()


class Spending(Struct, frozen=True):
    """The amounts that a proposal takes and gives when all that is not stuck is done."""

    proposal: Proposal
    unreachable_steps: frozenset[Key]
    mails: int = 0

    def counts(self) -> Mapping[str, int]:
        """Return what each budget is charged with."""
        steps, traits = self.proposal.series_without(self.unreachable_steps), self.proposal.traits
        group_members = _sizes(self.proposal)
        deleted = {series[0].key[1] for series in steps if deletes_account(series[0].change)}
        taken = [series for series in steps if takes(series[0].change, traits)]
        lost = [series for series in taken if series[0].due != "end"]
        powerful = _powerful_groups(self.proposal.projected_index, traits) if group_members else frozenset()
        return {
            "removals": len(emptied(self.proposal, self.unreachable_steps, [series[0] for series in lost]) | deleted),
            "revocations": sum(_weight(series, group_members) for series in lost),
            "escalations": sum(
                _weight(series, group_members) for series in steps if _escalates(series[0].change, traits, powerful)
            ),
            "expiries": sum(_weight(series, group_members) for series in taken if series[0].due == "end"),
            "mails": self.mails,
        }


def emptied(proposal: Proposal, unreachable_steps: Collection[Key], taken: Iterable[Proposed]) -> frozenset[str]:
    """Return the accounts from which these steps take something, and which have access now and none afterwards."""
    losing: set[str] = set()
    for proposed in taken:
        name, left = account_of(proposed.key), proposed.change.after
        if name is None:
            losing.update(proposal.index.members.get(proposed.key[2], ()))
        elif not isinstance(left, Grant) or not opens(left, proposal.traits):  # what is lowered is still there
            losing.add(name)
    if not losing:  # as nearly always
        return frozenset()
    before, after = proposal.reach, proposal.reach_after(unreachable_steps)
    return frozenset(account for account in losing if not after.has_access(account) and before.has_access(account))


def takes(change: Change, traits: Traits) -> bool:
    """Return whether a change takes a grant or a membership away, or lowers one."""
    side = change.before
    return isinstance(side, Grant | Member) and (change.after is None or direction(change, traits) != "open")


def _escalates(change: Change, traits: Traits, powerful: frozenset[str]) -> bool:
    if isinstance(change.after, Member):
        return change.before is None and change.after.group in powerful
    return escalates(change, traits)


def _powerful_groups(index: Index, traits: Traits) -> frozenset[str]:
    return frozenset(
        group
        for group, grants in index.shared.items()
        if any(not traits.powerful.isdisjoint({grant.role, *(grant.extras or ())}) for grant in grants)
    )


def _sizes(proposal: Proposal) -> Mapping[str, int]:
    """Return how many are in each group, now or afterwards, whichever is more."""
    now, then = proposal.index.members, proposal.projected_members
    return {group: max(len(now.get(group, ())), len(then.get(group, ()))) for group in now.keys() | then.keys()}


def _weight(series: Series, group_members: Mapping[str, int]) -> int:
    key = series[0].key
    return len(series) * (max(1, group_members.get(key[2], 0)) if key[:2] == ("grant", "group") else 1)


def budgets(spending: Spending, accept: Mapping[str, str], begun: Begun | None = None) -> Iterator[Diagnostic]:
    """Yield an error for each budget that is overdrawn, or a warning where this run accepts it with a reason.

    Percentages are of what was there when the run began (`begun`): what it has done itself never blocks its rest.
    """
    proposal = spending.proposal
    spent = spending.counts()
    accounts, grants = _population(proposal, begun)
    for name in LIMIT_NAMES:
        limit = proposal.policy.limits.get(name, DEFAULT_LIMITS[name])
        base = accounts if name in {"removals", "mails"} else grants
        most = allowed(limit, base)
        if most is not None and spent[name] > most:
            yield _describe_overdraft(name, limit, spent[name], most, base, accept.get(name))


def _population(proposal: Proposal, begun: Begun | None) -> tuple[int, int]:
    """Return the numbers of accounts and grants that are live and managed, with those that this run has taken already."""
    if begun is None:
        return proposal.accounts, proposal.grants
    live = proposal.live
    there = {account.name for account in live.access.accounts()} | {
        grant.subject.name for grant in live.access.grants() if grant.subject.kind == "account"
    }
    gone = max(0, begun.grants - live.grants_of_others)
    return proposal.accounts + len(begun.taken - there), proposal.grants + gone


def _describe_overdraft(name: str, limit: Limit, count: int, most: int, base: int, reason: str | None) -> Diagnostic:
    sides = [f"count {limit.count}"] if limit.count is not None else []
    if limit.percent is not None:
        sides.append(f"{limit.percent} % of {base} live and managed, but never less than {FLOOR}")
    noun, fate = WORDS[name]
    message = f"{plural(count, noun)} {fate}, and {most} {'is' if most == 1 else 'are'} allowed ({'; '.join(sides)})"
    where = f"the limit is set at {limit.at}" if limit.at is not None else "the limit is the default"
    return diagnostic(
        Severity.WARNING if reason is not None else Severity.ERROR,
        f"limit-{name}",
        f"{message}; accepted: {reason}" if reason is not None else message,
        at=limit.at,
        hint=None
        if reason is not None
        else f"{where}; if this is meant: siteward apply PLAN --accept {name}=<digest> --reason TEXT",
        count=count,
    )
