"""Reading one Matomo whole: one bulk for any number of users and sites (API.md section 4)."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.state import Listing
from siteward.platforms.interface import native
from siteward.platforms.matomo.groups import BLIND_SPOT, PLUGIN, group_members
from siteward.platforms.matomo.native_state import NativeState, People
from siteward.platforms.matomo.probe import LDAP, is_on
from siteward.platforms.matomo.roles import onboarding, version_of
from siteward.platforms.matomo.rows import (
    ACCESS_LIST,
    CAPABILITY_LIST,
    SITE_LIST,
    USER_LIST,
    USER_MAP,
    USER_RECORD,
    parse,
)
from siteward.platforms.matomo.rpc import Call, Failed, ask, refusal, token_of
from siteward.platforms.matomo.to_access import Rows, live_of
from siteward.transport.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from siteward.access.model import Key, Resource
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.platforms.matomo.settings import Settings
    from siteward.transport.http import Reader

# What Matomo cuts every list to when `filter_limit` does not reach it (API.md section 1.4).
SUSPECT = 100
_BEYOND = {"filter_offset": str(SUSPECT), "filter_limit": "1000000"}
# 2.x would send md5 passwords and clear tokens along; they never leave the server.
USERS = Call("UsersManager.getUsers", {"hideColumns": "password,token_auth"})
USER = Call("UsersManager.getUser", USERS.arguments)
CAPABILITIES = Call("UsersManager.getAvailableCapabilities")
SITES = Call("SitesManager.getSitesWithAtLeastViewAccess", {"showColumns": "idsite,name,main_url,group"})


def read(reader: Reader, settings: Settings, traits: Traits, _seed: None = None) -> Live:
    """Return all access on the instance, with one request, and a second one where a list has exactly 100 rows.

    Raises `IncompleteError` when something stands behind the hundredth row of such a list. `Live.me` stays open where
    `self` is no superuser: the token, which is one's, then belongs to another.
    """
    rows, listings = _rows(reader, traits)
    version = version_of(traits.version)
    state = NativeState(
        version=version,
        traits=traits,
        people=People(rows.users),
        me=settings.self_login,
        has_password=token_of(reader).has_password,
        onboarding=onboarding(version, settings.onboarding),
    )
    return live_of(rows, state, listings)


def refresh(reader: Reader, keys: Collection[Key], live: Live) -> Mapping[Key, Resource | None]:
    """Return what stands under `keys` now. All is read again: one bulk costs little more than a part of it would."""
    before = native(live, NativeState)
    rows, listings = _rows(reader, before.traits)
    access = live_of(rows, replace(before, people=People(rows.users)), listings).access
    return {key: access.get(key) for key in keys}


def _rows(reader: Reader, traits: Traits) -> tuple[Rows, tuple[Listing, ...]]:
    kinds = (*(role.name for role in traits.roles["site"]), *traits.extras)
    calls = [USERS, SITES, *(Call("UsersManager.getUsersSitesFromAccess", {"access": kind}) for kind in kinds)]
    answers = ask(reader, [*calls, *([CAPABILITIES] if traits.extras else []), LDAP, PLUGIN])
    grouped, ldap = is_on(answers.pop()), is_on(answers.pop())
    off = _switched_off(answers.pop(), traits) if traits.extras else frozenset()
    users, sites, *declared_users = _all(reader, answers, dict(enumerate(kinds, 2)), off)
    rows = Rows(
        users=parse(USER_LIST, users, "getUsers"),
        sites=parse(SITE_LIST, sites, "getSitesWithAtLeastViewAccess"),
        declared_users={
            kind: parse(USER_MAP, user, "getUsersSitesFromAccess")
            for kind, user in zip(kinds, declared_users, strict=True)
        },
        off=off,
        ldap=ldap,
    )
    listings = _proven(reader, rows, calls)
    rows = replace(rows, owners=_owners(reader, rows))
    if grouped and BLIND_SPOT not in traits.blind_spots:
        rows = replace(rows, group_members=group_members(partial(_listed, reader), (site.id for site in rows.sites)))
    return (replace(rows, asleep=_asleep(reader, rows, kinds)) if off else rows), listings


def _switched_off(answer: object, traits: Traits) -> frozenset[str]:
    """Return the capabilities that this server once had, or may have, and does not offer now."""
    offered = () if isinstance(answer, Failed) else parse(CAPABILITY_LIST, answer, "getAvailableCapabilities")
    return frozenset(traits.extras) - {capability_row.id for capability_row in offered}


def _all(reader: Reader, answers: list[object], kinds: Mapping[int, str], off: Collection[str]) -> Iterator[object]:
    """Yield answers, and nobody for a capability that is switched off; raises for any other that was refused."""
    for at, answer in enumerate(answers):
        if not isinstance(answer, Failed):
            yield answer
        elif kinds.get(at) in off:
            yield {}
        else:
            raise refusal(reader, answer.words, 200)


def _asleep(reader: Reader, rows: Rows, kinds: Collection[str]) -> Mapping[str, Mapping[int, frozenset[str]]]:
    """Return what people hold by plugins that are off, by login and site: shown only person by person (rec 23#4-8)."""
    people, awake = People(rows.users), frozenset(kinds) - rows.off
    named = (people.named(rows.owners.get(login, login)) for logins in rows.declared_users.values() for login in logins)
    logins = sorted({user.login for user in named if user is not None and not user.superuser})
    answers = _answers(reader, [Call("UsersManager.getSitesAccessFromUser", {"userLogin": login}) for login in logins])
    found: dict[str, Mapping[int, frozenset[str]]] = {}
    for login, answer in zip(logins, answers, strict=True):
        held: defaultdict[int, set[str]] = defaultdict(set)
        for row in parse(ACCESS_LIST, answer, "getSitesAccessFromUser"):
            held[row.site] |= {row.access} - awake
        found[login] = {site: frozenset(words) for site, words in held.items() if words}
    return {login: held for login, held in found.items() if held}


def _owners(reader: Reader, rows: Rows) -> Mapping[str, str]:
    """Return for whom the grants under a foreign spelling work: the server is asked, which knows its collation.

    A row under `müller` is the access of `muller` where the database ignores accents (rec 21#7-11).
    """
    people = People(rows.users)
    strays = sorted(
        {login for logins in rows.declared_users.values() for login in logins if people.named(login) is None}
    )
    asked = [login for login in strays if people.alike(login)]
    answers = ask(reader, [Call(USER.method, {**USER.arguments, "userLogin": name}) for name in asked]) if asked else []
    return {
        login: parse(USER_RECORD, answer, "getUser").login
        for login, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, Failed)
    }


