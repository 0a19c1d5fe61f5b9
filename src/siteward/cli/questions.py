"""What the asking verbs share: one look at every instance, and a way to say that there is no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import error
from siteward.access.report import Missing, missing
from siteward.cli.session import StoppedError
from siteward.reconcile.plan import plan_and_survey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.access.report import Report
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.plan import Survey


def ask(checkout: Checkout, command: str) -> tuple[Report, tuple[Survey, ...]]:
    """Read every instance; stop where none could be read."""
    report, surveys = plan_and_survey(
        checkout.project, checkout.instances, checkout.book, checkout.run(), command=command
    )
    if not surveys:
        raise StoppedError(report)
    return report, surveys


def gaps_of(report: Report, surveys: Iterable[Survey]) -> tuple[Missing, ...]:
    """Return the instances that an answer does not show, and those that were not read whole."""
    halves = (Missing(instance=survey.name, partly=True) for survey in surveys if not survey.live.complete)
    return (*missing(report), *halves)


def no_answer(report: Report, message: str, hint: str) -> StoppedError:
    """Return the stop that says a question has no answer, with what kept instances from being read."""
    problems = tuple(diagnostic for diagnostic in report.plan.diagnostics if diagnostic.blocks) if report.plan else ()
    told = error("no-answer", message, hint=hint)
    return StoppedError(replace(report, plan=None, diagnostics=(*problems, told)))
