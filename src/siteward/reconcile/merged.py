"""The proof that files into which an instance was merged mean for all others what they meant before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.reconcile.certify import BadDecisionsError, load_edited
from siteward.reconcile.revisions.diff import Question, compared

if TYPE_CHECKING:
    from datetime import datetime

    from siteward.declaration.rewrite import Edit
    from siteward.reconcile.project import Project


def prove(project: Project, edit: Edit, instance: str, as_of: datetime) -> None:
    """Load the edited files and compare them with those before; nothing is contacted.

    Raises `BadDecisionsError` where they are not valid, or give or take access on another instance than `instance`.
    """
    after = load_edited(project, edit)
    comparison = compared(project.declaration, after, Question(base="the file", head="the edit", as_of=as_of))
    moved = next((movement for movement in comparison.movements if movement.instance != instance), None)
    if moved is not None:
        raise BadDecisionsError(
            f"{moved.person} would have {'more' if moved.gains else 'less'} on {moved.instance}, {moved.scope}, by a group or"
            f" pattern that takes the new rows in; write {instance} into a file of its own with --out, and merge by hand"
        )
