"""The edit by which somebody leaves, proven: it ends all that they have, and leaves everybody else what they had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import account_of
from siteward.declaration.departure import depart
from siteward.declaration.splice import CannotEditError, directory_of
from siteward.reconcile.certify import load_edited
from siteward.reconcile.offboard import NotOffboardedError
from siteward.reconcile.sheets import BadDecisionsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.declaration.edited import Edit
    from siteward.declaration.load import Declaration, Loaded
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey


_BY_HAND = "edit the file by hand"


def words_of_directory(user: str, directory: str) -> str:
    """Return what ends somebody whom a directory's file declares, which no edit of ours touches."""
    return f"disable {user} in the directory, and run `siteward people refresh {directory}`: it alone writes that row"


class Departure(Struct, frozen=True, kw_only=True):
    """The edit by which somebody leaves, and the files as they are then."""

    edit: Edit
    loaded: Loaded


def edit_out(project: Project, surveys: Iterable[Survey], user: str, row: Mapping[str, str]) -> Departure:
    """Return the proven edit by which a user leaves. Raises `NotOffboardedError`."""
    try:
        edit = depart(project.declaration, user, row)
    except CannotEditError as problem:
        raise NotOffboardedError(str(problem), _BY_HAND) from problem
    if not edit.texts:
        return Departure(edit=edit, loaded=project.loaded)
    try:
        loaded = load_edited(project, edit.texts)
    except BadDecisionsError as problem:
        raise NotOffboardedError(str(problem), _BY_HAND) from problem
    if loaded.declaration is None:
        raise NotOffboardedError("the edited files would not be valid", _BY_HAND)
    known = project.declaration.users.get(user)
    directory = directory_of(known.source) if known is not None else None
    hint = _BY_HAND if directory is None else words_of_directory(user, directory)
    for survey in surveys:
        _prove(survey, loaded.declaration, user, hint)
    return Departure(edit=edit, loaded=loaded)


def _prove(survey: Survey, declaration: Declaration, user: str, hint: str) -> None:
    """Raise `NotOffboardedError` unless the edited files give this user nothing, and everybody else what they had."""
    after = survey.desired_by(declaration)
    theirs = {name for name, known in after.declared_users.items() if known.handle == user}
    old, new = survey.desired.access, after.access
    for key in old.keys() | new.keys():
        about = account_of(key)
        if about not in theirs and old.get(key) != new.get(key):
            raise NotOffboardedError(f"the edit would change {' '.join(key)} on {survey.name}", _BY_HAND)
        if about in theirs and key[0] != "account" and key in new:
            raise NotOffboardedError(f"the edit would leave {' '.join(key)} on {survey.name}", hint)
