"""What a run on Plausible is expected to send: through the Sites API, or through the forms of Community Edition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.model import scope_of
from siteward.platforms.forecast import FREE, Cost, Forecast, asked, pages, sent
from siteward.platforms.interface import native
from siteward.platforms.plausible.native_state import NativeState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from siteward.access.change import Change
    from siteward.access.model import Access, Key, Scope
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.transport.pace import Speed

_PAGE = 100
_LOGIN = 3
"""The page of the login, its form, and the page after it."""


class ApiForecast(Forecast):
    """The requests of a run through the Sites API: the guests of a site are read before and after it is changed."""

    once = 1
    """The team of the key."""

    def whole(self, access: Callable[[], Access]) -> Cost:  # noqa: ARG002 — guests seldom fill another page of a site
        """Return the cost of the sites, and of the guests of each."""
        sites = self.live.sites
        return Cost(requests=pages(len(sites), _PAGE) + sum(map(self._count_guests, sites)))

    def write(self, bundle: Bundle) -> Cost:
        """Return the cost of `write`.

        A removal is read back by itself, because its answer is the same whether it removed anything or not.
        """
        scope = scope_of(bundle.changes[0].key)
        guests = self._ask_guests(1 if scope is None else self._count_guests(scope))
        cost = guests
        for change in bundle.changes:
            cost += sent(1 if change.before is None or change.after is None else 2)
            cost += FREE if change.before is None else guests
        return cost

    def refresh(self, keys: Collection[Key]) -> Cost:
        """Return the cost of `refresh`: the guests of each site."""
        scopes = {scope for key in keys if (scope := scope_of(key)) in self.live.sites}
        counts = [self._count_guests(scope) for scope in scopes if scope is not None]
        return Cost(requests=sum(counts), turns=max(counts, default=0) * asked(len(counts), self.speed).turns)

    def _count_guests(self, scope: Scope) -> int:
        """Return the number of pages of the guests of a site."""
        places = native(self.live, NativeState).places
        place = places.get(self.live.sites[scope].id) if scope in self.live.sites else None
        return pages(len(place.entries) if place else 0, _PAGE)

    def _ask_guests(self, count: int) -> Cost:
        return Cost(requests=count, turns=count)


class FormForecast(Forecast):
    """The requests of a run through the forms, which begins with a login; what the database answers is none of them."""

    def __init__(self, live: Live, speed: Speed) -> None:
        super().__init__(live, speed)
        self._logged_in = False

    def whole(self, access: Callable[[], Access]) -> Cost:  # noqa: ARG002 — the database is read with one query
        """Return the cost of finding out the edition and its version."""
        return Cost(requests=2)

    def write(self, bundle: Bundle) -> Cost:
        """Return the cost of the forms: a pending invitation is withdrawn and sent anew, and all else takes one."""
        forms = sum(2 if self._is_renewed(change) else 1 for change in bundle.changes)
        login, self._logged_in = 0 if self._logged_in else _LOGIN, True
        return Cost(requests=login, turns=login) + sent(forms)

    def _is_renewed(self, change: Change) -> bool:
        return change.before is not None and change.after is not None and change.key in self.live.pending

    def refresh(self, keys: Collection[Key]) -> Cost:  # noqa: ARG002 — the database is read whole
        """Return no cost: the database is asked."""
        return FREE


def forecast(live: Live, speed: Speed) -> Forecast:
    """Return the forecast for the way in which an instance is written to."""
    return (ApiForecast if native(live, NativeState).door == "api" else FormForecast)(live, speed)
