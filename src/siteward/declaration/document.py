"""The grammar of the file: its keys, and the kind of value that each takes.

Some values have a short form beside the long one (`to: anna` for `to: [anna]`); rows keep what was written, and
`build` unfolds it. The meaning of values, and their fit with the rest of the file, are left to `build` and the checks.
`schema` compiles these rows to a grammar for pydantic, which checks a file before rows are made of it; the JSON Schema
for editors, with the descriptions of keys and rows, comes from them too. After a change here, run
`make grammar schemas`.

A list or table that a site or user may leave out is `None` then: eleven empty ones for each user were a third of
reading 20,000 of them.

Annotations are evaluated as they stand: msgspec wants each of them, and as texts they would be compiled at every start.
"""

from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Meta, Struct

Kind = Literal["person", "service", "contractor", "client", "vendor"]
StateWord = Literal["active", "suspended", "absent", "alumni"]
InstanceStateWord = Literal["active", "suspended", "absent"]
"""A state on one instance: who left for good, left everywhere."""
ManagerWord = Literal["directory", "sso"]
PowerWord = Literal["view", "edit", "manage", "admin"]
MatchKey = Literal["kind", "power", "user", "account", "site", "scope", "role"]
REQUIREMENTS = ("until", "ticket", "reason", "email", "approval")
"""What a rule can require beside the names under `attests`."""
MATCHES: dict[str, tuple[str, ...]] = {
    "kind": get_args(Kind),
    "power": get_args(PowerWord),
    "scope": ("site", "metasite", "instance"),
}
"""The allowed values of those keys of `match` that have a fixed set."""

Text: TypeAlias = Annotated[str, Meta(min_length=1)]
Names: TypeAlias = Text | list[Text]
Word: TypeAlias = Text | int
"""A text that people also write as a bare number: an id, a ticket, a login."""
States: TypeAlias = StateWord | dict[Text, InstanceStateWord]
ManagedBy: TypeAlias = ManagerWord | dict[Text, ManagerWord]
Publicity: TypeAlias = bool | dict[Text, bool]
AtLeastOne: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Percent: TypeAlias = Annotated[int, Meta(ge=0, le=100)]
_DAY = r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)? ?(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
Date: TypeAlias = Annotated[
    str,
    Meta(
        extra_json_schema={"pattern": f"^{_DAY}([T ]{_TIME})?$"},
        extra={"hint": "write it as 2027-03-31"},
    ),
]
"""A day or an instant; the pattern is for editors alone, `window.moment` refuses with a better message."""

Duration: TypeAlias = Annotated[
    str, Meta(pattern=r"^[1-9][0-9]{0,3}d$(?!\n)", extra={"hint": "write it in days, such as 90d"})
]
"""A number of days."""

Seen: TypeAlias = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{16}$(?!\n)", extra={"hint": "write the 16 digits that `siteward plan -v` shows"})
]
"""The fingerprint of a finding: 16 hexadecimal digits."""


