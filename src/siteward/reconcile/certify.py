"""Access reviews (certification): commits behind grants, reviewers' decisions, and the edit of the files that follows.

An edit is returned only when it is proven: loaded and resolved against the same live access, the edited files must
declare exactly what was decided, and everything else as before.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from hashlib import sha256
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.certification import DeadRow
from siteward.access.effective import Index, ledger
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE
from siteward.access.patterns import fold
from siteward.declaration.dead import find_dead_lines
from siteward.declaration.rewrite import Decision, Edit, decide, str_of
from siteward.reconcile.outputs import write_output
from siteward.reconcile.project import read
from siteward.reconcile.revisions.git import GitError, ask_about_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from siteward.access.certification import Item, Review
    from siteward.access.diagnostic import Span
    from siteward.access.effective import Ledger
    from siteward.access.model import Grant, Scope
    from siteward.access.state import Desired
    from siteward.access.traits import Traits
    from siteward.declaration.dead import DeadLine
    from siteward.declaration.load import Declaration
    from siteward.declaration.rewrite import Given, Word
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey

_DECISION = re.compile(
    r"(?P<word>keep|revoke|remove|change)(?:\s+(?P<role>(?!until\b)[\w:.+-]+))?(?:\s+until\s+(?P<until>\d{4}-\d{2}-\d{2}))?",
    re.IGNORECASE,
)
_BLAME_HEADER = re.compile(rb"([0-9a-f]{40,64}) \d+ (\d+)")
_HOW = "write keep, revoke, remove, change ROLE, change until DATE, or change ROLE until DATE"


class BadDecisionsError(Exception):
    """A file of decisions cannot be carried out; the message says why."""


class Answer(Struct, frozen=True, kw_only=True):
    """The decision on one item; `role` and `until` (a date, `YYYY-MM-DD`) are given with `change` only."""

    word: Word | Literal["remove"]
    role: str | None = None
    until: str | None = None


class Decisions(Struct, frozen=True, kw_only=True):
    """The decisions of reviewers, by item id, on the review with that digest.

    `rows` are the items as the reviewers saw them, `places` say where each stands in their file ("row 3").
    """

    digest: str
    answers: Mapping[str, Answer]
    rows: Mapping[str, Mapping[str, str]]
    places: Mapping[str, str]


def ledgers(declaration: Declaration, surveys: Iterable[Survey]) -> tuple[Ledger, ...]:
    """Return the ledger of each surveyed instance; entries of users with an `owner` have it among their facts."""
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


# -- commits


def dead_rows(declaration: Declaration, as_of: datetime) -> tuple[DeadRow, ...]:
    """Return the dead lines of the files as rows to decide on."""
    return tuple(
        DeadRow(id=_dead_id(line), what=line.what, why=line.why, at=line.at, ticket=line.ticket, reason=line.reason)
        for line in find_dead_lines(declaration, as_of)
    )


def _dead_id(line: DeadLine) -> str:
    return sha256("\n".join(("dead", Path(line.file).name, line.what, *map(str, line.path))).encode()).hexdigest()[:16]


def commits(all_ledgers: Iterable[Ledger], folder: Path, dead: Iterable[DeadRow] = ()) -> Mapping[tuple[str, int], str]:
    """Return, by file and line, the commit and day that last changed each line that grants something, or is dead.

    Empty outside a git repository.
    """
    files = {
        holding.origin.at.file
        for ledger in all_ledgers
        for entry in ledger.entries
        for holding in entry.holdings
        if holding.origin
    } | {row.at.file for row in dead}
    return {(file, line): commit for file in sorted(files) for line, commit in _blame_lines(folder, file)}


def _blame_lines(folder: Path, file: str) -> Iterator[tuple[int, str]]:
    """Yield each line number of a file with the commit that last changed it, from `git blame --porcelain`."""
    try:
        porcelain = ask_about_files(folder, "blame", "--porcelain", "--no-textconv", "--", str(Path(file).resolve()))
    except GitError:
        return
    days: dict[str, str] = {}
    lines: list[tuple[int, str]] = []
    commit = ""
    for text in porcelain.split(b"\n"):
        if text.startswith(b"\t"):  # the line of the file itself
            continue
        if header := _BLAME_HEADER.match(text):
            commit = header[1].decode()
            lines.append((int(header[2]), commit))
        elif text.startswith(b"committer-time "):
            days[commit] = datetime.fromtimestamp(int(text.split()[1]), UTC).date().isoformat()
    for line, commit in lines:
        # git gives a line that is not committed yet a commit of zeros
        yield line, "not committed" if not commit.strip("0") else f"{commit[:12]} {days[commit]}"


# -- reading decisions


def read_decisions(path: Path) -> Decisions:
    """Return the decisions in a CSV or JSON file that `siteward review` wrote.

    Raises `BadDecisionsError` for anything else, and `OSError`.
    """
    text = _decode(path.read_bytes(), path)
    from_json = text.lstrip().startswith("{")
    rows, digest = _parse_json(text, path) if from_json else _parse_csv(text, path)
    answers: dict[str, Answer] = {}
    places: dict[str, str] = {}
    # A table begins below its header, and a spreadsheet counts that as its first row.
    for number, row in enumerate(rows, 1):
        place = f"item {number}" if from_json else f"row {number + 1}"
        # Spreadsheets, and our own guard against formulas, may leave an apostrophe before a text.
        item, decision = row["id"], row.get("decision", "").strip().strip("'")
        if not item and decision:
            raise BadDecisionsError(f"{place}: {decision!r} is decided of no item; the id is missing")
        if item and item in places:
            raise BadDecisionsError(f"{place}: item {item} stands in {places[item]} already")
        if item:
            places[item] = place
        if decision:
            answers[item] = _parse_decision(decision, item)
    return Decisions(digest=digest, answers=answers, rows={row["id"]: row for row in rows if row["id"]}, places=places)


def _decode(content: bytes, path: Path) -> str:
    """Return the text of a file that a spreadsheet or an editor saved: UTF-8, UTF-16 by its mark, else Windows-1252.

    Raises `BadDecisionsError` for what is none of them.
    """
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        encoding = "cp1252" if encoding == "utf-8-sig" else encoding
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as problem:
            raise BadDecisionsError(f"{path} is neither UTF-8 nor {encoding}; save it as CSV in UTF-8") from problem
    if "\0" in text:
        raise BadDecisionsError(f"{path} holds a zero byte, so it is no text; save it as CSV in UTF-8")
    return text


def _parse_json(text: str, path: Path) -> tuple[list[Mapping[str, str]], str]:
    """Return the items of a review in JSON, all their members as text, and its digest."""
    try:
        data = json.loads(text)
        rows = [{str(key): str(value) for key, value in item.items()} for item in data["items"]]
        digest = data["digest"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise BadDecisionsError(
            f"{path} is not a valid review: write one with `siteward review -o review.json`"
        ) from problem
    if not isinstance(digest, str) or any("id" not in row for row in rows):
        raise BadDecisionsError(f"{path} is not a valid review: it has no digest, or items without an id")
    return list(rows), digest


def _parse_csv(text: str, path: Path) -> tuple[list[Mapping[str, str]], str]:
    """Return the rows of a review in CSV, as saved by a spreadsheet (comma, semicolon or tab), and its digest."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        rows = [
            {str(column): cell or "" for column, cell in row.items()}
            for row in csv.DictReader(StringIO(text), delimiter=delimiter)
        ]
    except csv.Error as problem:
        raise BadDecisionsError(f"{path} is not a valid table: {problem}") from problem
    digests = {row.get("digest", "") for row in rows if any(row.values())}
    if len(digests) != 1 or not all("id" in row for row in rows):
        raise BadDecisionsError(
            f"{path} is not a valid review of one digest: write one with `siteward review -o review.csv`"
        )
    return list(rows), digests.pop()


