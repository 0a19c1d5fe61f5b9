"""Apps and meta sites → scopes with labels that are unique, and the hosts that selectors compare."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from siteward.access.hosts import domain_in
from siteward.access.model import Scope
from siteward.access.state import Site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def scopes(kind: str, names: Mapping[str, str], hosts: Mapping[str, Sequence[str]]) -> dict[Scope, Site]:
    """Return the scopes of all apps (or meta sites), given their names and, where known, the hosts of each, by id.

    Names need not be unique (API.md section 5); those that are not become `name#id`.
    """
    labels = {at: next(iter(hosts.get(at, ())), folded(name)) for at, name in names.items()}
    seen = Counter(labels.values())
    found: dict[Scope, Site] = {}
    for at, label in labels.items():
        unique = label if seen[label] == 1 else f"{label}#{at}"
        domains = tuple(hosts.get(at, ())) or (label,)
        found[Scope(kind, unique)] = Site(id=at, label=unique, name=names[at], domains=domains)
    return found


def hosts_of(urls: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts of an app's addresses, without repetition, in their order."""
    return tuple(dict.fromkeys(host for each in urls if (host := domain_in(each))))


def folded(name: str) -> str:
    """Return a name as selectors compare it: a domain where it looks like one, as it is otherwise."""
    name = name.strip()
    host = domain_in(name)
    return name if "." not in host or any(each.isspace() for each in host) else host
