"""The traits of the platform: its roles with the power of each, and how accounts begin."""

from __future__ import annotations

from siteward.access.model import Power
from siteward.access.traits import Role, Traits
from siteward.platforms._template.settings import NAME

ADMIN = "admin"

WIDEST = Traits(
    platform=NAME,
    roles={
        "site": (
            Role(name="viewer", power=Power.VIEW, portable="view"),
            Role(name="editor", power=Power.EDIT, portable="edit"),
        ),
        "instance": (Role(name=ADMIN, power=Power.ADMIN, portable="admin"),),
    },
    top=ADMIN,
    keeps_email=False,
    onboarding=frozenset({"password"}),
    powerful=frozenset({ADMIN}),
)
