"""Piwik PRO's answers, as far as access needs them, and listings that prove their end.

Every list is asked for by the thousand (the default is ten rows, API.md section 2) and in a fixed order. It counts
as complete only when the rows add up to `meta.total`, none came twice, and the total did not move between pages;
otherwise it is read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from msgspec import Struct, field

from siteward.platforms.decode import (
    Api,
    MisshapenError,
    PathId,
    RefusalError,
    Some,
    decoded,
)
from siteward.transport.errors import ForbiddenError, IncompleteError, NotThePlatformError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Answer, Reader

T = TypeVar("T")

PAGE = 1000
AUDIT_PAGE = 100
_TRIES = 3

AppLevel = Literal["no-access", "view", "edit", "edit-publish", "manage"]


class Row(Struct, Generic[T], frozen=True):
    """A resource: its id and its attributes."""

    id: PathId
    attributes: T


class One(Struct, Generic[T], frozen=True):
    """An answer with one resource."""

    data: Row[T]


class Meta(Struct, frozen=True):
    """The part of a page beside its rows: the total number of rows."""

    total: int


class Page(Struct, Generic[T], frozen=True):
    """One page of a list. Where the description speaks of one object and the paging of many, both are taken."""

    meta: Meta
    data: tuple[Row[T], ...] | Row[T]

    @property
    def rows(self) -> tuple[Row[T], ...]:
        """The resources of the page."""
        return self.data if isinstance(self.data, tuple) else (self.data,)


class Rows(Struct, Generic[T], frozen=True):
    """A whole list without paging."""

    data: tuple[Row[T], ...]


class User(Struct, frozen=True):
    """A person. There is no name, no state and no last login (API.md section 3)."""

    email: Some
    role: Literal["OWNER", "USER"]
    language: str | None = None
    added: str | None = field(default=None, name="addedAt")


class MemberOf(Struct, frozen=True):
    """A person in the list of a group."""

    email: Some


class UserGroup(Struct, frozen=True):
    """A group; `external_id` ties it to one of an identity provider."""

    name: str
    external_id: str | None = None


class Named(Struct, frozen=True):
    """An app or a meta site in its list."""

    name: str


class WholeApp(Struct, frozen=True):
    """An app by itself, which tells its addresses too."""

    name: str
    urls: tuple[str, ...] = ()


class ThroughGroups(Struct, frozen=True):
    """The highest level that groups give, and the names of those that give it."""

    group_names: tuple[str, ...] = ()
    permission: AppLevel = "no-access"


class PersonLevel(Struct, frozen=True):
    """A person's own level on an app or meta site, and what groups give."""

    email: Some
    permission: AppLevel
    group_permissions: ThroughGroups = ThroughGroups()


class GroupLevel(Struct, frozen=True):
    """A group's level on an app or meta site."""

    name: str
    permission: AppLevel


class GroupAccess(Struct, frozen=True):
    """The level of the group that was asked about, in the list of all apps."""

    access: AppLevel


class OpenModules(Struct, frozen=True):
    """The modules that are open to a person, own switches and groups together."""

    modules: tuple[str, ...]


class ByGroup(Struct, frozen=True):
    """The groups that open a module."""

    access: bool = False
    group_names: tuple[str, ...] = ()


class Switch(Struct, frozen=True):
    """One module's own switch of a person."""

    access: bool
    group_access: ByGroup = ByGroup()


class Entity(Struct, frozen=True):
    """An app or meta site that the caller may act on."""

    kind: str = field(default="", name="entityType")


class Entry(Struct, frozen=True):
    """A line of the audit log. The names of its types are not published (API.md section 11)."""

    created: str = field(name="created_at")
    type: str
    author: str | None = field(default=None, name="author_email")
    subject: str | None = field(default=None, name="subject_id")
    payload: object = None


