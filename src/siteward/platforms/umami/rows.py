"""The types of Umami's answers, as far as access needs them, and the errors that its refusals stand for.

A field that is not named here is dropped while parsing and never held: access codes, and the bcrypt hashes that 2.20 puts
into its user list (API.md section 9). The names of counts and members differ between 2.20 and 3.x (section 9).
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 — msgspec reads the annotations
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct, field

from siteward.platforms.decode import Api, Some
from siteward.transport.errors import ForbiddenError, IncompleteError, NotThePlatformError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.platforms.decode import RefusalError
    from siteward.transport.errors import PlatformError
    from siteward.transport.http import Answer, Reader

T = TypeVar("T")

# From 3.3 on a second factor may be required of an account; what one is answered that has none was never driven.
NEEDS_ADMIN = "the account needs Umami's role admin; from 3.3 on, two-factor login that is required of it may be the cause as well"
# There is no upper bound on pageSize below 2^53 (API.md section 2), and pages of equal `createdAt` lose rows.
ONE_PAGE: Mapping[str, str | int] = {"page": 1, "pageSize": 1_000_000}


class Person(Struct, frozen=True, gc=False):
    """The account inside another row, of which nothing is read; `None` in its place marks a row whose account is gone (a ghost)."""


class UserRow(Struct, frozen=True):
    """An account."""

    id: Some
    username: str
    role: str
    created: str | None = field(default=None, name="createdAt")
    deleted: str | None = field(default=None, name="deletedAt")
    must_factor: bool | None = field(default=None, name="twoFactorRequired")


class KeyRow(Struct, frozen=True):
    """An API key of our own account (3.4), without the characters of its secret that the answer shows."""

    name: str
    made: datetime | None = field(default=None, name="createdAt")
    used: datetime | None = field(default=None, name="lastUsedAt")


class MemberRow(Struct, frozen=True, gc=False):
    """A membership; there may be several of one account in one team (API.md section 5).

    Large installations have a million; none leads back to itself, so the collector of circles need not know them. Their own
    ids are not held: a membership is changed and removed by team and account.
    """

    user_id: Some = field(name="userId")
    role: str
    user: Person | None = None


class ListedMemberRow(MemberRow, frozen=True, gc=False, kw_only=True):
    """A membership in the list of one team's, with the id by which it is seen whether that list is whole."""

    id: Some


class TeamCounts(Struct, frozen=True):
    """The number of members that the server counts for a team, without ghosts. 2.20 calls it `teamUser`."""

    members_3: int | None = field(default=None, name="members")
    members_2: int | None = field(default=None, name="teamUser")

    def __post_init__(self) -> None:
        if self.members_3 is None and self.members_2 is None:
            raise ValueError("a count without its number")

    @property
    def members(self) -> int | None:
        """The number under either name."""
        return self.members_2 if self.members_3 is None else self.members_3


class TeamRow(Struct, frozen=True):
    """A team with all its memberships. 2.20 calls them `teamUser`."""

    id: Some
    name: str
    members_3: tuple[MemberRow, ...] | None = field(default=None, name="members")
    members_2: tuple[MemberRow, ...] | None = field(default=None, name="teamUser")
    counts: TeamCounts | None = field(default=None, name="_count")
    # A server that once ran in cloud mode keeps the rows of what was deleted, and lists such teams (REAL-2026-11.md, U11).
    deleted: str | None = field(default=None, name="deletedAt")
    must_factor: bool | None = field(default=None, name="twoFactorRequired")

    def __post_init__(self) -> None:
        if self.members_3 is None and self.members_2 is None:
            raise ValueError("a team without a list of its members")

    @property
    def members(self) -> tuple[MemberRow, ...]:
        """The memberships under either name."""
        return (self.members_2 or ()) if self.members_3 is None else self.members_3


