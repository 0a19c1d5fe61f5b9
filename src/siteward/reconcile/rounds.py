"""Rounds of an access review: who reviews which item, the sheets beside the journal, and what comes back in them.

A round is `reviews/<name>.json` beside the journal, and its sheets are the files in `reviews/<name>/`. What was decided
and taken stands in the journals alone, so that a round can be closed again after a crash, and ends the same.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import near
from siteward.access.documents import ReviewRound, read_document, write_document
from siteward.access.hosts import domain_in
from siteward.access.model import Subject
from siteward.access.review_round import RoundStanding, SheetStanding
from siteward.access.serialize import CodecError
from siteward.declaration.declared import EVERY
from siteward.reconcile.journal.entries import Reviewed
from siteward.reconcile.journal.files import make_private, replace_file
from siteward.reconcile.sheets import (
    Answer,
    BadDecisionsError,
    Decisions,
    check_names,
    parse_decision,
    plain,
    read_decisions,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from siteward.access.certification import Item, Review
    from siteward.access.documents import Assignment
    from siteward.declaration.declared import Site
    from siteward.declaration.load import Declaration
    from siteward.reconcile.survey import Survey

Rest = Literal["revoke", "overdue"]
ADMINS: Final = "admins"
"""The reviewer of what nobody else answers for: whoever is an admin."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(?:csv|xlsx)")
_MOVING: Final = ("person", "kind", "live", "declared", "until")
"""The columns of an item that are another decision once they are another; its line may move as it likes."""
_FIXED: Final = ("instance", "account", "where")
"""The columns that the id of an item is made of."""


class RoundError(Exception):
    """A round cannot be started, read or closed; the message says why."""

    code = "no-such-review"

    def __init__(self, why: str, hint: str = "siteward review status") -> None:
        super().__init__(why)
        self.hint = hint


class RoundThereError(RoundError):
    """A round of that name is there already."""

    code = "review-exists"


# -- who reviews what


class Mapped(Struct, frozen=True, forbid_unknown_fields=True):
    """The reviewers that a file names: of items by id, of users, groups and sites by handle, and of all the rest."""

    items: dict[str, str] = {}
    users: dict[str, str] = {}
    groups: dict[str, str] = {}
    sites: dict[str, str] = {}
    default: str | None = None

    def faults(self, declaration: Declaration) -> Iterator[str]:
        """Yield what is wrong with the names in it, in words; items are not looked at."""
        known = {"users": declaration.users, "groups": declaration.groups, "sites": declaration.sites}
        for kind, names in known.items():
            for name in getattr(self, kind):
                if name not in names:
                    yield f"{kind}: there is no {kind[:-1]} `{name}`{_suggest(name, names)}"
        people = {**declaration.users, **declaration.groups, ADMINS: None}
        tables: tuple[Mapping[str, str], ...] = (self.items, self.users, self.groups, self.sites)
        named = {name for table in tables for name in table.values()} | ({self.default} if self.default else set())
        for name in sorted(named - people.keys()):
            yield f"the reviewer `{name}` is no user or group of the file{_suggest(name, people)}"


def _suggest(name: str, names: Mapping[str, object]) -> str:
    meant = near(name, names)
    return f"; did you mean `{meant}`?" if meant else ""


class Reviewers(Struct, frozen=True, kw_only=True):
    """The choice of a reviewer for each item.

    What a file maps comes first; then whoever answers for a service, the owner of the group that gives the right, the
    owner of the site; then the admins, who also look at the account in use. Nobody is given their own right, nor who is not active.
    """

    declaration: Declaration
    surveys: Mapping[str, Survey]
    as_of: datetime
    mapped: Mapped = Mapped()

    def choose(self, item: Item) -> str:
        """Return the reviewer of an item: a user, a group, or the admins."""
        mapped = self._find_mapped(item)
        if mapped is not None:
            return mapped
        return next((name for name in self._list_owners(item) if self._may_review(name, item)), ADMINS)

    def _find_mapped(self, item: Item) -> str | None:
        site = self._find_site(item)
        found = (
            self.mapped.items.get(item.id),
            self.mapped.users.get(item.handle or ""),
            *(self.mapped.groups.get(name) for name in groups_on(item)),
            self.mapped.sites.get(site.handle) if site is not None else None,
            self.mapped.default,
        )
        return next((name for name in found if name is not None), None)

    def _list_owners(self, item: Item) -> Iterator[str]:
        if item.kind == "self":
            return
        if "owner" in item.facts:
            yield item.facts["owner"]
        for name in groups_on(item):
            if name in self.declaration.groups:
                yield from self.declaration.groups[name].owner
        site = self._find_site(item)
        if site is not None:
            yield from site.owner

    def _find_site(self, item: Item) -> Site | None:
        live = self.surveys[item.instance].live.sites.get(item.scope)
        for site in self.declaration.sites.values():
            pin = site.pins.get(item.instance)
            if live is not None and (pin == live.id if pin is not None else domain_in(site.domain) in live.domains):
                return site
        return None

    def _may_review(self, name: str, item: Item) -> bool:
        user = self.declaration.users.get(name)
        if user is None:
            return name in self.declaration.groups
        states = {user.state(item.instance), user.states.get(EVERY, "active")}
        over = user.window.end is not None and user.window.end <= self.as_of
        return name != item.handle and states == {"active"} and not over


