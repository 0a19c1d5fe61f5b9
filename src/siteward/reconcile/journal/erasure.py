"""Erasing what a journal says of somebody: part lines give way to their sums, so that the chain still verifies.

What erasing cannot reach is told: the plans of runs are deleted where they name them, but not an older file of the first
format, and no copy elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.model import account_of
from siteward.reconcile.journal.chain import JournalBrokenError, erase_parts, link, verify
from siteward.reconcile.journal.entries import LastApplied, PartsErased
from siteward.reconcile.journal.files import replace_file
from siteward.reconcile.journal.journal import locked
from siteward.reconcile.journal.last import leave_if_any, path_beside
from siteward.reconcile.journal.plans import path_of_plan, plans_naming
from siteward.reconcile.journal.reading import path_of, read
from siteward.reconcile.journal.recorded import key_of
from siteward.reconcile.journal.records import ACTOR, NOBODY, Known, split
from siteward.reconcile.journal.runs import linked_names, pairs_of_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from siteward.reconcile.apply.target import Clock, Journals
    from siteward.reconcile.journal.chain import Part
    from siteward.reconcile.journal.reading import JournalContent
    from siteward.reconcile.journal.runs import Run


class NotErasableError(Exception):
    """What a journal says of somebody cannot be erased now; the message says why, `hint` what comes first."""

    code = "not-erasable"

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


class Erased(Struct, frozen=True, kw_only=True):
    """What was erased: the `names` looked for, the number of parts and of plans, and what else may name them (`left`)."""

    names: tuple[str, ...]
    parts: int
    plans: int
    left: tuple[str, ...]


def erase(journals: Journals, instance: str, user: str, reason: str, clock: Clock) -> Erased:
    """Erase what the journal of an instance says of a user, given by handle, login or address, and why.

    Raises `NotErasableError` for who still has access there or is declared, and where a run has no end;
    `JournalBrokenError`, `JournalBusyError`, `OSError`.
    """
    path = path_of(journals.folder, instance)
    with locked(journals.folder, instance, clock):
        content = read(path, journals.key)
        if content.standing.sealed_since and journals.key is None:
            raise NotErasableError(f"{path} is sealed (HMAC)", "set SITEWARD_JOURNAL_KEY")
        names = _find_names(content, user)
        _refuse(content, names, path, user)
        numbers = [number for number, part in _number_parts(content) if _concerns(part, names)]
        if not numbers:
            return Erased(names=tuple(sorted(names)), parts=0, plans=0, left=())
        plans = plans_naming(journals.folder, names)
        _refuse_needed(journals.folder, plans)
        with leave_if_any(path, _forget(content, names)) as last:
            entry = PartsErased(at=clock(), run="", count=len(numbers), reason=reason, last=last)
            header, parts = split(entry, Known())
            records = len(content.chain.records)
            lines, _ = link(header, parts, number=records + 1, head=content.chain.head, key=journals.key)
            rest = erase_parts(content.data[: content.chain.size], numbers)
            whole = rest + (b"" if content.chain.closed else b"\n") + lines
            verify(path, whole, journals.key)
            # Before the parts, which tell what names are meant: whoever is interrupted in between can erase again.
            for plan in plans:
                plan.unlink()
            replace_file(path, whole)
    return Erased(names=tuple(sorted(names)), parts=len(numbers), plans=len(plans), left=tuple(_list_left(path)))


def _find_names(content: JournalContent, user: str) -> frozenset[str]:
    """Return the handles, logins and addresses that a journal has for a user, in whatever order it came to know them."""
    told = {pair for _, part in _number_parts(content) for pair in _find_links(part)}
    return linked_names(frozenset({user}), pairs_of_runs(content.entries) | told)


def _find_links(part: Part) -> Iterator[tuple[str, str]]:
    """Yield the pairs of names by which a part tells that two are one account: its address, and its new login."""
    for account in _accounts_in(part):
        yield from ((account["name"], other) for other in (account.get("email"), account.get("renamed")) if other)


def _accounts_in(value: Any) -> Iterator[Mapping[str, Any]]:
    match value:
        case {"type": "account", "name": str()}:
            yield value
        case dict():
            for inner in value.values():
                yield from _accounts_in(inner)
        case list():
            for inner in value:
                yield from _accounts_in(inner)
        case _:
            pass


def _refuse(content: JournalContent, names: frozenset[str], path: Path, who: str) -> None:
    """Raise `NotErasableError` where the names are still needed, those of `who`."""
    folded = {name.casefold() for name in names}
    if content.standing.is_old:
        raise NotErasableError(
            f"{path} is of the first format, in which nothing can be erased", f"siteward journal migrate {path.stem}"
        )
    if content.unfinished is not None:
        raise NotErasableError("the last run has no end", "siteward apply --resume, or another plan")
    memory = content.memory
    if memory is None:
        return
    if folded & {name.casefold() for pair in memory.users.items() for name in pair}:
        raise NotErasableError(f"{who} is declared on {path.stem}", "take the user out of the file, and apply")
    beyond = content.last.beyond or () if content.last is not None else ()
    keys = (*(memory.last or ()), *(key_of(difference) for difference in beyond if difference.after is not None))
    live = {name.casefold() for key in keys if (name := account_of(key)) is not None}
    if folded & live:
        raise NotErasableError(
            f"{who} still has an account or access on {path.stem}", "end that first: `state: absent`, and apply"
        )


def _number_parts(content: JournalContent) -> Iterator[tuple[int, Part]]:
    """Yield the parts that are not erased, with the numbers of their lines."""
    for record in content.chain.records:
        first = record.line - len(record.parts)
        for number, part in record.number_parts():
            yield first + number, part


def _concerns(part: Part, names: frozenset[str]) -> bool:
    """Return whether a part is that of one of these names, or has one in a text of its own."""
    folded = {name.casefold() for name in names}
    if part["part"].casefold() in folded:
        return True
    if part["part"] == NOBODY or not part.keys().isdisjoint({"words", "waiver", "offboard", "review"}):
        words = rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)"
        texts = [part.get(member) for member in ("words", "waiver", "only", "reason", "offboard")]
        texts += [decided.get(member) for decided in part.get("review", ()) for member in ("by", "reason")]
        return any(re.search(words, text, re.IGNORECASE) for value in texts for text in _texts_in(value))
    if part["part"] == ACTOR and folded & {text.casefold() for text in _texts_in(part)}:
        return True
    declared = part.get("declared")
    return isinstance(declared, dict) and str(declared.get("login")).casefold() in folded


def _texts_in(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts_in(inner)
        case list():
            for inner in value:
                yield from _texts_in(inner)
        case _:
            pass


def _forget(content: JournalContent, names: frozenset[str]) -> LastApplied | None:
    """Return what the last run left, without these names; `None` where no run has left anything."""
    if content.last is None:
        return None
    folded, memory = {name.casefold() for name in names}, content.last.memory

    def is_other(name: str | None) -> bool:
        return name is None or name.casefold() not in folded

    left = replace(
        memory,
        accounts=frozenset(filter(is_other, memory.accounts)),
        identities={login: id_ for login, id_ in memory.identities.items() if is_other(login)},
        renamed={old: new for old, new in memory.renamed.items() if is_other(old) and is_other(new)},
        sends={key: sent for key, sent in memory.sends.items() if is_other(account_of(key))},
        unsettled=tuple(write for write in memory.unsettled if is_other(account_of(write.change.key))),
    )
    beyond = content.last.beyond
    kept = None if beyond is None else tuple(one for one in beyond if is_other(account_of(key_of(one))))
    return replace(content.last, memory=left, beyond=kept)


def _refuse_needed(folder: Path, plans: Collection[Path]) -> None:
    """Raise `NotErasableError` where a run without an end, of any journal in the folder, may need one of these plans."""
    for path in (path for path in sorted(folder.glob("*.jsonl")) if not path.name.endswith(".1.jsonl")):
        run = _read_unfinished(path)
        if run is not None and path_of_plan(folder, run.began.plan) in plans:
            why = f"the last run on {path.stem} has no end, and its plan names them"
            raise NotErasableError(why, "siteward apply --resume, or another plan")


def _read_unfinished(path: Path) -> Run | None:
    """Return the run without an end of a journal, if there is one and it can be read."""
    try:
        return read(path, None).unfinished
    except JournalBrokenError:
        return None


def _list_left(path: Path) -> Iterator[str]:
    older = path_beside(path, ".1.jsonl")
    if older.exists():
        yield f"{older}, of the first format: nothing can be erased in it"
    yield "the history of the journal's branch, artifacts and backups, where there are any"
