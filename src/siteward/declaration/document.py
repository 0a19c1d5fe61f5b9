"""The grammar of the file: which keys there are and what kind of value each takes.

Rows that a file may hold by the thousand are plain dataclasses, the rest are models. What a value means, and
whether it fits the rest of the file, is not asked here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

Kind = Literal["person", "service", "contractor", "client", "vendor"]
StateWord = Literal["active", "suspended", "absent"]
PowerWord = Literal["view", "edit", "manage", "admin"]
MatchKey = Literal["kind", "power", "user", "account", "site", "scope", "role"]
Requirement = Literal["until", "ticket", "reason", "email"]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _worded(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _for_all(value: Any) -> Any:
    return {"*": value} if isinstance(value, str | bool) else value


def _pathed(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _membered(value: Any) -> Any:
    return {"user": value} if isinstance(value, str) else value


def _grouped(value: Any) -> Any:
    return {"members": _listed(value)} if isinstance(value, str | list) else value


def _roled(value: Any) -> Any:
    return {"role": value} if isinstance(value, str) else value


def _external(value: Any) -> Any:
    return None if value == "external" else _listed(value)


@dataclass(frozen=True, slots=True)
class Or:
    """Says in the JSON Schema that a short form is possible too, which a validator before this one unfolds.

    `types` are JSON's names of types, or the only texts where `words`; `like` is a property of the long form
    that may stand alone.
    """

    types: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    like: str | None = None

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the alternatives, the short ones first."""
        long = handler(schema)
        short: list[dict[str, Any]] = [{"type": each} for each in self.types]
        if self.words:
            short.append({"type": "string", "enum": list(self.words)})
        if self.like is not None:
            alone = dict(handler.resolve_ref_schema(long)["properties"][self.like])
            alone.pop("description", None)
            short.append(alone)
        return {"anyOf": [*short, long]}


Names = Annotated[list[str], BeforeValidator(_listed), Or(("string",))]
Word = Annotated[str, BeforeValidator(_worded), Or(("integer",))]
"""A text that people also write as a bare number: an id, a ticket, a login."""
States = Annotated[dict[str, StateWord], BeforeValidator(_for_all), Or(words=get_args(StateWord))]
Publicity = Annotated[dict[str, Flag], BeforeValidator(_for_all), Or(("boolean",))]
Date = Annotated[str, Field(json_schema_extra={"pattern": r"^\d{4}-\d{2}-\d{2}([T ].+)?$"})]
CLOSED = ConfigDict(extra="forbid", defer_build=True)


class Row(BaseModel):
    """What all closed tables of the file have in common."""

    model_config = CLOSED


@dataclass(slots=True)
class SiteRow:
    """A site of the file."""

    __pydantic_config__ = CLOSED

    domain: Annotated[str, Field(description="The domain as the platforms know it.")]
    name: Annotated[str | None, Field(description="A name for people.")] = None
    tags: Annotated[list[str], Field(description="What `tag:` selects.")] = field(default_factory=list)
    on: Annotated[dict[str, Word], Field(description="The site's id by instance, where its name is ambiguous.")] = (
        field(default_factory=dict)
    )
    only: Annotated[Names | None, Field(description="The instances this site is on; without it: wherever it is.")] = (
        None
    )
    public: Annotated[Publicity, Field(description="Whether everybody may look, by instance.")] = field(
        default_factory=dict
    )


@dataclass(slots=True)
class UserRow:
    """A person or service of the file."""

    __pydantic_config__ = CLOSED

    email: Annotated[str | None, Field(description="The address; the login where a platform knows people by it.")] = (
        None
    )
    name: Annotated[str | None, Field(description="A name for people.")] = None
    kind: Annotated[Kind, Field(description="What rules match; `service` is no person.")] = "person"
    logins: Annotated[dict[str, Word], Field(description="The login by instance, where it is not the handle.")] = field(
        default_factory=dict
    )
    state: Annotated[States, Field(description="suspended: no access, account kept. absent: a tombstone.")] = field(
        default_factory=dict
    )
    from_: Annotated[Date | None, Field(alias="from", description="The first day, or an instant with an offset.")] = (
        None
    )
    until: Annotated[Date | None, Field(description="The last day, or an instant with an offset.")] = None
    accounts: Annotated[Names, Field(description="Instances on which an account is wanted even without a grant.")] = (
        field(default_factory=list)
    )
    previously: Annotated[Names, Field(description="Former handles, logins or e-mails.")] = field(default_factory=list)
    modules: Annotated[dict[str, Names], Field(description="Piwik PRO: the modules that are on, by instance.")] = field(
        default_factory=dict
    )
    language: Annotated[str | None, Field(description="Piwik PRO: the language of the account, such as de-DE.")] = None
    owner: Annotated[str | None, Field(description="Who answers for a service.")] = None
    ticket: Annotated[Word | None, Field(description="Where this was decided.")] = None
    reason: Annotated[str | None, Field(description="Why this is so.")] = None
    age: Annotated[str | None, Field(description="The age recipient that new passwords are encrypted to.")] = None
    forge: Annotated[dict[str, str], Field(description="Account names on code forges.")] = field(default_factory=dict)


