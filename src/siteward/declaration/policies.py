"""The policy of the file, and what an instance's own lays over it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.hosts import domain_in
from siteward.access.policy import LIMIT_NAMES, Limit, Policy, Rule
from siteward.declaration.build import POWERS, listed
from siteward.declaration.complain import problem
from siteward.declaration.declared import Spot
from siteward.declaration.document import MATCHES
from siteward.declaration.selector import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.document import InstancePolicyRow, LimitRow, MatchKey, RuleRow

_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Policies(Struct):
    """Lays policies over one another and collects what is wrong with them."""

    diagnostics: list[Diagnostic] = []

    def laid(self, base: Policy, row: InstancePolicyRow, spot: Spot) -> Policy:
        """Return `base` with what `row` says on top: numbers replace, protection and rules add up."""
        admins = row.admins
        policy = replace(
            base,
            limits=self._limits(base.limits, row, spot),
            wildcards_at_most=POWERS[row.wildcards.at_most] if row.wildcards else base.wildcards_at_most,
            protect=tuple(dict.fromkeys((*base.protect, *listed(row.protect)))),
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
        limits = dict(base)
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
        """Return the rules by id; one that is given anew on an instance stands in place of the file's."""
        if not row.rules:
            return base
        from siteward.access.catalog import FILE_RULES  # noqa: PLC0415 — most files have no rules of their own

        rules = {each.id: each for each in base}
        own: set[str] = set()
        for number, each in enumerate(row.rules):
            place = Spot(spot.source, (*spot.path, "rules", number))
            if not _ID.fullmatch(each.id) or each.id in FILE_RULES:
                hint = "take lower-case words with - between them, and none of Siteward's own rule ids"
                self._say("rule-id", f"`{each.id}` cannot name a rule", place.at("id"), hint=hint)
            if each.id in own:
                self._say("rule-twice", f"two rules are called `{each.id}`", place.at("id"))
            if not each.require and each.at_most is None:
                hint = "give it `require` or `at_most`"
                self._say("rule-without-effect", f"the rule `{each.id}` demands nothing", place.at(), hint=hint)
            own.add(each.id)
            if self._matches(each.match, place):
                rules[each.id] = _rule(each, place)
        return tuple(rules.values())

    def _matches(self, match: Mapping[MatchKey, str], place: Spot) -> bool:
        """Tell whether what a rule compares with can be; what cannot is said."""
        wrong = [key for key, value in match.items() if value not in MATCHES.get(key, (value,))]
        for key in wrong:
            at, message = place.at("match", key), f"`{match[key]}` is no {key}"
            self.diagnostics.append(problem("unknown-value", message, at, allowed=MATCHES[key], word=match[key]))
        return not wrong

    def _say(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        self.diagnostics.append(problem(code, message, at, hint=hint))


def _rule(row: RuleRow, place: Spot) -> Rule:
    return Rule(
        id=row.id,
        match={str(key): _site(value) if key == "site" else value for key, value in row.match.items()},
        require=tuple(row.require),
        at_most=POWERS[row.at_most] if row.at_most else None,
        at=place.at(),
    )


def _site(written: str) -> str:
    """Return the site a rule speaks of as it is compared: domains, names and patterns of them folded."""
    return domain_in(written) if parse(written).kind in {"name", "pattern"} else written
