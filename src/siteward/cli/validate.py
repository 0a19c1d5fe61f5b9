"""`siteward validate`: reports everything that is wrong with the files, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.cli.base_option import base_policy_from, option
from siteward.cli.session import Session, find_config, now, parse_instant, with_session
from siteward.render import formats_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.reconcile.survey import Survey


@click.command("validate")
@option
@click.option("--as-of", metavar="DATE", help="Name the lines that are dead at this date or instant.")
@click.option("--online", is_flag=True, help="Also ask the servers whether the users and sites exist; changes nothing.")
@with_session(*formats_of("validate"), without=("--group-by",))
def command(session: Session, base: str | None, as_of: str | None, *, online: bool) -> int:
    """Check the files against the grammar, the platforms' abilities and the policy. Contacts nothing without --online."""
    from siteward.reconcile.project import validate

    path, moment = find_config(session), now()
    report = validate(
        path,
        base_policy_from(base, path, "validate"),
        as_of=lambda declaration: parse_instant(as_of, str(declaration.timezone)) or moment,
    )
    if online and not any(said.blocks for said in report.diagnostics):
        report = replace(
            report, diagnostics=(*report.diagnostics, *_ask_servers(session, as_of, set(report.diagnostics)))
        )
    return session.leave(report)


def _ask_servers(session: Session, as_of: str | None, known: set[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield what the servers know better: sites and users that are not there, and instances that cannot be read."""
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.plan import plan_and_survey

    checkout = open_checkout(session, "validate", as_of=as_of)
    report, surveys = plan_and_survey(
        checkout.project, checkout.instances, checkout.journals, checkout.run(), command="validate"
    )
    parts = report.plan.instances if report.plan is not None else ()
    whole = (*report.diagnostics, *(report.plan.diagnostics if report.plan is not None else ()))
    for said in dict.fromkeys((*whole, *(said for part in parts for said in part.diagnostics))):
        if said not in known and (said.code in _ABOUT_SITES or (said.blocks and said in whole)):
            yield said
    for survey in surveys:
        yield from _missing_accounts(survey)


_ABOUT_SITES = frozenset({"unknown-site", "matches-nothing", "ambiguous-site"})
"""The rules about sites that only a server can answer."""


def _missing_accounts(survey: Survey) -> Iterator[Diagnostic]:
    """Yield a warning about each account that the file wants and a server that lists its accounts does not have."""
    from siteward.access.diagnostic import warning

    if not survey.traits.accounts_listed:
        return
    for account in survey.desired.access.accounts():
        if account.key not in survey.live.access and account.renamed is None:
            user = survey.desired.declared_users.get(account.name)
            who = user.handle if user is not None else account.name
            message = f"`{who}` has no account `{account.name}` on {survey.name} yet"
            at = user.at if user is not None else None
            yield warning(
                "no-account-yet", message, at=at, hint="if there should be one, correct the login; else apply makes it"
            )
