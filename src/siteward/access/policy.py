"""The owners' policy for one instance, the stricter of two policies, and the engine that judges a right by a rule.

There is one engine: `validate` asks it about the lines of the file, `plan` and `apply` about rights on what was read.
Rules judge power, never the name of a role alone; a rule on a power is about every greater one too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, Severity, Span, diagnostic, plural
from siteward.access.model import Grant, Key, Power, Scope
from siteward.access.patterns import fold, matcher
from siteward.access.state import DeclaredUser, Memberships, Site
from siteward.access.traits import Role, Traits
from siteward.access.window import ALWAYS, Window

Mode = Literal["full", "add-only", "observe"]
Unmanaged = Literal["report", "revoke", "remove"]
MODES: tuple[Mode, ...] = ("observe", "add-only", "full")
UNMANAGED: tuple[Unmanaged, ...] = ("report", "revoke", "remove")
APPROVAL = "approval"
"""What a rule can ask for and only an apply can judge."""
SET_BACK = timedelta(hours=1)
"""What a number of days may have beyond 24 hours each: clocks are set back once in a year."""
MOST_WAIVED = 400
"""The most days from now to the last day of a waiver."""
FIELDS = ("ticket", "reason", "until", "email")
"""The fields that a rule can ask for."""
REVIEWED = ("admins", "services", "everybody")
"""Those for whom the owners say how often their access is reviewed."""
SITE_WORDS = ("tag:", "sitegroup:", "id:")
"""The beginnings of site names that are no domain and no name for people."""
T = TypeVar("T")


class Limit(Struct, frozen=True, kw_only=True):
    """A budget: allowed is ``min(count, max(2, ceil(percent of live managed)))``; `None` leaves that side open."""

    count: int | None = None
    percent: int | None = None
    at: Span | None = None


class Waiver(Struct, frozen=True, kw_only=True):
    """A finding that the owners live with: its rule, on which instances (`None`: all) and about what, until when.

    `seen` is the fingerprint of the finding, `ends` the end as the file says it.
    """

    rule: str
    on: tuple[str, ...] | None = None
    about: str | None = None
    reason: str
    until: datetime
    ends: str = ""
    seen: str
    at: Span | None = None

    def __str__(self) -> str:
        return f"the waiver of `{self.rule}`{f' about {self.about}' if self.about is not None else ''}"

    def is_too_long(self, now: datetime) -> bool:
        """Return whether it ends later than any may; its last day counts whole, in whatever time zone."""
        return self.until - now > timedelta(days=MOST_WAIVED + 1)


class Rule(Struct, frozen=True, kw_only=True):
    """One rule of the owners: on grants that match, what must be given, and what is allowed at most.

    `require` are fields, and names that the person must attest. `at_most_for` is in days; `not_with` is a declared group
    that the person must not be in at the same time; `login` is a pattern on the account's login. `match` compares with `kind`, `power` (at least), `user`, `account`, `site`, `scope` and `role`; all must hold.
    A `site` is written as it is compared: in lower case and IDNA. `revision` names where the rule stands, if that is
    not the checkout; it has no place in the checkout then.
    """

    id: str
    match: Mapping[str, str]
    require: tuple[str, ...] = ()
    at_most: Power | None = None
    at_most_for: int | None = None
    not_with: str | None = None
    login: str | None = None
    at: Span | None = None
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.id} of {self.revision}" if self.revision else self.id


LIMIT_NAMES = ("removals", "revocations", "escalations", "expiries", "mails")
DEFAULT_LIMITS: Mapping[str, Limit] = {
    "removals": Limit(count=5, percent=20),
    "revocations": Limit(count=50, percent=20),
    "escalations": Limit(count=5),
    "expiries": Limit(percent=50),
    "mails": Limit(count=50),
}


class Policy(Struct, frozen=True, kw_only=True):
    """The policy that holds for one instance: the file's, with what the instance says on top.

    `protect` are patterns on live login, e-mail and handle, compared case-folded; `ignore` are patterns on
    logins that get no step. `accept_blind` names blind spots that the owners live with. `managers_min` is how many
    persons must be able to manage each site; `reviews` is after how many days what is reviewed again.
    """

    mode: Mode = "full"
    unmanaged: Unmanaged = "report"
    admins_min: int = 1
    admins_max: int | None = None
    admins_at: Span | None = None
    limits: Mapping[str, Limit] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    wildcards_at_most: Power = Power.VIEW
    protect: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    accept_blind: frozenset[str] = frozenset()
    managers_min: int = 0
    managers_at: Span | None = None
    reviews: Mapping[str, int] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()


def strictest(first: Policy, second: Policy) -> Policy:
    """Return the policy that forbids what either forbids, so that a change cannot weaken the rule it must pass."""
    return Policy(
        mode=min(first.mode, second.mode, key=MODES.index),
        unmanaged=min(first.unmanaged, second.unmanaged, key=UNMANAGED.index),
        admins_min=max(first.admins_min, second.admins_min),
        admins_max=_chosen(min, first.admins_max, second.admins_max),
        admins_at=first.admins_at or second.admins_at,
        limits={name: _stricter_limit(_limit(first, name), _limit(second, name)) for name in LIMIT_NAMES},
        wildcards_at_most=min(first.wildcards_at_most, second.wildcards_at_most),
        protect=tuple(dict.fromkeys((*first.protect, *second.protect))),
        ignore=tuple(dict.fromkeys((*first.ignore, *second.ignore))),
        rules=_united_rules(first.rules, second.rules),
        accept_blind=first.accept_blind & second.accept_blind,
        managers_min=max(first.managers_min, second.managers_min),
        managers_at=first.managers_at or second.managers_at,
        reviews={
            name: days
            for name in REVIEWED
            if (days := _chosen(min, first.reviews.get(name), second.reviews.get(name))) is not None
        },
        waivers=_common_waivers(first.waivers, second.waivers),
    )


def _common_waivers(first: Iterable[Waiver], second: Iterable[Waiver]) -> tuple[Waiver, ...]:
    """Return what waivers of both silence, as waivers of `first`: on the instances of both, until the sooner end."""
    others = tuple(second)
    found: list[Waiver] = []
    for waiver in first:
        for other in others:
            about = {about for about in (waiver.about, other.about) if about is not None}
            on = waiver.on if other.on is None else other.on if waiver.on is None else _both(waiver.on, other.on)
            if (waiver.rule, waiver.seen) == (other.rule, other.seen) and len(about) < 2 and on != ():
                sooner = min(waiver, other, key=lambda end: end.until)
                named = next(iter(about), None)
                found.append(replace(waiver, on=on, about=named, until=sooner.until, ends=sooner.ends))
    return tuple(dict.fromkeys(found))


def _both(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in first if name in second)


def _limit(policy: Policy, name: str) -> Limit:
    return policy.limits.get(name, DEFAULT_LIMITS[name])


def _chosen(choose: Callable[..., T], *values: T | None) -> T | None:
    given = [value for value in values if value is not None]
    return choose(given) if given else None


def _stricter_limit(first: Limit, second: Limit) -> Limit:
    """Return the smaller of each side; the place is that of the one that decides."""
    count, percent = _chosen(min, first.count, second.count), _chosen(min, first.percent, second.percent)
    decides = first if (count, percent) == (first.count, first.percent) else second
    return Limit(count=count, percent=percent, at=decides.at or first.at)


def _united_rules(first: tuple[Rule, ...], second: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules of both; what both say in the same words stands once."""
    known = set(map(_wording, first))
    return (*first, *(rule for rule in second if _wording(rule) not in known))