@dataclass(slots=True)
class MemberRow:
    """A user or group in a group, for a time."""

    __pydantic_config__ = CLOSED

    user: Annotated[str, Field(description="A user or a group.")]
    from_: Annotated[Date | None, Field(alias="from", description="The first day.")] = None
    until: Annotated[Date | None, Field(description="The last day.")] = None


Members = list[Annotated[MemberRow, BeforeValidator(_membered), Or(("string",))]]


@dataclass(slots=True)
class GroupRow:
    """A group: its members, and what it is on a platform that has groups."""

    __pydantic_config__ = CLOSED

    members: Annotated[
        Members | None,
        BeforeValidator(_external),
        Or(("string",)),
        Field(description="Users and groups; `!` takes one out; `external`: a directory owns them."),
    ]
    native: Annotated[str | None, Field(description="The group's name on the platform.")] = None


@dataclass(slots=True)
class RoleRow:
    """What a role means on one platform."""

    __pydantic_config__ = CLOSED

    role: Annotated[str, Field(description="A portable name, or the platform's own.")]
    extras: Annotated[list[str] | None, Field(description="Rights beside the role; [] for none.")] = None


@dataclass(slots=True)
class GrantRow:
    """One line of grants."""

    __pydantic_config__ = CLOSED

    to: Annotated[Names, Field(description="Users and groups.")]
    role: Annotated[str, Field(description="A portable name, a role of this file, or platform:native.")]
    sites: Annotated[Names | None, Field(description="Selectors; without them the role is the account's.")] = None
    metasites: Annotated[Names | None, Field(description="Piwik PRO: meta sites by name.")] = None
    on: Annotated[Names | None, Field(description="The instances; an account role needs them.")] = None
    from_: Annotated[Date | None, Field(alias="from", description="The first day, or an instant with an offset.")] = (
        None
    )
    until: Annotated[Date | None, Field(description="The last day, or an instant with an offset.")] = None
    extras: Annotated[list[str] | None, Field(description="Rights beside the role; [] for none.")] = None
    ticket: Annotated[Word | None, Field(description="Where this was decided.")] = None
    reason: Annotated[str | None, Field(description="Why this is so.")] = None


class IncludeRow(Row):
    """Another file, and what it may grant."""

    path: Annotated[str, Field(description="Relative to this file, and under its folder.")]
    sites: Annotated[Names | None, Field(description="The sites it may grant on.")] = None
    at_most: Annotated[PowerWord | None, Field(description="The most power it may grant.")] = None


class JournalRow(Row):
    """Where runs are recorded."""

    dir: Annotated[str, Field(description="A folder, relative to this file.")] = ".siteward"


class AdminsRow(Row):
    """How many may hold the top account role."""

    min: Annotated[Annotated[Whole, Field(ge=1)] | None, Field(description="Never fewer than these.")] = None
    max: Annotated[Annotated[Whole, Field(ge=1)] | None, Field(description="Never more than these.")] = None


class LimitRow(Row):
    """A budget: min(count, max(2, ceil(percent of what is live)))."""

    count: Annotated[Annotated[Whole, Field(ge=0)] | None, Field(description="How many.")] = None
    percent: Annotated[
        Annotated[Whole, Field(ge=0, le=100)] | None, Field(description="How many in a hundred of what is live.")
    ] = None


class LimitsRow(Row):
    """What one run may do to one instance at most."""

    removals: Annotated[LimitRow | None, Field(description="Accounts that lose all access.")] = None
    revocations: Annotated[LimitRow | None, Field(description="Grants lost.")] = None
    escalations: Annotated[LimitRow | None, Field(description="Powers raised.")] = None
    expiries: Annotated[LimitRow | None, Field(description="Grants that end by their dates.")] = None
    mails: Annotated[LimitRow | None, Field(description="Mails sent.")] = None


