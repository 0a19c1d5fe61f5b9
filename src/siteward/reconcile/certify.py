"""Access reviews around the pure picture: which commit brought a line, and how decisions become an edit.

An edit is handed out only when it is proven: loaded and resolved against the same live access, the edited files must
wish for exactly what was decided, and for everything else as before.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.effective import Index, ledger
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE
from siteward.declaration.resolve import resolve
from siteward.declaration.rewrite import Decision, Edit, decide, str_of
from siteward.reconcile.project import read
from siteward.reconcile.revisions.git import GitError, ask_about_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.certification import Item, Review
    from siteward.access.diagnostic import Span
    from siteward.access.effective import Ledger
    from siteward.access.model import Grant, Scope
    from siteward.access.state import Desired
    from siteward.access.traits import Traits
    from siteward.declaration.load import Declaration
    from siteward.declaration.rewrite import Given, Word
    from siteward.reconcile.plan import Survey
    from siteward.reconcile.project import Project

_DECISION = re.compile(
    r"(?P<word>keep|revoke|change)(?:\s+(?P<role>(?!until\b)[\w:.+-]+))?(?:\s+until\s+(?P<until>\d{4}-\d{2}-\d{2}))?",
    re.IGNORECASE,
)
_BLAMED = re.compile(rb"([0-9a-f]{40,64}) \d+ (\d+)")
_HOW = "write keep, revoke, change ROLE, change until DATE, or change ROLE until DATE"


class BadDecisionsError(Exception):
    """A file of decisions cannot be carried out; the message says why."""


class Answer(Struct, frozen=True, kw_only=True):
    """One decision as it came back: `role` and `until` are what `change` asks for."""

    word: Word
    role: str | None = None
    until: str | None = None


class Decisions(Struct, frozen=True, kw_only=True):
    """The decisions of reviewers, by item, of the review with that digest.

    `rows` are the items as they saw them, `places` where each stands in their file.
    """

    digest: str
    answers: Mapping[str, Answer]
    rows: Mapping[str, Mapping[str, str]]
    places: Mapping[str, str]


def ledgers(declaration: Declaration, surveys: Iterable[Survey]) -> tuple[Ledger, ...]:
    """Return who holds what on each instance that was seen, services with who answers for them."""
    made = (ledger(survey.name, survey.origin, survey.desired, survey.live, survey.traits) for survey in surveys)
    owners = {user.handle: user.owner for user in declaration.users.values() if user.owner}
    return tuple(
        replace(
            ledger,
            entries=tuple(
                replace(entry, facts={**entry.facts, "owner": owners[entry.handle]})
                if entry.handle in owners
                else entry
                for entry in ledger.entries
            ),
        )
        for ledger in made
    )


# -- which commit brought a line


def commits(every: Iterable[Ledger], folder: Path) -> Mapping[tuple[str, int], str]:
    """Return commit and day of each line that grants something, by file and line; empty outside a repository."""
    files = {
        holding.origin.at.file
        for ledger in every
        for entry in ledger.entries
        for holding in entry.holdings
        if holding.origin
    }
    return {(file, line): told for file in sorted(files) for line, told in _blamed(folder, file)}


def _blamed(folder: Path, file: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with what brought them, as git tells it."""
    try:
        told = ask_about_files(folder, "blame", "--porcelain", "--no-textconv", "--", str(Path(file).resolve()))
    except GitError:
        return
    days: dict[str, str] = {}
    lines: list[tuple[int, str]] = []
    commit = ""
    for row in told.split(b"\n"):
        if row.startswith(b"\t"):
            continue
        if found := _BLAMED.match(row):
            commit = found[1].decode()
            lines.append((int(found[2]), commit))
        elif row.startswith(b"committer-time "):
            days[commit] = datetime.fromtimestamp(int(row.split()[1]), UTC).date().isoformat()
    for line, brought in lines:
        yield line, "not committed" if not brought.strip("0") else f"{brought[:12]} {days[brought]}"


# -- decisions that come back


