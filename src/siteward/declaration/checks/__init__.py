"""All that can be wrong with a declaration without asking a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.declaration.checks.grants import GRANT_CHECKS
from siteward.declaration.checks.names import NAME_CHECKS
from siteward.declaration.checks.users import USER_CHECKS
from siteward.declaration.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.diagnostic import Diagnostic

__all__ = ["CHECKS", "Context", "findings"]

CHECKS = (*NAME_CHECKS, *USER_CHECKS, *GRANT_CHECKS)
"""To add a rule, write a function from `Context` to diagnostics and put its name into one of these."""


def findings(context: Context) -> Iterator[Diagnostic]:
    """Yield what every check has to say."""
    for check in CHECKS:
        yield from check(context)