def _parse_decision(decision: str, item: str) -> Answer:
    """Return the decision that a reviewer has written beside an item. Raises `BadDecisionsError`."""
    match = _DECISION.fullmatch(decision)
    word = match["word"].lower() if match else ""
    role, until = (match["role"], match["until"]) if match else (None, None)
    if word == "change" and (role or until):
        return Answer(word="change", role=role, until=until)
    for plain in ("keep", "revoke", "remove"):
        if word == plain and not role and not until:
            return Answer(word=plain)
    raise BadDecisionsError(f"item {item}: {decision!r} is not a valid decision; {_HOW}")


_NAMES = ("instance", "person", "account", "where", "live", "declared")
"""The columns that name what an item is about."""


def check_names(decisions: Decisions, *shown: Iterable[Mapping[str, str]]) -> None:
    """Compare the names in each decided row with the item of its id; raises `BadDecisionsError` where they differ.

    A spreadsheet that was sorted by some of its columns only would put decisions beside other items. Each of `shown`
    are the items as one form of the review shows them (names redacted or not); a row may agree with any of them.
    """
    known = [{item["id"]: item for item in items} for items in shown]
    for name in decisions.answers:
        row, items = decisions.rows[name], [by_id[name] for by_id in known if name in by_id]
        for column in _NAMES:
            expected = [_strip_apostrophe(item[column]) for item in items]
            if expected and column in row and fold(_strip_apostrophe(row[column])) not in map(fold, expected):
                raise BadDecisionsError(
                    f"{decisions.places[name]}, column {column}: {row[column]!r} stands beside item {name},"
                    f" which is of {expected[0]!r}; was the table sorted by some of its columns only?"
                )