class Row(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The base of all tables of the file that refuse unknown keys; `from_` is written `from`."""


class SiteRow(Row, frozen=True):
    """A site of the file."""

    domain: Annotated[str, Meta(description="The domain as the platforms know it.")]
    name: Annotated[str | None, Meta(description="A name for people.")] = None
    tags: Annotated[list[str] | None, Meta(description="What `tag:` selects.")] = None
    on: Annotated[
        dict[Text, Word] | None, Meta(description="The site's id by instance, where its name is ambiguous.")
    ] = None
    only: Annotated[Names | None, Meta(description="The instances this site is on; without it: wherever it is.")] = None
    public: Annotated[
        Publicity | None,
        Meta(description="Whether everybody may look, by instance; a share link or public page counts."),
    ] = None
    owner: Annotated[Names | None, Meta(description="The users and groups that answer for it.")] = None


class LimitRow(Row, frozen=True):
    """A budget: min(count, max(2, ceil(percent of what is live)))."""

    count: Annotated[Count | None, Meta(description="How many.")] = None
    percent: Annotated[Percent | None, Meta(description="How many in a hundred of what is live.")] = None


class KeyRow(Row, frozen=True):
    """A key to an interface that a user holds; its value never stands in a file."""

    name: Annotated[Text, Meta(description="What it is called, once for each instance.")]
    on: Annotated[Text, Meta(description="The instance that it opens.")]
    holds: Annotated[PowerWord | None, Meta(description="The most power it carries.")] = None
    rotates: Annotated[Duration | None, Meta(description="How long it may be used, in days, such as 365d.")] = None
    since: Annotated[Date | None, Meta(description="The day it was made.")] = None
    used_by: Annotated[Text | None, Meta(description="What uses it.")] = None


class UserRow(Row, frozen=True):
    """A person or service of the file."""

    id: Annotated[Word | None, Meta(description="The directory's id of the person, which stays when names change.")] = (
        None
    )
    email: Annotated[str | None, Meta(description="The address; the login where a platform knows people by it.")] = None
    name: Annotated[str | None, Meta(description="A name for people.")] = None
    kind: Annotated[Kind, Meta(description="What rules match; `service` is no person.")] = "person"
    tags: Annotated[list[Text] | None, Meta(description="What `from: {tag: …}` of a group takes in.")] = None
    logins: Annotated[
        dict[Text, Word] | None, Meta(description="The login by instance, where it is not the handle.")
    ] = None
    ids: Annotated[
        dict[Text, Word] | None,
        Meta(
            description="The platform's id of the account by instance (Matomo: `date_registered`), which confirms it."
        ),
    ] = None
    managed_by: Annotated[
        ManagedBy | None,
        Meta(
            description="What makes and changes the account, by instance: a directory, or sign-on (sso). Grants are ours."
        ),
    ] = None
    state: Annotated[
        States | None,
        Meta(
            description="suspended: no access, account kept. absent: a tombstone. alumni: left for good, in no group or grant."
        ),
    ] = None
    from_: Annotated[Date | None, Meta(description="The first day, or an instant with an offset.")] = None
    until: Annotated[Date | None, Meta(description="The last day, or an instant with an offset.")] = None
    accounts: Annotated[
        Names | None, Meta(description="Instances on which an account is wanted even without a grant.")
    ] = None
    previously: Annotated[Names | None, Meta(description="Former handles, logins or e-mails.")] = None
    modules: Annotated[
        dict[Text, Names] | None, Meta(description="Piwik PRO: the modules that are on, by instance.")
    ] = None
    language: Annotated[str | None, Meta(description="Piwik PRO: the language of the account, such as de-DE.")] = None
    owner: Annotated[str | None, Meta(description="Who answers for a service.")] = None
    ticket: Annotated[Word | None, Meta(description="Where this was decided.")] = None
    reason: Annotated[str | None, Meta(description="Why this is so.")] = None
    keys: Annotated[
        list[KeyRow] | None, Meta(description="The keys to interfaces that it holds, never their values.")
    ] = None
    also: Annotated[
        list[Text] | None, Meta(description="Access elsewhere, in words, that ends by hand when somebody leaves.")
    ] = None
    attests: Annotated[
        dict[Text, Date] | None,
        Meta(description="What the person has signed or passed, and since when; rules can require it."),
    ] = None
    age: Annotated[str | None, Meta(description="The age recipient that new passwords are encrypted to.")] = None
    forge: Annotated[dict[Text, str] | None, Meta(description="Account names on code forges.")] = None


class MemberRow(Row, frozen=True):
    """A user or group in a group, for a time and for a cause."""

    user: Annotated[str, Meta(description="A user or a group.")]
    from_: Annotated[Date | None, Meta(description="The first day.")] = None
    until: Annotated[Date | None, Meta(description="The last day.")] = None
    ticket: Annotated[Word | None, Meta(description="Where this was decided.")] = None
    reason: Annotated[str | None, Meta(description="Why this is so.")] = None


Members: TypeAlias = str | list[str | MemberRow]


class FromRow(Row, frozen=True):
    """Whom a group takes in by itself: one of `all`, `kind`, `tag`, or a directory's group."""

    all: Annotated[
        Literal["people", "members"] | None,
        Meta(description="people: all who are no service. members: all in groups that list their members."),
    ] = None
    kind: Annotated[Kind | None, Meta(description="All users of this kind.")] = None
    tag: Annotated[Text | None, Meta(description="All users with this tag.")] = None
    directory: Annotated[Text | None, Meta(description="A directory; `group` names the group in it.")] = None
    group: Annotated[Text | None, Meta(description="The group in the directory.")] = None


class GroupRow(Row, frozen=True):
    """A group: its members, and what it is on a platform that has groups."""

    members: Annotated[
        Members | None,
        Meta(
            description="Users and groups; `!` takes one out; `external`: a directory owns them. Needed without `from`."
        ),
    ] = None
    from_: Annotated[
        FromRow | list[FromRow], Meta(description="Whom it takes in by itself; `members` adds, and `!` takes out.")
    ] = []
    native: Annotated[str | None, Meta(description="The group's name on the platform.")] = None
    owner: Annotated[Names, Meta(description="The users and groups that answer for it.")] = []
    description: Annotated[Text | None, Meta(description="What it is for.")] = None
    ticket: Annotated[Word | None, Meta(description="Where this was decided; it counts for each membership.")] = None
    previously: Annotated[Names, Meta(description="Former names of the group.")] = []


class RoleRow(Row, frozen=True):
    """A role of the file on one platform."""

    role: Annotated[str, Meta(description="A portable name, or the platform's own.")]
    extras: Annotated[list[str] | None, Meta(description="Rights beside the role; [] for none.")] = None


class GrantRow(Row, frozen=True):
    """One line of grants."""

    to: Annotated[Names, Meta(description="Users and groups.")]
    role: Annotated[str, Meta(description="A portable name, a role of this file, or platform:native.")]
    sites: Annotated[Names | None, Meta(description="Selectors; without them the role is the account's.")] = None
    metasites: Annotated[Names | None, Meta(description="Piwik PRO: meta sites by name.")] = None
    on: Annotated[Names | None, Meta(description="The instances; an account role needs them.")] = None
    from_: Annotated[Date | None, Meta(description="The first day, or an instant with an offset.")] = None
    until: Annotated[Date | None, Meta(description="The last day, or an instant with an offset.")] = None
    extras: Annotated[list[str] | None, Meta(description="Rights beside the role; [] for none.")] = None
    ticket: Annotated[Word | None, Meta(description="Where this was decided.")] = None
    reason: Annotated[str | None, Meta(description="Why this is so.")] = None


class IncludeRow(Row, frozen=True):
    """Another file, and the bounds of its grants; or the file that a directory's people are written to."""

    path: Annotated[Text, Meta(description="Relative to this file, and under its folder.")]
    sites: Annotated[Names | None, Meta(description="The sites it may grant on.")] = None
    at_most: Annotated[PowerWord | None, Meta(description="The most power it may grant.")] = None
    directory: Annotated[
        Text | None, Meta(description="The directory whose people and groups it holds; without `sites` and `at_most`.")
    ] = None


class JournalRow(Row, frozen=True):
    """The place where runs are recorded."""

    dir: Annotated[Text, Meta(description="A folder, relative to this file.")] = ".siteward"


class AdminsRow(Row, frozen=True):
    """The number of accounts that may hold the top account role."""

    min: Annotated[AtLeastOne | None, Meta(description="Never fewer than these.")] = None
    max: Annotated[AtLeastOne | None, Meta(description="Never more than these.")] = None


class ManagersRow(Row, frozen=True):
    """The number of persons who may manage each site."""

    min: Annotated[AtLeastOne, Meta(description="A warning names the sites with fewer.")]


class ReviewsRow(Row, frozen=True):
    """How often access is reviewed; of several that fit, the shortest holds."""

    admins: Annotated[Duration | None, Meta(description="For whoever holds the top account role.")] = None
    services: Annotated[Duration | None, Meta(description="For services.")] = None
    everybody: Annotated[Duration | None, Meta(description="For everybody.")] = None


class WaiverRow(Row, frozen=True, kw_only=True):
    """A finding that the owners live with, for a reason and until a day."""

    rule: Annotated[Text, Meta(description="The id of the finding's rule.")]
    on: Annotated[Names | None, Meta(description="The instances; without it: all.")] = None
    about: Annotated[Text | None, Meta(description="The site, team or group that it is about.")] = None
    reason: Annotated[Text, Meta(description="Why this is so.")]
    until: Annotated[Date, Meta(description="The last day, within 400 days.")]
    seen: Annotated[Seen, Meta(description="The fingerprint of what was seen; another finding is not waived.")]


class LimitsRow(Row, frozen=True):
    """The most that one run may do to one instance."""

    removals: Annotated[LimitRow | None, Meta(description="Accounts that lose all access.")] = None
    revocations: Annotated[LimitRow | None, Meta(description="Grants lost.")] = None
    escalations: Annotated[LimitRow | None, Meta(description="Powers raised.")] = None
    expiries: Annotated[LimitRow | None, Meta(description="Grants that end by their dates.")] = None
    mails: Annotated[LimitRow | None, Meta(description="Mails sent.")] = None


class WildcardsRow(Row, frozen=True):
    """The most power of a grant on a pattern."""

    at_most: Annotated[PowerWord, Meta(description="The most power.")]


class NotWithRow(Row, frozen=True):
    """What must not be held beside a right."""

    group: Annotated[Text, Meta(description="A group of which nobody may be a member at the same time, by any path.")]


class RuleRow(Row, frozen=True):
    """A rule on grants: what must be given and what is not allowed where all of `match` holds."""

    id: Annotated[str, Meta(description="What the rule is called where it is broken.")]
    match: Annotated[
        dict[MatchKey, Text],
        Meta(
            description="What all must hold for the rule to speak.",
            extra_json_schema={  # which msgspec's own leaves out
                "propertyNames": {"enum": list(get_args(MatchKey))},
                "properties": {key: {"enum": list(words)} for key, words in MATCHES.items()},
            },
        ),
    ]
    require: Annotated[
        list[Text],
        Meta(
            description="What must be given then: until, ticket, reason, email, approval, or a name under `attests`.",
            extra_json_schema={"examples": [["until"], ["ticket", "reason"]]},
        ),
    ] = []
    at_most: Annotated[PowerWord | None, Meta(description="The most power allowed then.")] = None
    at_most_for: Annotated[Duration | None, Meta(description="How long it may last from now on, such as 90d.")] = None
    not_with: Annotated[NotWithRow | None, Meta(description="What nobody may have at the same time.")] = None
    login: Annotated[Text | None, Meta(description="The pattern that the account's login must match.")] = None


class InstancePolicyRow(Row, frozen=True):
    """The policy on one instance."""

    admins: Annotated[AdminsRow | None, Meta(description="How many may hold the top account role.")] = None
    managers: Annotated[ManagersRow | None, Meta(description="How many must be able to manage each site.")] = None
    limits: Annotated[LimitsRow | None, Meta(description="What one run may do to one instance at most.")] = None
    wildcards: Annotated[WildcardsRow | None, Meta(description="How much a grant on a pattern may give.")] = None
    protect: Annotated[Names, Meta(description="Patterns on logins, e-mails and handles nobody touches.")] = []
    rules: Annotated[list[RuleRow], Meta(description="Rules on grants, by kind of user and by power.")] = []


class PolicyRow(InstancePolicyRow, frozen=True):
    """The policy of the file."""

    timezone: Annotated[str | None, Meta(description="Where days begin and end; UTC without it.")] = None
    reviews: Annotated[ReviewsRow | None, Meta(description="How often access is reviewed.")] = None
    waivers: Annotated[list[WaiverRow], Meta(description="Findings that the owners live with until a day.")] = []


class LdapMapRow(Row, frozen=True):
    """The attributes of a directory's entries that hold what a user needs."""

    id: Annotated[Text, Meta(description="What stays of an entry for good.")] = "entryUUID"
    handle: Annotated[Text, Meta(description="What the user is called in the file.")] = "uid"
    email: Annotated[Text, Meta(description="The address.")] = "mail"
    name: Annotated[Text, Meta(description="A name for people.")] = "cn"


class LdapRow(Row, frozen=True):
    """A server of directory entries, and whom it is asked for. Credentials never stand here."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^ldaps?://[^\s/?#]+/?$(?!\n)",
            description="Where it answers.",
            extra={"hint": "write it as ldaps://ldap.example.org"},
        ),
    ]
    base: Annotated[Text, Meta(description="The entry below which it is searched.")]
    filter: Annotated[Text, Meta(description="Which entries are people.")] = "(mail=*)"
    map: Annotated[LdapMapRow, Meta(description="Which attributes are read.")] = LdapMapRow()


class ExpectsRow(Row, frozen=True):
    """The witnesses of a listing: what a complete one must hold."""

    at_least: Annotated[AtLeastOne | None, Meta(description="The fewest people in it.")] = None
    people: Annotated[Names, Meta(description="People who are in it.")] = []


class DirectoryRow(Row, frozen=True):
    """A directory of people: a file that is exported from it, or an LDAP server."""

    file: Annotated[Text | None, Meta(description="A .csv, .json (SCIM list) or .ldif file, relative to this one.")] = (
        None
    )
    ldap: Annotated[LdapRow | None, Meta(description="An LDAP server.")] = None
    shrink: Annotated[
        LimitRow | None, Meta(description="How many people may be gone from one listing to the next.")
    ] = None
    expects: Annotated[ExpectsRow | None, Meta(description="What a complete listing must hold.")] = None


class InstanceRow(Struct, frozen=True):
    """One installation: the keys all platforms share. Other keys are the platform's."""

    platform: Annotated[str, Meta(description="What kind of analytics software this is.")]
    url: Annotated[
        str, Meta(description="Where it answers, with its base path if it has one. Credentials never stand here.")
    ]
    self: Annotated[Text | None, Meta(description="The account whose credentials are used.")] = None
    mode: Annotated[Literal["full", "add-only", "observe"], Meta(description="What may be done at all.")] = "full"
    manages: Annotated[Names | None, Meta(description="The sites looked at; without it: all.")] = None
    unmanaged: Annotated[
        Literal["report", "revoke", "remove"], Meta(description="What becomes of accounts nobody declared.")
    ] = "report"
    ignore: Annotated[Names, Meta(description="Patterns on logins that get no step.")] = []
    policy: Annotated[InstancePolicyRow | None, Meta(description="What holds here beside the policy of the file.")] = (
        None
    )
    ca_file: Annotated[Text | None, Meta(description="Certificates to trust, relative to this file.")] = None
    accept_blind: Annotated[Names, Meta(description="What this platform can never show, and you live with.")] = []
    onboarding: Annotated[Literal["invite", "password"] | None, Meta(description="How new accounts begin.")] = None
    managed_by: Annotated[
        ManagerWord | None,
        Meta(description="What makes and changes the accounts: a directory, or sign-on (sso). Grants are ours."),
    ] = None
    native: Annotated[bool, Meta(description="Piwik PRO: groups of this file are groups there.")] = False
    public: Annotated[
        bool | None,
        Meta(
            description="false: nobody looks without an account, on any site and on those to come.",
            extra_json_schema={"enum": [False]},
        ),
    ] = None


Sites: TypeAlias = dict[Text, SiteRow]
Users: TypeAlias = dict[Text, UserRow]
Groups: TypeAlias = dict[Text, str | list[str | MemberRow] | GroupRow]
Roles: TypeAlias = dict[Text, dict[Text, str | RoleRow]]


class Included(Row, frozen=True):
    """A file that another one includes."""

    sites: Annotated[Sites, Meta(description="Names and tags for sites.")] = {}
    users: Annotated[Users, Meta(description="Everybody whose access is managed, by handle.")] = {}
    groups: Annotated[Groups, Meta(description="Users and groups under one name.")] = {}
    grants: Annotated[list[GrantRow] | None, Meta(description="Who may do what, where.")] = None


class Document(Included, frozen=True, kw_only=True):
    """The root file."""

    version: Annotated[Literal[1], Meta(description="The version of this grammar.")]
    instances: Annotated[dict[Text, InstanceRow], Meta(description="The installations and accounts that are managed.")]
    include: Annotated[
        list[str | IncludeRow],
        Meta(description="Files of other teams, and what they may grant."),
    ] = []
    journal: Annotated[JournalRow, Meta(description="Where runs are recorded.")] = JournalRow()
    directories: Annotated[dict[Text, DirectoryRow], Meta(description="Where people and their groups come from.")] = {}
    roles: Annotated[Roles, Meta(description="Names for what each platform calls differently.")] = {}
    policy: Annotated[PolicyRow, Meta(description="What the owners allow.")] = PolicyRow()


class ListedUserRow(Row, frozen=True):
    """A person whom a directory lists."""

    id: Annotated[Word, Meta(description="The directory's id of the person.")]
    login: Annotated[
        Text | None,
        Meta(description="The login there, where it is not the handle; so are accounts called that it makes."),
    ] = None
    email: Annotated[str | None, Meta(description="The address.")] = None
    name: Annotated[str | None, Meta(description="A name for people.")] = None
    state: Annotated[
        Literal["suspended"] | None, Meta(description="suspended: disabled in the directory, or not in it any more.")
    ] = None
    until: Annotated[Date | None, Meta(description="The last day that the directory gives.")] = None


class ListedGroupRow(Row, frozen=True):
    """A group that a directory lists."""

    members: Annotated[list[Text], Meta(description="The people in it.")]


class DirectoryFile(Row, frozen=True):
    """The file that a directory's people and groups are written to; nobody edits it."""

    directory: Annotated[Text, Meta(description="The directory that they come from.")]
    users: Annotated[dict[Text, ListedUserRow], Meta(description="The people, by handle.")] = {}
    groups: Annotated[dict[Text, ListedGroupRow], Meta(description="The groups, each named after the directory.")] = {}
