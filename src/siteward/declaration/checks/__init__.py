"""The checks of a declaration that need no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.declaration.checks.extras import EXTRAS_CHECKS
from siteward.declaration.checks.grants import GRANT_CHECKS
from siteward.declaration.checks.lookalikes import lookalikes
from siteward.declaration.checks.names import NAME_CHECKS
from siteward.declaration.checks.secrets import secrets
from siteward.declaration.checks.services import SERVICE_CHECKS
from siteward.declaration.checks.sites import SITE_CHECKS
from siteward.declaration.checks.users import USER_CHECKS
from siteward.declaration.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.diagnostic import Diagnostic

__all__ = ["CHECKS", "Context", "findings"]

CHECKS = (
    *NAME_CHECKS,
    lookalikes,
    *USER_CHECKS,
    *SERVICE_CHECKS,
    secrets,
    *SITE_CHECKS,
    *GRANT_CHECKS,
    *EXTRAS_CHECKS,
)
"""All checks. A new one is a function from `Context` to diagnostics, added to the tuple of its module."""


def findings(context: Context) -> Iterator[Diagnostic]:
    """Yield the diagnostics of all checks."""
    for check in CHECKS:
        yield from check(context)