def groups_on(item: Item) -> tuple[str, ...]:
    """Return the groups of the file through which a right is declared."""
    via = item.origin.via if item.origin is not None else ()
    return tuple(link.removeprefix("group ") for link in via if link.startswith("group "))


# -- files


def folder_of(root: Path) -> Path:
    """Return the folder of all rounds beside the journals."""
    return root / "reviews"


def check_name(name: str) -> None:
    """Raise `RoundError` for what is no name of a round."""
    if not _NAME.fullmatch(name):
        raise RoundError(
            f"{name!r} is no name for a review", "small letters, digits, dots and hyphens, such as 2027-q1"
        )


def list_rounds(root: Path) -> tuple[str, ...]:
    """Return the names of all rounds."""
    return tuple(sorted(path.stem for path in folder_of(root).glob("*.json") if _NAME.fullmatch(path.stem)))


def read_round(root: Path, name: str) -> ReviewRound:
    """Return a round. Raises `RoundError` where there is none, or its file is not what was written."""
    check_name(name)
    path = folder_of(root) / f"{name}.json"
    try:
        found = read_document(path.read_bytes(), ReviewRound)
    except FileNotFoundError:
        there = ", ".join(list_rounds(root)) or "none"
        raise RoundError(f"there is no review {name}; there are: {there}", f"siteward review start {name}") from None
    except OSError as problem:
        raise RoundError(f"{path} cannot be read: {problem.strerror}") from None
    except CodecError as problem:
        raise RoundError(f"{path}: {problem}", "restore it from a copy, or start another review") from None
    if found.name != name or not all(_FILE.fullmatch(sheet.file) for sheet in found.sheets):
        raise RoundError(f"{path} is not as it was written", "restore it from a copy, or start another review")
    return found


def write_round(root: Path, made: ReviewRound, sheets: Mapping[str, bytes]) -> Path:
    """Write new sheets, then the round that names them, all for its owner alone; return the folder of the sheets.

    Raises `OSError`.
    """
    folder = folder_of(root)
    for private in (root, folder, folder / made.name):
        make_private(private)
    for file, content in sheets.items():
        replace_file(folder / made.name / file, content)
    replace_file(folder / f"{made.name}.json", write_document(made))
    return folder / made.name


