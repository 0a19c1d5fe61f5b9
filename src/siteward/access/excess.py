"""Rights that declared people hold beyond the declaration and that no step takes: of groups outside the file, and others.

Each is a difference, told with the person, the way it is held by, and the reason why nothing here changes it. Accepting a
blind spot does not cover it, because it was read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from siteward.access.accounts import Classification
from siteward.access.change import Change, patch
from siteward.access.diagnostic import Diagnostic, join_some, warning
from siteward.access.effective import Index, strongest
from siteward.access.model import Grant, Scope, account_key
from siteward.access.standing import GONE, Grounds, covered, declared_access
from siteward.access.state import Desired
from siteward.access.traits import declarable

IGNORED = "`ignore` names the account"
NOT_OURS = "these credentials may not change it"


class Excess(Struct, frozen=True, kw_only=True):
    """A live right of a declared account beyond what is declared, which no step takes, in words why.

    `group` is the platform's group that it is held by, `None` for a grant of the account itself. `declared` is the
    strongest declared grant on the same scope.
    """

    account: str
    live: Grant
    declared: Grant | None = None
    group: str | None = None
    why: str = ""

    @property
    def scope(self) -> Scope:
        """The scope of the right."""
        return self.live.scope


class Remaining(Struct, frozen=True, kw_only=True, dict=True):
    """The access that would be there once all is done, and the differences that no step is about.

    `changes` are the differences that steps are about, those that are held back among them; `left` are the others.
    With `unmanaged_too` the access of unmanaged accounts is to be revoked, so that what they keep is told as well.
    """

    unmanaged_too: bool = False
    changes: Sequence[Change]
    left: Sequence[Change]
    grounds: Grounds
    classification: Classification

    def find(self) -> tuple[Excess, ...]:
        """Return all excess, by account and scope."""
        found = (*self._of_accounts(), *self._of_groups())
        return tuple(sorted(found, key=lambda excess: (excess.account, excess.scope, excess.group or "")))

    def _of_accounts(self) -> Iterator[Excess]:
        """Yield the excess that accounts hold by grants of their own."""
        for change in self.left:
            held, wish = change.before, change.after
            if change.key[:2] != ("grant", "account") or not isinstance(held, Grant):
                continue
            wishes = (wish,) if isinstance(wish, Grant) else ()
            why = self._explain(held)
            if why is not None and not covered(held, wishes, self.grounds.traits):
                yield Excess(account=held.subject.name, live=held, declared=next(iter(wishes), None), why=why)

    def _explain(self, held: Grant) -> str | None:
        """Return why no step takes a grant of an account; `None` where that is no difference, or nobody declared's."""
        name, traits = held.subject.name, self.grounds.traits
        if not self._is_declared(name):
            return None  # an unmanaged account is reported whole
        ending = self.classification.ending(name)
        if ending in GONE and not declarable(held, traits):
            return None  # told as `undeclarable-role`
        if self.grounds.leave(held, name, ending) is not None:
            return None
        return IGNORED if self.classification.classify(name) == "ignored" else NOT_OURS

    def _is_declared(self, account: str) -> bool:
        """Return whether an account is that of a user of the file, or of one who left it."""
        account_class = self.classification.classify(account)
        return account_class in {"declared", "left"} or (
            account_class == "ignored" and account in self.classification.declared_users
        )

    def _is_unmanaged(self, account: str) -> bool:
        return self.classification.classify(account) == "stranger"

    def _of_groups(self) -> Iterator[Excess]:
        """Yield the excess that accounts hold by groups."""
        if not self.grounds.live.access.members():  # as nearly always: the price is a pass over all grants
            return
        index = Index(patch(self.grounds.live.access, self.changes))
        wishes = Index(declared_access(self.grounds.desired, self.grounds.live, self.grounds.traits))
        for account in sorted(index.groups):
            if self._is_declared(account) or (self.unmanaged_too and self._is_unmanaged(account)):
                yield from self._of_groups_of(account, index, wishes)

    def _of_groups_of(self, account: str, index: Index, wishes: Index) -> Iterator[Excess]:
        traits, ending = self.grounds.traits, self.classification.ending(account)
        for scope, ways in index.ways(account).items():
            declared = [grant for grant, _ in wishes.ways_to(account, scope, traits)]
            for held, group in ways:
                unmanaged = self._is_unmanaged(account)
                if group is None or self.grounds.leave(held, account, ending, declared=not unmanaged) is not None:
                    continue
                if not covered(held, declared, traits):
                    best = strongest(((grant, None) for grant in declared), traits)
                    yield Excess(account=account, live=held, declared=best[0] if best else None, group=group)


def report_excess(found: Iterable[Excess], desired: Desired) -> Iterator[Diagnostic]:
    """Yield, for each account and way, one difference with all that is held beyond the declaration."""
    by_way: dict[tuple[str, str | None, str], list[Excess]] = defaultdict(list)
    for excess in found:
        by_way[excess.account, excess.group, excess.why].append(excess)
    for (account, group, why), held in by_way.items():
        user = desired.declared_users.get(account)
        rights = join_some([_describe(excess) for excess in held])
        way = f"held by group {group}, and no step here changes that" if group is not None else why
        yield warning(
            "held-by-group" if group is not None else "kept-beyond-declaration",
            f"{account} has {rights}: {way}",
            about=account_key(account),
            at=user.at if user is not None else None,
            hint=_advise(account, group),
            differs=True,
        )


def _describe(excess: Excess) -> str:
    extras = "".join(f" + {extra}" for extra in sorted(excess.live.extras or ()))
    wish = excess.declared.role if excess.declared is not None else "nothing"
    return f"{excess.live.role}{extras} on {excess.scope} ({wish} declared)"


def _advise(account: str, group: str | None) -> str:
    if group is None:
        return "declare it, or take it away on the platform"
    return f"take {account} out of the group {group} on the platform, or declare what it gives"
