"""The sites that a grant surely reaches, by the names that the file alone shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.hosts import domain_in
from siteward.access.patterns import fold, matcher
from siteward.access.policy import SITE_WORDS
from siteward.declaration.scopes import names_of
from siteward.declaration.selector import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.declaration.declared import Declaration, Grant, Instance, Site
    from siteward.declaration.selector import Selector


def named_sites(declaration: Declaration, grant: Grant, instance: Instance, kind: str) -> tuple[frozenset[str], ...]:
    """Return the names of each site, or `*` pattern of sites, that a grant reaches on an instance wherever it is live.

    A pattern stands for itself: a rule whose own pattern takes it in is about every site it can reach. What an
    exclusion, the instance's `manages` or an include's bound may keep from the grant is left out.
    """
    written = map(parse, grant.sites if kind == "site" else grant.metasites)
    selectors = tuple(written)
    kept_out = [each for each in selectors if each.excludes]
    bounds = [] if grant.bound is None or grant.bound.sites is None else [grant.bound.sites]
    bounds += [] if instance.manages is None else [instance.manages]
    found: dict[frozenset[str], None] = {}
    for selector in selectors:
        if selector.excludes:
            continue
        for names, open_ended in _named(declaration, selector, instance.name):
            inside = not _hit(kept_out, names) and all(_within(bound, names) for bound in bounds)
            if open_ended or inside:
                found[frozenset(map(fold, names))] = None
    return tuple(found)


def _named(declaration: Declaration, selector: Selector, instance: str) -> Iterator[tuple[frozenset[str], bool]]:
    """Yield the names of what a selector means, and whether that is a pattern, which other words can only narrow."""
    sites = declaration.sites
    if selector.kind == "tag":
        tagged = (site for site in sites.values() if selector.text in site.tags and _is_on(site, instance))
        yield from ((_of_declared(site, declaration, instance), False) for site in tagged)
    elif selector.kind == "name" and (site := sites.get(selector.text)) is not None:
        if _is_on(site, instance):
            yield _of_declared(site, declaration, instance), False
    elif selector.kind == "name":
        yield _of_host(domain_in(selector.text), declaration, instance), False
    elif selector.kind == "pattern":
        yield frozenset({selector.text}), True
        alone = len(declaration.instances) == 1
        for site in sites.values():
            here = (alone or instance in (site.only or ())) and _is_on(site, instance) and instance not in site.pins
            if here and matcher(selector.text)(domain_in(site.domain)):
                yield _of_declared(site, declaration, instance), False
    else:
        yield frozenset({f"{selector.kind}:{selector.text}"}), True


def _is_on(site: Site, instance: str) -> bool:
    return site.only is None or instance in site.only


def _of_declared(site: Site, declaration: Declaration, instance: str) -> frozenset[str]:
    """Return the names of a declared site: by its id where that is pinned, else by its domain."""
    pin = site.pins.get(instance)
    if pin is not None:
        same = (
            each for each in declaration.sites.values() if each.pins.get(instance) == pin and _is_on(each, instance)
        )
        return frozenset({f"id:{pin}"}).union(*map(names_of, same))
    return _of_host(domain_in(site.domain), declaration, instance)


def _of_host(host: str, declaration: Declaration, instance: str) -> frozenset[str]:
    """Return a host with the names of the declared sites that it is found by, at the revision judged against too."""
    same = (
        site
        for site in declaration.sites.values()
        if domain_in(site.domain) == host and instance not in site.pins and _is_on(site, instance)
    )
    return frozenset({host}).union(declaration.former_names.get(host, ()), *map(names_of, same))


def _hit(selectors: Iterable[Selector], names: frozenset[str]) -> bool:
    """Tell whether one of the selectors may mean a site of these names."""
    return any(_means(selector, names, unsure=True) for selector in selectors)


def _within(bound: Iterable[Selector], names: frozenset[str]) -> bool:
    """Tell whether a site of these names surely lies in what a list of selectors means."""
    selectors = tuple(bound)
    inside = any(_means(each, names, unsure=False) for each in selectors if not each.excludes)
    return inside and not _hit((each for each in selectors if each.excludes), names)


def _means(selector: Selector, names: frozenset[str], *, unsure: bool) -> bool:
    """Tell whether a selector means a site of these names; `unsure` is the answer where the file does not tell."""
    match selector.kind:
        case "pattern":
            test = matcher(selector.text)
            return any(test(name) for name in names if not name.startswith(SITE_WORDS))
        case "name":
            return domain_in(selector.text) in names
        case "tag":
            return f"tag:{selector.text}" in names
        case "id":
            return f"id:{selector.text}" in names or unsure
        case "sitegroup":
            return unsure