def choose_file(reviewer: str, suffix: str, taken: Sequence[str]) -> str:
    """Return a file name for the sheet of a reviewer that none of `taken` is."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", reviewer).strip("-.") or "sheet"
    names = {name.rpartition(".")[0].casefold() for name in taken}
    name, number = base, 1
    while name.casefold() in names:
        number += 1
        name = f"{base}-{number}"
    return f"{name}.{suffix}"


# -- what came back


class Row(Struct, frozen=True, kw_only=True):
    """One item as it stands on the sheet of a reviewer, with the decision, if there is one."""

    sheet: Assignment
    cells: Mapping[str, str]
    place: str
    answer: Answer | None = None


def read_sheets(root: Path, made: ReviewRound) -> Mapping[str, Row]:
    """Return the items of all sheets of a round by id; of one that was opened again, as it stands on the later sheet.

    Raises `BadDecisionsError` for a sheet that cannot be read, or is of another review.
    """
    found: dict[str, Row] = {}
    wrong: list[str] = []
    for sheet in made.sheets:
        try:
            rows = _read_sheet(root, made, sheet)
        except BadDecisionsError as problem:
            wrong += problem.args
            continue
        for item, row in rows.items():
            before = found.get(item)
            if before is not None and before.sheet.reviewer != sheet.reviewer:
                raise BadDecisionsError(f"{row.place}: item {item} stands on another sheet too: {before.place}")
            found[item] = row
    if wrong:
        raise BadDecisionsError(*wrong)
    return found


def _read_sheet(root: Path, made: ReviewRound, sheet: Assignment) -> dict[str, Row]:
    path = _find_sheet(folder_of(root) / made.name / sheet.file, sheet)
    try:
        decisions = read_decisions(path)
    except OSError as problem:
        raise BadDecisionsError(f"{path} cannot be read: {problem.strerror}") from None
    if decisions.digest != made.digest:
        raise BadDecisionsError(f"{path} is a sheet of another review ({decisions.digest})")
    lost = [column for column in (*_FIXED, *_MOVING) if any(column not in cells for cells in decisions.rows.values())]
    if lost:
        raise BadDecisionsError(f"{path} has lost the column {lost[0]!r}; put back what stood there")
    rows: dict[str, Row] = {}
    for item, cells in decisions.rows.items():
        place = decisions.places[item]
        answer = _complete(decisions.answers.get(item), sheet, place)
        rows[item] = Row(sheet=sheet, cells=cells, place=place, answer=answer)
    return rows


def find_standing(root: Path, made: ReviewRound, taken: Collection[str], *, is_past: bool) -> RoundStanding:
    """Return how far a round is, where the journals have decisions on the items in `taken`."""
    found: dict[str, tuple[Assignment, Row]] = {}
    problems: dict[str, str] = {}
    for sheet in made.sheets:
        try:
            found |= {item: (sheet, row) for item, row in _read_sheet(root, made, sheet).items()}
        except BadDecisionsError as problem:
            problems[sheet.file] = str(problem)
    sheets = tuple(
        _stand(sheet, {item: row for item, (on, row) in found.items() if on is sheet}, taken, problems.get(sheet.file))
        for sheet in made.sheets
    )
    still = any(sheet.open for sheet in sheets)
    folder = str(folder_of(root) / made.name)
    return RoundStanding(name=made.name, due=made.due, overdue=is_past and still, folder=folder, sheets=sheets)


def _stand(sheet: Assignment, rows: Mapping[str, Row], taken: Collection[str], problem: str | None) -> SheetStanding:
    done = [item for item in rows if item in taken]
    decided = sum(row.answer is not None or item in taken for item, row in rows.items())
    return SheetStanding(
        reviewer=sheet.reviewer, file=sheet.file, items=sheet.items, decided=min(decided, sheet.items),
        taken=min(len(done), sheet.items), missing=0 if problem else max(0, sheet.items - len(rows)), problem=problem or "",
    )  # fmt: skip


def _find_sheet(path: Path, sheet: Assignment) -> Path:
    """Return the path of a sheet, which may have come back in the other format beside the one that was sent."""
    other = path.with_suffix(".csv" if path.suffix == ".xlsx" else ".xlsx")
    if not other.exists():
        return path
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != sheet.sha256:
        raise BadDecisionsError(f"{path} was changed, and {other.name} is there too; take one of them away")
    return other


def _complete(answer: Answer | None, sheet: Assignment, place: str) -> Answer | None:
    """Return an answer with the reviewer of the sheet where none is written beside it."""
    if answer is None:
        return None
    if answer.word == "remove":
        raise BadDecisionsError(f"{place}: `remove` is for lines of the file; write keep, revoke or change")
    try:
        f"{answer.by}{answer.reason}".encode()
    except UnicodeEncodeError:
        raise BadDecisionsError(f"{place}: the reason or the reviewer holds half a character") from None
    return answer if answer.by else replace(answer, by=sheet.reviewer)


# -- closing


def move_items(
    made: ReviewRound, closing: Closing, rows: Mapping[str, Row], added: Sequence[Assignment]
) -> ReviewRound:
    """Return a round in which each sheet counts what is still to be decided on it, with the sheets that are added."""
    left = [rows[item].sheet.file for item in (*closing.reopened, *closing.gone)]
    counted = (replace(sheet, items=max(0, sheet.items - left.count(sheet.file))) for sheet in made.sheets)
    return replace(made, sheets=(*counted, *added))


class Closing(Struct, frozen=True, kw_only=True):
    """What follows from the sheets of a round, by item id.

    `taken` are decisions that are taken now, `again` those that the journal has and the file may not show yet; `reopened`
    are items that moved since they were sent, `undecided` those without a decision, `gone` those that nobody holds any
    more, and `done` those that the journal has a decision on. `noted` are those of the undecided that are put on record as
    overdue now: nobody has decided on them, so a decision that comes late counts.
    """

    taken: Mapping[str, Answer]
    noted: Mapping[str, Answer]
    again: Mapping[str, Answer]
    reopened: Mapping[str, Row]
    undecided: tuple[str, ...]
    gone: tuple[str, ...]
    done: frozenset[str]


def settle(
    rows: Mapping[str, Row],
    shown: Sequence[Sequence[Mapping[str, str]]],
    journalled: Mapping[str, Reviewed],
    rest: tuple[Rest, str] | None = None,
) -> Closing:
    """Return what follows from sheets, where `journalled` are the decisions taken before.

    Each of `shown` are the items of now as one form of the review shows them, the first with all names.

    `rest` is what becomes of what nobody decided on, with the reason; not of what moved, which nobody has seen.
    Raises `BadDecisionsError` where a decision stands beside another item than its id names.
    """
    now, decided = {item["id"]: item for item in shown[0]}, decided_in(journalled)
    _check_rows(rows, shown)
    taken: dict[str, Answer] = {}
    noted: dict[str, Answer] = {}
    again: dict[str, Answer] = {}
    reopened: dict[str, Row] = {}
    undecided: list[str] = []
    for item, row in rows.items():
        if item not in now:
            continue
        moved = any(plain(row.cells.get(column, "")) != plain(now[item][column]) for column in _MOVING)
        if item in decided:
            again |= {} if moved else {item: _parse(decided[item])}
        elif moved:
            reopened[item] = row
        elif row.answer is not None:
            taken[item] = row.answer
        elif rest is not None and rest[0] == "revoke":
            taken[item] = Answer(word="revoke", reason=rest[1])
        else:
            undecided.append(item)
            noted |= (
                {item: Answer(word="overdue", reason=rest[1])} if rest is not None and item not in journalled else {}
            )
    gone = tuple(item for item in rows if item not in now and item not in decided)
    return Closing(
        taken=taken, noted=noted, again=again, reopened=reopened, undecided=tuple(undecided), gone=gone,
        done=frozenset(rows.keys() & decided.keys()),
    )  # fmt: skip


def _check_rows(rows: Mapping[str, Row], shown: Sequence[Sequence[Mapping[str, str]]]) -> None:
    """Raise `BadDecisionsError` where the names beside an id are another item's."""
    answers = {item: row.answer for item, row in rows.items() if row.answer is not None}
    places = {item: row.place for item, row in rows.items()}
    given = Decisions(digest="", answers=answers, rows={item: row.cells for item, row in rows.items()}, places=places)
    check_names(given, *shown, columns=_FIXED)


