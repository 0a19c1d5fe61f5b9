"""Identity: the id that a platform keeps for good of an account, against the login by which people call it.

The journal remembers the id of each known account. An account that bears a known login with another id is another
account: nobody's until the file (`ids`) or whoever applies confirms it. An account that has a remembered id under
another login was renamed on the server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, warning
from siteward.access.model import Account, account_key
from siteward.access.renames import Renames, key_under, of_accounts, under
from siteward.access.state import DeclaredUser, Desired, Live, Memory, Unsettled, id_of, is_same
from siteward.access.traits import Traits, fold_login


class OtherAccount(Struct, frozen=True, kw_only=True):
    """A live account that bears the login of a known one and has another id.

    `known` is the id of the known account, from the file if `by_file`, else from the journal; `now` is the live one.
    `moved` is the login under which the known account is live, if it is.
    """

    name: str
    known: str
    now: str
    by_file: bool = False
    moved: str | None = None

    def __str__(self) -> str:
        """Return in words how it is told from the known account."""
        source = "the file names" if self.by_file else "the journal knows"
        words = f"{self.name} is another account than the one that {source}: its id is {self.now}, not {self.known}"
        return f"{words}, which is {self.moved} now" if self.moved else words


class Others(NamedTuple):
    """The live accounts that bear a known login with another id than the known one, by name.

    Those in `remade` are the user's nevertheless: a directory or sign-on makes accounts anew (`managed_by`), and the
    login is what it knows people by.
    """

    unmanaged: Mapping[str, OtherAccount]
    remade: Mapping[str, OtherAccount]


def find_others(live: Live, desired: Desired, traits: Traits, memory: Memory | None) -> Others:
    """Return the live accounts that bear a declared or remembered login and are not the known account.

    `memory` is one whose logins are those of now (see `follow`). What the file says under `ids` goes before it.
    """
    found = _find_different(live, desired, traits, memory)
    remade = {name: other for name, other in found.items() if _may_be_remade(name, desired)}
    return Others({name: other for name, other in found.items() if name not in remade}, remade)


def describe_remade(other: OtherAccount, user: DeclaredUser) -> Diagnostic:
    """Return the warning about an account that a directory or sign-on has made anew for its user."""
    message = f"{other}; by `managed_by` accounts are made elsewhere and made anew, so it is taken for {user.handle}'s"
    return warning("identity-mismatch", message, at=user.at, hint="make sure there that it is the same person")


def _may_be_remade(name: str, desired: Desired) -> bool:
    user = desired.declared_users.get(name)
    return user is not None and user.may_be_remade


def _find_different(live: Live, desired: Desired, traits: Traits, memory: Memory | None) -> Mapping[str, OtherAccount]:
    """Return the live accounts that bear a declared or remembered login with another id than the known one, by name."""
    directory = _Directory(live, traits)
    known = {name: id_ for login, id_ in _list_known(memory) if (name := directory.find(login)) is not None}
    named = {name: user.account_id for name, user in desired.declared_users.items() if user.account_id is not None}
    others: dict[str, OtherAccount] = {}
    for name, id_ in {**known, **named}.items():
        now = id_of(name, live)
        if now is not None and not is_same(now, id_):
            moved = directory.by_id.get(id_) if traits.ids == "unique" else None
            others[name] = OtherAccount(name=name, known=id_, now=now, by_file=name in named, moved=moved)
    return others


def _list_known(memory: Memory | None) -> Iterator[tuple[str, str]]:
    """Yield the remembered ids by login: those of accounts, and those of former logins of renamed accounts."""
    if memory is None:
        return
    for old, new in memory.renamed.items():
        if new in memory.identities:
            yield old, memory.identities[new]
    yield from memory.identities.items()


class _Directory:
    """The names of the live accounts, found as the platform compares logins, or by their ids."""

    def __init__(self, live: Live, traits: Traits) -> None:
        self._live = live
        self._traits = traits

    @cached_property
    def names(self) -> frozenset[str]:
        """All names."""
        return frozenset([account.name for account in self._live.access.accounts()])

    @cached_property
    def by_id(self) -> Mapping[str | None, str]:
        """The names by the platform's ids."""
        return {id_of(name, self._live): name for name in self.names}

    @cached_property
    def _by_fold(self) -> Mapping[str, str]:
        return {fold_login(name, self._traits): name for name in self.names}

    def find(self, login: str) -> str | None:
        """Return the live spelling of a login, if there is such an account."""
        return login if login in self.names else self._by_fold.get(fold_login(login, self._traits))


