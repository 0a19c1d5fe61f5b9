"""What the file may say about an Umami instance beyond the common keys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Layout = Literal["per-site", "existing"]


class Settings(BaseModel):
    """The part of `instances.<name>` that is Umami's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Layout = Field(
        description="How grants on sites are kept, since Umami has none of its own: `per-site` keeps one managed team "
        "for each site; `existing` uses the teams as they are and refuses what a shared team cannot express."
    )
