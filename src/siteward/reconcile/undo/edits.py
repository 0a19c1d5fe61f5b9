"""The edit of the files that takes a run back: the revert of its commit, or the lines, proven before it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.certification import Horizon, Item, Review, review
from siteward.access.model import Account, Grant, Power, account_of
from siteward.declaration.window import write_edge
from siteward.reconcile.certify import edited, ledgers, load_edited, write_role
from siteward.reconcile.revisions.policy_changes import changed_rules
from siteward.reconcile.sheets import Answer, BadDecisionsError, Decisions
from siteward.reconcile.undo.objects import Object, matches
from siteward.reconcile.undo.revert import NotProvenError, Texts, revert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from siteward.access.model import Key
    from siteward.declaration.load import Declaration, Loaded
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey


class UndoEdit(Struct, frozen=True, kw_only=True):
    """An edit, the files as it leaves them, and the objects that it brings back. `why` says why it is not the revert."""

    texts: Texts
    loaded: Loaded
    done: tuple[Object, ...]
    left: tuple[Object, ...] = ()
    commit: str | None = None
    why: str = ""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be undone: the project and its surveys, the objects, and the run's `name` and `commit`, if it has one.

    `whole` is true where every instance of the file was read.
    """

    project: Project
    surveys: Sequence[Survey]
    objects: Sequence[Object]
    name: str
    commit: str | None
    whole: bool
    as_of: datetime

    def survey(self, instance: str) -> Survey:
        """Return the survey of an instance."""
        return next(survey for survey in self.surveys if survey.name == instance)

    def is_held(self, made: Object) -> bool:
        """Return whether the file at hand asks already for what was before."""
        return matches(self.survey(made.instance).desired.access.get(made.key), made.change.before)


def edit_for(wanted: Wanted) -> UndoEdit | None:
    """Return the edit that undoes what can be undone; `None` where the files ask for it already."""
    open_objects = [made for made in wanted.objects if made.fate != "stays" and not wanted.is_held(made)]
    held = [made for made in wanted.objects if made.fate != "stays" and wanted.is_held(made)]
    if not open_objects:
        return None
    try:
        reverted = _revert(wanted, open_objects)
    except NotProvenError as problem:
        by_lines = _edit_lines(wanted, open_objects, str(problem))
        return replace(by_lines, done=(*held, *by_lines.done))
    return replace(reverted, done=(*held, *reverted.done))


def _revert(wanted: Wanted, objects: Sequence[Object]) -> UndoEdit:
    """Return the revert of the run's commit. Raises `NotProvenError`."""
    if wanted.commit is None:
        raise NotProvenError("the run has no commit of its own: its files were not committed as they were")
    if not wanted.whole:
        raise NotProvenError(
            "not every instance of the file was read, and a revert may change what holds on the others"
        )
    texts = dict(revert(wanted.project, wanted.commit))
    if not texts:
        raise NotProvenError(f"commit {wanted.commit[:12]} changes nothing that these files still have")
    loaded, declaration = _load(wanted.project, texts)
    _refuse_more_than_access(wanted.project.declaration, declaration)
    _prove(wanted, declaration, objects, objects)
    return UndoEdit(texts=texts, loaded=loaded, done=tuple(objects), commit=wanted.commit)


def _load(project: Project, texts: Texts) -> tuple[Loaded, Declaration]:
    """Load the edited files. Raises `NotProvenError` where they are not valid."""
    try:
        loaded = load_edited(project, texts)
    except BadDecisionsError as problem:
        raise NotProvenError(str(problem)) from problem
    if loaded.declaration is None:
        raise NotProvenError("the edited files would not be valid")
    return loaded, loaded.declaration


def _refuse_more_than_access(now: Declaration, edited_: Declaration) -> None:
    """Raise `NotProvenError` where an edit changes instances or policies, or brings somebody back."""
    if changed := changed_rules(now, edited_):
        raise NotProvenError(f"its revert would change more than access: {changed[0].message}")
    for handle, user in edited_.users.items():
        known = now.users.get(handle)
        for instance in edited_.instances:
            was_active = known is not None and known.state(instance) == "active"
            if user.state(instance) == "active" and not was_active:
                raise NotProvenError(f"its revert would bring {handle} back")


