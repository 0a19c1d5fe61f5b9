"""The changes of policy and settings between two declarations, without those of access itself.

These are rules, limits, the settings of an instance, the kind of a user and a user's logins at a forge: each of them
can open the way to access. Both declarations are written out as plain values under the keys of the file and compared by
`deepdiff`, so that a difference is found at any depth of any platform's settings. No secret can be among them: the file
has none.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins

from siteward.access.diagnostic import join_some, plural, warning
from siteward.access.policy import DEFAULT_LIMITS, LIMIT_NAMES, REVIEWED, Policy
from siteward.declaration.declared import EVERY
from siteward.declaration.groups import expand
from siteward.declaration.references import renamed_groups, renamed_users, respelt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.model import Power
    from siteward.access.policy import Limit, Rule, Waiver
    from siteward.declaration.declared import Bound, Declaration, Group, Instance, User
    from siteward.declaration.selector import Selector

_POLICY_KEYS = {"policy", "mode", "unmanaged", "ignore", "accept_blind"}
"""The keys of an instance that are policy, as opposed to its settings."""

Path = tuple[str, ...]
Finding = tuple[str, str, "Span"]
"""Code, message and place of one difference on one instance."""


class Difference(Struct, frozen=True):
    """One value that differs: its path of keys in the file, and the change in words."""

    path: Path
    change: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} {self.change}"


def changed_rules(base: Declaration, head: Declaration) -> tuple[Diagnostic, ...]:
    """Return a warning for each difference that is no access itself; equal ones of several instances are one warning."""
    where: dict[Finding, list[str]] = defaultdict(list)
    for name in dict.fromkeys((*base.instances, *head.instances)):
        for finding in _compare_instances(base.instances.get(name), head.instances.get(name)):
            where[finding].append(name)
    every = len(head.instances)
    warnings = [
        warning(code, message if len(names) == every > 1 else f"{', '.join(names)}: {message}", at=at)
        for (code, message, at), names in where.items()
    ]
    warnings += (warning(code, message, at=at) for code, message, at in _compare_files(base, head))
    return tuple(dict.fromkeys(warnings))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the differences between two trees of plain values, by path; the order of a list means nothing.

    Of a list, added and removed items are reported, never paired ones: releases of deepdiff pair differently. Of a mapping
    each key is, also where all are new.
    """
    from deepdiff import DeepDiff  # noqa: PLC0415 — a tenth of a second, which only runs with a base need

    tree = DeepDiff(
        old, new, ignore_order=True, report_repetition=True, cutoff_distance_for_pairs=0, verbose_level=2, view="tree",
        threshold_to_diff_deeper=0,
    )  # fmt: skip
    changes: dict[Path, str] = {}
    added: dict[Path, list[str]] = defaultdict(list)
    removed: dict[Path, list[str]] = defaultdict(list)
    for kind, levels in tree.items():
        for level in levels:
            path = tuple(map(str, level.path(output_format="list")))
            match kind:
                case "iterable_item_added":
                    added[path[:-1]].append(_spell(level.t2))
                case "iterable_item_removed":
                    removed[path[:-1]].append(_spell(level.t1))
                case "repetition_change":
                    count = level.additional["repetition"]
                    more = count["new_repeat"] - count["old_repeat"]
                    (added if more > 0 else removed)[path[:-1]] += [_spell(level.t1)] * abs(more)
                case "dictionary_item_added":
                    changes[path] = _describe_change("not set", _spell(level.t2))
                case "dictionary_item_removed":
                    changes[path] = _describe_change(_spell(level.t1), "not set")
                case _:
                    changes[path] = _describe_change(_spell(level.t1), _spell(level.t2))
    for path in added.keys() | removed.keys():
        changes[path] = _describe_items(added[path], removed[path])
    yield from (Difference(path, changes[path]) for path in sorted(changes))


def _describe_change(old: str, new: str) -> str:
    return f"was {old} and becomes {new}"


def _describe_items(added: Iterable[str], removed: Iterable[str]) -> str:
    lists = {"added": ", ".join(sorted(added)), "removed": ", ".join(sorted(removed))}
    return "was changed: " + "; ".join(f"{word} {items}" for word, items in lists.items() if items)


