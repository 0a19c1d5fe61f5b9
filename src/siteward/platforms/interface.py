"""The contract between the program and a platform: a table and a few functions.

The way of one instance through an adapter:

    settings ─┐
              ├─ connect ─▶ Doors ─ reader ─▶ probe ─▶ Traits, seed
    secrets ──┘               │       └─────▶ read ──▶ Live ─▶ (core: diff, manage, judge)
                              │                                   │ changes
                              │                    review ◀───────┤  limits and side effects of the platform
                              │                    bundle ◀───────┤  which changes share a call
              │                    forecast ◀─────┘  how many requests a run sends
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

from siteward.platforms.forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Key, Resource
    from siteward.access.state import Live, Memory
    from siteward.access.traits import Traits
    from siteward.platforms.fakery import Fake, World
    from siteward.platforms.known import KeysRead, Known
    from siteward.transport.http import Doors, Link, Reader, Writer
    from siteward.transport.pace import Speed
    from siteward.transport.secrets import Secret, Secrets

T = TypeVar("T")


def nothing_unwanted(_resources: Collection[Resource]) -> frozenset[Key]:
    """Return no key: all resources may stay."""
    return frozenset()


def nothing_ahead(_login: str | None = None) -> Iterable[Change]:
    """Return no changes: nothing is to come."""
    return ()


class Bundle(Struct, frozen=True, kw_only=True):
    """Changes that are written together, because one call (or one inseparable sequence) carries them.

    The caller sets the other fields just before writing. `passwords` are by account name, each delivered before.
    `ahead` returns the later changes of the run, or those about one login in any letter case: an invitation may need a
    site on which its account will have access (Matomo). `unwanted` is for calls with side effects that no change lists (Piwik PRO's levels that return with a demotion,
    and the modules of every new account): given such resources, it returns the keys of those that the file does not
    want, so that the adapter takes them away again.
    """

    changes: tuple[Change, ...]
    passwords: Mapping[str, Secret] = MappingProxyType({})
    ahead: Callable[[str | None], Iterable[Change]] = nothing_ahead
    unwanted: Callable[[Collection[Resource]], frozenset[Key]] = nothing_unwanted


class Receipt(Struct, frozen=True, kw_only=True):
    """The result of writing one change.

    `sent`: the platform accepted it; it is done only when `refresh` has seen it. `failed`: it surely had no effect, and
    `message` says why, for people. `unknown`: it may have had an effect. `ids` are the ids that later bundles of this
    run need (of a new account or team), by key; `sends` is the number of mails that were sent.

    `sure` is false for a no that reading may show to be wrong: the caller reads once more. What is `unknown` the caller
    reads until it shows or nothing changes any more, unless that has been done (`awaited`); it writes the change again
    only where it is `repeatable`: it sets a state or creates under a unique name, and sends no mail.
    """

    key: Key
    status: Literal["sent", "failed", "unknown"]
    message: str = ""
    hint: str | None = None
    ids: Mapping[Key, str] = MappingProxyType({})
    sends: int = 0
    sure: bool = True
    awaited: bool = False
    repeatable: bool = False


class Reach(Struct, frozen=True, kw_only=True):
    """The account of the credentials and its rights on one instance, for `doctor`; all texts are for people.

    `may` and `may_not` are verb phrases ("create accounts"); `None` where the platform does not show the account.
    """

    account: str | None
    role: str | None
    may: tuple[str, ...] = ()
    may_not: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def no_remarks(_changes: Sequence[Change], _live: Live, _memory: Memory | None) -> Iterable[Diagnostic]:
    """Return no diagnostics: for a platform without limits and side effects beyond its traits."""
    return ()


def no_blame(_reader: Reader, _keys: Collection[Key], _live: Live, _since: datetime | None) -> Mapping[Key, str]:
    """Return no authors: for a platform without a readable record of changes."""
    return {}


class Leftover(Struct, frozen=True, kw_only=True):
    """Something of a person's that no end of their access ends, or shows to be ended.

    `id` is a word, with a name behind a slash where there are several; `what` says what it is and `how` what ends it.
    `is_read` is true for what is there by reading, and gone once it is not read any more; of all else somebody has to say it.
    """

    id: str
    what: str
    how: str
    is_read: bool = False


def no_leftovers(_account: str, _live: Live) -> Iterable[Leftover]:
    """Return nothing: for a platform on which everything ends with the access."""
    return ()


def open_to_all(account: str, live: Live, roles: Collection[str]) -> Iterable[Leftover]:
    """Yield the sites open to everybody on which an account has one of these roles, and may have made the way in."""
    for grant in live.access.grants():
        if grant.subject.name == account and grant.role in roles and grant.scope in live.open:
            said = live.open[grant.scope][0]
            how = said.hint or "close it in the web interface, or write `public: true` beside the site if it is meant"
            yield Leftover(id=f"open/{grant.scope.name}", what=said.message, how=how)


def native(live: Live, kind: type[T]) -> T:
    """Return the native state that a platform's `read` left in `live`; raises `TypeError` if it is no `kind`."""
    if not isinstance(live.native, kind):
        raise TypeError(f"this live state was read by another adapter than that of {kind.__module__}")
    return live.native


