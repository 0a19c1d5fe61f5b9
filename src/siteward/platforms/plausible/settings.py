"""The settings of a Plausible instance beyond the common keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct

NAME = "plausible"
TeamRole = Literal["owner", "admin", "editor", "billing", "viewer"]


class Invitations(Struct, frozen=True, forbid_unknown_fields=True):
    """The limits for inviting somebody again who does not accept."""

    max_sends: Annotated[int, Meta(ge=1, description="How many invitations one address gets for one site.")] = 2
    resend_after: Annotated[
        str,
        Meta(
            pattern=r"^[1-9]\d{0,3}[hd]$",
            extra={"hint": "write hours or days, such as 72h or 3d"},
            description="How long to wait after an invitation before another is sent: hours (72h) or days (3d). "
            "Plausible forgets an invitation after 48 to 72 hours.",
        ),
    ] = "72h"

    @property
    def pause(self) -> timedelta:
        """The shortest time between two invitations."""
        wait = self.resend_after.strip()
        number = int(wait[:-1])
        return timedelta(hours=number) if wait[-1] == "h" else timedelta(days=number)


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The part of `instances.<name>` that is Plausible's own."""

    team: Annotated[
        str | None,
        Meta(
            description="The id of the team whose sites these are, as Plausible's API lists it; may be left out where "
            "the credentials see one team only."
        ),
    ] = None
    edition: Annotated[
        Literal["auto", "cloud", "enterprise", "ce"],
        Meta(
            description="`cloud` and `enterprise` have the Sites API, `ce` (Community Edition) has a database and web "
            "forms; `auto` finds out."
        ),
    ] = "auto"
    role_change: Annotated[
        Literal["manual", "reinvite"],
        Meta(
            description="The Sites API cannot change the role of a guest who has accepted: `manual` leaves that to "
            "people, `reinvite` removes and invites again, and access is lost until the new invitation is accepted."
        ),
    ] = "manual"
    team_members: Annotated[
        dict[str, TeamRole] | None,
        Meta(
            description="Members of the team and people invited into it, by e-mail: the Sites API does not show them. "
            "They are never written, and never made guests."
        ),
    ] = None
    invitations: Annotated[Invitations, Meta(description="How often somebody is invited again.")] = Invitations()
    requests_per_hour: Annotated[
        int,
        Meta(
            ge=60, description="What the plan allows the whole team; other programs with a key of the team count too."
        ),
    ] = 600
