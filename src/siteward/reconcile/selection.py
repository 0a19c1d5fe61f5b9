"""Selections: the part of a plan that `--only` names, and what is said of the rest.

`expiries` is everything that an end date causes, `dates` also what a start causes, `deletions` the accounts that are
deleted and `no-deletions` all the rest, `user:HANDLE` and `site:DOMAIN` what is about a person or a site. What a date
gives and nobody has agreed to yet (`Step.waits`) is not in `expiries` and `dates`. An undo selects the objects of a run,
as long as they are as the run left them. Whatever is left out is counted and named.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import deletes_account
from siteward.access.diagnostic import Diagnostic, Severity, diagnostic, error, near, plural
from siteward.access.model import account_of
from siteward.access.patterns import fold
from siteward.access.report import WAITS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from siteward.access.model import Accounts, Key, Resource
    from siteward.access.plan import InstancePlan, Step
    from siteward.declaration.load import Declaration
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey

SYNTAX = "expiries, dates, deletions, no-deletions, user:HANDLE or site:DOMAIN"
KINDS = ("expiries", "dates", "deletions", "no-deletions")
"""The words that `--only` takes without a name."""
PARTIAL = "partial"
"""The rule id of what is said of a plan that is a part."""
_NAMED = 5
"""The most people that are named where steps are left out."""


class Selection(Struct, frozen=True, kw_only=True):
    """The words after `--only`; `domains` are the domains of the declared sites, by handle.

    `objects` are, by instance, the objects of a run that is undone, each as the run left it, and `remarks` is what is to
    be said of the others; then the words are the run's name alone.
    """

    words: tuple[str, ...]
    domains: Mapping[str, str]
    objects: Mapping[str, Mapping[Key, Resource | None]] | None = None
    remarks: Mapping[str, tuple[Diagnostic, ...]] = MappingProxyType({})

    def __call__(self, instance: str, step: Step) -> bool:
        """Return whether a step of an instance is in the selection."""
        if self.objects is not None:
            left = self.objects.get(instance, {})
            return step.change.key in left and step.change.before == left[step.change.key]
        return any(self._takes(word, step) for word in self.words)

    def _takes(self, word: str, step: Step) -> bool:
        kind, _, name = word.partition(":")
        match kind:
            case "expiries":
                return step.due == "end" and not step.waits
            case "dates":
                return step.due is not None and not step.waits
            case "deletions" | "no-deletions":
                return deletes_account(step.change) == (kind == "deletions")
            case "user":
                people = (step.person, account_of(step.change.key))
                return fold(name) in {fold(known) for known in people if known}
            case _:
                key = step.change.key
                return key[-2:-1] == ("site",) and key[-1].partition("#")[0] in self._sites(name)

    def _sites(self, name: str) -> set[str]:
        return {name, name.casefold(), self.domains.get(name, name).casefold()}

    def waiting(self, step: Step) -> bool:
        """Return whether a step would be in the selection if somebody had agreed to it."""
        dues = {"expiries": {"end"}, "dates": {"end", "start"}}
        return step.waits and any(step.due in dues.get(word, ()) for word in self.words)

    def unknown(
        self, declaration: Declaration, people: Collection[str], sites: Iterable[str] = ()
    ) -> Iterator[Diagnostic]:
        """Yield an error for each name that is nowhere: not in the file, nor among `people` and `sites`."""
        known = {
            "user": set(map(fold, (*declaration.users, *people))),
            "site": {
                *declaration.sites,
                *(site.domain for site in declaration.sites.values()),
                *(name.partition("#")[0].casefold() for name in sites),
            },
        }
        for word in self.words:
            kind, _, name = word.partition(":")
            if kind in known and not self._names(kind, name) & known[kind]:
                yield _describe_unknown(word, kind, name, known[kind])

    def _names(self, kind: str, name: str) -> set[str]:
        return self._sites(name) if kind == "site" else {fold(name)}


def find_unknown(
    only: Selection, project: Project, surveys: Iterable[Survey], accounts: Accounts
) -> tuple[Diagnostic, ...]:
    """Return an error for each name in a selection that is neither in the files nor in what was read."""
    people = {name for names in accounts.values() for name in names}
    seen = (site for survey in surveys for site in survey.live.sites.values())
    sites = (name for site in seen for name in (site.label, *site.domains))
    return tuple(only.unknown(project.declaration, people, sites))


def is_selection(word: str) -> bool:
    """Return whether a text is a word that `--only` takes; whether its name is known is asked later."""
    kind, colon, name = word.partition(":")
    return bool(name) if kind in {"user", "site"} else kind in KINDS and not colon


def _describe_unknown(word: str, kind: str, name: str, known: Collection[str]) -> Diagnostic:
    meant = near(name, tuple(sorted(known)))
    noun = "user or account" if kind == "user" else "site"
    message = f"--only {word}: there is no such {noun}, neither in the file nor in what was read"
    return error("only-unknown", message, suggestion=f"--only {kind}:{meant}" if meant else None)


def confine(
    whole: InstancePlan, only: Selection, part: Callable[[Collection[Key], Iterable[Diagnostic]], InstancePlan]
) -> InstancePlan:
    """Return the part of an instance's plan that is in a selection, with the steps that are left out named.

    `part` plans the changes of some keys as if there were no others, with more diagnostics.
    """
    keys = frozenset(step.change.key for step in whole.steps if only(whole.instance, step))
    left_out = tuple(step for step in whole.steps if step.change.key not in keys)
    remarks = (
        *missing_needs(whole.steps, keys),
        *map(describe_waiting, filter(only.waiting, left_out)),
        describe_left_out(only.words, left_out),
        *only.remarks.get(whole.instance, ()),
    )
    confined, others = part(keys, remarks), {step.change.key for step in left_out}
    said = (found for found in confined.diagnostics if found.about not in others or found.code == WAITS)
    return replace(confined, left_out=tuple(_number(left_out)), diagnostics=tuple(said))


def select(whole: InstancePlan, only: Selection) -> InstancePlan:
    """Return the part of an instance's saved plan that is in a selection, to be shown: nothing is planned again."""
    chosen = tuple(step for step in whole.steps if only(whole.instance, step))
    left_out = tuple(step for step in whole.steps if step not in chosen)
    said = (*whole.diagnostics, describe_left_out(only.words, left_out))
    return replace(whole, steps=chosen, left_out=(*whole.left_out, *_number(left_out)), diagnostics=said)