def _spell(value: object) -> str:
    """Return a plain value as the file writes it; `None` is a key that is not set."""
    match value:
        case None:
            return "not set"
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(map(_spell, value)) or "none"
        case dict():
            parts = (f"{key} {_spell(part)}" for key, part in value.items() if part not in (None, [], {}))
            return ", ".join(parts) or "none"
        case _:
            return str(value)


def _compare_instances(base: Instance | None, head: Instance | None) -> Iterator[Finding]:
    """Yield the changes of one instance; `None` where that revision does not have it."""
    if base is None or head is None:
        known = head or base
        if known is not None:
            word = "is new" if base is None else "is gone: nothing there is in scope any more"
            yield "instance-changed", f"the instance {word} ({known.platform}, {known.url})", known.at
        return
    for difference in _find_differences(_write_instance(base), _write_instance(head)):
        code = "policy-changed" if difference.path[0] in _POLICY_KEYS else "instance-changed"
        yield code, str(difference), _find_place(difference.path, head)


def _find_differences(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the differences of two values that one function has written, so that equal ones have equal types.

    There may be thousands, and hardly one differs.
    """
    if base != head:
        yield from differences(base, head)


def _find_place(path: Path, instance: Instance) -> Span:
    """Return the place of a differing policy value, which may be in the file's policy; else that of the instance."""
    policy, place = instance.policy, None
    match path:
        case ("policy", "admins", *_):
            place = policy.admins_at
        case ("policy", "managers", *_):
            place = policy.managers_at
        case ("policy", "limits", name, *_) if name in policy.limits:
            place = policy.limits[name].at
        case ("policy", "rules", name, *_):
            place = next((rule.at for rule in policy.rules if rule.id == name), None)
        case ("policy", "waivers", name, *_):
            place = next((waiver.at for waiver in policy.waivers if _name_waiver(waiver) == name), None)
        case _:
            pass
    return place or instance.at


def _write_instance(instance: Instance) -> dict[str, Any]:
    """Return an instance as plain values under the keys of the file, with the policy that holds there."""
    settings = to_builtins(instance.settings, str_keys=True) if instance.settings is not None else {}
    policy = instance.policy
    return {
        **settings,
        "platform": instance.platform,
        "url": instance.url,
        "self": instance.self_account,
        "manages": _write_selectors(instance.manages),
        "ca_file": instance.ca_file,
        "onboarding": instance.onboarding,
        "managed_by": instance.managed_by,
        "native": instance.native,
        "public": False if instance.closed else None,
        "mode": policy.mode,
        "unmanaged": policy.unmanaged,
        "ignore": list(policy.ignore),
        "accept_blind": sorted(policy.accept_blind),
        "policy": _write_policy(policy, instance.name),
    }


def _write_policy(policy: Policy, instance: str) -> dict[str, Any]:
    """Return the policy of an instance as plain values under the keys of the file, its rules by id."""
    waivers = [waiver for waiver in policy.waivers if not waiver.on or instance in waiver.on]
    return {
        "admins": {"min": policy.admins_min, "max": policy.admins_max},
        "limits": {name: _write_limit(policy.limits.get(name, DEFAULT_LIMITS[name])) for name in LIMIT_NAMES},
        "wildcards": {"at_most": _write_power(policy.wildcards_at_most)},
        "protect": list(policy.protect),
        "rules": {rule.id: _write_rule(rule) for rule in policy.rules},
        "managers": {"min": policy.managers_min or None},
        "reviews": {name: _write_days(policy.reviews.get(name)) for name in REVIEWED},
        "waivers": {_name_waiver(waiver): _write_waiver(waiver) for waiver in waivers},
    }


def _name_waiver(waiver: Waiver) -> str:
    return " ".join(filter(None, (waiver.rule, waiver.about, waiver.seen)))


def _write_waiver(waiver: Waiver) -> dict[str, Any]:
    return {"on": list(waiver.on or ()), "reason": waiver.reason, "until": waiver.ends}


def _write_limit(limit: Limit) -> dict[str, int | None]:
    return {"count": limit.count, "percent": limit.percent}


def _write_rule(rule: Rule) -> dict[str, Any]:
    return {
        "match": dict(rule.match),
        "require": list(rule.require),
        "at_most": _write_power(rule.at_most),
        "at_most_for": _write_days(rule.at_most_for),
        "not_with": {} if rule.not_with is None else {"group": rule.not_with},
        "login": rule.login,
    }


def _write_days(days: int | None) -> str | None:
    return None if days is None else f"{days}d"


def _write_power(power: Power | None) -> str | None:
    return None if power is None else power.word


def _write_selectors(selectors: tuple[Selector, ...] | None) -> list[str] | None:
    return None if selectors is None else [selector.written for selector in selectors]


def _find_growth(base: Declaration, head: Declaration) -> Iterator[Finding]:
    """Yield for each group who comes into it by itself (`from`) and was not in it at the base: nobody wrote a line for them."""
    drawing = [group for group in head.groups.values() if group.intakes]
    if not drawing:
        return
    renamed, groups = renamed_users(base, head), {now: former for former, now in renamed_groups(base, head).items()}
    before, after = expand(base.groups), expand(head.groups)
    for group in drawing:
        known = {renamed.get(handle, handle) for handle in before.get(groups.get(group.handle, group.handle), {})}
        listed = {member.name for member in group.members if member.by is None and not member.excludes}
        new = {
            handle: ways[0].via[1]
            for handle, ways in after[group.handle].items()
            if handle not in known
            and handle not in listed
            and ways[0].via[1:]
            and ways[0].via[1] in _list_intakes(group)
        }
        if new:
            words = [f"{handle} ({by})" for handle, by in sorted(new.items())]
            people = plural(len(new), "person comes", "people come")
            yield "group-grows", f"{people} into `{group.handle}` by itself: {join_some(words)}", group.at


def _list_intakes(group: Group) -> frozenset[str]:
    """Return by what a group has taken anybody in, in words."""
    return frozenset(member.by for member in group.members if member.by is not None)


def _compare_files(base: Declaration, head: Declaration) -> Iterator[Finding]:
    """Yield the changes that concern all instances: the root file, bounds of included files, users, public sites."""
    for difference in _find_differences(_write_file(base), _write_file(head)):
        yield "policy-changed", str(difference), head.root
    old, new = _map_bounds(base), _map_bounds(head)
    for file in sorted(old.keys() & new.keys()):
        for difference in _find_differences(_write_bound(old[file]), _write_bound(new[file])):
            yield "policy-changed", f"what {file} may grant: {difference}", head.root
    for handle in sorted(base.users.keys() & head.users.keys()):
        yield from _compare_users(base.users[handle], head.users[handle])
    for former, handle in respelt(base, head).items():
        yield from _compare_users(base.users[former], head.users[handle])
    yield from _find_growth(base, head)
    for handle, site in head.sites.items():
        before = base.sites[handle].public if handle in base.sites else {}
        opened = sorted(name for name, wish in site.public.items() if wish and not before.get(name))
        if opened:
            names = "every instance" if EVERY in opened else ", ".join(opened)
            yield "public-changed", f"{site.domain} is opened to everybody on {names}", site.at


def _write_file(declaration: Declaration) -> dict[str, Any]:
    """Return the values of the root file that hold for all instances, under the keys of the file."""
    return {"policy": {"timezone": str(declaration.timezone)}, "journal": {"dir": declaration.journal_dir}}


def _map_bounds(declaration: Declaration) -> Mapping[str, Bound | None]:
    """Return the bound of each file that has grants; `None` for a file that may grant everything."""
    return {grant.at.file: grant.bound for grant in declaration.grants or ()}


def _write_bound(bound: Bound | None) -> dict[str, Any]:
    sites, most = (bound.sites, bound.at_most) if bound is not None else (None, None)
    return {"sites": _write_selectors(sites), "at_most": _write_power(most)}


def _compare_users(base: User, head: User) -> Iterator[Finding]:
    for difference in _find_differences(_write_user(base), _write_user(head)):
        code = "kind-changed" if difference.path == ("kind",) else "identity-changed"
        yield code, f"{head.handle}: {difference}", head.at


def _write_user(user: User) -> dict[str, Any]:
    """Return the identity of a user as plain text values, so that two users can be compared with `==` too."""
    return {
        "kind": user.kind,
        "id": user.id,
        "email": user.email,
        "logins": dict(user.named_logins),
        "ids": dict(user.ids),
        "managed_by": dict(user.managed_by),
        "age": user.age,
        "forge": dict(user.forge),
        "owner": user.owner,
    }