def _wording(rule: Rule) -> str:
    """Return what a rule says, wherever it stands."""
    return repr(replace(rule, at=None, revision=""))


class Person(Struct, frozen=True):
    """The person who has a right: the name for messages, the declared user if there is one, and the logins of the account.

    `given` are the fields that stand on the user and so count for every grant; `attests` are the moments since which the
    person has what the names say.
    """

    name: str
    handle: str | None = None
    kind: str | None = None
    logins: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    attests: Mapping[str, datetime] = MappingProxyType({})


class Gain(Struct, frozen=True):
    """A right of somebody, as rules see it.

    `scope` is the kind of scope, `role` the role as people read it and `roles` all names it goes by. `sites` are the
    names of the site, or a pattern that reaches it; `None` where the right is on no site. `given` are the fields
    that stand on the grant. `window` is the time in which it holds, `None` where that is over.
    """

    person: Person
    scope: str
    power: Power
    role: str
    roles: frozenset[str] = frozenset()
    sites: frozenset[str] | None = None
    given: frozenset[str] = frozenset()
    window: Window | None = ALWAYS


class Times(Struct, frozen=True):
    """The moment at which rights are judged, and the times in which users are in declared groups."""

    now: datetime
    memberships: Memberships


class Breach(Struct, frozen=True):
    """A way in which a right breaks a rule: it lacks what `lacks` names, or it is what the rule does not allow."""

    rule: Rule
    message: str
    lacks: str | None = None
    hint: str | None = None

    def told(self, at: Span | None, *, severity: Severity = Severity.ERROR, about: Key | None = None) -> Diagnostic:
        """Return the diagnostic, at the place in the file that asks for the right, with the rule's own place beside."""
        related = (self.rule.at,) if self.rule.at is not None else ()
        rule, hint = self.rule.id, self.hint
        return diagnostic(severity, rule, self.message, at=at, about=about, hint=hint, related=related)


