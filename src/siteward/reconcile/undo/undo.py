"""Undo: the edit of the files that takes a run back, and the plan of the edited files, confined to that run's objects.

Nothing is written here. The plan is one as any other: apply judges it again, in a checkout that holds the edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import Diagnostic, note, plural, warning
from siteward.reconcile.apply.admission import unchecked
from siteward.reconcile.dated import declaration_of
from siteward.reconcile.journal.dates import build_record
from siteward.reconcile.project import Commit
from siteward.reconcile.revisions.git import NoSuchRevisionError, commit_at, read_at
from siteward.reconcile.selection import Selection
from siteward.reconcile.undo.edits import UndoEdit, Wanted, edit_for
from siteward.reconcile.undo.objects import Before, Object, objects_of, steps_of, tell, tell_effects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siteward.access.model import Key, Resource
    from siteward.access.plan import Step
    from siteward.declaration.load import Declaration
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.plan import Run
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey
    from siteward.reconcile.undo.runs import PastRun


class Undo(Struct, frozen=True, kw_only=True):
    """How a run is taken back: the edit, `None` where the files at hand ask for it already, and the plan's selection.

    `said` is about the edit as a whole. `back` counts the objects that the edited files bring back.
    """

    edit: UndoEdit | None
    only: Selection
    back: int
    said: tuple[Diagnostic, ...] = ()

    def project(self, project: Project) -> Project:
        """Return the project as the edit leaves it; it is not committed then."""
        if self.edit is None or not self.edit.texts or self.edit.loaded.declaration is None:
            return project
        commit = Commit(id=project.commit.id, dirty=True) if project.commit is not None else None
        return replace(project, loaded=self.edit.loaded, declaration=self.edit.loaded.declaration, commit=commit)


def undo(project: Project, surveys: Sequence[Survey], journals: Journals, runs: Sequence[PastRun], run: Run) -> Undo:
    """Return how runs of one plan are taken back, by what was read of their instances just now."""
    by_name = {survey.name: survey for survey in surveys}
    objects: list[Object] = []
    effects: dict[str, tuple[Diagnostic, ...]] = {}
    for past in runs:
        survey, steps = by_name[past.instance], steps_of(journals.folder, past)
        declared = _declared_before(project, past)
        before = survey.desired_by(declared) if declared is not None and past.instance in declared.instances else None
        found = tuple(objects_of(past, survey, Before(steps=steps, before=before)))
        objects += found
        effects[past.instance] = tuple(tell_effects(found, _done(past, steps)))
    wanted = Wanted(
        project=project, surveys=surveys, objects=objects, name=_name_of(runs), commit=_commit_of(runs),
        whole=project.declaration.instances.keys() <= by_name.keys(), as_of=run.as_of,
    )  # fmt: skip
    edit = edit_for(wanted)
    done = edit.done if edit is not None else tuple(made for made in objects if made.fate != "stays")
    left = [made for made in objects if made.fate == "stays"] + list(edit.left if edit is not None else ())
    only = Selection(
        words=tuple(f"run:{name}" for name in dict.fromkeys(past.id for past in runs)), domains={},
        objects=_as_left(done, by_name), remarks={name: (*_tell_all(left, name), *effects[name]) for name in effects},
    )  # fmt: skip
    seals = (unchecked(past.unchecked) for past in runs if past.unchecked is not None)
    return Undo(edit=edit, only=only, back=len(done), said=(*_describe(edit, len(done), wanted.name), *seals))


def _name_of(runs: Sequence[PastRun]) -> str:
    return runs[0].id


def _commit_of(runs: Sequence[PastRun]) -> str | None:
    """Return the commit that the runs were made from; `None` where the files were not committed as they were."""
    commits = {None if past.run.began.dirty else past.run.began.commit for past in runs}
    return commits.pop() if len(commits) == 1 else None


def _declared_before(project: Project, past: PastRun) -> Declaration | None:
    """Return what the file asked for before a run: at the run before it, else at the parent of its commit."""
    if past.before is not None:
        declaration = declaration_of(project, build_record(past.before.began))
        if declaration is not None:
            return declaration
    commit = _commit_of([past])
    if commit is None:
        return None
    folder = project.path.parent
    try:
        loaded = read_at(project.path, commit_at(folder, f"{commit_at(folder, commit)}^1"))
    except NoSuchRevisionError:
        return None
    return loaded.usable if loaded is not None else None


def _done(past: PastRun, steps: Mapping[str, Step] | None) -> Mapping[str, Step]:
    return {name: step for name, step in (steps or {}).items() if name in past.run.done}


def _as_left(objects: Sequence[Object], surveys: Mapping[str, Survey]) -> Mapping[str, Mapping[Key, Resource | None]]:
    """Return the objects that come back, by instance, each as it is live: as the run left it."""
    found: dict[str, dict[Key, Resource | None]] = {}
    for made in objects:
        found.setdefault(made.instance, {})[made.key] = surveys[made.instance].live.access.get(made.key)
    return found


def _tell_all(left: Sequence[Object], instance: str) -> tuple[Diagnostic, ...]:
    return tuple(tell(made) for made in left if made.instance == instance)


def _describe(edit: UndoEdit | None, back: int, name: str) -> tuple[Diagnostic, ...]:
    """Return what is to be said of the edit: by which way it was made, and that there is none."""
    if edit is None:
        words = (
            f"run {name}: the file asks for what was before already" if back else f"run {name}: nothing can be undone"
        )
        return (note("undo-edit", words) if back else warning("undo-edit", words),)
    if edit.commit is not None:
        return (
            note("undo-edit", f"the edit is the revert of commit {edit.commit[:12]}, for {plural(back, 'object')}"),
        )
    words = f"the edit is of lines, for {plural(back, 'object')}: {edit.why}"
    return (note("undo-edit", words),)
