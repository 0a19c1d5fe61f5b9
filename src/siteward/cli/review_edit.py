"""What the verbs of the access review share: the review of now, and the edit of the files shown as a patch, or written."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.access.diagnostic import error
from siteward.access.report import Report, doubtful, missing
from siteward.cli.session import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siteward.access.certification import Confirmations, Horizon, Review
    from siteward.cli.checkout import Checkout
    from siteward.declaration.rewrite import Edit
    from siteward.reconcile.survey import Survey


def make_review(
    checkout: Checkout, report: Report, surveys: tuple[Survey, ...], horizon: Horizon
) -> tuple[Review, Confirmations]:
    """Return the review of what was read, or recorded, and what the journals say of earlier ones."""
    from siteward.access.certification import review
    from siteward.reconcile.certify import commits, dead_rows, ledgers, membership_lines, with_memberships
    from siteward.reconcile.confirmed import confirmed_on

    declaration = checkout.project.declaration
    all_ledgers = ledgers(declaration, surveys)
    dead = () if checkout.past else dead_rows(declaration, checkout.as_of)
    folder, members = checkout.project.path.parent, membership_lines(declaration).values()
    changed = {} if checkout.past else commits(all_ledgers, folder, dead, members)
    confirmed = confirmed_on(checkout.book, checkout.instances, surveys, checkout.as_of)
    made = review(all_ledgers, horizon, changed, (*missing(report), *doubtful(report)), dead, confirmed)
    made = with_memberships(made, declaration, changed)
    return replace(made, accounts=report.accounts or {}), confirmed


def write_all(edit: Edit) -> None:
    """Write the edited files. Raises `StoppedError` and `ClickException` where one cannot be written."""
    from siteward.reconcile.certify import write_edit
    from siteward.reconcile.sheets import BadDecisionsError

    for name, text in edit.texts.items():
        try:
            write_edit(Path(name), text)
        except OSError as problem:
            raise click.ClickException(f"cannot write {name}: {problem.strerror}") from problem
        except BadDecisionsError as problem:
            raise refuse(str(problem)) from problem


def refuse(words: str) -> StoppedError:
    """Return the error for sheets, decisions or files from which nothing can follow."""
    return StoppedError(Report(command="review", diagnostics=(error("bad-decisions", words),)))


def draw_patch(edit: Edit) -> str:
    """Return the edit as a patch that git and patch understand."""
    return "".join(_lines(edit))


def _lines(edit: Edit) -> Iterator[str]:
    for name, text in sorted(edit.texts.items()):
        before = Path(name).read_text(encoding="utf-8").splitlines(keepends=True)
        yield from unified_diff(before, text.splitlines(keepends=True), f"a/{name}", f"b/{name}", n=1)
