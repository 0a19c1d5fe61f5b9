"""`siteward explain`: the way from a line of the file to a live grant, or why there is none."""

from __future__ import annotations

import click

from siteward.cli.names import instance_option, sites, users
from siteward.cli.session import Session, with_session


@click.command("explain")
@click.argument("user", shell_complete=users)
@click.argument("site", shell_complete=sites)
@instance_option
@click.option("--as-of", metavar="DATE", help="Explain as if it were this date or instant.")
@with_session("text", "json", without=("--group-by", "--exit-zero"))
def command(session: Session, user: str, site: str, instances: tuple[str, ...], as_of: str | None) -> int:
    """Say why USER (a handle, login or e-mail) has, or has not, access to SITE (a handle or domain)."""
    from siteward.access.explanation import with_beside
    from siteward.cli.checkout import open_checkout
    from siteward.cli.questions import ask, gaps_of, no_answer
    from siteward.reconcile.explain import explain, scopes_of
    from siteward.render import in_words

    checkout = open_checkout(session, "explain", names=instances, as_of=as_of)
    report, surveys = ask(checkout, "explain")
    plan = in_words(report).plan
    found = tuple(
        with_beside(explanation, part)
        for survey in surveys
        if (part := plan.instance(survey.name) if plan else None) is not None
        for explanation in explain(checkout.project.declaration, survey, part, user, site)
    )
    if not found:
        known = [survey for survey in surveys if scopes_of(checkout.project.declaration, survey, site)]
        missing = f"no account or declared user {user!r}" if known else f"no site {site!r}"
        where = ", ".join(survey.name for survey in known or surveys)
        raise no_answer(report, f"there is {missing} on {where}", "siteward who-can view SITE")
    from siteward.render.answers import explanations

    gaps = gaps_of(report, surveys)
    return session.answer(lambda form, options: explanations(found, form, options, gaps, report.accounts or {}), report)
