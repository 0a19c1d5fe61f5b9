"""`--only`: the part of a plan that a run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from siteward.access.model import account_of
from siteward.access.report import Report
from siteward.cli.session import StoppedError

if TYPE_CHECKING:
    from siteward.access.plan import Plan
    from siteward.declaration.load import Declaration
    from siteward.reconcile.selection import Selection

only_option = click.option(
    "--only",
    multiple=True,
    metavar="WHAT",
    help="Only a part: expiries, dates, deletions, no-deletions, user:HANDLE or site:DOMAIN; repeatable.",
)


def selection_of(words: tuple[str, ...], declaration: Declaration) -> Selection | None:
    """Return the selection that these words after `--only` make; `None` without any. Raises `UsageError`."""
    if not words:
        return None
    from siteward.access.diagnostic import near
    from siteward.reconcile.selection import KINDS, SYNTAX, Selection, is_selection

    for word in words:
        if not is_selection(word):
            meant = near(word.partition(":")[0], (*KINDS, "user", "site"))
            hint = f"; did you mean {meant + (':' if meant in {'user', 'site'} else '')!r}?" if meant else ""
            raise click.UsageError(f"--only {word}: write {SYNTAX}{hint}")
    domains = {name: site.domain for name, site in declaration.sites.items()}
    return Selection(words=words, domains=domains)


def check_names(selection: Selection, declaration: Declaration, plan: Plan) -> None:
    """Raise `StoppedError` for a name in a selection that neither the file nor a saved plan knows."""
    steps = [step for part in plan.instances for step in (*part.steps, *part.held_back, *part.left_out)]
    people = {name for step in steps for name in (step.person, account_of(step.change.key)) if name}
    people |= {account.name for part in plan.instances for account in part.unmanaged}
    sites = {step.change.key[-1] for step in steps if step.change.key[-2:-1] == ("site",)}
    if unknown := tuple(selection.unknown(declaration, people, sites)):
        raise StoppedError(Report(command="apply", diagnostics=unknown))