def read_decisions(path: Path) -> Decisions:
    """Return the decisions in a CSV or JSON file that a review wrote. Raises `BadDecisionsError` and `OSError`."""
    text = path.read_text(encoding="utf-8-sig")
    from_json = text.lstrip().startswith("{")
    rows, digest = _from_json(text, path) if from_json else _from_csv(text, path)
    answers: dict[str, Answer] = {}
    places: dict[str, str] = {}
    # A table begins below its header, and a spreadsheet counts that as its first row.
    for place, row in ((f"item {at}" if from_json else f"row {at + 1}", row) for at, row in enumerate(rows, 1)):
        name, said = row["id"], row.get("decision", "").strip().strip("'")
        if not name and said:
            raise BadDecisionsError(f"{place}: {said!r} is decided of no item; the id is missing")
        if name and name in places:
            raise BadDecisionsError(f"{place}: item {name} stands in {places[name]} already")
        if name:
            places[name] = place
        if said:
            answers[name] = _answer(said, name)
    return Decisions(digest=digest, answers=answers, rows={row["id"]: row for row in rows if row["id"]}, places=places)


def _from_json(text: str, path: Path) -> tuple[list[Mapping[str, str]], str]:
    try:
        data = json.loads(text)
        rows = [{str(key): str(value) for key, value in item.items()} for item in data["items"]]
        digest = data["digest"]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadDecisionsError(
            f"{path} is not a valid review: write one with `siteward review -o review.json`"
        ) from problem
    if not isinstance(digest, str) or any("id" not in row for row in rows):
        raise BadDecisionsError(f"{path} is not a valid review: it has no digest, or items without an id")
    return list(rows), digest


def _from_csv(text: str, path: Path) -> tuple[list[Mapping[str, str]], str]:
    head = text.partition("\n")[0]
    rows = list(csv.DictReader(StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ","))
    kept = [{str(key): value or "" for key, value in row.items()} for row in rows]
    digests = {row.get("digest", "") for row in kept if any(row.values())}
    if len(digests) != 1 or not all("id" in row for row in kept):
        raise BadDecisionsError(
            f"{path} is not a valid review of one digest: write one with `siteward review -o review.csv`"
        )
    return list(kept), digests.pop()


def _answer(said: str, item: str) -> Answer:
    found = _DECISION.fullmatch(said)
    word = found["word"].lower() if found else ""
    role, until = (found["role"], found["until"]) if found else (None, None)
    if word == "change" and (role or until):
        return Answer(word="change", role=role, until=until)
    if word in {"keep", "revoke"} and not role and not until:
        return Answer(word="keep" if word == "keep" else "revoke")
    raise BadDecisionsError(f"item {item}: {said!r} is not a valid decision; {_HOW}")


_NAMES = ("instance", "person", "account", "where", "live", "declared")


def check_names(decisions: Decisions, *shown: Iterable[Mapping[str, str]]) -> None:
    """Hold the words of each decided row against what its id stands for; raises `BadDecisionsError` where they differ.

    A spreadsheet that was sorted by some of its columns only would decide on others. `shown` are the items as a
    review tells them, with more or less of the names, of which any may be the reviewers' own.
    """
    known = [{item["id"]: item for item in items} for items in shown]
    for name in decisions.answers:
        row, right = decisions.rows[name], [row[name] for row in known if name in row]
        for column in _NAMES:
            meant = [_bare(mapping[column]) for mapping in right]
            if meant and column in row and _bare(row[column]) not in meant:
                raise BadDecisionsError(
                    f"{decisions.places[name]}, column {column}: {row[column]!r} stands beside item {name},"
                    f" which is of {meant[0]!r}; was the table sorted by some of its columns only?"
                )


def _bare(text: str) -> str:
    return text.strip().lstrip("'")