def listing(
    reader: Reader, path: str, kind: type[T], params: Mapping[str, str | int] | None = None
) -> tuple[Row[T], ...]:
    """Return all rows of a list, proven complete; raises `IncompleteError` if three readings did not add up."""
    said = ""
    for _ in range(_TRIES):
        rows, total, steady = _pages(reader, path, kind, params or {})
        distinct = tuple({row.id: row for row in rows}.values())
        if steady and len(rows) == len(distinct) == total:
            return distinct
        said = f"{len(distinct)} different rows in {len(rows)}, while {total} are counted"
    raise IncompleteError(f"{path} did not add up in {_TRIES} readings: {said}", hint="try again when less is going on")


def _pages(reader: Reader, path: str, kind: type[T], params: Mapping[str, str | int]) -> tuple[list[Row[T]], int, bool]:
    """Return the rows of all pages, the total of the last one, and whether it stayed the same."""
    rows: list[Row[T]] = []
    first: int | None = None
    while True:
        page = ask(reader, path, Page[kind], {**params, "limit": PAGE, "offset": len(rows)})  # type: ignore[valid-type]  # a class made at run time
        rows += page.rows
        first = page.meta.total if first is None else first
        if page.meta.total != first or not page.rows or len(rows) >= first:
            return rows, page.meta.total, page.meta.total == first


def search(reader: Reader, path: str, kind: type[T], text: str) -> tuple[Row[T], ...]:
    """Return the rows of a list that contain `text`."""
    return listing(reader, path, kind, {"search": text})


class Fault(Struct, frozen=True):
    """One error of the main shape; every field but the code may be missing."""

    code: str = ""
    title: str = ""
    detail: str = ""

    @property
    def words(self) -> str:
        """The text of the error, for messages."""
        return self.detail or self.title or self.code


class _Faults(Struct, frozen=True):
    """The five shapes of an error body in one: any of these fields may be there, or none (API.md section 2)."""

    errors: tuple[Fault, ...] = ()
    message: str = ""
    error: str = ""
    description: str = field(default="", name="error_description")

    @property
    def told(self) -> tuple[Fault, ...]:
        """The single errors, in any of the shapes; empty if there are none."""
        if self.errors:
            return self.errors
        words = self.description or self.message or self.error
        return (Fault(code=self.error, detail=words),) if words else ()

    @property
    def words(self) -> str:
        """The text of the error, for messages."""
        return "; ".join(fault.words for fault in self.told)


def faults_of(answer: Answer) -> tuple[Fault, ...]:
    """Return the errors of an error answer, in any of the five shapes; empty if there are none."""
    try:
        return decoded(_Faults, answer.content).told
    except MisshapenError:
        return ()


_GONE = 410


def _explain_status(refused: RefusalError) -> PlatformError | None:
    """Return the error for a status with a meaning of its own, else `None`."""
    said = refused.said
    match refused.answer.status:
        case 401:
            return UnauthenticatedError(
                said, hint="the API key may have been deleted; make a new one in Profile, API keys"
            )
        case 403:
            return ForbiddenError(said, hint="the key's account needs the role Owner")
        case 404 | 410 if refused.answer.path.startswith("/api/") and (
            refused.answer.status == _GONE or not refused.words
        ):
            # What is missing itself is answered in JSON; an API that is not there is not. The specifications are of 2025-01.
            return NotThePlatformError(
                f"{said}: this account does not have this interface, or not any more",
                hint="report it: Siteward knows Piwik PRO by its specifications of January 2025",
            )
        case 404 if not refused.answer.path.startswith("/api/"):
            return NotThePlatformError(f"{said}, and not as Piwik PRO does", hint="look at `url`")
        case _:
            return None


API = Api(
    product="Piwik PRO",
    hint="does `url` lead to the account's own host, https://ACCOUNT.piwik.pro?",
    fault=_Faults,
    meaning=_explain_status,
    unwell="something before Piwik PRO may have answered, or it is out of order; try again",
)
parse, ask, refusal, words_of = API.parse, API.ask, API.refusal, API.words_of
