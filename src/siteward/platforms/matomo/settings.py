"""What the file may say about a Matomo instance beyond the common keys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Onboarding = Literal["invite", "password"]


class Settings(BaseModel):
    """The part of `instances.<name>` that Matomo needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    self_login: str = Field(
        alias="self",
        min_length=1,
        description="The login whose token is used. It must be a superuser; no call of Matomo's API tells whose a "
        "token is.",
    )
    onboarding: Onboarding | None = Field(
        default=None,
        description="How new accounts begin: `invite` (Matomo 4.11 and later, the default there) or `password`.",
    )
