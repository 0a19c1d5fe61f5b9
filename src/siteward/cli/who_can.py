"""`siteward who-can`: who holds a role, or more, on a site."""

from __future__ import annotations

import click

from siteward.cli.names import instance_option, sites
from siteward.cli.session import Session, with_session


@click.command("who-can")
@click.argument("role")
@click.argument("site", shell_complete=sites)
@instance_option
@click.option("--as-of", metavar="DATE", help="Ask as if it were this date or instant.")
@with_session("text", "json", "csv", without=("--group-by", "--exit-zero"))
def command(session: Session, role: str, site: str, instances: tuple[str, ...], as_of: str | None) -> int:
    """List who holds ROLE (view, edit, manage, admin, or a native name) or more on SITE, live and declared."""
    from siteward.cli.checkout import open_checkout
    from siteward.cli.questions import ask, gaps_of, no_answer
    from siteward.reconcile.explain import holdings, power_of, scopes_of

    checkout = open_checkout(session, "who-can", names=instances, as_of=as_of)
    report, surveys = ask(checkout, "who-can")
    declaration = checkout.project.declaration
    powers = {survey.name: power_of(survey, role) for survey in surveys}
    if surveys and all(power is None for power in powers.values()):
        raise click.UsageError(f"no role {role!r}; write view, edit, manage, admin, or a role of the platform")
    if surveys and not any(scopes_of(declaration, survey, site) for survey in surveys):
        raise no_answer(report, f"there is no site {site!r} on {', '.join(powers)}", "siteward validate")
    found = tuple(
        holding
        for survey in surveys
        if (power := powers[survey.name]) is not None
        for holding in holdings(declaration, survey, power, site)
    )
    from siteward.render.answers import holdings as rendered

    gaps = gaps_of(report, surveys)
    return session.answer(lambda form, options: rendered(found, form, options, gaps, report.accounts or {}), report)
