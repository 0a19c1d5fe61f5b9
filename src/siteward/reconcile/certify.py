"""Access reviews (certification): commits behind grants, reviewers' decisions, and the edit of the files that follows.

An edit is returned only when it is proven: loaded and resolved against the same live access, the edited files must
declare exactly what was decided, and everything else as before.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.certification import ID, DeadRow
from siteward.access.effective import ledger
from siteward.access.hosts import domain_in
from siteward.access.model import EVERYWHERE
from siteward.access.traits import declarable
from siteward.declaration.dead import find_dead_lines
from siteward.declaration.declared import EVERY
from siteward.declaration.rewrite import GRANTED, Decision, decide, str_of
from siteward.declaration.splice import CannotEditError, refuse_directory
from siteward.reconcile.offline import rights_of
from siteward.reconcile.outputs import write_output
from siteward.reconcile.project import read
from siteward.reconcile.revisions.git import GitError, ask_about_files
from siteward.reconcile.sheets import BadDecisionsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from siteward.access.api_key import HeldKey
    from siteward.access.certification import Item, Review
    from siteward.access.diagnostic import Span
    from siteward.access.effective import Ledger
    from siteward.access.model import Grant, Scope
    from siteward.access.traits import Traits
    from siteward.declaration.dead import DeadLine
    from siteward.declaration.edited import Edit
    from siteward.declaration.load import Declaration, Loaded
    from siteward.declaration.rewrite import Given, Word
    from siteward.reconcile.offline import Right
    from siteward.reconcile.project import Project
    from siteward.reconcile.sheets import Answer, Decisions
    from siteward.reconcile.survey import Survey

_WORDS: Mapping[str, Word] = MappingProxyType({"revoke": "revoke", "change": "change"})
"""The decisions on a right from which an edit follows."""
_BLAME_HEADER = re.compile(rb"([0-9a-f]{40,64}) \d+ (\d+)")


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


def keys_of(declaration: Declaration, surveys: Iterable[Survey]) -> tuple[HeldKey, ...]:
    """Return the keys of surveyed instances, each with who answers for its user, if the file says it and if anybody does."""
    return tuple(key for survey in surveys if survey.keys for key in _with_owners(survey, declaration))


def _with_owners(survey: Survey, declaration: Declaration) -> Iterator[HeldKey]:
    ended = {known.handle for known in survey.desired.declared_users.values() if known.ending is not None}
    for key in survey.keys:
        user = declaration.users.get(key.handle or "")
        if user is None:
            yield key
            continue
        owner = declaration.users.get(user.owner or "")
        gone = owner is None or owner.handle in ended or owner.kind == "service" or owner.state(EVERY) != "active"
        alone = gone and user.kind == "service" and user.handle not in ended
        yield replace(key, answers=user.owner, flags=(*key.flags, "unattended") if alone else key.flags)


# -- commits


def dead_rows(declaration: Declaration, as_of: datetime) -> tuple[DeadRow, ...]:
    """Return the dead lines of the files as rows to decide on."""
    return tuple(
        DeadRow(id=_dead_id(line), what=line.what, why=line.why, at=line.at, ticket=line.ticket, reason=line.reason)
        for line in find_dead_lines(declaration, as_of)
    )


def _dead_id(line: DeadLine) -> str:
    return (
        ID
        + sha256("\n".join(("dead", Path(line.file).name, line.what, *map(str, line.path))).encode()).hexdigest()[:16]
    )


def membership_lines(declaration: Declaration) -> Mapping[tuple[str, str], Span]:
    """Return the place of each membership that is written in a group, by group and handle."""
    return {
        (group.handle, member.name): group.source.at(group.member_path(number))
        for group in declaration.groups.values()
        for number, member in enumerate(group.members)
        if member.by is None and not member.excludes and member.name in declaration.users
    }


def with_memberships(review: Review, declaration: Declaration, commits: Mapping[tuple[str, int], str]) -> Review:
    """Return a review in which a right that comes by a membership names the commit of that, not the grant's."""
    places = membership_lines(declaration)
    if not places:
        return review
    return replace(review, items=tuple(_with_membership(item, places, commits) for item in review.items))


def _with_membership(
    item: Item, places: Mapping[tuple[str, str], Span], commits: Mapping[tuple[str, int], str]
) -> Item:
    via = item.origin.via if item.origin is not None else ()
    groups = [link.removeprefix("group ") for link in via if link.startswith("group ")]
    at = next((at for name in groups if (at := places.get((name, item.handle or ""))) is not None), None)
    return item if at is None else replace(item, commit=commits.get((at.file, at.line), item.commit))


def commits(
    all_ledgers: Iterable[Ledger], folder: Path, dead: Iterable[DeadRow] = (), more: Iterable[Span] = ()
) -> Mapping[tuple[str, int], str]:
    """Return, by file and line, the commit and day that last changed each line that grants something, is dead, or is one of `more`.

    Empty outside a git repository.
    """
    files = {
        holding.origin.at.file
        for ledger in all_ledgers
        for entry in ledger.entries
        for holding in entry.holdings
        if holding.origin
    } | {at.file for at in (*(row.at for row in dead), *more)}
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


# -- carrying decisions out