def _prove(wanted: Wanted, declaration: Declaration, asked: Iterable[Object], allowed: Iterable[Object]) -> None:
    """Resolve the edited files: raises `NotProvenError` unless they differ in the `allowed` objects alone, and all `asked` are back."""
    back = {(made.instance, made.key): made for made in allowed}
    people = {(made.instance, account_of(made.key)) for made in (*back.values(), *wanted.objects)}
    for survey in wanted.surveys:
        old, new = survey.desired.access, survey.desired_by(declaration).access
        for key in old.keys() | new.keys():
            if old.get(key) == new.get(key):
                continue
            made = back.get((survey.name, key))
            if made is not None and matches(new.get(key), made.change.before):
                continue
            if key[0] == "account" and (survey.name, key[1]) in people and not _speaks(old.get(key), new.get(key)):
                continue  # an account is wanted by what it is given
            raise NotProvenError(f"it would also change {' '.join(_words(key))} on {survey.name}")
        for made in asked:
            if made.instance == survey.name and not matches(new.get(made.key), made.change.before):
                raise NotProvenError(f"it would not take back {' '.join(_words(made.key))} on {survey.name}")


def _speaks(old: object, new: object) -> bool:
    """Return whether both sides are accounts, so that an address or a login would change."""
    return isinstance(old, Account) and isinstance(new, Account)


def _words(key: Key) -> Iterator[str]:
    return (part for part in key if part and part not in {"grant", "account", "site", "member"})


def _edit_lines(wanted: Wanted, objects: Sequence[Object], why: str) -> UndoEdit:
    """Return the edit of the lines, with as many of the objects as can be proven; the others are left."""
    table = _Items(wanted)
    done: list[Object] = []
    left: list[Object] = []
    best: tuple[Texts, Loaded] | None = None
    for made in objects:
        if made.fate == "by-revert":
            left.append(replace(made, fate="stays"))
            continue
        try:
            best = _try_lines(wanted, table, [*done, made])
        except (NotProvenError, BadDecisionsError) as problem:
            left.append(replace(made, fate="stays", why=f"no line could be written for it: {problem}"))
        else:
            done.append(made)
    texts, loaded = best if best is not None else ({}, wanted.project.loaded)
    return UndoEdit(texts=texts, loaded=loaded, done=tuple(done), left=tuple(left), why=why)


def _try_lines(wanted: Wanted, table: _Items, objects: Sequence[Object]) -> tuple[Texts, Loaded]:
    """Return the files with lines for these objects, proven. Raises `NotProvenError` and `BadDecisionsError`."""
    items = [table.item(made) for made in objects]
    answers = {item.id: table.answer(made) for item, made in zip(items, objects, strict=True)}
    decisions = Decisions(digest="", answers=answers, rows={}, places={})
    made_items = {item.id: item for item in (*table.review.items, *items)}
    whole = replace(table.review, items=tuple(made_items.values()))
    edit = edited(wanted.project, wanted.surveys, whole, decisions, why=f"undo of run {wanted.name}")
    if edit.undone:
        raise NotProvenError(edit.undone[0])
    if not edit.texts:
        raise NotProvenError("nothing in the files gives or takes it")
    loaded, declaration = _load(wanted.project, edit.texts)
    _prove(wanted, declaration, objects, objects)
    return edit.texts, loaded


class _Items:
    """The rights under review on the surveyed instances, by which lines are edited, and those that are to come back."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        declaration = wanted.project.declaration
        self.review: Review = review(ledgers(declaration, wanted.surveys), Horizon(as_of=wanted.as_of))
        self._by_place = {(item.instance, item.account, item.scope): item for item in self.review.items}

    def item(self, made: Object) -> Item:
        """Return the right that an object is, as reviews know it; one that is gone is made of what it was."""
        grant = _grant_of(made)
        account = grant.subject.name
        known = self._by_place.get((made.instance, account, grant.scope))
        if known is not None and (known.declared is not None or made.change.before is None):
            return known
        desired = self._wanted.survey(made.instance).desired
        user = desired.declared_users.get(account)
        before = made.change.before
        return Item(
            id=known.id if known is not None else f"undo-{made.instance}-{'-'.join(made.key)}",
            instance=made.instance, account=account, kind=user.kind if user else "undeclared", scope=grant.scope,
            live=before if isinstance(before, Grant) else None, declared=None, power=Power.NONE, agreement="missing",
            handle=user.handle if user else None, origin=None,
        )  # fmt: skip

    def answer(self, made: Object) -> Answer:
        """Return the decision that takes an object back."""
        before = made.change.before
        if not isinstance(before, Grant):
            return Answer(word="revoke")
        survey = self._wanted.survey(made.instance)
        end = None
        if made.until is not None:
            end = write_edge(made.until, self._wanted.project.declaration.timezone, last=True)
        if made.key in survey.desired.access:
            return Answer(word="change", role=write_role(before, survey.traits), until=end)
        return Answer(word="keep", until=end)


def _grant_of(made: Object) -> Grant:
    """Return the grant that an object is. Raises `NotProvenError` for anything else."""
    side = made.change.before or made.change.after
    if not isinstance(side, Grant):
        raise NotProvenError("only rights of accounts are undone by lines")
    return side
