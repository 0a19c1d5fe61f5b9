"""What a run on Piwik PRO is expected to send, counted along `write`, `refresh` and `read`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import EVERYWHERE, Account, Grant, Group, Member, Scope, Subject
from siteward.platforms.forecast import FREE, Cost, Forecast, asked, pages, sent
from siteward.platforms.interface import native
from siteward.platforms.piwikpro.native_state import NativeState, owners
from siteward.platforms.piwikpro.read import MOST_BY_USERS
from siteward.platforms.piwikpro.refresh import Wanted
from siteward.platforms.piwikpro.roles import ENTITY, ON
from siteward.platforms.piwikpro.rows import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from siteward.access.change import Change
    from siteward.access.model import Access, Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.transport.pace import Speed


class PiwikProForecast(Forecast):
    """The requests of a run; `_known` are the keys of the accounts and groups whose ids are known."""

    once = 2
    """The token, and whose it is."""

    def __init__(self, live: Live, speed: Speed) -> None:
        self._known = set(live.ids)
        super().__init__(live, speed)

    def whole(self, access: Callable[[], Access]) -> Cost:
        """Return the cost of all lists; `by-users` is a POST, which Piwik PRO counts as a write."""
        now, sites = access(), self.live.sites
        people = len(now.accounts())
        metas = sum(scope.kind == "metasite" for scope in sites)
        if not native(self.live, NativeState).whole:
            return Cost(requests=4 + 2 * len(sites))
        groups = sum(key[0] == "group" for key in now)
        by_users = pages(people - len(owners(now)) + 1, MOST_BY_USERS)
        lists = pages(people, PAGE) + pages(groups, PAGE) + pages(len(sites) - metas, PAGE) + pages(metas, PAGE)
        levels = len(sites) * pages(people - len(owners(now)), PAGE) + 2 * groups + metas
        return Cost(requests=lists + levels + by_users, commands=by_users)

    def first(self) -> Cost:
        """Return the cost of the first reading: the token is asked for by a POST too."""
        return super().first() + Cost(commands=1)

    def write(self, bundle: Bundle) -> Cost:
        """Return the cost of `write`."""
        first = bundle.changes[0].after or bundle.changes[0].before
        match first:
            case Member():
                return sent()
            case Grant(scope=Scope("module")):
                closing = any(change.after is None for change in bundle.changes)
                return (asked(1, self.speed) if closing else FREE) + sent()
            case _:
                cost = FREE
                for change in bundle.changes:
                    cost += self._write_change(change, bundle)
                return cost

    def _write_change(self, change: Change, bundle: Bundle) -> Cost:
        match change.before, change.after:
            case None, Account() as account:
                return sent(1 + self._closes_modules(account, bundle))
            case None, Group(external=str()):
                return sent(2)
            case Grant(scope=scope), None if scope == EVERYWHERE:
                levels = sum(site.kind in ENTITY for site in self.live.sites)
                return sent() + asked(levels, self.speed) + asked(1, self.speed)
            case _:
                return sent()

    def _closes_modules(self, account: Account, bundle: Bundle) -> bool:
        """Return whether modules of a new account have to be closed, since it is made with all of them."""
        person = Subject("account", account.name)
        modules = [Grant(person, Scope("module", name), ON) for name in native(self.live, NativeState).licensed]
        unwanted = bundle.unwanted([account, *modules])
        return any(module.key in unwanted for module in modules)

    def refresh(self, keys: Collection[Key]) -> Cost:
        """Return the cost of `refresh`: a request for each list, and one for each account or group that has to be found."""
        wanted = Wanted()
        for key in keys:
            wanted.note(key)
        lists = bool(wanted.people) + bool(wanted.groups) + len(wanted.members) + len(wanted.levels)
        found = [Group(name).key for name in wanted.members] + [Account(name).key for name in wanted.modules]
        lists += len(wanted.group_levels) + len(wanted.modules) + sum(key not in self._known for key in found)
        self._known |= {Account(name).key for name in wanted.people} | {Group(name).key for name in wanted.groups}
        return asked(lists, self.speed)
