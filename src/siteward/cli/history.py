"""`siteward history`: who gained and lost what, when, by whom and why, as the journals tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from siteward.cli.names import instance_option, journal_option, sites, users
from siteward.cli.session import Session, parse_day, with_session

if TYPE_CHECKING:
    from datetime import datetime

    from siteward.access.model import Power
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.events import Filter


@click.command("history")
@instance_option
@journal_option
@click.option("--user", metavar="NAME", shell_complete=users, help="Only this handle, login or address.")
@click.option("--site", metavar="SITE", shell_complete=sites, help="Only this site, by domain or handle.")
@click.option("--role", metavar="ROLE", help="Only this role, or at least view, edit, manage or admin.")
@click.option("--ticket", metavar="TICKET", help="Only what this ticket caused.")
@click.option("--since", metavar="DATE", help="From this date or instant on.")
@click.option("--until", metavar="DATE", help="Up to the end of this date, or this instant.")
@click.option("--by", metavar="ACTOR", help="Only what this actor ran; `others` for what no run did.")
@with_session("text", "json", "csv", "markdown", "html", without=("--group-by", "--exit-zero"))
def command(session: Session, instances: tuple[str, ...], **asked: str | None) -> int:
    """Tell every gain and loss of access that the journals have: when, by whom, why. Contacts nothing.

    Leaves with 1 where a journal is broken, and with 4 where something asked for may be missing, or was not checked.
    """
    from siteward.access.report import Report
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.events import histories, is_unsure
    from siteward.render.history import render

    checkout = open_checkout(session, "history", names=instances)
    found = histories(checkout.book, checkout.instances, _read_filter(checkout, asked))
    accounts = found.accounts(checkout.project.declaration)
    report = Report(command="history", diagnostics=tuple(told for told in found.said if told.blocks), accounts=accounts)
    notes = [told for told in found.said if not told.blocks]
    zone = str(checkout.project.declaration.timezone)
    code = session.answer(lambda form, options: render(found.events, form, options, notes, accounts, zone), report)
    return code or (4 if is_unsure(found.said, causes=asked["ticket"] is not None) else 0)


def _read_filter(checkout: Checkout, asked: dict[str, str | None]) -> Filter:
    """Return the filter that the options mean. Raises `UsageError` for a moment that is none."""
    from siteward.reconcile.events import Filter, names_of

    role = asked["role"]
    power = _power_of(role) if role else None
    site = asked["site"]
    declared = checkout.project.declaration.sites.get(site or "")
    return Filter(
        users=names_of(checkout.project.declaration, asked["user"]) if asked["user"] else None, site=declared.domain if declared is not None else site, role=role, power=power,
        ticket=asked["ticket"], since=_moment(checkout, asked["since"], last=False),
        until=_moment(checkout, asked["until"], last=True), by=asked["by"],
    )  # fmt: skip


def _power_of(role: str) -> Power | None:
    from siteward.access.model import Power

    return {power.name.lower(): power for power in Power}.get(role)


def _moment(checkout: Checkout, text: str | None, *, last: bool) -> datetime | None:
    """Return the instant that a date means, in the policy's time zone: its beginning, or its end."""
    option = "--until" if last else "--since"
    return parse_day(text, str(checkout.project.declaration.timezone), option, last=last)
