"""The owners' rules, applied to one grant of one person: by power, never by the name of a role.

A rule that matches on a power is about that power and every greater one.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error
from siteward.access.model import Grant, Power
from siteward.access.state import Holder, Origin
from siteward.access.terms import Policy, Rule

FIELDS: Final = ("ticket", "reason", "until", "email")


class Gain(Struct, frozen=True):
    """What somebody would have: a grant with its power, why, and the declared user it goes to."""

    grant: Grant
    power: Power
    platform: str = ""
    origin: Origin | None = None
    holder: Holder | None = None


def broken(policy: Policy, gain: Gain) -> Iterator[Diagnostic]:
    """Yield an error for each rule that a gain breaks, at the place in the file that asks for it."""
    for rule in concerning(policy, gain.platform, gain.holder):
        if gain.power >= least(rule):
            yield from _broken(rule, gain)
    wildcard = gain.origin.wildcard if gain.origin is not None else None
    if wildcard is not None and gain.power > policy.wildcards_at_most:
        message = (
            f"the pattern {wildcard} gives {gain.power.word}; patterns may give {policy.wildcards_at_most.word} at most"
        )
        yield _at(error("wildcard-too-powerful", message, hint="name the sites one by one, or give less"), gain, None)


def concerning(policy: Policy, platform: str, holder: Holder | None) -> tuple[Rule, ...]:
    """Return the rules that are about somebody on a platform, whatever the power."""
    return tuple(
        rule
        for rule in policy.rules
        if all(_fits(name, wanted, platform, holder) for name, wanted in rule.match.items() if name != "power")
    )


def least(rule: Rule) -> Power:
    """Return the least power that a rule is about."""
    return Power[rule.match["power"].upper()] if "power" in rule.match else Power.NONE


def _broken(rule: Rule, gain: Gain) -> Iterator[Diagnostic]:
    missing = [each for each in rule.require if each in FIELDS and not _given(each, gain)]
    if missing:
        wants = ", ".join(f"{each}:" for each in missing)
        yield _at(error(rule.id, f"the rule {rule} asks for {wants}"), gain, rule)
    if rule.at_most is not None and gain.power > rule.at_most:
        message = f"the rule {rule} allows {rule.at_most.word} at most, and this gives {gain.power.word}"
        yield _at(error(rule.id, message), gain, rule)


def _at(diagnostic: Diagnostic, gain: Gain, rule: Rule | None) -> Diagnostic:
    at = gain.origin.at if gain.origin is not None else gain.holder.at if gain.holder is not None else None
    return replace(diagnostic, at=at, related=(rule.at,) if rule is not None and rule.at is not None else ())


def _fits(name: str, wanted: str, platform: str, holder: Holder | None) -> bool:
    """Tell whether one condition holds; what cannot be told of a grant alone (`instance`) the file's check judges."""
    match name:
        case "platform":
            return platform == wanted
        case "kind":
            return holder is not None and holder.kind == wanted
        case "user":
            return holder is not None and fnmatchcase(holder.handle.casefold(), wanted.casefold())
        case _:
            return False


def _given(name: str, gain: Gain) -> bool:
    if name == "email":
        return gain.holder is not None and bool(gain.holder.email)
    return any(getattr(each, name, None) for each in (gain.origin, gain.holder) if each is not None)
