"""What became of each object of a run since, and what of it an edit of the files can and may take back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change, direction
from siteward.access.diagnostic import Diagnostic, warning
from siteward.access.model import Account, Grant, Group, Member, account_of
from siteward.reconcile.apply.revalidate import reached
from siteward.reconcile.journal import plans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from siteward.access.model import Key, Resource
    from siteward.access.plan import Step
    from siteward.access.state import Desired, Origin
    from siteward.reconcile.journal.runs import Run
    from siteward.reconcile.survey import Survey
    from siteward.reconcile.undo.runs import PastRun

Fate: TypeAlias = Literal["back", "by-revert", "stays"]

ENDINGS = {
    "expired": "the time in the file is over",
    "not-yet": "the time in the file has not begun",
    "suspended": "the file suspends them",
    "absent": "the file has them as absent",
    "left": "they left, or the file no longer has them",
}


class Object(Struct, frozen=True, kw_only=True):
    """One object that a run changed, over all its steps on it, and what can be done about it.

    `back`: an edit can ask for what was before. `by-revert`: only the revert of a commit can. `stays`: nothing brings it
    back, or nothing may, and `why` says which. `until` is the end that what comes back has.
    """

    instance: str
    change: Change
    fate: Fate
    why: str = ""
    code: str = "not-undone"
    until: datetime | None = None

    @property
    def key(self) -> Key:
        """The key of the object."""
        return self.change.key


class Before(Struct, frozen=True, kw_only=True):
    """What is known of the time before a run on an instance: its reviewed steps, and what the file asked for then."""

    steps: Mapping[str, Step] | None
    before: Desired | None


def steps_of(folder: Path, past: PastRun) -> Mapping[str, Step] | None:
    """Return the reviewed steps of a run by id; `None` where its plan is not kept any more."""
    try:
        part = plans.kept_plan(folder, past.run.began.plan).instance(past.instance)
    except (OSError, ValueError):
        return None
    return {step.id: step for step in part.steps} if part is not None else {}


def objects_of(past: PastRun, survey: Survey, known: Before) -> Iterator[Object]:
    """Yield the objects of a run with what can be done about each, in the order of its steps."""
    judge = _Judge(past, survey, known)
    for steps, change in _join_changes(past.run):
        yield judge.judge(steps, change)


def _join_changes(run: Run) -> Iterator[tuple[tuple[str, ...], Change]]:
    """Yield each changed object once: the steps on it, and the change from before the first to after the last."""
    joined: dict[Key, tuple[tuple[str, ...], Change]] = {}
    for step, change in run.done.items():
        steps, first = joined.get(change.key, ((), change))
        joined[change.key] = (*steps, step), Change(first.before, change.after)
    for step in run.unsettled:
        change = run.intents[step].change
        steps, first = joined.get(change.key, ((), change))
        joined[change.key] = (*steps, step), Change(first.before, change.after)
    yield from joined.values()


class _Judge(Struct, frozen=True):
    """The judgement of each object of a run on an instance, as it is live and wished now."""

    past: PastRun
    survey: Survey
    known: Before

    def judge(self, steps: tuple[str, ...], change: Change) -> Object:
        """Return an object with its fate."""
        made = Object(instance=self.past.instance, change=change, fate="back")
        if self._is_back(change):
            return made
        if since := self._find_change_since(steps, change):
            return _stay(made, since, "changed-since-run")
        match change.before if change.before is not None else change.after:
            case Account():
                return self._judge_account(made)
            case Group() | Member():
                return replace(made, fate="by-revert", why="groups of the platform are edited by hand")
            case Grant(subject=subject) if subject.kind == "group":
                return replace(made, fate="by-revert", why="what a group holds is edited by hand")
            case _:
                return self._judge_gain(made, steps) if self._gives(change) else made

    def _is_back(self, change: Change) -> bool:
        """Return whether both the server and the file have an object as it was before the run."""
        wish = self.survey.desired.access.get(change.key)
        return reached(change.inverse, self.survey.live.access) and matches(wish, change.before)

    def _find_change_since(self, steps: tuple[str, ...], change: Change) -> str | None:
        """Return in words why an object is not as the run left it, on the server or in the file; `None` where it is."""
        if not self.past.run.unsettled.isdisjoint(steps):
            return "whether the run changed it is not known; left alone"
        if not reached(change, self.survey.live.access):
            now = describe(self.survey.live.access.get(change.key))
            return f"the run left {describe(change.after)}, and now it is {now}; left alone"
        wish = self.survey.desired.access.get(change.key)
        is_right = isinstance(change.before or change.after, Grant)
        if is_right and wish is not None and not matches(wish, change.after) and not matches(wish, change.before):
            return f"the file asks for {describe(wish)} since; left alone"
        return None

    def _judge_account(self, made: Object) -> Object:
        change = made.change
        if change.after is None:
            return _stay(made, "the account was deleted, and a new one has nothing of what went with it")
        if change.before is None:
            return _stay(made, "the account stays; `state: absent` and --allow-delete would delete it")
        return replace(made, fate="by-revert", why="logins, addresses and languages are edited by hand")

    def _gives(self, change: Change) -> bool:
        return change.before is not None and direction(change.inverse, self.survey.traits) != "close"

    def _judge_gain(self, made: Object, steps: tuple[str, ...]) -> Object:
        """Return an object that would give something back, with its fate: what has ended and who has left stay as they are."""
        if why := self._find_reason_to_stay(made, steps):
            return _stay(made, why)
        if matches(self.survey.desired.access.get(made.key), made.change.before):
            return made
        if self.known.before is None:
            return replace(made, fate="by-revert", why="the file of the time before is not known, nor when this ended")
        return replace(made, until=_end_of(self.known.before.origins.get(made.key)))

    def _find_reason_to_stay(self, made: Object, steps: tuple[str, ...]) -> str | None:
        user = self.survey.desired.declared_users.get(account_of(made.key) or "")
        if user is None:
            return "no user of the file has this account"
        if user.ending is not None:
            return f"{user.handle} does not come back: {ENDINGS[user.ending]}"
        reviewed = self.known.steps or {}
        if any(step in reviewed and reviewed[step].due == "end" for step in steps):
            return "it had ended by its date"
        now, before = self.survey.desired.access.get(made.key), self.known.before
        if before is None or matches(now, made.change.before):
            return None
        if not matches(before.access.get(made.key), made.change.before):
            return "the file of the time before gives it no more now, or never did"
        return None


def _end_of(origin: Origin | None) -> datetime | None:
    return origin.until if origin is not None else None


def _stay(made: Object, why: str, code: str = "not-undone") -> Object:
    return replace(made, fate="stays", why=why, code=code)


def matches(wish: Resource | None, asked: Resource | None) -> bool:
    """Return whether a wish is what is asked for; extras that either leaves open do not count."""
    if isinstance(wish, Grant) and isinstance(asked, Grant):
        extras = wish.extras is None or asked.extras is None or wish.extras == asked.extras
        return wish.role == asked.role and extras
    return wish == asked


def describe(resource: Resource | None) -> str:
    """Return a resource in a few words: what is held, or that there is nothing."""
    match resource:
        case None:
            return "nothing"
        case Grant(role=role, extras=extras):
            return role + "".join(f" +{extra}" for extra in sorted(extras or ()))
        case Member(group=group):
            return f"a member of {group}"
        case Account():
            return "the account"
        case Group():
            return "the group"


def tell(left: Object) -> Diagnostic:
    """Return what is said of an object that stays as it is; it counts as a difference, since it was asked for."""
    what = _name(left.change)
    message = f"{what}: {left.why or 'left as it is'}"
    created = left.change.before is None and isinstance(left.change.after, Account)
    if created:
        return warning("not-undone", message)
    hint = (
        "siteward explain, then edit the file"
        if left.code == "changed-since-run"
        else "edit the file by hand, by review"
    )
    return warning(left.code, message, hint=hint, differs=True)


def _name(change: Change) -> str:
    side = change.before or change.after
    account = account_of(change.key) or change.key[-1]
    where = f" on {side.scope}" if isinstance(side, Grant) else f" in {side.group}" if isinstance(side, Member) else ""
    return f"{account}{where}"


def tell_effects(objects: Iterable[Object], steps: Mapping[str, Step] | None) -> Iterator[Diagnostic]:
    """Yield what the steps of a run did beside the access that they changed: mails sent, and what was destroyed."""
    keys = {made.key for made in objects}
    for step in (steps or {}).values():
        if step.change.key in keys:
            for said in step.diagnostics:
                if said.effect in {"mail", "destroys", "irreversible", "moves"}:
                    yield warning("not-undone", f"cannot be taken back: {_name(step.change)}: {said.message}")
