"""What the verbs of the access review share: the review of now, and the error for sheets from which nothing follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import error
from siteward.access.report import Report, doubtful, missing
from siteward.cli.session import StoppedError

if TYPE_CHECKING:
    from siteward.access.certification import Confirmations, Horizon, Review
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.survey import Survey


_MOST = 20
"""So many reasons are told at once."""


def make_review(
    checkout: Checkout, report: Report, surveys: tuple[Survey, ...], horizon: Horizon
) -> tuple[Review, Confirmations]:
    """Return the review of what was read, or recorded, and what the journals say of earlier ones."""
    from siteward.access.certification import review
    from siteward.reconcile.certify import commits, dead_rows, keys_of, ledgers, membership_lines, with_memberships
    from siteward.reconcile.confirmed import confirmed_on

    declaration = checkout.project.declaration
    all_ledgers = ledgers(declaration, surveys)
    dead = () if checkout.past else dead_rows(declaration, checkout.as_of)
    folder, members = checkout.project.path.parent, membership_lines(declaration).values()
    changed = {} if checkout.past else commits(all_ledgers, folder, dead, members)
    confirmed = confirmed_on(checkout.journals, checkout.instances, surveys, checkout.as_of)
    made = review(all_ledgers, horizon, changed, (*missing(report), *doubtful(report)), dead, confirmed)
    made = with_memberships(made, declaration, changed)
    keys, unseen = keys_of(declaration, surveys), {survey.name: survey.keys_unseen for survey in surveys}
    zone = str(declaration.timezone)
    return replace(made, accounts=report.accounts or {}, timezone=zone, keys=keys, keys_unseen=unseen), confirmed


def refuse(*words: str) -> StoppedError:
    """Return the error for sheets, decisions or files from which nothing can follow, with the first reasons."""
    rest = len(words) - _MOST
    told = (*words[:_MOST], f"{rest} more are like these") if rest > 0 else words
    return StoppedError(Report(command="review", diagnostics=tuple(error("bad-decisions", why) for why in told)))
