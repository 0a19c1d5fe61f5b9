"""`siteward explain` and `siteward who-can`: the reasons for one person's access, and who has a role; on a site or anywhere."""

from __future__ import annotations

import click

from siteward.cli.names import at_option, instance_option, journal_option, roles, sites, users
from siteward.cli.session import Session, with_session


@click.command("explain")
@click.argument("user", shell_complete=users)
@click.argument("site", required=False, shell_complete=sites)
@instance_option
@journal_option
@click.option("--as-of", metavar="DATE", help="Explain as if it were this date or instant.")
@at_option
@with_session("text", "json", "csv", without=("--group-by", "--exit-zero"))
def explain(
    session: Session, user: str, site: str | None, instances: tuple[str, ...], as_of: str | None, at: str | None
) -> int:
    """Say why USER (a handle, login or e-mail) has, or has not, access to SITE (a handle or domain).

    Without SITE: all that USER may do anywhere, a line for each; -v gives the reasons in full.
    """
    from siteward.access.explanation import with_beside, with_confirmed
    from siteward.cli.checkout import gaps_of, no_answer, open_checkout, read_instances
    from siteward.reconcile.confirmed import confirmed_on
    from siteward.reconcile.explain import explain as explained
    from siteward.reconcile.explain import scopes_of
    from siteward.render import in_words

    checkout = open_checkout(session, "explain", names=instances, as_of=as_of, at=at, asks=True)
    report, surveys = read_instances(checkout, "explain")
    plan = in_words(report).plan
    confirmed = confirmed_on(checkout.journals, checkout.instances, surveys, checkout.as_of)
    answers = tuple(
        with_confirmed(with_beside(explanation, part), confirmed)
        for survey in surveys
        if (part := plan.instance(survey.name) if plan else None) is not None
        for explanation in explained(checkout.project.declaration, survey, part, user, site)
    )
    if checkout.past:
        from siteward.reconcile.past import as_recorded

        answers = tuple(map(as_recorded, answers))
    if not answers:
        declaration = checkout.project.declaration
        with_site = [survey for survey in surveys if site is None or scopes_of(declaration, survey, site)]
        missing = f"no account or declared user {user!r}" if with_site else f"no site {site!r}"
        where = ", ".join(survey.name for survey in with_site or surveys)
        raise no_answer(report, f"there is {missing} on {where}", "siteward who-can view")
    from siteward.render.answers import explanations

    gaps, zone = gaps_of(report, surveys), str(checkout.project.declaration.timezone)
    return session.answer(
        lambda form, options: explanations(
            answers, form, options, gaps, report.accounts or {}, zone, brief=site is None and not options.verbose
        ),
        report,
    )


@click.command("who-can")
@click.argument("role", shell_complete=roles)
@click.argument("site", required=False, shell_complete=sites)
@instance_option
@journal_option
@click.option("--as-of", metavar="DATE", help="Ask as if it were this date or instant.")
@at_option
@with_session("text", "json", "csv", without=("--group-by", "--exit-zero"))
def who_can(
    session: Session, role: str, site: str | None, instances: tuple[str, ...], as_of: str | None, at: str | None
) -> int:
    """List who holds ROLE or more on SITE, live and declared; without SITE: anywhere.

    ROLE is view, edit, manage, admin, a role of the platform, a right beside roles (an extra or capability), or a module;
    `platform:name` asks the instances of that platform alone.
    """
    from siteward.cli.checkout import gaps_of, no_answer, open_checkout, read_instances
    from siteward.reconcile.explain import holdings, right_of, scopes_of

    checkout = open_checkout(session, "who-can", names=instances, as_of=as_of, at=at, asks=True)
    report, surveys = read_instances(checkout, "who-can")
    declaration = checkout.project.declaration
    rights = {survey.name: right_of(survey, role) for survey in surveys}
    if all(right is None for right in rights.values()):
        raise click.UsageError(
            f"no role {role!r}; write view, edit, manage, admin, or a role, capability or module of the platform"
        )
    if site is not None and not any(scopes_of(declaration, survey, site) for survey in surveys):
        raise no_answer(report, f"there is no site {site!r} on {', '.join(rights)}", "siteward validate")
    held = tuple(
        holding
        for survey in surveys
        if (right := rights[survey.name]) is not None
        for holding in holdings(declaration, survey, right, site)
    )
    from siteward.render.answers import holdings as rendered

    gaps, zone = gaps_of(report, surveys), str(declaration.timezone)
    return session.answer(
        lambda form, options: rendered(held, form, options, gaps, report.accounts or {}, zone), report
    )
