"""The run that an undo means: found by its id or the beginning of it, and whether it can be undone at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from siteward.access.diagnostic import near, plural
from siteward.reconcile.journal.reading import path_of, read
from siteward.reconcile.journal.runs import split_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Journals
    from siteward.reconcile.journal.reading import JournalContent, Standing
    from siteward.reconcile.journal.runs import Run

_LATEST: Final = 5
"""The number of runs that are named where none is the one that was asked for."""


class NoRunError(Exception):
    """No run of the journals is the one that was asked for, or several are."""

    code = "no-such-run"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnfitRunError(NoRunError):
    """The run that was asked for is not one to undo."""

    code = "run-not-undone"


class PastRun(Struct, frozen=True, kw_only=True):
    """A run in the journal of an instance: `is_old` is true in a file of the first format, `before` is the run before it.

    `is_checked` is true where a key has sealed its lines and was there to check them; `unchecked` is the journal where
    seals stand and no key was there to check them.
    """

    instance: str
    run: Run
    is_old: bool
    before: Run | None
    is_checked: bool
    unchecked: Standing | None = None

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.run.began.run


def find_runs(
    journals: Journals, instances: Sequence[Instance], declared: Iterable[str], asked: str
) -> tuple[PastRun, ...]:
    """Return the run that `asked` names, with those of the same plan on other instances; one on each.

    `instances` are those that may be undone, `declared` the names of all in the file. Raises `NoRunError`, and
    `JournalBrokenError` where a journal cannot be relied on.
    """
    known = {name: tuple(_list_runs(journals, name)) for name in declared}
    chosen = {instance.name: instance for instance in instances}
    matching = [past for past in _flatten(known.values()) if past.id.casefold() == asked.casefold()]
    matching = matching or [
        past for past in _flatten(known.values()) if past.id.casefold().startswith(asked.casefold())
    ]
    if not asked or not matching:
        raise _no_such_run(journals, known, asked)
    if len({past.run.began.plan for past in matching}) > 1 or len({past.instance for past in matching}) < len(matching):
        names = ", ".join(f"{past.id} ({past.instance})" for past in matching[-_LATEST:])
        raise NoRunError(f"{asked} is the beginning of several runs: {names}", "write more of the id")
    found = {past.instance: past for past in matching}
    plan = matching[0].run.began.plan
    for name, runs in known.items():
        same = [past for past in runs if past.run.began.plan == plan]
        if same and name not in found:
            found[name] = same[-1]
    if not found.keys() & chosen.keys():
        words = f"run {matching[0].id} was on {', '.join(found)}, which --instance leaves out"
        raise NoRunError(words)
    runs = tuple(past for name, past in found.items() if name in chosen)
    for past in runs:
        _refuse_unfit(past, chosen[past.instance], journals)
    return runs


def _flatten(groups: Iterable[Iterable[PastRun]]) -> list[PastRun]:
    return [past for group in groups for past in group]


def _list_runs(journals: Journals, instance: str) -> Iterator[PastRun]:
    """Yield the runs in the journal of an instance, oldest first. Raises `JournalBrokenError`."""
    content: JournalContent = read(path_of(journals.folder, instance), journals.key)
    old = {run.began.run for run in split_runs(content.marked[: content.older])}
    before: Run | None = None
    for run in split_runs(content.marked):
        yield PastRun(
            instance=instance, run=run, is_old=run.began.run in old, before=before,
            is_checked=run.is_sealed and content.standing.checked,
            unchecked=None if content.standing.checked else content.standing,
        )  # fmt: skip
        before = run


def _no_such_run(journals: Journals, known: Mapping[str, Sequence[PastRun]], asked: str) -> NoRunError:
    """Return the error that no journal of the file has such a run, with the one that was likely meant and the latest."""
    for path in sorted(journals.folder.glob("*.jsonl")) if asked else ():
        name = path.name.removesuffix(".jsonl").removesuffix(".1")
        if name not in known and f'"run":"{asked}'.encode() in path.read_bytes():
            return UnfitRunError(
                f"run {asked} was on {name}, and the file has no instance of that name",
                "undo it from a checkout whose file has the instance",
            )
    runs = sorted(_flatten(known.values()), key=lambda past: past.run.began.at, reverse=True)
    named = dict.fromkeys(past.id for past in runs)
    latest = ", ".join(f"{run} ({_in_words([past for past in runs if past.id == run])})" for run in [*named][:_LATEST])
    meant = near(asked, [past.id for past in runs]) if asked else None
    hint = f"did you mean {meant}? " if meant else ""
    hint += f"the latest runs: {latest}" if latest else "the journals have no run"
    return NoRunError(f"there is no run {asked or 'without an id'}", hint)


def _in_words(parts: Sequence[PastRun]) -> str:
    """Return what one run did, instance by instance."""
    return ", ".join(f"{part.instance} {plural(len(part.run.done), 'step')}" for part in reversed(parts))


def _refuse_unfit(past: PastRun, instance: Instance, journals: Journals) -> None:
    """Raise `NoRunError` for a run that is not undone: without an end, unproven, of an old format, of another server."""
    began, run = past.run.began, f"run {past.id} on {past.instance}"
    if past.is_old:
        raise UnfitRunError(
            f"{run} is in a journal of the first format (siteward.journal/1), which gives no ground to change access",
            "edit the file by hand; `siteward history` tells what the run did",
        )
    if not past.run.ended:
        raise UnfitRunError(f"{run} has no end", "siteward apply --resume, then undo it")
    if journals.key is not None and not past.is_checked:
        raise UnfitRunError(
            f"{run} is not sealed with SITEWARD_JOURNAL_KEY (HMAC), so nothing proves what it did",
            "edit the file by hand",
        )
    if began.origin != instance.origin:
        raise UnfitRunError(
            f"{run} was on {began.origin}, and {past.instance} is {instance.origin} now: another server",
            "undo it from a checkout whose file has the former address",
        )