class Read(Protocol):
    """The type of an adapter's `read`."""

    def __call__(self, reader: Reader, settings: Any, traits: Traits, seed: Any = None, /) -> Live:
        """Return all access; `seed` is the one that `probe` has just returned, or `None`. Raises `PlatformError`."""


class Platform(Struct, frozen=True, kw_only=True):
    """One kind of analytics software.

    `widest` are the traits of all supported releases and editions together; `validate` uses them, because it contacts
    nothing. `settings` is the struct of the keys of an instance beyond the common ones (it forbids unknown keys).
    `fields` are the required credential fields and `optional_fields` the others, each with a description.

    `probe` returns the traits of the server at hand and a seed: what it read and `read` would ask for again, or `None`.
    `read` takes the seed once; without a seed it reads everything itself. Both raise
    `siteward.transport.errors.PlatformError`; half an answer is an error. `refresh` reads only the given keys again and
    returns the resource of each (`None`: surely absent; a key left out: could not be read).

    `bundle` groups changes by call, `forecast` counts what a run sends, `review` returns diagnostics about the platform's
    limits and side effects; none of them sends anything. `write` sends a bundle and returns a receipt for each change. `reach` describes
    the rights of the credentials. `resend`, for platforms with invitations, sends the open or expired
    invitation of an account again. `finish` repeats what `write` does after a change has taken effect (taking back its
    side effects), if the answer was lost or the process died in between; the caller has seen by reading that the change
    has taken effect. `blame` returns the author and time, in words, of changes to the given keys since a moment, where
    the platform keeps a record that can be read. `leftovers` returns what of an account's no end of its access ends; it
    sends nothing. `releases` are those that the stand-ins imitate: first those that were driven live, the newest first,
    then those that were only read about. `known` tells how well each release is known, `keys` what is read of keys,
    `limits` what users have to know, and `setup` is the SQL that makes what the credentials are of; the documentation lists
    all five, and `doctor` says of the release at hand what `known` does.
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
    forecast: Callable[[Live, Speed], Forecast] = Forecast
    write: Callable[[Writer, Bundle, Live], Sequence[Receipt]]
    review: Callable[[Sequence[Change], Live, Memory | None], Iterable[Diagnostic]] = no_remarks
    reach: Callable[[Reader, Any, Traits], Reach]
    resend: Callable[[Writer, str, Live], Receipt] | None = None
    finish: Callable[[Writer, Bundle, Live], Receipt] | None = None
    blame: Callable[[Reader, Collection[Key], Live, datetime | None], Mapping[Key, str]] = no_blame
    leftovers: Callable[[str, Live], Iterable[Leftover]] = no_leftovers
    releases: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()
    keys: tuple[KeysRead, ...] = ()
    limits: tuple[str, ...] = ()
    setup: str = ""


class FakeFactory(Protocol):
    """The factory of a platform's stand-in servers; each platform's `fake` module has one as `FAKE`.

    `clock` gives the moment that the server takes for now.
    """

    releases: tuple[str, ...]

    def fresh(self, release: str, *, clock: Callable[[], datetime]) -> Fake:
        """Return a server in the state that a new installation has."""

    def lived_in(self, release: str, *, clock: Callable[[], datetime]) -> Fake:
        """Return a server with the state that the demo shows."""

    def of(self, world: World, release: str, *, clock: Callable[[], datetime]) -> Fake:
        """Return a server that holds the given world."""
