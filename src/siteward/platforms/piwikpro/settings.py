"""What the file may say about a Piwik PRO instance beyond the common keys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SitesBy = Literal["name", "address"]


class Settings(BaseModel):
    """The part of `instances.<name>` that is Piwik PRO's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    native: bool = Field(
        default=False,
        description="Whether groups of the file are user groups there; otherwise their members get personal grants.",
    )
    sites_by: SitesBy = Field(
        default="name",
        description="What selectors compare: the `name` of an app, which the list tells, or the hosts of its "
        "`address`es, which take one request more for each app.",
    )
