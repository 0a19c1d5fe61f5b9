"""How well each release of a platform is known: driven live, recorded, or only read about; where from, and when.

Each adapter states it in its table. `doctor` says it of the server at hand, and docs/platforms.md lists it, with what is
read of keys and tokens.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from siteward.access.diagnostic import note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.traits import Traits

How: TypeAlias = Literal["driven live", "recorded", "read"]
Number: TypeAlias = tuple[int, int]
LIVE: tuple[How, ...] = ("driven live", "recorded")
READ: tuple[How, ...] = ("read",)


class Known(Struct, frozen=True, kw_only=True):
    """How one release or edition is known.

    `release` is its name for people, `first` and `last` are the first and last (major, minor) it covers; without them the
    server gives no number. `edition` is the beginning of the edition in its traits. `date` (ISO) is the day on which it
    was driven or read.
    """

    release: str
    how: tuple[How, ...]
    source: str
    date: str
    first: Number | None = None
    last: Number | None = None
    edition: str = ""

    @property
    def is_driven(self) -> bool:
        """True if a real server of it was driven."""
        return "driven live" in self.how

    def covers(self, traits: Traits) -> bool:
        """Return whether a server with these traits is one of this release."""
        if not traits.edition.startswith(self.edition):
            return False
        number = _number_of(traits.version)
        return self.first is None or (number is not None and self.first <= number <= (self.last or self.first))


class KeysRead(Struct, frozen=True, kw_only=True):
    """What is read of keys and tokens on some releases, and where it is known from, since which day."""

    release: str
    what: str
    source: str
    date: str


def _number_of(version: str) -> Number | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def only_read(releases: Iterable[Known], traits: Traits) -> tuple[Diagnostic, ...]:
    """Return the note for a plan that the release at hand was never driven, where others of the platform were."""
    every = tuple(releases)
    if not any(release.is_driven for release in every) or any(
        release.is_driven and release.covers(traits) for release in every
    ):
        return ()
    return (note("release-not-driven", known_as(every, traits)),)


def known_as(releases: Iterable[Known], traits: Traits) -> str:
    """Return in a sentence how the release at hand is known, for `doctor`."""
    every = tuple(releases)
    name = traits.version or traits.edition or "of this server"
    found = next((release for release in every if release.covers(traits)), None)
    if found is None:
        driven = ", ".join(release.release for release in every if release.is_driven)
        nearest = f"; driven live were {driven}" if driven else ""
        return f"release {name}: neither driven live nor read about{nearest}. Please report what differs"
    told = f"release {name}: {' and '.join(found.how)} ({found.source}; {found.date})"
    return told if found.is_driven else f"{told}, never driven live. Please report what differs"
