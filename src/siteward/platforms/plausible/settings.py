"""What the file may say about a Plausible instance beyond the common keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from siteward.platforms.plausible.roles import TeamRole

_SPAN = re.compile(r"(\d+)([hd])")


class Invitations(BaseModel):
    """How often somebody who does not accept is asked again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_sends: int = Field(default=2, ge=1, description="How many invitations one address gets for one site.")
    resend_after: str = Field(
        default="72h",
        pattern=r"^\d{1,4}[hd]$",
        description="How long to wait after an invitation before another is sent: hours (72h) or days (3d). "
        "Plausible forgets an invitation after 48 to 72 hours.",
    )

    @property
    def pause(self) -> timedelta:
        """The time between two invitations."""
        found = _SPAN.fullmatch(self.resend_after)
        number, unit = (found[1], found[2]) if found else ("72", "h")
        return timedelta(hours=int(number)) if unit == "h" else timedelta(days=int(number))


class Settings(BaseModel):
    """The part of `instances.<name>` that is Plausible's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    team: str | None = Field(
        default=None,
        description="The id of the team whose sites these are, as Plausible's API lists it; may be left out where the "
        "credentials see one team only.",
    )
    edition: Literal["auto", "cloud", "enterprise", "ce"] = Field(
        default="auto",
        description="`cloud` and `enterprise` have the Sites API, `ce` (Community Edition) has a database and web "
        "forms; `auto` finds out.",
    )
    role_change: Literal["manual", "reinvite"] = Field(
        default="manual",
        description="The Sites API cannot change the role of a guest who has accepted: `manual` leaves that to people, "
        "`reinvite` removes and invites again, and access is lost until the new invitation is accepted.",
    )
    team_members: dict[str, TeamRole] | None = Field(
        default=None,
        description="Members of the team and people invited into it, by e-mail: the Sites API does not show them. They "
        "are never written, and never made guests.",
    )
    invitations: Invitations = Field(default=Invitations(), description="How often somebody is invited again.")
    requests_per_hour: Annotated[int, Field(ge=60)] = Field(
        default=600, description="What the plan allows the whole team; other programs with a key of the team count too."
    )