def follow(memory: Memory | None, live: Live, traits: Traits) -> Memory | None:
    """Return the memory under the logins that its accounts have now; `renamed` leads there from the former ones."""
    if memory is None:
        return None
    names = {login: name for login, name in _find_renamed(memory, live, traits) if login != name}
    directory = _Directory(live, traits)
    if not names and all(directory.find(name) for name in memory.renamed.values()):
        return memory
    renamed = {old: names.get(new, new) for old, new in memory.renamed.items()} | names
    last, moved = memory.last, of_accounts(names)
    if last is not None and names:
        last = type(last)(under(resource, moved) for resource in last.values())
    return replace(
        memory,
        accounts=frozenset(names.get(name, name) for name in memory.accounts),
        users={handle: names.get(name, name) for handle, name in memory.users.items()},
        identities={names.get(name, name): id_ for name, id_ in memory.identities.items()},
        renamed={old: new for old, new in renamed.items() if old != new and directory.find(new)},
        last=last,
        sends={key_under(key, moved): count for key, count in memory.sends.items()},
        unsettled=tuple(_move_write(write, moved) for write in memory.unsettled),
    )


def _move_write(write: Unsettled, names: Renames) -> Unsettled:
    """Return a write with accounts under their new logins."""
    before = under(write.before, names) if write.before is not None else None
    after = under(write.after, names) if write.after is not None else None
    return replace(write, before=before, after=after)


def _find_renamed(memory: Memory, live: Live, traits: Traits) -> Iterator[tuple[str, str]]:
    """Yield the former and the present login of each remembered account that was renamed on the server.

    Where ids are dates (Matomo), two accounts may have the same one; there the e-mail must be the same as well.
    """
    if traits.ids == "none" or not memory.identities:
        return
    names: defaultdict[str, list[str]] = defaultdict(list)
    for key, id_ in live.ids.items():
        if key[0] == "account":
            names[id_].append(key[1])
    directory = _Directory(live, traits)
    for login, id_ in memory.identities.items():
        present = directory.find(login)
        if present is not None and id_of(present, live) == id_:
            if present != login:  # another spelling of one login, as after an upgrade that lower-cases all of them
                yield login, present
            continue
        found = [
            name for name in names.get(id_, ()) if traits.ids == "unique" or _has_email_of(login, name, memory, live)
        ]
        if len(found) == 1:
            yield login, found[0]


def _has_email_of(login: str, name: str, memory: Memory, live: Live) -> bool:
    """Return whether a live account has the e-mail that a remembered one had."""
    before = memory.last.get(account_key(login)) if memory.last is not None else None
    now = live.access.get(account_key(name))
    if not isinstance(before, Account) or not isinstance(now, Account) or not before.email or not now.email:
        return False
    return before.email.casefold() == now.email.casefold()


def identities_after(
    known: frozenset[str], desired: Desired, live: Live, memory: Memory | None, others: Mapping[str, OtherAccount]
) -> dict[str, str]:
    """Return the ids to remember: the live ones of known accounts, and former ones of logins that are still wanted.

    `known` are the accounts that are known now; an account in `others` is not, so what was known of its login stays.
    """
    before = memory.identities if memory is not None else {}
    wanted = known | set(desired.declared_users) | set(memory.users.values() if memory is not None else ())
    kept = {login: id_ for login, id_ in before.items() if login in wanted}
    now = {name: id_ for name in known if name not in others and (id_ := id_of(name, live)) is not None}
    return {**kept, **now}
