"""The names by which accounts of an instance are known, now or formerly: they are looked for in texts that others may read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from siteward.access.model import Access, Account, Accounts, Key, Resource, account_of
from siteward.access.state import Desired, Live, Memory


class KnownNames(Mapping[str, Mapping[str, str | None]]):
    """Account names by instance, each with the handle of its declared user, if it has one.

    Those of an instance are found when somebody first asks for them: only outputs that hide names do.
    """

    def __init__(self, instances: Iterable[str], find: Callable[[str], Mapping[str, str | None]]) -> None:
        """Take over the names of the instances, and the function that finds the account names of one."""
        self._instances = dict.fromkeys(instances)
        self._find = find
        self._found: dict[str, Mapping[str, str | None]] = {}

    def __getitem__(self, instance: str) -> Mapping[str, str | None]:
        if instance not in self._instances:
            raise KeyError(instance)
        if instance not in self._found:
            self._found[instance] = self._find(instance)
        return self._found[instance]

    def __iter__(self) -> Iterator[str]:
        return iter(self._instances)

    def __len__(self) -> int:
        return len(self._instances)


def merge_accounts(accounts: Accounts, shown: Accounts) -> Accounts:
    """Return known accounts with those that something shows, whose handles count where both have an account."""
    return KnownNames((*shown, *accounts), lambda name: {**accounts.get(name, {}), **shown.get(name, {})})


def account_names(
    live: Live, desired: Desired, memory: Memory | None, declared: Mapping[str, str | None] = MappingProxyType({})
) -> dict[str, str | None]:
    """Return every known account name of an instance, with the handle of its declared user, if it has one.

    These are the live accounts, the desired ones, those in the journal's memory with the logins that they had before, and
    those in `declared` (the names in the files, with handles). A former login of a declared user is that user's.
    """
    names = {*_names_in(live.access), *_names_of_keys((*live.pending, *live.ids, *live.facts))}
    names |= {live.me} if live.me else set()
    names |= {site.owner for site in live.sites.values() if site.owner} | {key.account for key in live.keys}
    names |= {*_names_in(desired.access), *_names_of_keys((*desired.ended, *desired.subsumed, *desired.awaited))}
    names |= {*desired.renamed, *desired.renamed.values(), *desired.held.accounts, *desired.held.users}
    wishes = (desired.access.get(("account", name)) for name in desired.declared_users)
    names |= {*_logins_to_be(wishes)}
    current = {user.handle for user in desired.declared_users.values()} | {*filter(None, declared.values())}
    former = {login: handle for login, handle in _users_of(memory) if handle in current}
    names |= {*names_in(memory)} if memory is not None else set()
    known: dict[str, str | None] = {**dict.fromkeys(sorted(names)), **former, **declared}
    return known | {name: user.handle for name, user in desired.declared_users.items()}


def names_in(memory: Memory) -> Iterator[str]:
    """Yield every name in a memory: logins now and before, and the handles that users had."""
    yield from memory.accounts
    yield from (name for pair in memory.users.items() for name in pair)
    yield from memory.identities
    yield from (name for pair in memory.renamed.items() for name in pair)
    yield from _names_in(memory.last) if memory.last is not None else ()
    yield from _names_of_keys(memory.sends)
    for write in memory.unsettled:
        sides = (write.before, write.after)
        yield from _names_of_keys(side.key for side in sides if side is not None)
        yield from _logins_to_be(sides)
    if memory.me is not None:
        yield memory.me


def _names_in(access: Access) -> set[str]:
    """Return the accounts that an access is about."""
    names = {subject.name for subject, _ in access.by_subject() if subject.kind == "account"}
    return names | {name for key, _ in access.of_others() if (name := account_of(key))}


def _names_of_keys(keys: Iterable[Key]) -> set[str]:
    """Return the accounts that keys are about."""
    return {name for key in keys if (name := account_of(key))}


def _logins_to_be(resources: Iterable[Resource | None]) -> Iterator[str]:
    """Yield the new logins of accounts that are to be renamed."""
    yield from (side.renamed for side in resources if isinstance(side, Account) and side.renamed)


def _users_of(memory: Memory | None) -> Iterator[tuple[str, str]]:
    """Yield the login and the handle of each user whom a memory has."""
    yield from ((login, handle) for handle, login in (memory.users.items() if memory is not None else ()))
