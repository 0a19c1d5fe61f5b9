"""The instances of the file: common keys, the platform's own settings, and the policy that holds on each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from siteward.access.policy import DEFAULT_LIMITS, LIMIT_NAMES, Limit, Policy, Rule
from siteward.declaration.build import POWERS
from siteward.declaration.complain import complaint, problem
from siteward.declaration.declared import Instance, Spot
from siteward.declaration.document import InstanceRow
from siteward.declaration.selector import parse
from siteward.declaration.source import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.document import InstancePolicyRow, LimitRow, PolicyRow
    from siteward.declaration.source import Source

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
COMMON = tuple(InstanceRow.model_fields)


@dataclass(slots=True)
class Instances:
    """Builds the instances of the root file."""

    source: Source
    settings_of: Callable[[str], type[BaseModel] | None]
    platforms: Sequence[str]
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def build(self, rows: Mapping[str, InstanceRow], file_policy: PolicyRow) -> dict[str, Instance]:
        """Return the instances by name."""
        base = self._laid(Policy(), file_policy, Spot(self.source, ("policy",)))
        table = self.source.data.get("instances")
        numbers = {name: number for number, name in enumerate(table)} if isinstance(table, Table) else {}
        built = {}
        for name, row in rows.items():
            assert isinstance(table, Table)
            spot = Spot(self.source, ("instances", name))
            self._judge(name, row, spot)
            built[name] = Instance(
                name=name,
                platform=row.platform,
                url=row.url,
                self_account=row.self,
                settings=self._settings(name, row, spot),
                policy=self._policy(base, row, spot),
                manages=None if row.manages is None else tuple(map(parse, row.manages)),
                ca_file=row.ca_file,
                onboarding=row.onboarding,
                native=row.native,
                at=self.source.mark(table, numbers[name]),
                spot=spot,
            )
        self._collisions(built)
        return built

    def _judge(self, name: str, row: InstanceRow, spot: Spot) -> None:
        if not _NAME.fullmatch(name):
            self._say(
                "instance-name",
                f"`{name}` cannot name an instance",
                spot.key(),
                hint="begin with a letter, then letters, digits, - and _: it names environment variables too",
            )
        url = urlsplit(row.url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            self._say(
                "bad-url",
                f"`{row.url}` is no http or https address",
                spot.at("url"),
                hint="write it as https://stats.example.org",
            )
        elif url.username or url.password:
            self._say(
                "secret-in-file",
                "credentials in the address",
                spot.at("url"),
                hint=f"give them as {_variable(name)}_…; a file is no place for secrets",
            )
        elif url.query or url.fragment:
            self._say("bad-url", "an address ends with its path", spot.at("url"), hint="take away `?…` and `#…`")
        if row.manages is not None and not any(not each.startswith("!") for each in row.manages):
            self._say(
                "only-exclusions",
                "`manages` excludes sites and names none",
                spot.at("manages"),
                hint='begin it with "*"',
            )

    def _settings(self, name: str, row: InstanceRow, spot: Spot) -> BaseModel | None:
        model = self.settings_of(row.platform)
        if model is None:
            self._say(
                "unknown-platform",
                f"there is no platform `{row.platform}`",
                spot.at("platform"),
                allowed=self.platforms,
                word=row.platform,
            )
            return None
        own = {each.alias or key for key, each in model.model_fields.items()}
        shared = {key: getattr(row, key) for key in COMMON if key in own and key in row.model_fields_set}
        try:
            return model.model_validate({**(row.model_extra or {}), **shared})
        except ValidationError as wrong:
            for each in wrong.errors(include_url=False):
                self._complain(name, each["type"], str(each["loc"][0]) if each["loc"] else "", sorted(own)) or (
                    self._add(complaint(each, self.source, model, spot.path))
                )
        return None

    def _complain(self, name: str, kind: str, key: str, own: Sequence[str]) -> bool:
        """Name the common keys too, where a key of an instance is not known."""
        if kind != "extra_forbidden" or not key:
            return False
        self._say(
            "unknown-key",
            f"unknown key `{key}`",
            self.source.key_at(("instances", name, key)),
            allowed=(*COMMON, *(each for each in own if each not in COMMON)),
            word=key,
        )
        return True

    def _policy(self, base: Policy, row: InstanceRow, spot: Spot) -> Policy:
        policy = base if row.policy is None else self._laid(base, row.policy, Spot(self.source, (*spot.path, "policy")))
        return replace(
            policy,
            mode=row.mode,
            unmanaged=row.unmanaged,
            ignore=tuple(row.ignore),
            accept_blind=frozenset(row.accept_blind),
        )

    def _laid(self, base: Policy, row: InstancePolicyRow, spot: Spot) -> Policy:
        """Return `base` with what `row` says on top: numbers replace, protection and rules add up."""
        admins = row.admins
        policy = replace(
            base,
            limits=self._limits(base.limits, row, spot),
            wildcards_at_most=POWERS[row.wildcards.at_most] if row.wildcards else base.wildcards_at_most,
            protect=tuple(dict.fromkeys((*base.protect, *row.protect))),
            rules=self._rules(base.rules, row, spot),
        )
        if admins is None:
            return policy
        policy = replace(
            policy,
            admins_min=admins.min or base.admins_min,
            admins_max=admins.max or base.admins_max,
            admins_at=spot.at("admins"),
        )
        if policy.admins_max is not None and policy.admins_max < policy.admins_min:
            self._say(
                "admins-range",
                f"at most {policy.admins_max} admins, but at least {policy.admins_min}",
                spot.at("admins"),
            )
        return policy

    def _limits(self, base: Mapping[str, Limit], row: InstancePolicyRow, spot: Spot) -> Mapping[str, Limit]:
        if row.limits is None:
            return base
        limits = dict(base or DEFAULT_LIMITS)
        for name in LIMIT_NAMES:
            given: LimitRow | None = getattr(row.limits, name)
            if given is not None:
                before = limits.get(name, Limit())
                limits[name] = Limit(
                    count=before.count if given.count is None else given.count,
                    percent=before.percent if given.percent is None else given.percent,
                    at=spot.at("limits", name),
                )
        return limits

    def _rules(self, base: tuple[Rule, ...], row: InstancePolicyRow, spot: Spot) -> tuple[Rule, ...]:
        rules = {each.id: each for each in base}
        seen: set[str] = set()
        for number, each in enumerate(row.rules):
            if each.id in seen:
                self._say("rule-twice", f"two rules are called `{each.id}`", spot.at("rules", number, "id"))
            seen.add(each.id)
            if not each.require and each.at_most is None:
                self._say(
                    "rule-without-effect",
                    f"the rule `{each.id}` demands nothing",
                    spot.at("rules", number),
                    hint="give it `require` or `at_most`",
                )
            self._match(each.match, spot, number)
            rules[each.id] = Rule(
                id=each.id,
                match=dict(each.match),
                require=tuple(each.require),
                at_most=POWERS[each.at_most] if each.at_most else None,
                at=spot.at("rules", number),
            )
        return tuple(rules.values())

    def _match(self, match: Mapping[str, str], spot: Spot, number: int) -> None:
        known = {"kind": ("person", "service", "contractor", "client", "vendor"), "power": tuple(POWERS)}
        for key, value in match.items():
            allowed = known.get(key)
            if allowed is not None and value not in allowed:
                self._say(
                    "unknown-value",
                    f"`{value}` is no {key}",
                    spot.at("rules", number, "match", key),
                    allowed=allowed,
                    word=value,
                )

    def _collisions(self, built: Mapping[str, Instance]) -> None:
        seen: dict[str, Instance] = {}
        for each in built.values():
            first = seen.setdefault(_variable(each.name), each)
            if first is not each:
                self._say(
                    "instance-collision",
                    f"`{first.name}` and `{each.name}` read the same credentials, {_variable(each.name)}_…",
                    each.spot.key(),
                    related=(first.spot.key(),),
                )

    def _say(self, code: str, message: str, *arguments: Any, **more: Any) -> None:
        self.diagnostics.append(problem(code, message, *arguments, **more))

    def _add(self, found: Diagnostic | None) -> None:
        if found is not None:
            self.diagnostics.append(found)


def _variable(name: str) -> str:
    """Return the prefix of the environment variables that belong to an instance."""
    return "SITEWARD_" + name.upper().replace("-", "_")