def person_of(account: str, declared_user: DeclaredUser | None, *more: str | None) -> Person:
    """Return the person behind an account; `more` are further logins of it, such as the one it is renamed to."""
    logins = tuple(dict.fromkeys(login for login in (account, *more) if login))
    if declared_user is None:
        return Person(account, logins=logins)
    fields = {name for name in FIELDS if getattr(declared_user, name)}
    handle, attests = declared_user.handle, declared_user.attests
    return Person(handle, handle, declared_user.kind, logins, frozenset(fields), attests)


def role_names(grant: Grant, traits: Traits) -> frozenset[str]:
    """Return all names that the role of a grant goes by."""
    role = traits.role(grant.scope.kind, grant.role)
    return names_of_role(role if role is not None else Role(name=grant.role, power=Power.NONE), traits.platform)


def names_of_role(role: Role, platform: str) -> frozenset[str]:
    """Return all names of a native role: its own, with the platform before it, and the portable one."""
    return frozenset({role.name, f"{platform}:{role.name}", role.portable or role.name})


def site_names(scope: Scope, site: Site | None, declared: Iterable[str] = ()) -> frozenset[str]:
    """Return all names a site goes by, folded: live ones, and those the file has for it (handles, domains, tags)."""
    names = {scope.name, *declared}
    if site is not None:
        names |= {site.label, site.name, *site.domains, f"id:{site.id}", f"sitegroup:{site.group}"}
    return frozenset(fold(name) for name in names if name and name != "sitegroup:")


def least_power(rule: Rule) -> Power:
    """Return the least power that a rule is about."""
    return Power[rule.match["power"].upper()] if "power" in rule.match else Power.NONE


def concerning(rules: Iterable[Rule], person: Person) -> tuple[Rule, ...]:
    """Return the rules that are about a person, whatever the right."""
    return tuple(rule for rule in rules if _about_person(rule.match, person))


class RulesByKind(Struct, frozen=True):
    """The owners' rules by what is known of a right before its person and its site are looked at."""

    rules: tuple[Rule, ...]
    _found: dict[tuple[str | None, Power], tuple[Rule, ...]] = {}

    def about(self, kind: str | None, power: Power) -> tuple[Rule, ...]:
        """Return the rules that can be about a right of that power that people of that kind have."""
        found = self._found.get((kind, power))
        if found is None:
            rules = (rule for rule in self.rules if rule.match.get("kind", kind) == kind and power >= least_power(rule))
            found = self._found[kind, power] = tuple(rules)
        return found


def about_right(rule: Rule, gain: Gain) -> bool:
    """Return whether a rule is about a right, whoever has it."""
    match = rule.match
    return (
        gain.power >= least_power(rule)
        and ("scope" not in match or match["scope"] == gain.scope)
        and ("role" not in match or match["role"] in gain.roles)
        and ("site" not in match or (gain.sites is not None and _fits_site(match["site"], gain.sites)))
    )


