"""The keys of a Matomo instance in the file, beyond the common ones."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

NAME = "matomo"

Onboarding = Literal["invite", "password"]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The part of `instances.<name>` that Matomo needs."""

    self_login: Annotated[
        str,
        Meta(
            min_length=1,
            description="The login whose token is used. It must be a superuser; no call of Matomo's API tells whose a "
            "token is.",
        ),
    ] = field(name="self")
    onboarding: Annotated[
        Onboarding | None,
        Meta(description="How new accounts begin: `invite` (Matomo 4.11 and later, the default there) or `password`."),
    ] = None