class WildcardsRow(Row):
    """How much a grant on a pattern may give."""

    at_most: Annotated[PowerWord, Field(description="The most power.")]


class RuleRow(Row):
    """A rule on grants: what must be given, or how much power is allowed, where all of `match` holds."""

    id: Annotated[str, Field(description="What the rule is called where it is broken.")]
    match: Annotated[dict[MatchKey, str], Field(description="What all must hold for the rule to speak.")]
    require: Annotated[list[Requirement], Field(description="What must be given then.")] = Field(default_factory=list)
    at_most: Annotated[PowerWord | None, Field(description="The most power allowed then.")] = None


class InstancePolicyRow(Row):
    """What the owners allow on one instance."""

    admins: Annotated[AdminsRow | None, Field(description="How many may hold the top account role.")] = None
    limits: Annotated[LimitsRow | None, Field(description="What one run may do to one instance at most.")] = None
    wildcards: Annotated[WildcardsRow | None, Field(description="How much a grant on a pattern may give.")] = None
    protect: Annotated[Names, Field(description="Patterns on logins, e-mails and handles nobody touches.")] = Field(
        default_factory=list
    )
    rules: Annotated[list[RuleRow], Field(description="Rules on grants, by kind of user and by power.")] = Field(
        default_factory=list
    )


class PolicyRow(InstancePolicyRow):
    """What the owners allow."""

    timezone: Annotated[str | None, Field(description="Where days begin and end; UTC without it.")] = None


class InstanceRow(BaseModel):
    """One installation: the keys all platforms share. What else stands there is the platform's to judge."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    platform: Annotated[str, Field(description="What kind of analytics software this is.")]
    url: Annotated[str, Field(description="Where it answers. Credentials never stand here.")]
    self: Annotated[str | None, Field(description="The account whose credentials are used.")] = None
    mode: Annotated[Literal["full", "add-only", "observe"], Field(description="What may be done at all.")] = "full"
    manages: Annotated[Names | None, Field(description="The sites looked at; without it: all.")] = None
    unmanaged: Annotated[
        Literal["report", "revoke", "remove"], Field(description="What becomes of accounts nobody declared.")
    ] = "report"
    ignore: Annotated[Names, Field(description="Patterns on logins that get no step.")] = Field(default_factory=list)
    policy: Annotated[InstancePolicyRow | None, Field(description="What holds here beside the policy of the file.")] = (
        None
    )
    ca_file: Annotated[str | None, Field(description="Certificates to trust, relative to this file.")] = None
    accept_blind: Annotated[Names, Field(description="What this platform can never show, and you live with.")] = Field(
        default_factory=list
    )
    onboarding: Annotated[Literal["invite", "password"] | None, Field(description="How new accounts begin.")] = None
    native: Annotated[Flag, Field(description="Piwik PRO: groups of this file are groups there.")] = False


Sites = dict[str, SiteRow]
Users = dict[str, UserRow]
Groups = dict[str, Annotated[GroupRow, BeforeValidator(_grouped), Or(like="members")]]
Roles = dict[str, dict[str, Annotated[RoleRow, BeforeValidator(_roled), Or(("string",))]]]


class Included(Row):
    """A file that another one includes."""

    sites: Annotated[Sites, Field(description="Names and tags for sites.")] = Field(default_factory=dict)
    users: Annotated[Users, Field(description="Everybody whose access is managed, by handle.")] = Field(
        default_factory=dict
    )
    groups: Annotated[Groups, Field(description="Users and groups under one name.")] = Field(default_factory=dict)
    grants: Annotated[list[GrantRow] | None, Field(description="Who may do what, where.")] = None


class Document(Included):
    """The root file."""

    version: Annotated[Literal[1], Field(description="The version of this grammar.")]
    instances: Annotated[dict[str, InstanceRow], Field(description="The installations and accounts that are managed.")]
    include: Annotated[
        list[Annotated[IncludeRow, BeforeValidator(_pathed), Or(("string",))]],
        Field(description="Files of other teams, and what they may grant."),
    ] = Field(default_factory=list)
    journal: Annotated[JournalRow, Field(description="Where runs are recorded.")] = Field(default_factory=JournalRow)
    roles: Annotated[Roles, Field(description="Names for what each platform calls differently.")] = Field(
        default_factory=dict
    )
    policy: Annotated[PolicyRow, Field(description="What the owners allow.")] = Field(default_factory=PolicyRow)
