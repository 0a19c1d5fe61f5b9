"""One request to the Umami stand-in: who asks, what for, and what they may do.

The answers that a list gives (paging, search, order) are here too, because every list follows the same rules
(API.md section 2).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from siteward.platforms.umami.fake.rows import SINCE_3_2, ApiKey, CrashError, Json, Member, User
from siteward.platforms.umami.fake.schema import Schema, one_of, optional, positive, text

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from siteward.platforms.umami.fake import UmamiFake
    from siteward.platforms.umami.fake.state import State

Row = TypeVar("Row")

_SITE = frozenset({"website:create", "website:update", "website:delete"})
_RIGHTS: Mapping[str, frozenset[str]] = {
    "user": _SITE | {"team:create"},
    "team-owner": _SITE | {"team:update", "team:delete", "transfer-to-team", "transfer-to-user"},
    "team-manager": _SITE | {"team:update", "transfer-to-team"},
    "team-member": _SITE,
}

_COLUMNS = frozenset({"id", "username", "role", "name", "domain", "createdAt", "updatedAt"})


class RefusalError(Exception):
    """An answer that is no success, in the server's own words."""

    def __init__(
        self,
        status: int,
        message: str | None = None,
        code: str | None = None,
        *,
        beside: list[str] | Json | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.beside = beside


def unauthorized(message: str | None = None) -> RefusalError:
    """Return the answer to everything that is not allowed: this server says 403 nowhere but in 3.3's two-factor calls."""
    return RefusalError(401, message)


def bad_request(message: str | None = None) -> RefusalError:
    """Return the answer to a request that fits its schema and still makes no sense."""
    return RefusalError(400, message)


def database_error(ask: Ask, code: str, model: str, cause: Json) -> RefusalError:
    """Return what the few handlers that catch the database's errors let out of them (recording v3.1.0/06)."""
    name = "PrismaClientKnownRequestError"
    if ask.fake.old:
        return RefusalError(500, beside={"name": name, "code": code, "meta": cause})
    beside: Json = {"meta": {"modelName": model, **cause}, "clientVersion": "7.6.0", "name": name}
    return RefusalError(500, code=code, beside=beside)


def no_such(ask: Ask, model: str) -> RefusalError:
    """Return the database error of an update that finds no row."""
    return database_error(ask, "P2025", model, {"operation": "an update"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, checked and authenticated as far as its route asks for it."""

    fake: UmamiFake
    state: State
    request: Request
    values: Mapping[str, object]
    user: User | None = None
    token: str | None = None
    key: str | None = None
    share: Json | None = None
    api_key: ApiKey | None = None

    @property
    def me(self) -> User:
        """The account that asks; handlers that forget share links break on them, as the server does."""
        if self.user is None:
            raise CrashError
        return self.user

    @property
    def is_admin(self) -> bool:
        """Whether an admin asks."""
        if self.user is None and self.fake.old:
            raise CrashError
        return self.user is not None and self.user.role == "admin"

    def must(self, allowed: object, message: str | None = None) -> None:
        """Refuse unless allowed."""
        if not allowed:
            raise unauthorized(message)

    def has(self, name: str) -> bool:
        """Tell whether a field was sent at all."""
        return name in self.values

    def get(self, name: str) -> str | None:
        """Return a text field for the database, which breaks on NUL and knows no lone surrogates."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return None
        if "\0" in value:
            raise CrashError
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def json(self, name: str) -> Json:
        """Return a field that is an object, or an empty one."""
        value = self.values.get(name)
        return value if isinstance(value, dict) else {}

    def need(self, name: str) -> str:
        """Return a text field that the schema demands."""
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def role_in(self, team: str) -> Member | None:
        """Return the membership of the one who asks."""
        return self.state.member(team, self.user.id) if self.user else None

    def may_in(self, team: str, right: str) -> bool:
        """Tell whether the one who asks has a right by way of a team."""
        member = self.role_in(team)
        return member is not None and may(member.role, right)

    def may_on(self, owner: str | None, team: str | None, right: str | None = None) -> bool:
        """Tell whether the one who asks may read (`right` None) or do something with an owned object."""
        if owner:
            return self.user is not None and self.user.id == owner
        if team:
            return self.role_in(team) is not None if right is None else self.may_in(team, right)
        return False


def may(role: str, right: str) -> bool:
    """Tell whether a role, global or of a team, carries a right (admins are asked for beforehand)."""
    return right in _RIGHTS.get(role, ())


Handler = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a method on a path. `open`: to anybody, without a token."""

    run: Handler
    schema: Schema | None = None
    open: bool = False


PAGING: Schema = {"page": optional(positive), "pageSize": optional(positive)}
SEARCH: Schema = {"search": optional(text())}


def sorting(release: str) -> Schema:
    """Return what a list may be told about its order: nothing in 3.1."""
    if release in SINCE_3_2:
        return {"orderBy": optional(text()), "sortDescending": optional(one_of("true", "false"))}
    return {"orderBy": optional(text())} if release == "2.20" else {}


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is ordered: `fields` that 3.2 honours, `by` where nothing is asked for, `told` in the reply."""

    fields: Sequence[str] = ()
    by: str | None = None
    descending: bool = False
    told: bool = False


@dataclass(slots=True)
class Listing:
    """A list before it is cut into pages. `column` gives a row's value by the name the API has for it."""

    rows: Sequence[Any]
    show: Callable[[Any], Json]
    searched: Sequence[str] = ()
    order: Order = field(default_factory=Order)
    aliases: Mapping[str, str] = field(default_factory=lambda: {"createdAt": "created", "updatedAt": "updated"})


def page(ask: Ask, listing: Listing) -> Json:
    """Return one page of a list, with what the server says beside it."""
    rows = _found(ask, listing)
    size, number = _cut(ask)
    skip = size * (number - 1)
    by, descending, told = _order(ask, listing)
    if by:
        rows = _sorted(rows, listing.aliases.get(by, by), descending=descending, salt=_salt(rows, skip, size))
    count = len(rows)
    shown = rows[skip : skip + size]
    request = ask.request
    if shown and ask.fake.struck("shift-rows", request):
        shown = [*rows[max(skip - 1, 0) : skip], *shown][: len(shown)] if skip else [*shown[:-1], shown[0]]
    if ask.fake.struck("lying-total", request):
        count += 7
    answer: Json = {"data": [listing.show(row) for row in shown], "count": count, "page": number, "pageSize": size}
    if told:
        answer["orderBy"] = by
    if ask.has("search") and listing.searched and not ask.fake.old:
        answer["search"] = ask.get("search")
    return answer


def _cut(ask: Ask) -> tuple[int, int]:
    size, number = ask.values.get("pageSize"), ask.values.get("page")
    default = 10 if ask.fake.old else 20
    return size if isinstance(size, int) else default, number if isinstance(number, int) else 1


def _found(ask: Ask, listing: Listing) -> Sequence[Any]:
    wanted = ask.get("search") if listing.searched else None
    if not wanted:
        return listing.rows
    like = re.compile(
        "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in wanted), re.IGNORECASE | re.DOTALL
    )
    return [row for row in listing.rows if any(like.search(getattr(row, name)) for name in listing.searched)]


def _order(ask: Ask, listing: Listing) -> tuple[str | None, bool, bool]:
    """Return by what to order, whether downwards, and whether the reply tells it."""
    order, asked = listing.order, ask.get("orderBy")
    if asked and ask.fake.old:
        if asked not in _COLUMNS or not all(hasattr(row, listing.aliases.get(asked, asked)) for row in listing.rows):
            raise CrashError
        return asked, order.descending, True
    if asked and asked in order.fields:
        return asked, ask.values.get("sortDescending") == "true", True
    return order.by, order.descending, order.told


def _salt(rows: Sequence[Any], skip: int, size: int) -> str:
    """Return what decides between rows that tie: another thing for each cut, so that paging loses some."""
    return f"{skip + size}:" if skip or size < len(rows) else ""


def _sorted(rows: Sequence[Any], column: str, *, descending: bool, salt: str) -> list[Any]:
    if salt:
        rows = sorted(rows, key=lambda row: zlib.crc32(f"{salt}{row.id}".encode()))
    return sorted(rows, key=lambda row: _collated(getattr(row, column)), reverse=descending)


def _collated(value: object) -> tuple[str, str]:
    shown = value if isinstance(value, str) else ""
    return shown.casefold(), shown
