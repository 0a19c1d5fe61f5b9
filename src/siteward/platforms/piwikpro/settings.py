"""The settings of a Piwik PRO instance beyond the common keys."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

NAME = "piwik-pro"

SitesBy = Literal["name", "address"]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The part of `instances.<name>` that is Piwik PRO's own."""

    native: Annotated[
        bool,
        Meta(
            description="Whether groups of the file are user groups there; otherwise their members get personal grants."
        ),
    ] = False
    sites_by: Annotated[
        SitesBy,
        Meta(
            description="What selectors compare: the `name` of an app, which the list tells, or the hosts of its "
            "`address`es, which take one request more for each app."
        ),
    ] = "name"