class SiteRow(Struct, frozen=True):
    """A website: of one account or of one team, or an orphan (both `None`)."""

    id: Some
    name: str
    domain: str | None = None
    user_id: Some | None = field(default=None, name="userId")
    team_id: Some | None = field(default=None, name="teamId")
    share: str | None = field(default=None, name="shareId")
    # The column that tells 3.2 (`recorderEnabled`) from 3.1 (`replayEnabled`): API.md section 6.
    recorder: bool | None = field(default=None, name="recorderEnabled")
    replay: bool | None = field(default=None, name="replayEnabled")


class Page(Struct, Generic[T], frozen=True):
    """One page of a listing, with the number of all rows.

    From 3.3 on a list may be cut by the server (`isCapped`; read, not driven), and then so may its count: making such a page
    raises `IncompleteError`.
    """

    data: tuple[T, ...]
    count: int
    capped: bool | None = field(default=None, name="isCapped")

    def __post_init__(self) -> None:
        if self.capped:
            raise IncompleteError(
                "Umami cut a list short and says so (`isCapped`), so who or what is missing from it cannot be known",
                hint="nothing is planned from half a list; look for a limit on lists in the settings of the server, or of "
                "a proxy before it",
            )


class Factor(Struct, frozen=True):
    """Whether an account has a second factor (3.3)."""

    on: bool | None = field(default=None, name="isEnabled")


class Deleted(Struct, frozen=True):
    """The answer to every deletion."""

    ok: bool


class Listings(Struct, frozen=True):
    """The three listings of 3.x, asked for at once; an answer that is no listing is kept as it came."""

    users: Page[UserRow] | Answer
    teams: Page[TeamRow] | Answer
    sites: Page[SiteRow] | Answer


class Fault(Struct, frozen=True):
    """An error body in the form of 3.x (an object) or of 2.20 (a text or a list of texts)."""

    error: str | tuple[str, ...] | FaultBody

    @property
    def words(self) -> str:
        """The server's own words."""
        match self.error:
            case str():
                return self.error
            case FaultBody():
                return self.error.words
            case _:
                return "; ".join(self.error)


class FaultBody(Struct, frozen=True):
    """The error object of 3.x; a validation error names its fields in `properties`."""

    message: str = ""
    code: str = ""
    properties: dict[str, dict[str, tuple[str, ...]]] = {}

    @property
    def words(self) -> str:
        """The message, and the errors of each field."""
        fields = (f"{name}: {', '.join(property_.get('errors', ()))}" for name, property_ in self.properties.items())
        return "; ".join((self.message, *fields))


def _explain_status(refused: RefusalError) -> PlatformError | None:
    """Return the error for a status with a meaning of its own, else `None`.

    401 with a living token means "not allowed" here, and 403 the same from 3.3 on; before, Umami never says it (API.md
    section 1). A dead token has been renewed before this is reached.
    """
    if refused.answer.status == 401 or (refused.answer.status == 403 and refused.words):
        return ForbiddenError(refused.said, hint=NEEDS_ADMIN)
    if refused.answer.status == 404 and not refused.words:
        return NotThePlatformError(f"{refused.said}, and not as Umami does", hint="look at `url`, and at its path")
    return None


API = Api(
    product="Umami",
    hint="does `url` lead to Umami itself, and not to a page before it?",
    fault=Fault,
    meaning=_explain_status,
    unwell="look at the log of the server, and of a proxy before it; then try again",
)
parse, ask, refusal, words_of = API.parse, API.ask, API.refusal, API.words_of


def ask_one(reader: Reader, path: str, kind: type[T]) -> T | None:
    """Ask for one object by the path of its id; `None` if there is none. Raises `PlatformError`.

    An unknown id is 200 with the body `null`, or 404 for teams (API.md section 1); 2.20 answers some unknown ids with
    an empty 500, which is not taken for an absence.
    """
    answer = reader.query(path)
    if answer.status == 200 and answer.content.strip() == b"null":
        return None
    if answer.status == 404 and words_of(reader, answer):
        return None
    if answer.status != 200:
        raise refusal(reader, answer)
    return parse(kind, answer)
