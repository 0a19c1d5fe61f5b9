"""The sites that a grant surely reaches, by the names that the file alone shows."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.hosts import domain_in
from siteward.access.patterns import fold, matcher
from siteward.access.policy import SITE_WORDS
from siteward.declaration.selector import parse
from siteward.declaration.selectors import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from siteward.declaration.declared import Bound, Declaration, Grant, Instance, Site
    from siteward.declaration.selector import Selector


class NamedSites(Struct, dict=True):
    """The names of the sites that grants reach on one instance, wherever these sites are live."""

    declaration: Declaration
    instance: Instance
    _chosen: dict[tuple[tuple[str, ...], int], tuple[frozenset[str], ...]] = {}
    _means: dict[str, tuple[tuple[frozenset[str], bool], ...]] = {}

    def of(self, grant: Grant, kind: str) -> tuple[frozenset[str], ...]:
        """Return the names of each site, or `*` pattern of sites, that a grant reaches on that kind of scope.

        A pattern stands for itself: a rule whose own pattern takes it in is about every site it can reach. What an
        exclusion, the instance's `manages` or an include's bound may keep from the grant is left out.
        """
        written = {"site": grant.sites, "metasite": grant.metasites}.get(kind, ())
        key = (written, id(grant.bound))
        found = self._chosen.get(key)
        if found is None:
            found = self._chosen[key] = self._choose(written, grant.bound)
        return found

    def _choose(self, written: tuple[str, ...], bound: Bound | None) -> tuple[frozenset[str], ...]:
        selectors = tuple(map(parse, written))
        out = _NamedBy.of(selector for selector in selectors if selector.excludes)
        lists = (None if bound is None else bound.sites, self.instance.manages)
        bounds = [_Inside.of(selectors) for selectors in lists if selectors is not None]
        found: dict[frozenset[str], None] = {}
        for selector in selectors:
            for names, open_ended in self._meant(selector) if not selector.excludes else ():
                if open_ended or (not out.may_mean(names) and all(inside.holds(names) for inside in bounds)):
                    found[names] = None
        return tuple(found)

    def _meant(self, selector: Selector) -> tuple[tuple[frozenset[str], bool], ...]:
        """Return the names of what a selector means, and whether that is a pattern, which other words only narrow."""
        found = self._means.get(selector.written)
        if found is None:
            named = ((frozenset(map(fold, names)), open_ended) for names, open_ended in self._find_names(selector))
            found = self._means[selector.written] = tuple(named)
        return found

    def _find_names(self, selector: Selector) -> Iterator[tuple[frozenset[str], bool]]:
        site = self.declaration.sites.get(selector.text) if selector.kind == "name" else None
        if selector.kind == "tag":
            yield from ((self._of_site(site), False) for site in self._tagged.get(selector.text, ()))
        elif site is not None:
            if self._is_here(site):
                yield self._of_site(site), False
        elif selector.kind == "name":
            yield self._of_host(domain_in(selector.text)), False
        elif selector.kind == "pattern":
            yield frozenset({selector.text}), True
            test = matcher(selector.text)
            yield from ((self._of_site(site), False) for site in self._sure if test(domain_in(site.domain)))
        else:
            yield frozenset({f"{selector.kind}:{selector.text}"}), True

    def _is_here(self, site: Site) -> bool:
        return site.only is None or self.instance.name in site.only

    @cached_property
    def _here(self) -> tuple[Site, ...]:
        """The declared sites that may be on the instance."""
        return tuple(site for site in self.declaration.sites.values() if self._is_here(site))

    @cached_property
    def _tagged(self) -> Mapping[str, list[Site]]:
        """Those that may be there by each of their tags."""
        found: dict[str, list[Site]] = defaultdict(list)
        for site in self._here:
            for tag in dict.fromkeys(site.tags):
                found[tag].append(site)
        return found

    @cached_property
    def _sure(self) -> tuple[Site, ...]:
        """Those that are there, as the file says, and are found by their domain."""
        alone, name = len(self.declaration.instances) == 1, self.instance.name
        return tuple(site for site in self._here if (alone or site.only is not None) and name not in site.pins)

    @cached_property
    def _called(self) -> Mapping[str, frozenset[str]]:
        """The names of declared sites by what they are found by: `id:7` where that is pinned, else the host."""
        found: dict[str, set[str]] = defaultdict(set)
        for site in self._here:
            pin = site.pins.get(self.instance.name)
            found[domain_in(site.domain) if pin is None else f"id:{pin}"] |= names_of(site)
        return {at: frozenset(names) for at, names in found.items()}

    def _of_site(self, site: Site) -> frozenset[str]:
        pin = site.pins.get(self.instance.name)
        at = f"id:{pin}"
        return self._of_host(domain_in(site.domain)) if pin is None else self._called[at] | {at}

    def _of_host(self, host: str) -> frozenset[str]:
        """Return a host with the names that the file, and the revision judged against, have for what is found by it."""
        nothing = frozenset[str]()
        return self._called.get(host, nothing) | self.declaration.former_names.get(host, nothing) | {host}


class _NamedBy(Struct, frozen=True):
    """What a list of selectors means by the names of sites; `unsure` is true if the file does not tell all of it."""

    words: frozenset[str]
    tests: tuple[Callable[[str], object], ...]
    unsure: bool

    @classmethod
    def of(cls, selectors: Iterable[Selector]) -> _NamedBy:
        """Digest the selectors, so that a site is not compared with one after the other."""
        given = tuple(selectors)
        words = (
            domain_in(selector.text) if selector.kind == "name" else f"{selector.kind}:{selector.text}"
            for selector in given
            if selector.kind in {"name", "tag", "id"}
        )
        tests = tuple(matcher(selector.text) for selector in given if selector.kind == "pattern")
        return cls(frozenset(words), tests, any(selector.kind in {"id", "sitegroup"} for selector in given))

    def surely_means(self, names: frozenset[str]) -> bool:
        """Return whether a site of these names is meant, as far as the file tells."""
        if not self.words.isdisjoint(names):
            return True
        plain = [name for name in names if not name.startswith(SITE_WORDS)] if self.tests else ()
        return any(test(name) for test in self.tests for name in plain)

    def may_mean(self, names: frozenset[str]) -> bool:
        """Return whether a site of these names may be meant."""
        return self.unsure or self.surely_means(names)


class _Inside(Struct, frozen=True):
    """A list of selectors as a bound: what it means, without what it leaves out."""

    meant: _NamedBy
    out: _NamedBy

    @classmethod
    def of(cls, selectors: Iterable[Selector]) -> _Inside:
        """Return the bound that a list of selectors is."""
        given = tuple(selectors)
        meant = (selector for selector in given if not selector.excludes)
        return cls(_NamedBy.of(meant), _NamedBy.of(selector for selector in given if selector.excludes))

    def holds(self, names: frozenset[str]) -> bool:
        """Return whether a site of these names surely lies inside."""
        return self.meant.surely_means(names) and not self.out.may_mean(names)