def _strip_apostrophe(cell: str) -> str:
    """Return a cell without the apostrophe that keeps a spreadsheet from reading a formula."""
    return cell.strip().lstrip("'")


def changed_since(decisions: Decisions, shown: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the ids of items that are new or gone, or not as the reviewers saw them; `shown` are the items of now."""
    now = {item["id"]: item for item in shown}
    columns = ("live", "declared", "file", "line", "via")
    same = {
        name
        for name in now.keys() & decisions.rows.keys()
        if all(decisions.rows[name].get(column, "").lstrip("'") == now[name][column].lstrip("'") for column in columns)
    }
    return tuple(sorted((now.keys() | decisions.rows.keys()) - same))


# -- carrying decisions out


def edited(project: Project, surveys: Sequence[Survey], review: Review, decisions: Decisions) -> Edit:
    """Return the edit of the files that carries the decisions out.

    Raises `BadDecisionsError` for an item that the review does not have, and for an edit that cannot be proven.
    """
    items = {item.id: item for item in review.items}
    dead = {_dead_id(line): line for line in find_dead_lines(project.declaration, review.as_of)}
    unknown = decisions.answers.keys() - items.keys() - dead.keys()
    if unknown:
        raise BadDecisionsError(f"no item {min(unknown)} in this review")
    by_name = {survey.name: survey for survey in surveys}
    gone = [dead[name] for name in _find_removed(decisions, dead)]
    made = [
        _build_decision(items[name], answer, by_name, project)
        for name, answer in decisions.answers.items()
        if name in items
    ]
    why = f"access review {review.digest[:19]}"
    seen = frozenset(survey.name for survey in surveys if survey.live.complete)
    live = [line for line in gone if _is_still_live(line, surveys)]
    edit = decide(
        project.declaration,
        made,
        _map_grants(review.items),
        why,
        seen=seen,
        dead=[line for line in gone if line not in live],
    )
    undone = (f"{line.what} ({line.at}): what it gave is still there; apply first, then remove it" for line in live)
    edit = replace(edit, undone=(*edit.undone, *undone))
    if edit.texts:
        _prove(project, surveys, made, edit)
    return edit


def _find_removed(decisions: Decisions, dead: Collection[str]) -> list[str]:
    """Return the dead lines that are to go; raises `BadDecisionsError` for a decision on something it is not for."""
    for name, answer in decisions.answers.items():
        if name in dead and answer.word not in {"keep", "remove"}:
            raise BadDecisionsError(f"item {name} is a dead line, which gives nothing: write keep or remove")
        if name not in dead and answer.word == "remove":
            raise BadDecisionsError(f"item {name} is a right and no dead line: write keep, revoke or change")
    return [name for name, answer in decisions.answers.items() if answer.word == "remove"]


def _is_still_live(line: DeadLine, surveys: Iterable[Survey]) -> bool:
    """Return whether something that the file ends by this line is still there: taken out, the line would end nothing."""
    return any(
        over.at == line.at and key in survey.live.access
        for survey in surveys
        for key, over in survey.desired.ended.items()
    )


def _map_grants(items: Iterable[Item]) -> Mapping[tuple[Span, str], frozenset[Given]]:
    """Return, by the place of a line and a user's handle, the instances and scopes that the line grants the user."""
    granted: dict[tuple[Span, str], set[Given]] = defaultdict(set)
    for item in items:
        if item.origin is not None and item.handle is not None:
            for origin in (item.origin, *item.origin.others):
                granted[origin.at, item.handle].add((item.instance, str_of(item.scope)))
    return {line: frozenset(scopes) for line, scopes in granted.items()}


def _build_decision(item: Item, answer: Answer, surveys: Mapping[str, Survey], project: Project) -> Decision:
    """Return a reviewer's answer with all that the editor of the files needs to know of its item.

    A site is selected by its id where its label does not prove which site it is, or is one of several (`label#id`).
    """
    survey = surveys[item.instance]
    site = survey.live.sites.get(item.scope)
    label = item.scope.name
    by_id = site is not None and (site.by_id_only or "#" in label)
    selector = f"id:{site.id}" if site is not None and by_id else label
    declared = project.declaration.sites.values()
    handles = {entry.handle for entry in declared if site is not None and entry.pins.get(item.instance) == site.id}
    if not by_id:
        handles |= {entry.handle for entry in declared if domain_in(entry.domain) == label and not entry.pins}
    return Decision(
        word="keep" if answer.word == "remove" else answer.word,
        instance=item.instance,
        account=item.account,
        kind=item.kind,
        scope=item.scope,
        selector=selector,
        names=frozenset({label, *handles, *((f"id:{site.id}",) if site is not None else ())}),
        handle=item.handle,
        origin=item.origin,
        live_role=_write_role(item.live, survey.traits) if item.live is not None else None,
        role=answer.role,
        until=answer.until,
    )


def _write_role(grant: Grant, traits: Traits) -> str:
    """Return the role of a live grant as the file writes it: portable (`view`), else native (`matomo:write`)."""
    role = traits.role(grant.scope.kind, grant.role)
    return role.portable if role is not None and role.portable is not None else f"{traits.platform}:{grant.role}"


def _prove(project: Project, surveys: Sequence[Survey], made: Sequence[Decision], edit: Edit) -> None:
    """Resolve the edited files and compare with the decisions; raises `BadDecisionsError` where they differ."""
    declaration = load_edited(project, edit)
    for survey in surveys:
        after = survey.desired_by(declaration)
        decided = {
            (decision.account, decision.scope): decision for decision in made if decision.instance == survey.name
        }
        old, new = _collect_rights(survey.desired), _collect_rights(after)
        for account, scope in sorted(old.keys() | new.keys()):
            key = account, scope
            if not _is_as_decided(decided.get(key), old.get(key), new.get(key)):
                why = f"{account} on {words_of(scope)} would not be as decided"
                raise BadDecisionsError(f"these decisions cannot be written down surely: {why}; edit the file by hand")


Right = tuple[str, frozenset[str] | None, datetime | None]
"""A role, its extras, and the end of the grant."""


def _collect_rights(desired: Desired) -> Mapping[tuple[str, Scope], Right]:
    """Return the declared right of each account on each scope, directly or through a group."""
    rights: dict[tuple[str, Scope], Right] = {}
    for account, scopes in Index(desired.access).by_account.items():
        for scope, ways in scopes.items():
            grant = max((grant for grant, _ in ways), key=lambda grant: (grant.role, sorted(grant.extras or ())))
            origin = desired.origins.get(grant.key)
            rights[account, scope] = (grant.role, grant.extras, origin.until if origin else None)
    return rights


def _is_as_decided(decision: Decision | None, old: Right | None, new: Right | None) -> bool:
    """Return whether a right has become what was decided of it; without a decision it must stay as it was."""
    if decision is None or decision.handle is None or (decision.word == "keep" and decision.origin is not None):
        return old == new
    return new is None if decision.word == "revoke" else new is not None


def words_of(scope: Scope) -> str:
    """Return a scope in words for a message."""
    return "the whole instance" if scope == EVERYWHERE else str(scope)


def write_edit(path: Path, text: str) -> None:
    """Write an edited file of the declaration; its mode stays. Raises `BadDecisionsError` for a link, and `OSError`."""
    if path.is_symlink():
        raise BadDecisionsError(f"{path} is a link; edit the file that it leads to, or put the file in its place")
    write_output(path, text.encode())


def load_edited(project: Project, edit: Edit) -> Declaration:
    """Load the edited files from a temporary folder. Raises `BadDecisionsError` where they are not valid."""
    root = project.path.parent
    with TemporaryDirectory(prefix="siteward-") as folder:
        for name in project.loaded.texts:
            path = Path(folder) / Path(name).relative_to(root)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(edit.texts.get(name) or Path(name).read_text(encoding="utf-8"), encoding="utf-8")
        loaded = read(Path(folder) / project.path.name, called=project.path)
    if loaded.declaration is None:
        problem = next((diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks), None)
        raise BadDecisionsError(
            f"the edited files would not be valid: {problem.message if problem else 'unknown'} ({problem.at if problem else ''})"
        )
    return loaded.declaration
