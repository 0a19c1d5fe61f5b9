"""What a run on Matomo is expected to send: everything is read with one bulk, and most changes fit into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.forecast import FREE, Cost, Forecast, sent
from siteward.platforms.interface import native
from siteward.platforms.matomo.calls import plan_bundle
from siteward.platforms.matomo.native_state import NativeState
from siteward.platforms.matomo.rpc import MOST_CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from siteward.access.model import Access, Key
    from siteward.platforms.interface import Bundle
    from siteward.platforms.matomo.calls import PlannedCalls

# Measured on a small server (MAPPING.md section 7).
_SECONDS_A_MAIL, _SECONDS_A_ROW = 0.07, 0.0005


class MatomoForecast(Forecast):
    """The requests of a run: `probe` takes one, and `refresh` reads as much as `read` does."""

    def whole(self, access: Callable[[], Access]) -> Cost:  # noqa: ARG002 — a bulk of so many calls reads any number of rows
        """Return the cost of the bulk of `probe` and those of `read`."""
        traits = native(self.live, NativeState).traits
        kinds = {role.name for role in traits.roles["site"]} | set(traits.extras)
        calls = len(kinds) + 4 + bool(traits.extras)  # users, sites, two plugins, capabilities
        return Cost(requests=1 + -(-calls // MOST_CALLS))

    def refresh(self, keys: Collection[Key]) -> Cost:
        """Return the cost of `refresh`: that of a reading without `probe`."""
        count = self.first().requests - 1 if keys else 0
        return Cost(requests=count, turns=count)

    def write(self, bundle: Bundle) -> Cost:
        """Return the cost of `write`: a bulk for up to fifty calls, or a request for each that must not stand in one."""
        planned = [calls for calls in plan_bundle(bundle, self.live) if calls.calls]
        if not planned:
            return FREE
        count = sum(len(calls.leading) + len(calls.calls) for calls in planned)
        requests = count if any(calls.alone for calls in planned) else -(-count // MOST_CALLS)
        return sent(requests, sum(map(_estimate_seconds, planned)))


def _estimate_seconds(planned: PlannedCalls) -> float:
    """Return about how long calls take on a small server (MAPPING.md section 7)."""
    return (planned.slow + planned.mails) * _SECONDS_A_MAIL + planned.rows * _SECONDS_A_ROW
