"""Checks of sites: domains that mean no site, who may see sites without an account, and who answers for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import problem
from siteward.declaration.references import describe_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.declaration.context import Context
    from siteward.declaration.declared import Group, Instance, Site


def domains(context: Context) -> Iterator[Diagnostic]:
    """Report domains with a `*`: a site of the file is one site, and only selectors of grants are patterns."""
    for site in context.declaration.sites.values():
        if "*" in site.domain and not site.pins:
            hint = "name one site; patterns stand in `sites` of grants, and `public: false` of an instance closes all"
            message = f"`{site.domain}` is the domain of no site"
            yield problem("pattern-as-domain", message, site.location.at("domain"), hint=hint)


def publicity(context: Context) -> Iterator[Diagnostic]:
    """Report `public` where a platform does not tell what is open, and sites that are open on a closed instance."""
    declaration, known = context.declaration, context.traits
    for instance in declaration.instances.values():
        if instance.closed and instance.name in known and not known[instance.name].tells_public:
            message = f"{instance.platform} does not tell which sites everybody may see"
            yield problem("no-public-access", message, instance.location.at("public"), instance=instance.name)
    for site in declaration.sites.values():
        for name in site.public.keys() & known.keys():
            if not known[name].tells_public:
                message = f"{known[name].platform} does not tell which sites everybody may see"
                yield problem("no-public-access", message, site.location.key("public", name), instance=name)
        yield from _find_clashes(site, [instance for instance in declaration.instances.values() if instance.closed])


def _find_clashes(site: Site, closed: list[Instance]) -> Iterator[Diagnostic]:
    for instance in closed:
        if site.opened(instance.name):
            at = site.public_at(instance.name)
            message = f"this site is open to everybody, and {instance.name} to nobody without an account"
            hint = "close the site, or leave the instance open and close the other sites"
            related = (instance.location.at("public"),)
            yield problem("public-clash", message, at, hint=hint, related=related, instance=instance.name)


def owners(context: Context) -> Iterator[Diagnostic]:
    """Report owners of sites and groups that are no user or group of the file."""
    declaration = context.declaration
    rows: tuple[Site | Group, ...] = (*declaration.sites.values(), *declaration.groups.values())
    for row in rows:
        for number, name in enumerate(row.owner):
            if not context.knows_person(name):
                at, known = row.location.at("owner", number), (*declaration.users, *declaration.groups)
                yield describe_unknown(declaration, name, at, known)


SITE_CHECKS: tuple[Callable[[Context], Iterator[Diagnostic]], ...] = (domains, publicity, owners)