def _answers(reader: Reader, calls: Sequence[Call]) -> list[object]:
    found = ask(reader, calls)
    for item in found:
        if isinstance(item, Failed):
            raise refusal(reader, item.words, 200)
    return found


def _listed(reader: Reader, calls: Sequence[Call]) -> list[object]:
    """Return answers, of which every list has proved its end; raises for a call that is refused."""
    found = _answers(reader, calls)
    _nothing_behind(reader, calls, [len(item) if isinstance(item, list) else 0 for item in found])
    return found


def _proven(reader: Reader, rows: Rows, calls: Sequence[Call]) -> tuple[Listing, ...]:
    """Return the listings with the proof of their ends; where one has 100 rows, ask for what is behind them."""
    counts = [len(rows.users), len(rows.sites), *(_cuttable(user) for user in rows.declared_users.values())]
    _nothing_behind(reader, calls, counts)
    proofs = {True: "100 rows, and none behind them", False: "asked without a limit"}
    return (
        Listing(name="accounts", rows=counts[0], complete=True, proof=proofs[counts[0] == SUSPECT]),
        Listing(name="sites", rows=counts[1], complete=True, proof=proofs[counts[1] == SUSPECT]),
        Listing(name="grants", rows=_count(rows), complete=True, proof="one map for each role and capability"),
    )


def _nothing_behind(reader: Reader, calls: Sequence[Call], counts: Sequence[int]) -> None:
    """Ask for what is behind the hundredth row of each list that has just so many; raises `IncompleteError` for any."""
    suspects = [call for call, count in zip(calls, counts, strict=True) if count == SUSPECT]
    behind = _answers(reader, [Call(suspect.method, {**suspect.arguments, **_BEYOND}) for suspect in suspects])
    cut = [call.method for call, more in zip(suspects, behind, strict=True) if more]
    if cut:
        raise IncompleteError(
            f"{cut[0]} gave exactly {SUSPECT} rows and has more behind them: something cuts Matomo's lists",
            hint="a proxy or plugin may drop `filter_limit` from the URL",
        )


def _cuttable(declared_users: Mapping[str, tuple[int, ...]]) -> int:
    """Return the length of a map by login where its first login is a number: no other map is ever cut."""
    return len(declared_users) if next(iter(declared_users), "").isdigit() else 0


def _count(rows: Rows) -> int:
    return sum(len(sites) for logins in rows.declared_users.values() for sites in logins.values())
