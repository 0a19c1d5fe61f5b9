"""Selectors that select nothing: plain names that no live site has, and patterns that match none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import error, join_some, near, warning
from siteward.access.traits import SITE_KINDS
from siteward.declaration.selectors import Scopes, Unresolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live, Site
    from siteward.declaration.declared import Declaration
    from siteward.declaration.declared import Grant as Line

PIN = "declare it under `sites` with its id (`on: {INSTANCE: ID}`), or have its owner move it into a team"


def describe_unmatched(
    line: Line,
    kind: str,
    missing: tuple[int, ...],
    idle: tuple[int, ...],
    scopes: Mapping[str, Scopes | Unresolved],
) -> Iterator[Diagnostic]:
    """Yield an error for each plain name, and a warning for each pattern, that selects nothing on these instances.

    `missing` and `idle` are their positions in the line's selectors; `scopes` are the instances that were tried.
    """
    key = f"{kind}s"
    written, where = line.named(kind), ", ".join(scopes)
    for number in missing:
        sites = _find_by_id_only(written[number], scopes)
        if sites:
            message = f"`{written[number]}` means {list_sites(sites)}, matched by id alone"
            yield error("unknown-site", message, at=line.location.at(key, number), hint=PIN)
            continue
        message = f"no {kind} of {where} is called `{written[number]}`"
        hint = "name a live site by its domain, or declare it under `sites`" if kind == "site" else None
        domain = _find_domain(written[number], scopes)
        if domain is not None:
            message = f"`{written[number]}` is {domain} by its row, and no {kind} of {where} has that domain"
            hint = "correct its `domain` under `sites`, or pin its id (`on: {INSTANCE: ID}`)"
        meant = _find_meant(domain or written[number], scopes)
        if meant is not None:
            hint = f'did you mean "{meant}"?'
        yield error("unknown-site", message, at=line.location.at(key, number), hint=hint)
    for number in idle:
        sites = _find_by_id_only(written[number], scopes)
        message = f"`{written[number]}` matches no {kind} of {where}"
        if sites:
            message += f" but {list_sites(sites)}, matched by id alone"
        hint = PIN if sites else None
        yield warning("matches-nothing", message, at=line.location.at(key, number), hint=hint)


def _find_meant(written: str, scopes: Mapping[str, Scopes | Unresolved]) -> str | None:
    """Return the live or declared site that was likely meant; of domains only the first part may be misspelt."""
    first, _, rest = written.partition(".")
    words = {name for scope in scopes.values() if isinstance(scope, Scopes) for name in scope.words()}
    meant = near(first, (name.partition(".")[0] for name in words if name.partition(".")[2] == rest))
    return None if meant is None else f"{meant}.{rest}" if rest else meant


def _find_domain(written: str, scopes: Mapping[str, Scopes | Unresolved]) -> str | None:
    """Return the domain of the declared site that a name is the handle of."""
    found = (scope.domain_of(written) for scope in scopes.values() if isinstance(scope, Scopes))
    return next(filter(None, found), None)


def _find_by_id_only(written: str, scopes: Mapping[str, Scopes | Unresolved]) -> tuple[Site, ...]:
    """Return the sites that a selector would select, were they not matched by their id alone."""
    return tuple(site for scope in scopes.values() if isinstance(scope, Scopes) for site in scope.by_id_only(written))


def list_sites(sites: Sequence[Site]) -> str:
    """Return the labels and owners of sites for a message, cut to the first few."""
    names = sorted(f"{site.label} (belongs to {site.owner or 'nobody'})" for site in sites)
    listed = join_some(names)
    return listed if len(names) == 1 else f"{len(names)} sites: {listed}"


def nowhere(declaration: Declaration, lives: Mapping[str, Live]) -> tuple[Diagnostic, ...]:
    """Return a diagnostic for each selector that selects nothing on any of the several instances its grant reaches.

    For a plain name it is an error, for a pattern a warning. `lives` are the instances that were read; grants that
    reach another one are left out, and so are those of a single instance, which `resolve` checks.
    """
    scopes = {
        (name, kind): Scopes(declaration.sites, name, live, kind) for name, live in lives.items() for kind in SITE_KINDS
    }
    diagnostics: list[Diagnostic] = []
    for line in declaration.grants or ():
        reached = line.on if line.on is not None else tuple(declaration.instances)
        if len(reached) < 2 or not lives.keys() >= set(reached):
            continue
        for kind in SITE_KINDS:
            choices = [scopes[instance, kind].choose(line.named(kind), None) for instance in reached]
            missing = set(choices[0].missing).intersection(*(choice.missing for choice in choices))
            idle = set(choices[0].idle).intersection(*(choice.idle for choice in choices))
            if missing or idle:
                tried = {instance: scopes[instance, kind] for instance in reached}
                diagnostics += describe_unmatched(line, kind, tuple(sorted(missing)), tuple(sorted(idle)), tried)
    return tuple(diagnostics)