def edited(
    project: Project,
    surveys: Sequence[Survey],
    review: Review,
    decisions: Decisions,
    why: str | None = None,
    *,
    called: str = "",
) -> Edit:
    """Return the edit of the files that carries the decisions out.

    `why` is the reason of added grants; without it they name the review, as it is `called` if it has a name.

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
    why = why or f"access review {called or review.digest[:19]}"
    seen = frozenset(survey.name for survey in surveys if survey.live.complete)
    live = [line for line in gone if _is_still_live(line, surveys)]
    dead_now = [line for line in gone if line not in live]
    try:
        edit = decide(project.declaration, made, _map_grants(review.items), why, seen=seen, dead=dead_now)
    except CannotEditError as problem:
        raise BadDecisionsError(str(problem)) from problem
    undone = (f"{line.what} ({line.at}): what it gave is still there; apply first, then remove it" for line in live)
    edit = replace(edit, undone=(*edit.undone, *undone))
    if edit.texts:
        prove(project, surveys, made, edit)
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
        word=_WORDS.get(answer.word, "keep"),
        instance=item.instance,
        account=item.account,
        kind=item.kind,
        scope=item.scope,
        selector=selector,
        names=frozenset({label, *handles, *((f"id:{site.id}",) if site is not None else ())}),
        handle=item.handle,
        origin=item.origin,
        live_role=write_role(item.live, survey.traits) if item.live is not None else None,
        grantable=item.live is None or (item.scope.kind in GRANTED and declarable(item.live, survey.traits)),
        role=answer.role,
        until=answer.until,
        reason=answer.reason,
        by=answer.by,
    )


def write_role(grant: Grant, traits: Traits) -> str:
    """Return the role of a live grant as the file writes it: portable (`view`), else native (`matomo:write`)."""
    role = traits.role(grant.scope.kind, grant.role)
    return role.portable if role is not None and role.portable is not None else f"{traits.platform}:{grant.role}"


def prove(project: Project, surveys: Sequence[Survey], made: Sequence[Decision], edit: Edit) -> Declaration:
    """Resolve the edited files and compare with the decisions; return what they declare.

    Raises `BadDecisionsError` where that differs.
    """
    declaration = load_edited(project, edit.texts).declaration
    if declaration is None:
        raise BadDecisionsError("the edited files would not be valid")
    for survey in surveys:
        after = survey.desired_by(declaration)
        decided = {
            (decision.account, decision.scope): decision for decision in made if decision.instance == survey.name
        }
        old, new = rights_of(survey.desired), rights_of(after)
        for account, scope in sorted(old.keys() | new.keys()):
            key = account, scope
            if not _is_as_decided(decided.get(key), old.get(key), new.get(key)):
                why = f"{account} on {words_of(scope)} would not be as decided"
                raise BadDecisionsError(f"these decisions cannot be written down surely: {why}; edit the file by hand")
    return declaration


def _is_as_decided(decision: Decision | None, old: Right | None, new: Right | None) -> bool:
    """Return whether a right has become what was decided of it; without a decision it must stay as it was."""
    if decision is None or decision.handle is None or (decision.word == "keep" and decision.origin is not None):
        return old == new
    return new is None if decision.word == "revoke" else new is not None


def words_of(scope: Scope) -> str:
    """Return a scope in words for a message."""
    return "the whole instance" if scope == EVERYWHERE else str(scope)


def write_edit(path: Path, text: str, before: str | None = None) -> None:
    """Write an edited file of the declaration as a whole; its mode stays.

    `before` is the text that the edit was made from. Raises `BadDecisionsError` for a link, and where the file is not
    `before` any more, and `OSError`.
    """
    _refuse_to_write(path, before)
    write_output(path, text.encode())


def write_all(edit: Edit) -> None:
    """Write all files of an edit, or none where one of them is a link or not as it was read; raises as `write_edit`."""
    for name in edit.texts:
        _refuse_to_write(Path(name), edit.before.get(name))
    for name, text in edit.texts.items():
        write_edit(Path(name), text, edit.before.get(name))


def _refuse_to_write(path: Path, before: str | None) -> None:
    if path.is_symlink():
        raise BadDecisionsError(f"{path} is a link; edit the file that it leads to, or put the file in its place")
    if before is not None and path.read_bytes() != before.encode():
        raise BadDecisionsError(f"{path} has changed since it was read; nothing was written, do it again")


def load_edited(project: Project, texts: Mapping[str, str]) -> Loaded:
    """Load the edited files. Raises `BadDecisionsError` where they are not valid, or a directory writes one of them."""
    try:
        loaded = load_with(project, texts)
    except CannotEditError as refused:
        raise BadDecisionsError(str(refused)) from refused
    if loaded.declaration is None:
        raise BadDecisionsError(f"the edited files would not be valid: {_first_error(loaded)}")
    return loaded


def load_with(
    project: Project, texts: Mapping[str, str], as_of: Callable[[Declaration], datetime] | None = None
) -> Loaded:
    """Load the files of a project as they were read, with other `texts` for some, by way of a temporary folder.

    Every edit of files passes here, to be proven. Raises `CannotEditError` for a file that a directory writes.
    """
    root = project.path.parent
    for name in texts:
        refuse_directory(name, project.loaded.source.texts.whole(name))
    with TemporaryDirectory(prefix="siteward-") as folder:
        for name in project.loaded.texts:
            path = Path(folder) / Path(name).relative_to(root)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((texts.get(name) or project.loaded.source.texts.whole(name)).encode())
        return read(Path(folder) / project.path.name, called=project.path, as_of=as_of)


def _first_error(loaded: Loaded) -> str:
    """Return the first error of edited files, with the line that it is about: nobody else sees the edited text."""
    problem = next((diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks), None)
    if problem is None or problem.at is None:
        return problem.message if problem is not None else "unknown"
    lines = loaded.texts.get(problem.at.file, ())
    line = lines[problem.at.line - 1].strip() if problem.at.line <= len(lines) else ""
    return f"{problem.message} ({problem.at}: {line})"