def changed_since(decisions: Decisions, shown: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the ids of items that are not as the reviewers saw them, or are new, or gone."""
    now = {mapping["id"]: mapping for mapping in shown}
    looked = ("live", "declared", "file", "line", "via")
    same = {
        key
        for key in now.keys() & decisions.rows.keys()
        if all(decisions.rows[key].get(name, "").lstrip("'") == now[key][name].lstrip("'") for name in looked)
    }
    return tuple(sorted((now.keys() | decisions.rows.keys()) - same))


# -- from decisions to files


def edited(project: Project, surveys: Sequence[Survey], review: Review, decisions: Decisions) -> Edit:
    """Return the edit of the files that carries the decisions out. Raises `BadDecisionsError` where it cannot be proven."""
    items = {item.id: item for item in review.items}
    unknown = decisions.answers.keys() - items.keys()
    if unknown:
        raise BadDecisionsError(f"no item {min(unknown)} in this review")
    by_name = {survey.name: survey for survey in surveys}
    taken = [_decision(items[name], answer, by_name, project) for name, answer in decisions.answers.items()]
    why = f"access review {review.digest[:19]}"
    seen = frozenset(survey.name for survey in surveys if survey.live.complete)
    edit = decide(project.declaration, taken, _given(review.items), why, seen=seen)
    if edit.texts:
        _prove(project, surveys, taken, edit)
    return edit


def _given(items: Iterable[Item]) -> Mapping[tuple[Span, str], frozenset[Given]]:
    """Return what each line gives each person, by its place and the handle."""
    found: dict[tuple[Span, str], set[Given]] = defaultdict(set)
    for item in items:
        if item.origin is not None and item.handle is not None:
            for origin in (item.origin, *item.origin.others):
                found[origin.at, item.handle].add((item.instance, str_of(item.scope)))
    return {key: frozenset(names) for key, names in found.items()}


def _decision(item: Item, answer: Answer, surveys: Mapping[str, Survey], project: Project) -> Decision:
    survey = surveys[item.instance]
    site = survey.live.sites.get(item.scope)
    label = item.scope.name
    by_id = site is not None and (site.by_id_only or "#" in label)
    selector = f"id:{site.id}" if site is not None and by_id else label
    declared = project.declaration.sites.values()
    meaning_it = {entry.handle for entry in declared if site is not None and entry.pins.get(item.instance) == site.id}
    if not by_id:
        meaning_it |= {site.handle for site in declared if domain_in(site.domain) == label and not site.pins}
    return Decision(
        word=answer.word,
        instance=item.instance,
        account=item.account,
        kind=item.kind,
        scope=item.scope,
        selector=selector,
        names=frozenset({label, *meaning_it, *((f"id:{site.id}",) if site is not None else ())}),
        handle=item.handle,
        origin=item.origin,
        live_role=_written(item.live, survey.traits) if item.live is not None else None,
        role=answer.role,
        until=answer.until,
    )


def _written(grant: Grant, traits: Traits) -> str:
    """Return a role as a grant in the file names it."""
    role = traits.role(grant.scope.kind, grant.role)
    return role.portable if role is not None and role.portable is not None else f"{traits.platform}:{grant.role}"


def _prove(project: Project, surveys: Sequence[Survey], taken: Sequence[Decision], edit: Edit) -> None:
    """Hold what the edited files wish for against what was decided."""
    declaration = _loaded(project, edit)
    for survey in surveys:
        after = resolve(declaration, survey.name, survey.traits, survey.live, as_of=survey.as_of, memory=survey.memory)
        mine = {(decision.account, decision.scope): decision for decision in taken if decision.instance == survey.name}
        before, then = _rights(survey.desired), _rights(after)
        for who in sorted(before.keys() | then.keys()):
            if not _as_decided(mine.get(who), before.get(who), then.get(who)):
                told = f"{who[0]} on {words_of(who[1])} would not be as decided"
                raise BadDecisionsError(f"these decisions cannot be written down surely: {told}; edit the file by hand")


Right = tuple[str, frozenset[str] | None, datetime | None]


def _rights(desired: Desired) -> Mapping[tuple[str, Scope], Right]:
    """Return what each account is to have, and until when, by whatever way."""
    found: dict[tuple[str, Scope], Right] = {}
    for account, scopes in Index(desired.access).by_account.items():
        for scope, ways in scopes.items():
            grant = max((grant for grant, _ in ways), key=lambda grant: (grant.role, sorted(grant.extras or ())))
            origin = desired.origins.get(grant.key)
            found[account, scope] = (grant.role, grant.extras, origin.until if origin else None)
    return found


def _as_decided(decision: Decision | None, old: Right | None, new: Right | None) -> bool:
    if decision is None or decision.handle is None or (decision.word == "keep" and decision.origin is not None):
        return old == new
    return new is None if decision.word == "revoke" else new is not None


def words_of(scope: Scope) -> str:
    """Return a scope as people call it."""
    return "the whole instance" if scope == EVERYWHERE else str(scope)


def _loaded(project: Project, edit: Edit) -> Declaration:
    """Read the edited files, in a folder of their own. Raises `BadDecisionsError` where they are not valid."""
    root = project.path.parent
    with TemporaryDirectory(prefix="siteward-") as place:
        for name in project.loaded.texts:
            path = Path(place) / Path(name).relative_to(root)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(edit.texts.get(name) or Path(name).read_text(encoding="utf-8"), encoding="utf-8")
        loaded = read(Path(place) / project.path.name, called=project.path)
    if loaded.declaration is None:
        told = next((diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks), None)
        raise BadDecisionsError(
            f"the edited files would not be valid: {told.message if told else 'unknown'} ({told.at if told else ''})"
        )
    return loaded.declaration
