"""The edit by which somebody leaves, proven: it ends all that they have, and leaves everybody else what they had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import account_of
from siteward.declaration.departure import depart
from siteward.reconcile.certify import load_edited
from siteward.reconcile.offboard import NotOffboardedError
from siteward.reconcile.sheets import BadDecisionsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.declaration.load import Declaration, Loaded
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey


class Departure(Struct, frozen=True, kw_only=True):
    """The edit by which somebody leaves: the new texts, and the files as they are then; none where nothing is to be edited."""

    texts: Mapping[str, str]
    loaded: Loaded


def edit_out(project: Project, surveys: Iterable[Survey], user: str, row: Mapping[str, str]) -> Departure:
    """Return the proven edit by which a user leaves. Raises `NotOffboardedError`."""
    texts = depart(project.declaration, user, row)
    if not texts:
        return Departure(texts={}, loaded=project.loaded)
    try:
        loaded = load_edited(project, texts)
    except BadDecisionsError as problem:
        raise NotOffboardedError(str(problem), "edit the file by hand") from problem
    if loaded.declaration is None:
        raise NotOffboardedError("the edited files would not be valid", "edit the file by hand")
    for survey in surveys:
        _prove(survey, loaded.declaration, user)
    return Departure(texts=texts, loaded=loaded)


def _prove(survey: Survey, declaration: Declaration, user: str) -> None:
    """Raise `NotOffboardedError` unless the edited files give this user nothing, and everybody else what they had."""
    after = survey.desired_by(declaration)
    theirs = {name for name, known in after.declared_users.items() if known.handle == user}
    old, new = survey.desired.access, after.access
    for key in old.keys() | new.keys():
        about = account_of(key)
        if about not in theirs and old.get(key) != new.get(key):
            raise NotOffboardedError(f"the edit would change {' '.join(key)} on {survey.name}", "edit the file by hand")
        if about in theirs and key[0] != "account" and key in new:
            raise NotOffboardedError(f"the edit would leave {' '.join(key)} on {survey.name}", "edit the file by hand")
