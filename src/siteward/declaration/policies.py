"""The owners' policy as the file has it, that of an instance laid over that of the file.

What a policy speaks of is checked here against the names of the files (`Known`): groups, instances, rules, attests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.api_key import BY_PEOPLE
from siteward.access.diagnostic import FORMERLY, near, plural, problem
from siteward.access.hosts import domain_in
from siteward.access.policy import LIMIT_NAMES, REVIEWED, Limit, Policy, Rule, Waiver
from siteward.access.secret_looks import is_likely
from siteward.declaration.build import POWERS, days_of, listed
from siteward.declaration.declared import Location
from siteward.declaration.document import MATCHES, REQUIREMENTS
from siteward.declaration.secret_texts import LEAKED
from siteward.declaration.selector import parse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from siteward.access.diagnostic import Span
    from siteward.declaration.build import Builder
    from siteward.declaration.document import InstancePolicyRow, LimitRow, MatchKey, PolicyRow, RuleRow, WaiverRow
    from siteward.declaration.references import Names

_DEMANDS = ("require", "at_most", "at_most_for", "not_with", "login")
"""The keys of a rule that demand something."""

_LISTED = 20
"""The most names that a message lists as allowed."""

_RULE_ID = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


class Known(Struct, frozen=True, kw_only=True):
    """The names of the files that a policy may speak of.

    `rules` are the ids of the owners' own rules, `attested` the names under `attests` of any user. `whole` is true if no file and no row is missing that may
    declare more of them.
    """

    instances: Collection[str]
    groups: Names
    rules: frozenset[str]
    attested: frozenset[str]
    whole: bool


class Policies(Struct):
    """A builder of policies, one laid over another, which collects diagnostics; `builder` is that of the root file."""

    builder: Builder
    known: Known

    def laid_whole(self, row: PolicyRow, location: Location) -> Policy:
        """Return the policy of the file, with what only the file can say: when access is reviewed, and waivers."""
        reviews = {} if row.reviews is None else {name: days_of(getattr(row.reviews, name)) for name in REVIEWED}
        return replace(
            self.laid(Policy(), row, location),
            reviews={name: days for name, days in reviews.items() if days is not None},
            waivers=tuple(self._build_waivers(row, location)),
        )

    def _build_waivers(self, row: PolicyRow, location: Location) -> Iterator[Waiver]:
        """Yield the waivers whose end is a date; what they name wrongly is reported."""
        for number, waiver in enumerate(row.waivers):
            at = Location(location.source, (*location.path, "waivers", number))
            self._check_waived(waiver, at)
            on = None if waiver.on is None else listed(waiver.on)
            for position, name in enumerate(on or ()):
                if name not in self.known.instances:
                    message = f"there is no instance `{name}`"
                    self._refuse_name("unknown-instance", message, at.at("on", position), name, self.known.instances)
            until = self.builder.parse_moment(waiver.until, "until", at, "until")
            if until is not None:
                yield Waiver(
                    rule=waiver.rule,
                    on=on,
                    about=waiver.about,
                    reason=waiver.reason,
                    until=until,
                    ends=waiver.until,
                    seen=waiver.seen,
                    at=at.at(),
                )

    def _check_waived(self, row: WaiverRow, at: Location) -> None:
        """Report a rule that there is not or that nobody may waive, a pattern in place of a name, and a secret as the reason."""
        from siteward.access.catalog import RULES, WAIVABLE  # noqa: PLC0415 — most files have no waivers

        allowed, rule = sorted(WAIVABLE), row.rule
        if rule in RULES or rule in self.known.rules:
            if rule not in WAIVABLE:
                message = f"findings of `{rule}` cannot be waived"
                self._refuse_name("not-waivable", message, at.at("rule"), rule, allowed)
        elif rule in FORMERLY.values():
            now = next(code for code, former in FORMERLY.items() if former == rule)
            self._report("unknown-rule", f"there is no rule `{rule}`", at.at("rule"), hint=f"it is called `{now}` now")
        else:
            self._refuse_name("unknown-rule", f"there is no rule `{rule}`", at.at("rule"), rule, allowed)
        if is_likely(row.reason):
            self._report("secret-in-file", "this looks like a secret", at.at("reason"), hint=LEAKED)
        if row.about is not None and "*" in row.about and rule not in BY_PEOPLE:  # people call keys what they like
            message = f"`{row.about}` is no name: a waiver is about one thing, and takes no pattern"
            self._report("wrong-value", message, at.at("about"), hint="write the name as `siteward plan -v` shows it")

    def laid(self, base: Policy, row: InstancePolicyRow, location: Location) -> Policy:
        """Return `base` overridden by a row: numbers are replaced, protected accounts and rules are added."""
        admins = row.admins
        policy = replace(
            base,
            limits=self._lay_limits(base.limits, row, location),
            wildcards_at_most=POWERS[row.wildcards.at_most] if row.wildcards else base.wildcards_at_most,
            protect=tuple(dict.fromkeys((*base.protect, *listed(row.protect)))),
            rules=self._lay_rules(base.rules, row, location),
            managers_min=row.managers.min if row.managers else base.managers_min,
            managers_at=location.at("managers") if row.managers else base.managers_at,
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
            if not any(getattr(rule_row, key) for key in _DEMANDS):
                hint = f"give it one of {', '.join(f'`{key}`' for key in _DEMANDS)}"
                self._report("rule-without-effect", f"the rule `{rule_row.id}` demands nothing", place.at(), hint=hint)
            own.add(rule_row.id)
            self._check_requirements(rule_row, place)
            if self._check_match(rule_row.match, place):
                rules[rule_row.id] = self._build_rule(rule_row, place)
        return tuple(rules.values())

    def _check_requirements(self, row: RuleRow, place: Location) -> None:
        """Report what a rule requires and no user could have."""
        allowed = (*REQUIREMENTS, *sorted(self.known.attested))
        for number, name in enumerate(row.require):
            if name not in allowed and (self.known.whole or near(name, REQUIREMENTS)):
                message = f"`{name}` is nothing that can be required: no user attests it"
                self._refuse_name("unknown-value", message, place.at("require", number), name, allowed)
        group = row.not_with.group if row.not_with is not None else None
        if group is not None and group not in self.known.groups and self.known.whole:
            at, message = place.at("not_with", "group"), f"there is no group `{group}`"
            self._refuse_name("unknown-user", message, at, group, self.known.groups.declared)

    def _build_rule(self, row: RuleRow, place: Location) -> Rule:
        return Rule(
            id=row.id,
            match={str(key): _fold_site(value) if key == "site" else value for key, value in row.match.items()},
            require=tuple(row.require),
            at_most=POWERS[row.at_most] if row.at_most else None,
            at_most_for=days_of(row.at_most_for),
            not_with=self.known.groups.find(row.not_with.group) if row.not_with else None,
            login=row.login,
            at=place.at(),
        )

    def _check_match(self, match: Mapping[MatchKey, str], place: Location) -> bool:
        """Report the values of a rule's `match` that do not exist; return whether there are none."""
        wrong = [key for key, value in match.items() if value not in MATCHES.get(key, (value,))]
        for key in wrong:
            at, message = place.at("match", key), f"`{match[key]}` is no {key}"
            self._refuse_name("unknown-value", message, at, match[key], MATCHES[key])
        return not wrong

    def _refuse_name(self, code: str, message: str, at: Span, word: str, allowed: Collection[str]) -> None:
        listed_names = tuple(allowed) if len(allowed) <= _LISTED else ()
        self.builder.diagnostics.append(problem(code, message, at, word=word, allowed=listed_names, known=allowed))

    def _report(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        self.builder.diagnostics.append(problem(code, message, at, hint=hint))


def _fold_site(written: str) -> str:
    """Return the site of a rule in the form in which it is compared: domains, names and patterns folded."""
    return domain_in(written) if parse(written).kind in {"name", "pattern"} else written