def _number(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps that are left out, under names of their own."""
    yield from (replace(step, id=f"l{number}", depends_on=()) for number, step in enumerate(steps, start=1))


def describe_left_out(words: Sequence[str], steps: Sequence[Step]) -> Diagnostic:
    """Return what is said of a plan that `--only` confines: how many steps it leaves out, and about whom."""
    chosen = f"PARTIAL: only {', '.join(words) or 'what was chosen'}"
    if not steps:
        return diagnostic(Severity.NOTE, PARTIAL, f"{chosen}; it leaves out nothing")
    message = f"{chosen}; left out: {name_people(steps)}"
    return diagnostic(Severity.WARNING, PARTIAL, message, count=len(steps))


def name_people(steps: Sequence[Step]) -> str:
    """Return how many steps these are, of which kinds, and about whom: ``2 steps (2 to add): anna, ben``."""
    people = tuple(dict.fromkeys(step.person or account_of(step.change.key) or step.change.key[-1] for step in steps))
    more = f" and {plural(len(people) - _NAMED, 'other')}" if len(people) > _NAMED else ""
    return f"{count_kinds(steps)}: {', '.join(people[:_NAMED])}{more}"


def count_kinds(steps: Sequence[Step]) -> str:
    """Return how many steps these are, and how many of each kind: ``3 steps (2 to add, 1 to revoke)``."""
    kinds = {"create": "to add", "update": "to change", "delete": "to revoke"}
    numbers = {words: sum(step.change.action == action for step in steps) for action, words in kinds.items()}
    listed = ", ".join(f"{number} {words}" for words, number in numbers.items() if number)
    return f"{plural(len(steps), 'step')} ({listed})"


def describe_waiting(step: Step) -> Diagnostic:
    """Return the error about a step whose date has come, and that nobody is known to have agreed to."""
    name = step.person or account_of(step.change.key) or ""
    place = step.change.key[-1] if step.change.key[0] == "grant" else step.change.key[0]
    what = "begins" if step.due == "start" else "is given again"
    return error(
        "waits-for-plan",
        f"what {name} has on {place or 'the whole instance'} {what} by its date, and the file of the last completed "
        "apply did not give it, or cannot be read",
        about=step.change.key,
        at=step.origin.at if step.origin is not None else None,
        hint="siteward plan and siteward apply, without --only, carry it out",
    )


def missing_needs(steps: Sequence[Step], chosen: Collection[Key]) -> Iterator[Diagnostic]:
    """Yield an error for each chosen step that needs one which is left out; what ends by its date needs none."""
    by_id = {step.id: step for step in steps}
    for step in steps:
        if step.change.key not in chosen or (step.due == "end" and step.change.before is not None):
            continue
        for need in (by_id[name] for name in step.depends_on):
            if need.change.key not in chosen:
                about = " ".join(need.change.key)
                message = f"this needs the change of {about}, which --only leaves out"
                yield error("needs-left-out", message, about=step.change.key, hint="siteward plan, without --only")
