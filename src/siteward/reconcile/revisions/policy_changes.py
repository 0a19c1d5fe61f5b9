"""What changed between two declarations that decides how everything else is judged.

A rule, a limit, the address of an instance, the kind of a user, or who somebody is to a forge: none of it is access,
and each of it can open the way to some.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from siteward.access.diagnostic import warning
from siteward.access.model import Power
from siteward.access.policy import DEFAULT_LIMITS, LIMIT_NAMES, Limit, Policy, Rule
from siteward.declaration.declared import EVERY
from siteward.declaration.instances import COMMON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.declared import Bound, Declaration, Instance, User
    from siteward.declaration.selector import Selector

_OWN = ("platform", "url", "self_account", "manages", "ca_file", "onboarding", "native")
_WORDS = {
    "self_account": "self", "admins_min": "policy admins.min", "admins_max": "policy admins.max",
    "wildcards_at_most": "policy wildcards.at_most", "protect": "policy protect",
}  # fmt: skip
_APART = {"limits", "rules", "admins_at"}

Told = tuple[str, str, "Span"]
"""Code, message and place of one change on one instance."""


def changed_rules(base: Declaration, head: Declaration) -> tuple[Diagnostic, ...]:
    """Return a warning for everything that changed and is no access itself, the same on several instances once."""
    where: dict[Told, list[str]] = defaultdict(list)
    for name in dict.fromkeys((*base.instances, *head.instances)):
        for told in _on_instance(base.instances.get(name), head.instances.get(name)):
            where[told].append(name)
    every = len(head.instances)
    found = [
        warning(code, message if len(names) == every > 1 else f"{', '.join(names)}: {message}", at=at)
        for (code, message, at), names in where.items()
    ]
    found += (warning(code, message, at=at) for code, message, at in _of_file(base, head))
    return tuple(dict.fromkeys(found))


def _on_instance(base: Instance | None, head: Instance | None) -> Iterator[Told]:
    if base is None or head is None:
        known = head or base
        if known is not None:
            word = "is new" if base is None else "is gone: nothing there is in scope any more"
            yield "instance-changed", f"the instance {word} ({known.platform}, {known.url})", known.at
        return
    for name in _OWN:
        old, new = getattr(base, name), getattr(head, name)
        if old != new:
            yield "instance-changed", _moved(_WORDS.get(name, name), _word(old), _word(new)), head.at
    old, new = _settings(base), _settings(head)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield "instance-changed", _moved(name, _word(old.get(name)), _word(new.get(name))), head.at
    yield from _policy(base.policy, head.policy, head.at)


def _settings(instance: Instance) -> Mapping[str, Any]:
    """Return what an instance says beside the keys that all platforms share."""
    given = to_builtins(instance.settings) if instance.settings is not None else {}
    return {name: value for name, value in given.items() if name not in COMMON}


def _policy(base: Policy, head: Policy, at: Span) -> Iterator[Told]:
    for name in Policy.__struct_fields__:
        old, new = getattr(base, name), getattr(head, name)
        if name not in _APART and old != new:
            place = head.admins_at if name.startswith("admins") and head.admins_at else at
            yield "policy-changed", _moved(_WORDS.get(name, name), _word(old), _word(new)), place
    for name in LIMIT_NAMES:
        old, new = (_limit(side.limits.get(name, DEFAULT_LIMITS[name])) for side in (base, head))
        if old != new:
            yield "policy-changed", _moved(f"policy limits.{name}", old, new), head.limits[name].at or at
    rules, now = ({rule.id: rule for rule in side.rules} for side in (base, head))
    for name in sorted(rules.keys() | now.keys()):
        old, new = (_rule(side.get(name)) for side in (rules, now))
        if old != new:
            where = now[name].at if name in now else None
            yield "policy-changed", _moved(f"the rule {name}", old, new), where or at


def _of_file(base: Declaration, head: Declaration) -> Iterator[Told]:
    at = head.root
    for name, old, new in (
        ("policy timezone", str(base.timezone), str(head.timezone)),
        ("journal dir", base.journal_dir, head.journal_dir),
    ):
        if old != new:
            yield "policy-changed", _moved(name, old, new), at
    bounds, now = _bounds(base), _bounds(head)
    for file in sorted(bounds.keys() & now.keys()):
        if bounds[file] != now[file]:
            yield "policy-changed", _moved(f"what {file} may grant", bounds[file], now[file]), at
    for handle in sorted(base.users.keys() & head.users.keys()):
        yield from _user(base.users[handle], head.users[handle])
    for handle, site in head.sites.items():
        before = base.sites[handle].public if handle in base.sites else {}
        opened = sorted(each for each, wish in site.public.items() if wish and not before.get(each))
        if opened:
            names = "every instance" if EVERY in opened else ", ".join(opened)
            yield "public-changed", f"{site.domain} is opened to everybody on {names}", site.at


def _user(base: User, head: User) -> Iterator[Told]:
    if base.kind != head.kind:
        yield "kind-changed", _moved(f"{head.handle}: kind", base.kind, head.kind), head.at
    for name in ("email", "logins", "age", "forge", "owner"):
        old, new = getattr(base, name), getattr(head, name)
        if old != new:
            yield "identity-changed", _moved(f"{head.handle}: {name}", _word(old), _word(new)), head.at


def _bounds(declaration: Declaration) -> Mapping[str, str]:
    return {grant.at.file: _bound(grant.bound) for grant in declaration.grants or ()}


def _bound(bound: Bound | None) -> str:
    if bound is None:
        return "anything"
    most = bound.at_most.word if bound.at_most is not None else "any power"
    return f"{_word(bound.sites) if bound.sites is not None else 'any site'} at most {most}"


def _limit(limit: Limit) -> str:
    sides = (("count", limit.count), ("percent", limit.percent))
    return ", ".join(f"{name} {side}" for name, side in sides if side is not None) or "open"


def _rule(rule: Rule | None) -> str:
    if rule is None:
        return "none"
    match = ", ".join(f"{key} {value}" for key, value in sorted(rule.match.items())) or "everything"
    most = f"at most {rule.at_most.word}" if rule.at_most is not None else ""
    asks = f"asks for {', '.join(rule.require)}" if rule.require else ""
    return f"on {match}: {', '.join(filter(None, (asks, most)))}"


def _moved(what: str, old: str, new: str) -> str:
    return f"{what} was {old} and becomes {new}"


def _word(value: Any) -> str:
    """Return a setting in the words of the file."""
    match value:
        case None:
            return "not set"
        case Power():
            return value.word
        case tuple() | frozenset():
            words = [_selector(each) for each in value]
            return ", ".join(sorted(words) if isinstance(value, frozenset) else words) or "none"
        case dict():
            return ", ".join(f"{key} {each}" for key, each in value.items()) or "none"
        case _:
            return str(value)


def _selector(value: str | Selector) -> str:
    return value if isinstance(value, str) else value.written
