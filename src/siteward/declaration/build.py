"""The declared values, built from the rows of the grammar.

`Builder` turns the rows of one file into sites, users, groups, roles and grants; dates become instants. `Instances`
builds the instances of the root file and checks their own keys by the platform's settings; `Policies` lays the policy
of an instance over that of the file. All three collect diagnostics instead of raising.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural, problem
from siteward.access.hosts import AddressError, address_of, domain_in
from siteward.access.model import Power
from siteward.access.policy import LIMIT_NAMES, Limit, Policy, Rule
from siteward.declaration import document
from siteward.declaration.declared import (
    EVERY,
    Bound,
    Grant,
    Group,
    Instance,
    Location,
    Member,
    Role,
    RoleOn,
    Site,
    User,
)
from siteward.declaration.document import MATCHES, InstanceRow
from siteward.declaration.grammar import fitted, keys_of, misfits, said, unknown_key
from siteward.declaration.selector import parse, takes_none_in
from siteward.declaration.source import Table
from siteward.declaration.window import ALWAYS, BadDateError, Window, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.document import InstancePolicyRow, LimitRow, MatchKey, PolicyRow, RuleRow
    from siteward.declaration.source import Items, Path, Source


R = TypeVar("R")
V = TypeVar("V")
POWERS: Mapping[str, Power] = {power.word: power for power in Power if power is not Power.NONE}


def listed(names: document.Names) -> tuple[str, ...]:
    """Return names as a tuple; a single one may be written without brackets."""
    return (names,) if isinstance(names, str) else tuple(names)


def _by_instance(value: V | dict[str, V]) -> dict[str, V]:
    """Return a value by instance; a single one that stands for all is put under `EVERY`."""
    return value if isinstance(value, dict) else {EVERY: value}


def _write_words(words: Mapping[str, document.Word]) -> dict[str, str]:
    return {name: str(word) for name, word in words.items()}


def _strip(word: document.Word | None) -> str | None:
    """Return a text without blanks around it; `None` where nothing is left, so that blanks satisfy no rule."""
    return None if word is None else str(word).strip() or None


class Builder(Struct):
    """A builder of the declared values of one file, which collects diagnostics. `zone` is where its days begin."""

    source: Source
    zone: tzinfo
    diagnostics: list[Diagnostic] = []
    _moments: dict[tuple[str, str], datetime | BadDateError] = {}

    def sites(self, rows: Mapping[str, document.SiteRow], bound: Bound | None = None) -> Iterator[Site]:
        """Yield the sites; one that is open to everybody is refused in a file whose grants have a `bound`."""
        for handle, row, at, location in self._locate_rows("sites", rows):
            public = _by_instance(row.public)
            if bound is not None and any(public.values()):
                message = "this file may grant within bounds, and not open sites to everybody"
                self.diagnostics.append(problem("beyond-include", message, location.at("public"), related=(bound.at,)))
            yield Site(
                handle=handle,
                domain=row.domain,
                name=row.name,
                tags=frozenset(row.tags),
                pins=_write_words(row.on),
                only=None if row.only is None else frozenset(listed(row.only)),
                public=public,
                owner=tuple(listed(row.owner)),
                at=at,
                location=location,
            )

    def users(self, rows: Mapping[str, document.UserRow]) -> Iterator[User]:
        """Yield the users, in the order of the file."""
        for handle, row, at, location in self._locate_rows("users", rows):
            yield User(
                handle=handle,
                email=row.email,
                name=row.name,
                kind=row.kind,
                logins=_write_words(row.logins),
                ids=_write_words(row.ids),
                states=_by_instance(row.state),
                managed_by=_by_instance(row.managed_by),
                window=self._build_window(row.from_, row.until, location),
                accounts=tuple(listed(row.accounts)),
                previously=tuple(listed(row.previously)),
                modules={name: tuple(listed(module)) for name, module in row.modules.items()},
                language=row.language,
                owner=row.owner,
                ticket=_strip(row.ticket),
                reason=_strip(row.reason),
                age=row.age,
                forge=row.forge,
                at=at,
                location=location,
            )

    def groups(self, rows: document.Groups) -> Iterator[Group]:
        """Yield the groups, in the order of the file."""
        for handle, row, at, location in self._locate_rows("groups", rows):
            if not isinstance(row, document.GroupRow):
                yield Group(handle=handle, members=self._members(row, location), at=at, location=location)
            elif row.members == "external":
                owner = tuple(listed(row.owner))
                yield Group(handle=handle, native=row.native, external=True, owner=owner, at=at, location=location)
            else:
                members, owner = self._members(row.members, location, "members"), tuple(listed(row.owner))
                yield Group(handle=handle, members=members, native=row.native, owner=owner, at=at, location=location)

    def _members(self, rows: document.Members, location: Location, *deeper: str) -> tuple[Member, ...]:
        return tuple(
            Member(row.removeprefix("!"), ALWAYS, row.startswith("!"))
            if isinstance(row, str)
            else Member(
                row.user.removeprefix("!"),
                self._build_window(row.from_, row.until, location, *deeper, number),
                row.user.startswith("!"),
                _strip(row.ticket),
                _strip(row.reason),
            )
            for number, row in enumerate([rows] if isinstance(rows, str) else rows)
        )

    def roles(self, rows: document.Roles) -> Iterator[Role]:
        """Yield the roles, in the order of the file."""
        for handle, row, at, location in self._locate_rows("roles", rows):
            on = {
                name: RoleOn(role)
                if isinstance(role, str)
                else RoleOn(role.role, None if role.extras is None else frozenset(role.extras))
                for name, role in row.items()
            }
            yield Role(handle=handle, on=on, at=at, location=location)

    def grants(self, rows: Sequence[tuple[int, document.GrantRow]], bound: Bound | None) -> Iterator[Grant]:
        """Yield the grants; each row comes with its number in the file, and `bound` is the including file's."""
        if not rows:
            return
        items, mark, source = cast("Items", self.source.data["grants"]), self.source.mark, self.source
        for number, row in rows:
            location = Location(source, ("grants", number))
            window = (
                ALWAYS
                if row.from_ is None and row.until is None
                else self._build_window(row.from_, row.until, location)
            )
            yield Grant(
                to=listed(row.to),
                role=row.role,
                sites=listed(row.sites) if row.sites is not None else (),
                metasites=listed(row.metasites) if row.metasites is not None else (),
                on=None if row.on is None else listed(row.on),
                window=window,
                extras=None if row.extras is None else frozenset(row.extras),
                ticket=_strip(row.ticket),
                reason=_strip(row.reason),
                bound=bound,
                at=mark(items, number),
                location=location,
            )

    def bound(self, row: document.IncludeRow, at: Span) -> Bound | None:
        """Return the bounds of an included file; `None` where its entry sets none. `at` is the place of the entry."""
        if row.sites is None and row.at_most is None:
            return None
        sites = None if row.sites is None else tuple(map(parse, listed(row.sites)))
        if row.sites is not None and takes_none_in(listed(row.sites)):
            message = "the bounds of this include leave sites out and take none in"
            self.diagnostics.append(problem("only-exclusions", message, at, hint='begin them with "*"'))
        return Bound(sites=sites, at_most=POWERS[row.at_most] if row.at_most else None, at=at)

    def _locate_rows(self, section: str, rows: Mapping[str, R]) -> Iterator[tuple[str, R, Span, Location]]:
        """Yield the handle, row and place of each valid row of a section."""
        if not rows:
            return
        table = cast("Table", self.source.data[section])
        for number, handle in enumerate(table):
            row = rows.get(handle)
            if row is not None:
                yield handle, row, self.source.mark(table, number), Location(self.source, (section, handle))

    def _build_window(self, start: str | None, until: str | None, location: Location, *more: str | int) -> Window:
        """Return the window of a value at `location`, or of its part at `more`; `ALWAYS` where it is refused."""
        if start is None and until is None:
            return ALWAYS
        begins = self._parse_moment(start, "from", location, more) if start is not None else None
        ends = self._parse_moment(until, "until", location, more) if until is not None else None
        window = Window(begins, ends)
        if window.empty:
            self.diagnostics.append(
                problem("ends-before-it-begins", f"until {until} is before from {start}", location.at(*more, "until"))
            )
            return ALWAYS
        return window

    def _parse_moment(
        self, text: str, edge: Literal["from", "until"], location: Location, more: Path
    ) -> datetime | None:
        """Return the instant of a date; `None`, with a diagnostic, where it is refused. Equal dates are parsed once."""
        instant = self._moments.get((text, edge))
        if instant is None:
            try:
                instant = moment(text, self.zone, edge)
            except BadDateError as bad:
                instant = bad
            self._moments[text, edge] = instant
        if isinstance(instant, BadDateError):
            self.diagnostics.append(problem(instant.code, str(instant), location.at(*more, edge), hint=instant.hint))
            return None
        return instant


