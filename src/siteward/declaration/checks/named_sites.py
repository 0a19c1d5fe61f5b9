"""The names of the sites that grants reach, as rules compare them and as far as the file tells."""

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
    """The names of the sites that grants reach on one instance, as rules compare them and as far as the file tells."""

    declaration: Declaration
    instance: Instance
    _chosen: dict[tuple[tuple[str, ...], int], tuple[frozenset[str], ...]] = {}
    _means: dict[str, tuple[tuple[frozenset[str], bool], ...]] = {}

    def of(self, grant: Grant, kind: str) -> tuple[frozenset[str], ...]:
        """Return the names of each site, or `*` pattern of sites, that a grant reaches on that kind of scope.

        A pattern stands for itself: a rule whose own pattern covers it is about every site that it can reach. Sites
        that an exclusion, the instance's `manages` or an include's bound may take from the grant are left out.
        """
        written = grant.named(kind)
        key = (written, id(grant.bound))
        names = self._chosen.get(key)
        if names is None:
            names = self._chosen[key] = self._choose(written, grant.bound)
        return names

    def _choose(self, written: tuple[str, ...], bound: Bound | None) -> tuple[frozenset[str], ...]:
        selectors = tuple(map(parse, written))
        exclusions = _NamedBy.of(selector for selector in selectors if selector.excludes)
        lists = (None if bound is None else bound.sites, self.instance.manages)
        bounds = [_Inside.of(selectors) for selectors in lists if selectors is not None]
        chosen: dict[frozenset[str], None] = {}
        for selector in selectors:
            for names, open_ended in self._find_meant(selector) if not selector.excludes else ():
                if open_ended or (not exclusions.may_mean(names) and all(inside.holds(names) for inside in bounds)):
                    chosen[names] = None
        return tuple(chosen)

    def _find_meant(self, selector: Selector) -> tuple[tuple[frozenset[str], bool], ...]:
        """Return the names of each site that a selector means, with true for a pattern, which others only narrow."""
        meant = self._means.get(selector.written)
        if meant is None:
            named = ((frozenset(map(fold, names)), open_ended) for names, open_ended in self._find_names(selector))
            meant = self._means[selector.written] = tuple(named)
        return meant

    def _find_names(self, selector: Selector) -> Iterator[tuple[frozenset[str], bool]]:
        """Yield the same before names are folded."""
        site = self.declaration.sites.get(selector.text) if selector.kind == "name" else None
        if selector.kind == "tag":
            yield from ((self._names_of_site(site), False) for site in self._sites_by_tag.get(selector.text, ()))
        elif site is not None:
            if site.may_be_on(self.instance.name):
                yield self._names_of_site(site), False
        elif selector.kind == "name":
            yield self._names_of_host(domain_in(selector.text)), False
        elif selector.kind == "pattern":
            yield frozenset({selector.text}), True
            test = matcher(selector.text)
            yield from (
                (self._names_of_site(site), False) for site in self._sites_surely_here if test(domain_in(site.domain))
            )
        else:
            yield frozenset({f"{selector.kind}:{selector.text}"}), True

    @cached_property
    def _sites_here(self) -> tuple[Site, ...]:
        """The declared sites that may be on the instance."""
        return tuple(site for site in self.declaration.sites.values() if site.may_be_on(self.instance.name))

    @cached_property
    def _sites_by_tag(self) -> Mapping[str, list[Site]]:
        """The declared sites that may be on the instance, by each of their tags."""
        by_tag: dict[str, list[Site]] = defaultdict(list)
        for site in self._sites_here:
            for tag in site.tags:
                by_tag[tag].append(site)
        return by_tag

    @cached_property
    def _sites_surely_here(self) -> tuple[Site, ...]:
        """The declared sites that are on the instance for certain, and are found by their domain."""
        alone, name = len(self.declaration.instances) == 1, self.instance.name
        return tuple(site for site in self._sites_here if (alone or site.only is not None) and name not in site.pins)

    @cached_property
    def _declared_names(self) -> Mapping[str, frozenset[str]]:
        """The names of declared sites by the key that finds them: `id:7` where the id is pinned, else the host."""
        by_key: dict[str, set[str]] = defaultdict(set)
        for site in self._sites_here:
            pin = site.pins.get(self.instance.name)
            by_key[domain_in(site.domain) if pin is None else f"id:{pin}"] |= names_of(site)
        return {key: frozenset(names) for key, names in by_key.items()}

    def _names_of_site(self, site: Site) -> frozenset[str]:
        pin = site.pins.get(self.instance.name)
        key = f"id:{pin}"
        return self._names_of_host(domain_in(site.domain)) if pin is None else self._declared_names[key] | {key}

    def _names_of_host(self, host: str) -> frozenset[str]:
        """Return a host with the names that the file and the base revision have for the sites found by it."""
        nothing = frozenset[str]()
        return self._declared_names.get(host, nothing) | self.declaration.former_names.get(host, nothing) | {host}


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