def judge(rules: Iterable[Rule], gain: Gain, times: Times | None) -> Iterator[Breach]:
    """Yield how a right breaks rules that are about its person (see `concerning`); none for one about other rights.

    Without `times` nothing is judged that depends on the moment.
    """
    for rule in rules:
        if about_right(rule, gain):
            yield from _breaches(rule, gain, times)
            if times is not None and gain.window is not None:
                yield from _untimely(rule, gain, gain.window, times)


def _breaches(rule: Rule, gain: Gain, times: Times | None) -> Iterator[Breach]:
    """Yield how a right breaks a rule that is about it: by what it lacks, by its power, and by the account's login."""
    who, person = gain.person.name, gain.person
    for name in rule.require:
        if name in FIELDS and name not in gain.given and name not in person.given:
            message = f"`{who}` may have `{gain.role}` only with `{name}`, by the rule {rule}"
            yield Breach(rule, message, name, f"give `{name}` here or on the user")
        elif name not in FIELDS and name != APPROVAL and not _is_attested(name, person, times):
            message = f"`{who}` may have `{gain.role}` only with `{name}` attested, by the rule {rule}"
            yield Breach(rule, message, name, f"write the day under `attests: {{{name}: …}}` of the user")
    if rule.at_most is not None and gain.power > rule.at_most:
        allowed = f"`{who}` may have {rule.at_most.word} at most, by the rule {rule}"
        yield Breach(rule, f"{allowed}, and this is {gain.power.word}")
    if rule.login is not None and person.logins and not _fits(rule.login, person.logins[-1:]):
        message = f"`{who}` may have `{gain.role}` only by a login like `{rule.login}`, by the rule {rule}"
        yield Breach(rule, f"{message}, and this is `{person.logins[-1]}`")


def _is_attested(name: str, person: Person, times: Times | None) -> bool:
    since = person.attests.get(name)
    return since is not None and (times is None or since <= times.now)


def _untimely(rule: Rule, gain: Gain, window: Window, times: Times) -> Iterator[Breach]:
    """Yield how a right breaks a rule by the time in which it holds: it lasts too long, or beside a membership."""
    who = gain.person.name
    if rule.at_most_for is not None:
        start = times.now if window.start is None else max(window.start, times.now)
        if window.end is None or window.end - start > timedelta(days=rule.at_most_for) + SET_BACK:
            message = (
                f"`{who}` may have `{gain.role}` for {plural(rule.at_most_for, 'day')} at most, by the rule {rule}"
            )
            yield Breach(rule, message, "until", "give an earlier `until` here or on the user")
    ways = times.memberships.get(rule.not_with or "", {}).get(gain.person.handle or "", ())
    for common in (way.window.meet(window) for way in ways):
        if not common.empty and (common.end is None or common.end > times.now):
            message = (
                f"`{who}` may not have `{gain.role}` and be in `{rule.not_with}` at the same time, by the rule {rule}"
            )
            yield Breach(rule, message)
            break


def _about_person(match: Mapping[str, str], person: Person) -> bool:
    return (
        ("kind" not in match or match["kind"] == person.kind)
        and ("user" not in match or _fits(match["user"], (person.handle,)))
        and ("account" not in match or _fits(match["account"], person.logins))
    )


def _fits(pattern: str, names: Iterable[str | None]) -> bool:
    test = matcher(fold(pattern))
    return any(test(fold(name)) for name in names if name is not None)


@lru_cache(maxsize=16384)  # many rights are on the same few sites
def _fits_site(pattern: str, names: frozenset[str]) -> bool:
    """Return whether a site of these names is meant; a pattern without `tag:` and the like is about domains and names."""
    wanted = fold(pattern)
    test, prefix = matcher(wanted), next((word for word in SITE_WORDS if wanted.startswith(word)), None)
    if prefix is not None:
        return any(test(name) for name in names if name.startswith(prefix))
    return any(test(name) for name in names if not name.startswith(SITE_WORDS))
