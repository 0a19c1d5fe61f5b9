"""What a run is expected to send: the counting that all platforms share, and that each of them makes exact.

A platform's own forecast counts along its `write`, `refresh` and `read`, as they go if nothing goes wrong and nobody else
changes anything; a law holds it to what is really sent. What is sent again after a failure is not foreseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from siteward.access.model import Access, Key
    from siteward.access.state import Live
    from siteward.platforms.interface import Bundle
    from siteward.transport.pace import Speed


class Cost(Struct, frozen=True, kw_only=True):
    """What something is expected to cost: `requests`, of which `commands` count as writes where a platform limits these.

    `turns` is how often an answer is waited for, since several questions may travel at once; `seconds` is the time that
    the server needs beyond answering: for a slow hash, for mails, for a whole reading.
    """

    requests: int = 0
    commands: int = 0
    turns: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of both, one after the other."""
        return self if other is FREE else self._plus(other, 1)

    def __sub__(self, other: Cost) -> Cost:
        """Return what is left of a cost without another that is part of it."""
        return self._plus(other, -1)

    def _plus(self, other: Cost, times: int) -> Cost:
        return Cost(
            requests=self.requests + times * other.requests,
            commands=self.commands + times * other.commands,
            turns=self.turns + times * other.turns,
            seconds=self.seconds + times * other.seconds,
        )


FREE = Cost()


def asked(count: int, speed: Speed) -> Cost:
    """Return the cost of so many questions that travel at once, as far as the threads of a reader reach."""
    return Cost(requests=count, turns=-(-count // speed.workers))


def sent(count: int = 1, seconds: float = 0.0) -> Cost:
    """Return the cost of so many commands, one after the other."""
    return Cost(requests=count, commands=count, turns=count, seconds=seconds)


def pages(rows: int, most: int) -> int:
    """Return the number of pages of a listing, which has one also where it is empty."""
    return max(1, -(-rows // most))


class Forecast:
    """A forecast of one run on an instance; it goes along with the run, call by call, and is asked in that order.

    `live` is the instance as it was read with `speed`. This class counts as for a platform on which every change is one
    command, everything is read with one request, and so is what a bundle has changed.
    """

    once: ClassVar[int] = 0
    """How many requests of the first reading a connection needs no second time: the login, say."""

    def __init__(self, live: Live, speed: Speed) -> None:
        self.live = live
        self.speed = speed
        self._whole = self.whole(lambda: live.access)

    def write(self, bundle: Bundle) -> Cost:
        """Return the cost of `write`."""
        return sent(len(bundle.changes))

    def refresh(self, keys: Collection[Key]) -> Cost:
        """Return the cost of `refresh`."""
        return asked(1 if keys else 0, self.speed)

    def whole(self, access: Callable[[], Access]) -> Cost:  # noqa: ARG002 — for those on which more access takes more requests
        """Return the cost of reading everything where `access` tells what is there, as far as it depends on that."""
        return Cost(requests=1)

    def first(self) -> Cost:
        """Return the cost of the first reading of a connection: that of the reading which was measured."""
        if not self.speed.requests:
            return self._whole + Cost(requests=self.once)
        return Cost(requests=self.speed.requests, commands=self._whole.commands, seconds=self.speed.seconds)

    def read(self, access: Callable[[], Access]) -> Cost:
        """Return the cost of reading everything once more, when `access` tells what is there."""
        first, now = self.first(), self.whole(access)
        requests = max(1, first.requests - self.once + now.requests - self._whole.requests)
        seconds = first.seconds * requests / first.requests
        return Cost(requests=requests, commands=now.commands, seconds=seconds)
