"""The keys of one instance: those that are live beside those that the file lists, and what is wrong with each.

A key acts as its account and no change of access ends it, so it is judged by what its owner will have once the plan is
carried out. Of several live keys of one name the newest is the listed one; the others were left behind by a rotation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from siteward.access.api_key import HeldKey, KeyFlag, LiveKey
from siteward.access.diagnostic import Diagnostic, Span, note, plural, warning
from siteward.access.model import Power, account_key
from siteward.access.patterns import matching
from siteward.access.proposal import Proposal
from siteward.access.secret_looks import hide_likely
from siteward.access.state import DeclaredUser, Ending
from siteward.access.traits import fold_login

OF_LISTED = frozenset({"key-stays", "key-overdue"})
"""The rules about keys of the file that its own checks know; of a key that is live, what is live decides."""
_DELETE = "delete it on the platform: no change of access ends a key"
_DAY = timedelta(days=1)
_ENDED: dict[Ending, str] = {
    "suspended": "is suspended",
    "absent": "is absent",
    "expired": "has ended",
    "left": "has left the file",
    "not-yet": "has not begun",
}


def hold_keys(proposal: Proposal, as_of: datetime, instance: str = "") -> tuple[HeldKey, ...]:
    """Return the keys of an instance, those that the file lists first, each with what is wrong with it at a moment."""
    if not proposal.live.keys and not any(user.keys for user in proposal.desired.declared_users.values()):
        return ()
    return tuple(_Inventory(proposal, as_of, instance).list_keys())


class _Inventory:
    """The keys of one instance while they are compared.

    `_left` are the live keys that no row of the file has, the newest first, by account and name in the forms in which
    these are compared.
    """

    def __init__(self, proposal: Proposal, as_of: datetime, instance: str) -> None:
        self._proposal = proposal
        self._as_of = as_of
        self._instance = instance
        self._left: dict[tuple[str, str], list[LiveKey]] = defaultdict(list)
        # Whoever has pasted a key where its name goes has told it to everybody who sees the list of keys, and no more.
        named = (replace(key, name=hide_likely(key.name)) for key in proposal.live.keys)
        for key in sorted(named, key=_newest_first):
            self._left[self._fold(key.account), _fold_name(key.name)].append(key)

    def _fold(self, account: str) -> str:
        return fold_login(account, self._proposal.traits)

    def list_keys(self) -> Iterator[HeldKey]:
        """Yield the keys of the file in its order, then those that the file does not list, by account and name."""
        users = {self._fold(name): (name, user) for name, user in self._proposal.desired.declared_users.items()}
        taken: dict[tuple[str, str], LiveKey] = {}
        for folded, (account, user) in users.items():
            for listed in user.keys:
                place = folded, _fold_name(listed.name)
                live = self._take(place, listed.name)
                if live is not None:
                    taken[place] = live
                yield self._judge(HeldKey(account=account, name=listed.name, live=live, listed=listed), user)
        for place, keys in sorted(self._left.items()):
            for key in keys:
                known, newer = users.get(place[0]), taken.get(place)
                beside = newer.made if newer is not None else None
                held = HeldKey(account=known[0] if known else key.account, name=key.name, live=key, beside=beside)
                yield self._judge(held, known[1] if known else None)

    def _take(self, place: tuple[str, str], name: str) -> LiveKey | None:
        """Take the live key of a name out of those that are left: of the same spelling the newest, else of any."""
        keys = self._left.get(place, [])
        found = next((key for key in keys if key.name == name), next(iter(keys), None))
        if found is not None:
            keys.remove(found)
        return found

    def _judge(self, held: HeldKey, user: DeclaredUser | None) -> HeldKey:
        """Return a key with its instance and user, and what is wrong with it."""
        shown = not self._proposal.traits.keys_unseen
        handle = user.handle if user is not None and held.account not in self._proposal.others else None
        held = replace(held, instance=self._instance, handle=handle, shown=shown)
        if self._is_left_alone(held.account):
            return held
        why = self._find_why(held, user if handle is not None else None)
        return replace(held, why=why or "", flags=tuple(self._find_flags(held, why)))

    def _is_left_alone(self, account: str) -> bool:
        """Return whether nothing is judged: the account in use, ignored ones, and those that a row in error may name."""
        live, desired = self._proposal.live, self._proposal.desired
        return (
            live.is_self(account)
            or bool(matching(self._proposal.policy.ignore, account))
            or desired.held.cause(account_key(account)) is not None
        )

    def _find_why(self, held: HeldKey, user: DeclaredUser | None) -> str | None:
        """Return why a key has outlived the right of its owner; `None` where it has not."""
        if user is not None and user.ending is not None:
            return _ENDED[user.ending]
        if held.holds is None:
            return None
        ways = self._proposal.projected_index.ways(held.account)
        grants = (grant for grants in ways.values() for grant, _ in grants)
        most = max(map(self._proposal.traits.power, grants), default=Power.NONE)
        if held.holds <= most:
            return None
        return f"may {most.word}, and the key carries {held.holds.word}" if most else "has no right here"

    def _find_flags(self, held: HeldKey, why: str | None) -> Iterator[KeyFlag]:
        live, listed = held.live, held.listed
        if why is not None and (live is not None or not held.shown):
            yield "orphaned"
        made = live.made if live is not None else None
        due = listed.find_due(made) if listed is not None else None
        if due is not None and due <= self._as_of:
            yield "overdue"
        if listed is None:
            yield "undeclared" if held.beside is None else "outdated"
        elif live is None and held.shown:
            yield "missing"
        elif made is not None and listed.since is not None and abs(made - listed.since) > _DAY:
            yield "redated"


def _newest_first(key: LiveKey) -> tuple[bool, float]:
    return (False, -key.made.timestamp()) if key.made is not None else (True, 0.0)


def _fold_name(name: str) -> str:
    """Return the name of a key in the form in which two are compared: people write it into the file by hand."""
    return " ".join(name.split()).casefold()


# What is said of them


def judge_keys(keys: Sequence[HeldKey], unseen: str) -> Iterator[Diagnostic]:
    """Yield what is to be said of live keys, and of those of the file beside them.

    Where the platform shows none, which `unseen` says in words, the file alone is judged, by its own checks.
    """
    listed = sum(key.listed is not None for key in keys)
    if unseen and listed:
        message = f"{plural(listed, 'key')} of the file cannot be compared: {unseen}"
        yield note("keys-unseen", message, hint="the file is all that is known of them; look them up on the platform")
    stray = [key for key in keys if "undeclared" in key.flags and "orphaned" not in key.flags]
    if stray and not listed:
        message = f"{plural(len(stray), 'key is', 'keys are')} live, and the file lists none of this instance"
        yield note("keys-unlisted", message, hint="`siteward review` shows them; list them under `keys` of their users")
    for key in keys:
        yield from _judge_live(key, stray=bool(listed)) if key.live is not None else _judge_missing(key)


def _judge_live(key: HeldKey, *, stray: bool) -> Iterator[Diagnostic]:
    """Yield the warnings about a live key; one that the file does not list is told where it lists others (`stray`)."""
    listed, name = key.listed, f"the key `{key.name}` of `{key.who}`"
    if "orphaned" in key.flags:
        message = f"{name} is still live{_describe_making(key)}, and `{key.who}` {key.why}"
        at = listed.at if listed is not None else None
        yield warning(
            "key-orphaned", message, at=at, hint=_DELETE, thing=key.name or None, facts=_list_facts(key, key.why)
        )
    elif "outdated" in key.flags and key.beside is not None:
        message = f"an older key `{key.name}` of `{key.who}`{_describe_making(key)} is live beside the one of {key.beside:%Y-%m-%d}"
        yield warning("key-undeclared", message, hint=_DELETE, thing=key.name or None, facts=_list_facts(key, "older"))
    elif "undeclared" in key.flags and stray:
        message = f"{name} is live{_describe_making(key)}, and the file does not list it"
        hint = (
            f"list it under `keys` of `{key.who}`, or {_DELETE}"
            if key.handle
            else f"find out whose it is, or {_DELETE}"
        )
        yield warning(
            "key-undeclared", message, hint=hint, thing=key.name or None, facts=_list_facts(key, "undeclared")
        )
    if listed is None or key.made is None or "orphaned" in key.flags:
        return
    due = listed.find_due(key.made)
    if "overdue" in key.flags and due is not None:
        message = f"{name} was made on {key.made:%Y-%m-%d}, and was to be made anew by {due:%Y-%m-%d}"
        hint = "make a new one, delete the old one, and write the day as `since`"
        yield warning("key-overdue", message, at=listed.due_at, hint=hint)
    elif "redated" in key.flags and listed.since is not None:
        message = f"{name} was made on {key.made:%Y-%m-%d}, and the file says {listed.since:%Y-%m-%d}"
        yield note("key-redated", message, at=listed.at, hint=f"write `since: {key.made:%Y-%m-%d}`")


def _judge_missing(key: HeldKey) -> Iterator[Diagnostic]:
    if "missing" in key.flags and key.listed is not None:
        message = f"the key `{key.name}` of `{key.who}` is in the file, and no such key is live"
        hint = "take its row out, or correct its name; a password is no key here, and does not show"
        yield note("key-missing", message, at=key.listed.at, hint=hint)


def _describe_making(key: HeldKey) -> str:
    return f" (made on {key.made:%Y-%m-%d})" if key.made is not None else ""


def _list_facts(key: HeldKey, what: str) -> tuple[str, ...]:
    """Return what makes a finding about a key this one: another key of the same name needs another waiver."""
    made = key.live.made if key.live is not None else None
    return (what, f"account {key.account}", f"made {made:%Y-%m-%dT%H:%M:%SZ}" if made is not None else "made")


def settled_rows(keys: Iterable[HeldKey]) -> frozenset[Span]:
    """Return the places of rows whose keys are judged by what is live, so that what the file alone tells is not told."""
    rows = (key.listed for key in keys if key.listed is not None and key.live is not None)
    return frozenset(at for row in rows for at in (row.at, row.due_at) if at is not None)