_RULE_ID = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


class Policies(Struct):
    """A builder of policies, one laid over another, which collects diagnostics."""

    diagnostics: list[Diagnostic] = []

    def laid(self, base: Policy, row: InstancePolicyRow, location: Location) -> Policy:
        """Return `base` overridden by a row: numbers are replaced, protected accounts and rules are added."""
        admins = row.admins
        policy = replace(
            base,
            limits=self._lay_limits(base.limits, row, location),
            wildcards_at_most=POWERS[row.wildcards.at_most] if row.wildcards else base.wildcards_at_most,
            protect=tuple(dict.fromkeys((*base.protect, *listed(row.protect)))),
            rules=self._lay_rules(base.rules, row, location),
        )
        if admins is None:
            return policy
        policy = replace(
            policy,
            admins_min=admins.min or base.admins_min,
            admins_max=admins.max or base.admins_max,
            admins_at=location.at("admins"),
        )
        if policy.admins_max is not None and policy.admins_max < policy.admins_min:
            self._report(
                "admins-range",
                f"at most {plural(policy.admins_max, 'admin')}, but at least {policy.admins_min}",
                location.at("admins"),
            )
        return policy

    def _lay_limits(self, base: Mapping[str, Limit], row: InstancePolicyRow, location: Location) -> Mapping[str, Limit]:
        if row.limits is None:
            return base
        limits = dict(base)
        for name in LIMIT_NAMES:
            limit: LimitRow | None = getattr(row.limits, name)
            if limit is not None:
                before = limits.get(name, Limit())
                limits[name] = Limit(
                    count=before.count if limit.count is None else limit.count,
                    percent=before.percent if limit.percent is None else limit.percent,
                    at=location.at("limits", name),
                )
        return limits

    def _lay_rules(self, base: tuple[Rule, ...], row: InstancePolicyRow, location: Location) -> tuple[Rule, ...]:
        """Return the rules of both; one of an instance replaces the file's of the same id."""
        if not row.rules:
            return base
        from siteward.access.catalog import RESERVED  # noqa: PLC0415 — most files have no rules of their own

        rules = {rule.id: rule for rule in base}
        own: set[str] = set()
        for number, rule_row in enumerate(row.rules):
            place = Location(location.source, (*location.path, "rules", number))
            if not re.fullmatch(_RULE_ID, rule_row.id) or rule_row.id in RESERVED:
                hint = "take lower-case words with - between them, and none of Siteward's own rule ids"
                self._report("rule-id", f"`{rule_row.id}` cannot name a rule", place.at("id"), hint=hint)
            if rule_row.id in own:
                self._report("rule-twice", f"two rules are called `{rule_row.id}`", place.at("id"))
            if not rule_row.require and rule_row.at_most is None:
                hint = "give it `require` or `at_most`"
                self._report("rule-without-effect", f"the rule `{rule_row.id}` demands nothing", place.at(), hint=hint)
            own.add(rule_row.id)
            if self._check_match(rule_row.match, place):
                rules[rule_row.id] = _build_rule(rule_row, place)
        return tuple(rules.values())

    def _check_match(self, match: Mapping[MatchKey, str], place: Location) -> bool:
        """Report the values of a rule's `match` that do not exist; return whether there are none."""
        wrong = [key for key, value in match.items() if value not in MATCHES.get(key, (value,))]
        for key in wrong:
            at, message = place.at("match", key), f"`{match[key]}` is no {key}"
            self.diagnostics.append(problem("unknown-value", message, at, allowed=MATCHES[key], word=match[key]))
        return not wrong

    def _report(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        self.diagnostics.append(problem(code, message, at, hint=hint))


def _build_rule(row: RuleRow, place: Location) -> Rule:
    return Rule(
        id=row.id,
        match={str(key): _fold_site(value) if key == "site" else value for key, value in row.match.items()},
        require=tuple(row.require),
        at_most=POWERS[row.at_most] if row.at_most else None,
        at=place.at(),
    )


def _fold_site(written: str) -> str:
    """Return the site of a rule in the form in which it is compared: domains, names and patterns folded."""
    return domain_in(written) if parse(written).kind in {"name", "pattern"} else written


_INSTANCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
NAME_HINT = "begin with a letter, then letters, digits, - and _: it names environment variables too"
COMMON = keys_of(InstanceRow)


class Instances(Struct):
    """A builder of the instances of the root file, which collects diagnostics.

    `settings_of` returns the struct of a platform's own keys, `None` for a platform that does not exist; `platforms`
    are the names of those that do.
    """

    source: Source
    settings_of: Callable[[str], type[Struct] | None]
    platforms: Sequence[str]
    diagnostics: list[Diagnostic] = []

    def build(self, rows: Mapping[str, InstanceRow], file_policy: PolicyRow) -> dict[str, Instance]:
        """Return the instances by name; no two may have the same prefix of environment variables."""
        policies = Policies(self.diagnostics)
        base = policies.laid(Policy(), file_policy, Location(self.source, ("policy",)))
        built = {}
        for name, row in rows.items():
            location = Location(self.source, ("instances", name))
            self._check(name, row, location)
            policy = base
            if row.policy is not None:
                policy = policies.laid(base, row.policy, Location(self.source, (*location.path, "policy")))
            built[name] = Instance(
                name=name,
                platform=row.platform,
                url=row.url,
                self_account=row.self,
                settings=self._build_settings(name, row, location),
                policy=_add_modes(policy, row),
                manages=None if row.manages is None else tuple(map(parse, listed(row.manages))),
                ca_file=row.ca_file,
                onboarding=row.onboarding,
                managed_by=row.managed_by,
                native=row.native,
                closed=row.public is False,
                at=location.key(),
                location=location,
            )
        self._refuse_collisions(built)
        return built

    def _check(self, name: str, row: InstanceRow, location: Location) -> None:
        """Check the name, the address and `manages` of an instance."""
        if not can_name(name):
            self._report("instance-name", f"`{name}` cannot name an instance", location.key(), hint=NAME_HINT)
        fault = _find_address_fault(row.url, name)
        if fault is not None:
            code, message, hint = fault
            self._report(code, message, location.at("url"), hint=hint)
        if row.public:
            message = "`public` of an instance is `false` or left out: a site is opened by itself"
            self._report("wrong-value", message, location.at("public"), hint="say `public: true` of the site")
        if row.manages is not None and takes_none_in(listed(row.manages)):
            message = "`manages` leaves sites out and takes none in"
            self._report("only-exclusions", message, location.at("manages"), hint='begin it with "*"')

    def _build_settings(self, name: str, row: InstanceRow, location: Location) -> Struct | None:
        """Return an instance's own keys as its platform's struct; `None`, with diagnostics, where they are refused."""
        written = cast("dict[str, Table]", self.source.data["instances"])[name]
        model = self.settings_of(row.platform)
        if model is None:
            message = f"there is no platform `{row.platform}`"
            at = location.at("platform")
            self.diagnostics.append(problem("unknown-platform", message, at, allowed=self.platforms, word=row.platform))
            self._report_unknown_keys(written, location.path)
            return None
        settings = fitted(_select_own_keys(written, model), model, self.source, location.path, also=COMMON)
        if not isinstance(settings, tuple):
            return settings
        self.diagnostics += said(settings)
        return None

    def judge_the_rest(self, built: Mapping[str, Instance]) -> None:
        """Report the other misfits of the instances that could not be built, key by key."""
        tables = self.source.data.get("instances")
        for name, table in tables.items() if isinstance(tables, Table) else ():
            if not isinstance(table, Table) or name in built:
                continue
            path, platform = ("instances", name), table.get("platform")
            model = self.settings_of(platform) if isinstance(platform, str) else None
            if model is None:
                self._report_unknown_keys(table, path)
            else:
                self.diagnostics += said(misfits(_select_own_keys(table, model), model, self.source, path, also=COMMON))

    def _report_unknown_keys(self, table: Table, path: Path) -> None:
        """Report the keys of an instance that no platform knows, where its platform is not known."""
        models = [model for platform in self.platforms if (model := self.settings_of(platform)) is not None]
        known = {*COMMON, *(key for model in models for key in keys_of(model))}
        self.diagnostics += [unknown_key(self.source, (*path, key), COMMON, known) for key in table if key not in known]

    def _refuse_collisions(self, built: Mapping[str, Instance]) -> None:
        """Report instances whose names give the same prefix of environment variables."""
        seen: dict[str, Instance] = {}
        for instance in built.values():
            first = seen.setdefault(variable(instance.name), instance)
            if first is not instance:
                message = f"`{first.name}` and `{instance.name}` read the same credentials, {variable(instance.name)}_…"
                at, related = instance.location.key(), (first.location.key(),)
                self.diagnostics.append(problem("instance-collision", message, at, related=related))

    def _report(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        self.diagnostics.append(problem(code, message, at, hint=hint))


def _select_own_keys(table: Table, model: type[Struct]) -> dict[str, object]:
    """Return the part of an instance that is the platform's to check: its own keys, and unknown ones."""
    own = keys_of(model)
    return {key: value for key, value in table.items() if key in own or key not in COMMON}


def _add_modes(policy: Policy, row: InstanceRow) -> Policy:
    """Return the policy with those keys that stand on the instance itself: its mode, and its unmanaged accounts."""
    return replace(
        policy,
        mode=row.mode,
        unmanaged=row.unmanaged,
        ignore=tuple(listed(row.ignore)),
        accept_blind=frozenset(listed(row.accept_blind)),
    )


def _find_address_fault(text: str, instance: str) -> tuple[str, str, str] | None:
    """Return the code, message and hint for an address that cannot be used; `None` for a good one."""
    try:
        address_of(text)
    except AddressError as fault:
        hint = f"give them as {variable(instance)}_…; a file is no place for secrets"
        return fault.code, str(fault), hint if fault.code == "secret-in-file" else fault.hint
    if "?" in text or "#" in text:
        return "bad-url", "an address ends with its path", "take away `?…` and `#…`"
    return None


def can_name(name: str) -> bool:
    """Return whether a name can be an instance's: its environment variables are derived from it."""
    return _INSTANCE_NAME.fullmatch(name) is not None


def variable(name: str) -> str:
    """Return the prefix of the environment variables of an instance: `SITEWARD_STATS` for `stats`."""
    return "SITEWARD_" + name.upper().replace("-", "_")