def _parse(before: Reviewed) -> Answer:
    """Return a decision that the journal has as an answer."""
    return replace(parse_decision(before.decision, before.item), reason=before.reason, by=before.by)


def decided_in(journalled: Mapping[str, Reviewed]) -> Mapping[str, Reviewed]:
    """Return the decisions among what the journals have of a round; `overdue` says that there was none."""
    return {item: before for item, before in journalled.items() if before.decision != "overdue"}


def collect(review: Review, answers: Mapping[str, Answer]) -> Decisions:
    """Return answers as the decisions on a review from which an edit follows."""
    return Decisions(digest=review.digest, answers=answers, rows={}, places={})


def as_reviewed(review: Review, answers: Mapping[str, Answer]) -> Mapping[str, tuple[Reviewed, ...]]:
    """Return decisions as the journals keep them, by instance: each with the right that it is about."""
    told: dict[str, list[Reviewed]] = {}
    for item in review.items:
        answer, held = answers.get(item.id), item.live or item.declared
        if answer is None or held is None:
            continue
        right = replace(held, subject=Subject("account", item.account))
        group = held.subject.name if held.subject.kind == "group" else None
        told.setdefault(item.instance, []).append(
            Reviewed(item=item.id, right=right, group=group, decision=answer.text, by=answer.by, reason=answer.reason)
        )
    return {instance: tuple(decisions) for instance, decisions in told.items()}
