"""What everybody may see without an account, by links and pages that no step here opens or closes.

A platform says in `Live.open` what makes a site open, each as a finding that tells who can close it. The file says of a
site whether that is meant (`public`): then it is no news; where it is not, the finding is an error of that site alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.model import Scope
    from siteward.access.state import Desired, Live


def judged(live: Live, desired: Desired) -> Iterator[Diagnostic]:
    """Yield the findings about a live state; those about open sites as the file wants these sites."""
    sites = {finding: scope for scope, findings in live.open.items() for finding in findings}
    for finding in live.findings:
        scope = sites.get(finding)
        if scope is None:
            yield finding
        elif scope not in desired.public:
            yield _offer(finding)
        elif not desired.public[scope]:
            yield still_public(scope, finding, desired)


def still_public(scope: Scope, finding: Diagnostic, desired: Desired) -> Diagnostic:
    """Return the error that a site which the file closes is open; `finding` says by what, and who can close it."""
    return error(
        "still-public",
        f"the file says that nobody sees it without an account: {finding.message}",
        at=desired.closed_at.get(scope),
        hint=finding.hint,
        local=True,
    )


def _offer(finding: Diagnostic) -> Diagnostic:
    """Return a finding with the words that declare an open site as intended."""
    meant = "if it is meant, say `public: {<instance>: true}` of the site"
    return replace(finding, hint=f"{finding.hint}; {meant}" if finding.hint else meant)
