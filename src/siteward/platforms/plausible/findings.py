"""Findings about a Plausible team besides its grants: owners, pending hand-overs, public dashboards, shared links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.platforms.plausible.native_state import NativeState


def findings(state: NativeState) -> Iterator[Diagnostic]:
    """Yield everything a reviewer of this instance should know, in a fixed order."""
    if state.door == "api":
        yield note(
            "guest-layer-only",
            "only guests of single sites can be seen and managed here; members of the team, who reach every site of it, "
            "cannot be seen through the Sites API",
        )
        return
    yield from _report_single_owner(state)
    yield from _report_team(state)
    yield from _report_sites(state)


def _report_single_owner(state: NativeState) -> Iterator[Diagnostic]:
    owners = sorted(
        colleague.email for colleague in state.colleagues if colleague.role == "owner" and not colleague.invited
    )
    if len(owners) == 1:
        yield warning(
            "single-owner",
            f"{owners[0]} is the team's only owner; without one the team cannot be managed",
            hint="make a second person owner in Plausible",
        )


def _report_team(state: NativeState) -> Iterator[Diagnostic]:
    for colleague in state.colleagues:
        if colleague.invited:
            yield note(
                "team-invitation",
                f"{colleague.email} is invited into the team as {colleague.role}; nothing here changes it",
            )
    for domain, email in sorted(state.transfers):
        yield warning("site-transfer", f"{domain} is being handed over to {email}; its guests go with it")


def _report_sites(state: NativeState) -> Iterator[Diagnostic]:
    for place in sorted(state.places.values(), key=lambda place: place.domain):
        if place.previous:
            yield warning(
                "site-renamed",
                f"{place.domain} was {place.previous}; the old name answers for 72 hours and is free for others then",
                hint="write the new name into the file",
            )
        if place.public:
            yield warning("public-dashboard", f"{place.domain} is public: everybody can see its statistics")
        for link in place.links:
            yield warning(
                "shared-link", f"{place.domain} has the shared link {link}: whoever knows it sees the statistics"
            )
