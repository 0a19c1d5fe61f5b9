"""The settings of an Umami instance beyond the common keys."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

NAME = "umami"

Layout = Literal["per-site", "existing"]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The part of `instances.<name>` that is Umami's own."""

    layout: Annotated[
        Layout,
        Meta(
            description="How grants on sites are kept, since Umami has none of its own: `per-site` keeps one managed "
            "team for each site; `existing` uses the teams as they are and refuses what a shared team cannot express."
        ),
    ]
