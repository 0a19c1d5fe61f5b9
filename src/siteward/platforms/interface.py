"""The platform contract: a table and a few functions.

The way of one instance through an adapter:

    settings ─┐
              ├─ connect ─▶ Doors ─ reader ─▶ probe ─▶ Traits, seed
    secrets ──┘               │       └─────▶ read ──▶ Live ─▶ (core: diff, manage, judge)
                              │                                   │ changes
                              │                    review ◀───────┤  what the platform cannot do, or does besides
                              │                    bundle ◀───────┘  which changes share a call, and the cost
                              └─ writer ─▶ write(bundle) ─▶ Receipts ─ refresh ─▶ read-back

A platform never sees a declaration, a plan or another platform; it decides neither order nor policy, keeps no
state between calls and does not know the time. Everything it needs to remember within a run it puts into
`Live.native`, which the core hands back untouched (`native` returns it with its type).

To add a platform, add a folder; nothing else in the tree has to change. `siteward.platforms` takes it for one as soon
as it has these modules:

    settings.py   `NAME`, the name that files use, and `Settings`, what an instance may say beyond the common keys
    roles.py      `WIDEST`, the traits of all releases taken together
    platform.py   `PLATFORM`, the table of this module with the functions that the other files define
    fake.py       `FAKE`, which makes the stand-in servers (only the `sandbox` extra loads it)

`docs/add-a-platform.md` leads through the smallest one, the folder `_template`. What adapters share is beside this
module: `decode` (answers), `auth` (tokens that are renewed) and `confirm` (what became of a write).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key, Resource
    from siteward.access.state import Live, Memory
    from siteward.access.traits import Traits
    from siteward.platforms.fakery import Fake, World
    from siteward.transport.http import Doors, Link, Reader, Writer
    from siteward.transport.secrets import Secret, Secrets

T = TypeVar("T")


def nothing_unwanted(_resources: Collection[Resource]) -> frozenset[Key]:
    """Return that all may stay."""
    return frozenset()


class Bundle(Struct, frozen=True, kw_only=True):
    """Changes that are written together, because one call (or one inseparable sequence) carries them.

    `requests` is how many requests writing is expected to cost, `seconds` how long beyond the pace limit.
    `passwords` are given by the spine just before writing, by account name, after each has been delivered.
    `ahead` are the changes that this run still has before it, given by the spine as well: an invitation may need to
    know where its account will be let in (Matomo). So is `unwanted`, for where a call brings along what no change
    speaks of (Piwik PRO's levels that wake with a demotion, its modules that every new account has): of such resources
    it returns the keys of those that the file does not want so, for the same call to take away again.
    """

    changes: tuple[Change, ...]
    requests: int = 1
    seconds: float = 0.0
    passwords: Mapping[str, Secret] = MappingProxyType({})
    ahead: tuple[Change, ...] = ()
    unwanted: Callable[[Collection[Resource]], frozenset[Key]] = nothing_unwanted


class Receipt(Struct, frozen=True, kw_only=True):
    """What the platform answered for one change.

    `sent`: the platform accepted it; it is done only when `refresh` has seen it. `failed`: it surely did not
    happen, `message` says why in words for people. `unknown`: it may have happened. `ids` are what later
    bundles of this run need (a new account's id, a new team's), by key; `sends` counts mails that went out.
    """

    key: Key
    status: Literal["sent", "failed", "unknown"]
    message: str = ""
    hint: str | None = None
    ids: Mapping[Key, str] = MappingProxyType({})
    sends: int = 0


class Reach(Struct, frozen=True, kw_only=True):
    """What `doctor` tells of one instance: who the credentials are and what they may do."""

    account: str | None
    role: str | None
    may: tuple[str, ...] = ()
    may_not: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def no_remarks(_changes: Sequence[Change], _live: Live, _memory: Memory | None) -> Iterable[Diagnostic]:
    """Say nothing: for a platform that can do all its traits promise and does nothing besides."""
    return ()


def no_blame(_reader: Reader, _keys: Collection[Key], _live: Live, _since: datetime | None) -> Mapping[Key, str]:
    """Know nobody: for a platform that keeps no record of who changed what."""
    return {}


def native(live: Live, kind: type[T]) -> T:
    """Return what a platform's `read` left in `live`; raises `TypeError` where that is no `kind`."""
    if not isinstance(live.native, kind):
        raise TypeError(f"this live state was read by another adapter than that of {kind.__module__}")
    return live.native


class Read(Protocol):
    """The function that reads one instance whole."""

    def __call__(self, reader: Reader, settings: Any, traits: Traits, seed: Any = None, /) -> Live:
        """Return all access; `seed` is what `probe` has read a moment ago. Raises `PlatformError`."""


class Platform(Struct, frozen=True, kw_only=True):
    """One kind of analytics software.

    `widest` is the union of what all supported releases and editions can; `validate` uses it, and nothing
    is contacted. `settings` is the struct of what an instance of this platform may say in the file
    beyond the common keys (it forbids unknown keys). `fields` are the credential fields, required ones first,
    with what each is. `probe` returns the traits of the server at hand and a seed: whatever it read that `read` would
    ask for again, or `None`. `read` takes the seed once; without one it asks for everything itself. Both raise
    `siteward.transport.errors.PlatformError`; half an answer is an error. `refresh` re-reads just the given keys and returns for each what stands there now (`None`: surely
    absent; a key left out: could not be told). `review` judges changes, as said above. `resend`, where people are
    invited, sends the open or expired invitation of an account again. `finish` does again what `write` does after a
    change has taken place (taking back what it brought along), where the answer was lost or the process died in
    between; whoever calls has seen by reading that the change stands. `blame` says, of the keys that drifted since a
    moment, who changed them and when, where the platform keeps a record that can be read.
    """

    name: str
    title: str
    widest: Traits
    settings: type[Struct]
    fields: Mapping[str, str]
    optional_fields: Mapping[str, str] = MappingProxyType({})
    connect: Callable[[Any, Secrets, Link], Doors]
    probe: Callable[[Reader, Any], tuple[Traits, Any]]
    read: Read
    refresh: Callable[[Reader, Collection[Key], Live], Mapping[Key, Resource | None]]
    bundle: Callable[[Sequence[Change], Live], Sequence[Bundle]]
    write: Callable[[Writer, Bundle, Live], Sequence[Receipt]]
    review: Callable[[Sequence[Change], Live, Memory | None], Iterable[Diagnostic]] = no_remarks
    reach: Callable[[Reader, Any, Traits], Reach]
    resend: Callable[[Writer, str, Live], Receipt] | None = None
    finish: Callable[[Writer, Bundle, Live], Receipt] | None = None
    blame: Callable[[Reader, Collection[Key], Live, datetime | None], Mapping[Key, str]] = no_blame
    releases: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


class FakeFactory(Protocol):
    """What makes a platform's stand-in servers; each platform's `fake` module holds one as `FAKE`."""

    releases: tuple[str, ...]

    def fresh(self, release: str, *, clock: Callable[[], datetime]) -> Fake:
        """Return a server in the product's own first state."""

    def lived_in(self, release: str, *, clock: Callable[[], datetime]) -> Fake:
        """Return a server with the state that the demo shows."""

    def of(self, world: World, release: str, *, clock: Callable[[], datetime]) -> Fake:
        """Return a server that holds the given world."""
