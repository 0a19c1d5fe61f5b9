"""What apply is expected to send, and how long that takes: its steps are gone through as they will be carried out.

    reading ─▶ wave ─▶ (reading again) ─▶ bundle ─▶ write ─▶ refresh ─▶ … ─▶ reading at the end

The order is that of `apply`, by the same functions, and each platform counts its own calls. The time is what the server
took to answer so far; while a plan is applied, the first bundle already shows how far that is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import deletes_account, patch
from siteward.access.renames import touched
from siteward.platforms.forecast import FREE, Cost
from siteward.platforms.interface import nothing_unwanted
from siteward.reconcile.apply.ahead import Ahead
from siteward.reconcile.apply.waves import bundled, may_reveal_grants, may_unmake_admin, take_wave
from siteward.transport.pace import Speed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.model import Access, Key, Resource
    from siteward.access.plan import Step
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.forecast import Forecast
    from siteward.platforms.interface import Platform


class Expected(Struct, frozen=True, kw_only=True):
    """What a run is expected to cost: the reading before, each bundle by the id of its first step, the reading after."""

    before: Cost = FREE
    bundles: Mapping[str, Cost] = {}
    after: Cost = FREE
    speed: Speed = Speed()

    @property
    def whole(self) -> Cost:
        """The cost of the whole run."""
        return sum(self.bundles.values(), start=self.before + self.after)

    def seconds(self, cost: Cost) -> float:
        """Return how long a cost takes, at the speed that was measured and within the limits of the platform."""
        return max(self._waiting(cost), self.speed.least(cost.requests, cost.commands))

    def _waiting(self, cost: Cost) -> float:
        """Return how long a cost takes where nothing limits the rate."""
        return cost.turns * self.speed.answer + cost.seconds

    def left(self, done: Cost, rest: Cost, elapsed: float) -> float:
        """Return the seconds that the bundles of the `rest` take, and the reading at the end.

        What is `done` has taken so many, which tells how fast writing goes; how long reading takes is known.
        """
        foreseen, every = self.seconds(done), done + rest + self.after
        waiting = self._waiting(rest) * (elapsed / foreseen if foreseen else 1.0) + self._waiting(self.after)
        return max(waiting, self.speed.least(every.requests, every.commands) - elapsed)


class Watch:
    """The measuring of a run that began at a moment: what its bundles have taken corrects what is told of the rest."""

    def __init__(self, expected: Expected, begun: float) -> None:
        self._expected = expected
        self._begun = begun
        self._open = dict(expected.bundles)
        self._done = FREE
        self._rest = sum(self._open.values(), start=FREE)

    def settle(self, steps: Iterable[str]) -> None:
        """Note that steps have their outcomes, and with them the bundles that begin with one of them."""
        for step in steps:
            cost = self._open.pop(step, None)
            if cost is not None:
                self._done, self._rest = self._done + cost, self._rest - cost

    def left(self, now: float) -> float:
        """Return the seconds that are left `now`."""
        return self._expected.left(self._done, self._rest, now - self._begun)


class Basis(Struct, frozen=True, kw_only=True):
    """What is known where steps are foreseen: the instance as it was read, how fast that went, and what the file wants."""

    platform: Platform
    traits: Traits
    live: Live
    speed: Speed
    unwanted: Callable[[Collection[Resource]], frozenset[Key]] = nothing_unwanted


def expect(steps: Sequence[Step], basis: Basis, needs: Mapping[str, Collection[str]] | None = None) -> Expected:
    """Return what carrying out these steps is expected to cost; `needs` are the steps that each depends on."""
    if not steps:
        return Expected(speed=basis.speed)
    forecast = basis.platform.forecast(basis.live, basis.speed)
    before = forecast.first()
    bundles: dict[str, Cost] = {}
    walk = _Walk(basis, forecast, steps)
    for first, cost in walk.go(steps, needs or {step.id: step.depends_on for step in steps}):
        bundles[first] = bundles.get(first, FREE) + cost
    return Expected(before=before, bundles=bundles, after=forecast.read(walk.access), speed=basis.speed)


class _Walk:
    """The way of a run through its steps, without sending anything."""

    def __init__(self, basis: Basis, forecast: Forecast, steps: Iterable[Step]) -> None:
        self._basis = basis
        self._forecast = forecast
        self._written: set[str] = set()
        self._ahead = Ahead(go=tuple(steps), over=self._written).after(())
        self._access: Access = basis.live.access
        self._made: tuple[Change, ...] = ()

    def access(self) -> Access:
        """Return what the steps so far leave."""
        if self._made:
            self._access, self._made = patch(self._access, self._made), ()
        return self._access

    def go(self, rest: Sequence[Step], needs: Mapping[str, Collection[str]]) -> Iterator[tuple[str, Cost]]:
        """Yield the costs in the order of the run, each with the id of the step that it is for."""
        traits, unread = self._basis.traits, False
        while wave := take_wave(rest, needs):
            if unread and any(may_unmake_admin(step, traits) for step in wave):
                yield wave[0].id, self._forecast.read(self.access)
            taken = {step.id for step in wave} if len(wave) < len(rest) else None
            rest = [step for step in rest if step.id not in taken] if taken else []
            yield from self._write(wave)
            unread = True
            if rest and any(may_reveal_grants(step, traits) for step in wave):
                yield rest[0].id, self._forecast.read(self.access)
                unread = False

    def _write(self, wave: Sequence[Step]) -> Iterator[tuple[str, Cost]]:
        """Yield the cost of each bundle of a wave; accounts to be deleted are read once more before."""
        steps = {step.change: step for step in wave}
        doomed = {change.key for change in steps if change.after is None and deletes_account(change)}
        if doomed:
            yield wave[0].id, self._forecast.refresh(doomed)
        live = replace(self._basis.live, access=self.access())
        for bundle in bundled(self._basis.platform, steps, live):
            self._written.update([steps[change].id for change in bundle.changes])
            given = replace(bundle, unwanted=self._basis.unwanted, ahead=self._ahead)
            written = self._forecast.write(given)
            read_back = self._forecast.refresh(touched(*bundle.changes))
            yield steps[bundle.changes[0]].id, written + read_back
        self._made = (*self._made, *steps)
