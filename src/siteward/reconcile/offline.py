"""What the files alone give: rights of users on the sites that the files know, without any server.

The sites are those that are declared and those that grants name. A pattern and a site group get one site more, which
stands for all that the files do not know. So what is given before and after an edit can be compared exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from siteward import platforms
from siteward.access.effective import Index
from siteward.access.hosts import domain_in
from siteward.access.model import Access, Account, Scope
from siteward.access.state import Live, Site
from siteward.declaration.resolve import resolve
from siteward.declaration.selector import parse
from siteward.declaration.selectors import Scopes
from siteward.declaration.subjects import identities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from siteward.access.state import Desired, Origin
    from siteward.access.traits import Traits
    from siteward.access.window import Window
    from siteward.declaration.load import Declaration
    from siteward.declaration.selector import Selector

MOST_MOMENTS = 50
"""The most moments at which rights are compared; of more, the nearest are taken."""
UNKNOWN = "siteward-any-other"
"""What stands in a pattern for the sites that the files do not know."""

Right: TypeAlias = "tuple[str, frozenset[str] | None, datetime | None]"
"""A role, its extras, and the end of the grant."""
Rights: TypeAlias = "Mapping[tuple[str, Scope], Right]"


class Held(Struct, frozen=True, kw_only=True):
    """What the files give on one instance at one moment: rights by account and scope, with the lines behind them."""

    desired: Desired
    rights: Rights

    def origin(self, account: str, scope: Scope) -> Origin | None:
        """Return the line behind an account's own right."""
        return self.desired.origins.get(("grant", "account", account, scope.kind, scope.name))


class KnownWorld:
    """The sites and accounts of each instance as far as the files, and some words more, know them."""

    def __init__(self, declaration: Declaration, words: Iterable[str], as_of: datetime) -> None:
        asked = tuple(words)
        self.traits: Mapping[str, Traits] = {
            name: platforms.widest_of(instance.platform) for name, instance in declaration.instances.items()
        }
        self.live = {
            name: Live(
                access=Access(_accounts(declaration, name, self.traits[name], as_of)),
                sites=_sites(declaration, name, asked),
            )
            for name in declaration.instances
        }

    def held(self, declaration: Declaration, instance: str, moment: datetime) -> Held:
        """Return what a declaration gives on an instance at a moment."""
        desired = resolve(declaration, instance, self.traits[instance], self.live[instance], as_of=moment)
        return Held(desired=desired, rights=rights_of(desired))

    def scopes(self, declaration: Declaration, instance: str, word: str) -> tuple[Scope, ...]:
        """Return the sites of an instance that a word of `sites` means."""
        scopes = Scopes(declaration.sites, instance, self.live[instance], "site")
        scopes.manage(declaration.instances[instance].manages)
        choice = scopes.choose((word,), None)
        return choice.scopes


def rights_of(desired: Desired) -> Rights:
    """Return the declared right of each account on each scope, directly or through a group."""
    rights: dict[tuple[str, Scope], Right] = {}
    for account, scopes in Index(desired.access).by_account.items():
        for scope, ways in scopes.items():
            grant = max((grant for grant, _ in ways), key=lambda grant: (grant.role, sorted(grant.extras or ())))
            origin = desired.origins.get(grant.key)
            rights[account, scope] = (grant.role, grant.extras, origin.until if origin else None)
    return rights


def moments_of(dated: Iterable[Window], as_of: datetime, *more: Window | None) -> tuple[datetime, ...]:
    """Return a moment and all later ones at which some windows begin or end, in order, up to `MOST_MOMENTS`.

    The edges of `more` windows are always among them.
    """
    edges, asked = _edges(dated, as_of), _edges(filter(None, more), as_of)
    return tuple(sorted({as_of, *sorted(edges)[:MOST_MOMENTS], *asked}))


def _edges(dated: Iterable[Window], as_of: datetime) -> set[datetime]:
    edges = (edge for window in dated for edge in (window.start, window.end))
    return {edge for edge in edges if edge is not None and edge > as_of}


def _accounts(declaration: Declaration, instance: str, traits: Traits, as_of: datetime) -> Iterator[Account]:
    """Yield an account for each user, so that none waits for its maker."""
    known = identities(declaration, instance, traits, None, as_of=as_of, memory=None)
    yield from {identity.account: Account(identity.account) for identity in known.by_handle.values()}.values()


def _sites(declaration: Declaration, instance: str, words: tuple[str, ...]) -> Mapping[Scope, Site]:
    """Return the sites of an instance that the files know, and those of more words."""
    known = _Sites()
    for site in declaration.sites.values():
        if site.may_be_on(instance):
            known.add(domain_in(site.domain), site.pins.get(instance, f"of-{site.handle}"), site.name or "")
    asked = (word for line in declaration.grants or () for word in line.sites)
    for selector in dict.fromkeys(map(parse, (*asked, *words))):
        known.add_word(selector, declaration)
    for word in dict.fromkeys(word for line in declaration.grants or () for word in line.metasites):
        text = parse(word).text
        known.sites.setdefault(Scope("metasite", text), Site(id=text, label=text, name=text))
    return known.sites


class _Sites:
    """The sites found so far; several of one host are told apart by their ids."""

    def __init__(self) -> None:
        self.sites: dict[Scope, Site] = {}
        self._hosts: set[str] = set()
        self._ids: set[str] = set()

    def add(self, host: str, number: str, name: str = "", group: str = "") -> None:
        """Add a site."""
        label = f"{host}#{number}" if host in self._hosts else host
        self._hosts.add(host)
        self._ids.add(number)
        self.sites[Scope("site", label)] = Site(id=number, label=label, name=name, domains=(host,), group=group)

    def add_word(self, selector: Selector, declaration: Declaration) -> None:
        """Add the site that a word names, or one that stands for all that it may match."""
        text = selector.text
        if selector.kind == "name" and text not in declaration.sites and domain_in(text) not in self._hosts:
            self.add(domain_in(text), f"of-{domain_in(text)}")
        elif selector.kind == "pattern":
            self.add(text.replace("*", UNKNOWN), f"of-{text}")
        elif selector.kind == "sitegroup":
            self.add(f"{UNKNOWN}.{len(self.sites)}.invalid", f"of-{text}", group=text)
        elif selector.kind == "id" and text not in self._ids:
            self.add(f"{UNKNOWN}-{len(self.sites)}.invalid", text)
