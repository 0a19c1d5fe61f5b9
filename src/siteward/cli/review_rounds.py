"""`siteward review start | status | close`: rounds of an access review, with a sheet for each reviewer."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import error, plural
from siteward.access.report import Report
from siteward.cli.edits import patch_of, write_edits
from siteward.cli.names import instance_option, journal_option
from siteward.cli.review_edit import make_review, refuse
from siteward.cli.session import Session, StoppedError, now, parse_day, with_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from siteward.access.certification import Confirmations, Item, Review
    from siteward.access.documents import Assignment, ReviewRound
    from siteward.access.review_round import RoundStanding
    from siteward.cli.checkout import Checkout
    from siteward.declaration.edited import Edit
    from siteward.reconcile.journal.entries import Reviewed
    from siteward.reconcile.rounds import Closing, Mapped, Rest, RoundError, Row
    from siteward.reconcile.survey import Survey
    from siteward.render.context import Privacy

Suffix = Literal["csv", "xlsx"]
BY_OWNER = "by-owner"
ONLY = ("admins", "services", "overdue")
"""What a round can be limited to: words of `policy.reviews`, and what that policy wants reviewed now."""
_OPEN, _OVERDUE, _LEFT = 2, 3, 3
"""The exit codes for rounds with something open, past their day, and for decisions that are left to people."""


@click.command("start")
@click.argument("name")
@instance_option
@journal_option
@click.option("--reviewers", required=True, metavar="by-owner|FILE", help="Who reviews what; see above.")
@click.option("--due", required=True, metavar="DATE", help="The last day for decisions.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(ONLY),
    help="Only these rights: of admins, of services, or not confirmed within `policy.reviews`; repeatable.",
)
@click.option("--sheets", type=click.Choice(["csv", "xlsx"]), default="csv", show_default=True, help="Kind of sheets.")
@with_session("text", "json", without=("--group-by", "--exit-zero"))
def start(
    session: Session,
    name: str,
    instances: tuple[str, ...],
    reviewers: str,
    due: str,
    only: tuple[str, ...],
    sheets: Suffix,
) -> int:
    """Write a sheet for each reviewer into reviews/NAME beside the journal.

    By owner: whoever answers for a service (`owner`); else the owner of the group that gives the right; else the owner
    of the site; else the admins. Nobody is given their own right. FILE (YAML) names reviewers by `items`, `users`,
    `groups` and `sites`, and a `default`; what it does not name goes by owner.
    """
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.reconcile import rounds

    if session.privacy == "counts":
        raise click.UsageError("sheets name who has what: --privacy full or handles")
    checkout = open_checkout(session, "review", names=instances)
    day = _parse_due(checkout, due)
    mapped = rounds.Mapped() if reviewers == BY_OWNER else _read_mapped(Path(reviewers), checkout)
    _refuse_old(checkout, name)
    _require_journals(checkout, [instance.name for instance in checkout.instances])
    report, surveys = read_instances(checkout, "review", steps=False)
    current, confirmed = _review_whole(checkout, report, surveys)
    unknown = sorted(mapped.items.keys() - {item.id for item in current.items})
    if unknown:
        raise refuse(f"{reviewers}: there is no item {unknown[0]} in this review")
    by_name = {survey.name: survey for survey in surveys}
    chooser = rounds.Reviewers(
        declaration=checkout.project.declaration, surveys=by_name, as_of=checkout.as_of, mapped=mapped
    )
    chosen = [item for item in current.items if not only or _is_chosen(item, only, confirmed, checkout.as_of)]
    if not chosen:
        session.say(f"nothing to review: no right fits --only {', '.join(only)}" if only else "nothing to review")
        return 0
    parts: dict[str, list[str]] = defaultdict(list)
    for item in chosen:
        parts[chooser.choose(item)].append(item.id)
    made = _blank(name, day, current.digest)
    made, files = _draw_sheets(made, current, parts, session.privacy, sheets)
    folder = _write_round(checkout, made, files)
    if only:
        session.say(
            f"{len(chosen)} of {plural(len(current.items), 'right')}, by --only {', '.join(only)}; no sheet has the others"
        )
    session.say(f"{plural(len(made.sheets), 'sheet')} in {folder}; give them out, and put them back there")
    return _answer(session, [_find_standing(checkout, made)])


def _is_chosen(item: Item, only: tuple[str, ...], confirmed: Confirmations, as_of: datetime) -> bool:
    return not item.kinds.isdisjoint(only) or ("overdue" in only and confirmed.is_overdue(item, as_of))


@click.command("status")
@click.argument("name", required=False)
@journal_option
@with_session("text", "json", without=("--group-by",))
def status(session: Session, name: str | None) -> int:
    """Say who is missing and what is overdue, of one round or all. Contacts nothing.

    Leaves with 0 where nothing is open, 2 where something is, 3 where that is past its day, 1 where a sheet is not valid.
    """
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.rounds import list_rounds

    checkout = open_checkout(session, "review")
    names = [name] if name is not None else list_rounds(checkout.journals.folder)
    found = [_find_standing(checkout, _load(checkout, known)) for known in names]
    code = _answer(session, found)
    if code or any(sheet.problem for made in found for sheet in made.sheets):
        return code or 1
    worst = max((_OVERDUE if made.overdue else _OPEN if made.open else 0 for made in found), default=0)
    return 0 if session.exit_zero else worst


@click.command("close")
@click.argument("name")
@journal_option
@click.option("--write", is_flag=True, help="Write the decisions into the journal, and the edit into the files.")
@click.option(
    "--rest",
    type=click.Choice(["revoke", "overdue"]),
    help="What becomes of what nobody decided: taken away, or on record and still open.",
)
@click.option("--reason", metavar="TEXT", help="With --rest: why.")
@with_session("text", without=("--group-by",))
def close(session: Session, name: str, rest: Rest | None, reason: str | None, *, write: bool) -> int:
    """Take the decisions of the sheets: shown as a patch, or with --write in the journal and in the files.

    What moved since its sheet was written is opened again, on a new sheet. A second `close` goes on where the first one
    was cut off. Leaves with 2 where something is still open, and with 3 where decisions are left to people.
    """
    if (rest is None) != (reason is None):
        raise click.UsageError("--rest and --reason TEXT go together")
    work = _open_closing(session, name)
    closing = work.settle((rest, reason) if rest is not None and reason is not None else None)
    edit = work.make_edit(closing)
    click.echo("".join(patch_of(edit)), nl=False)
    if write:
        work.write(closing, edit, rest, session.privacy)
    _tell(session, work, closing, edit)
    still = len(closing.reopened) + len(closing.undecided) + work.count_missing()
    done = "taken" if write else "to be taken with --write"
    session.say(
        f"{plural(len(closing.taken), 'decision')} {done}{_describe_rest(closing, rest)},"
        f" {len(closing.done)} taken before, {still} still open"
    )
    code = _LEFT if edit.undone else _OPEN if still else 0
    return 0 if session.exit_zero else code


def _describe_rest(closing: Closing, rest: Rest | None) -> str:
    """Return in words what `--rest` makes of what nobody decided."""
    if rest == "overdue":
        return f", {len(closing.noted)} noted as overdue"
    nobody = sum(not answer.by for answer in closing.taken.values())
    return f"; revoke for {nobody} that nobody decided" if rest else ""


class _Closing(Struct, frozen=True, kw_only=True):
    """What closing a round works on: the checkout, the round, its rows, and what is held now."""

    checkout: Checkout
    made: ReviewRound
    rows: Mapping[str, Row]
    surveys: tuple[Survey, ...]
    current: Review
    before: Mapping[str, Reviewed]

    def settle(self, rest: tuple[Rest, str] | None) -> Closing:
        """Return what follows from the sheets. Raises `StoppedError`."""
        from siteward.reconcile.rounds import settle
        from siteward.reconcile.sheets import BadDecisionsError
        from siteward.render.certification import items

        held = replace(self.current, dead=())
        try:
            return settle(self.rows, (items(held), items(held, "handles")), self.before, rest)
        except BadDecisionsError as problem:
            raise refuse(*problem.args) from problem

    def make_edit(self, closing: Closing) -> Edit:
        """Return the edit that follows from decisions of now and before. Raises `StoppedError`."""
        from siteward.reconcile.certify import edited
        from siteward.reconcile.rounds import collect
        from siteward.reconcile.sheets import BadDecisionsError

        decisions = collect(self.current, {**closing.again, **closing.taken})
        try:
            return edited(self.checkout.project, self.surveys, self.current, decisions, called=self.made.name)
        except BadDecisionsError as problem:
            raise refuse(*problem.args) from problem

    def count_missing(self) -> int:
        """Return how many rows were taken out of the sheets."""
        return max(0, sum(sheet.items for sheet in self.made.sheets) - len(self.rows))

    def write(self, closing: Closing, edit: Edit, rest: Rest | None, privacy: Privacy) -> None:
        """Write decisions into the journals, then the edit, then new sheets for what was opened again.

        In this order a second `close` finds after a crash what was decided, and does what is missing.
        """
        self._write_decisions(closing, rest)
        write_edits(edit, "review")
        if closing.reopened or closing.gone:
            self._reopen(closing, privacy)

    def _write_decisions(self, closing: Closing, rest: Rest | None) -> None:
        from siteward.reconcile.apply.inputs import TROUBLE, describe_trouble
        from siteward.reconcile.journal.journal import opened
        from siteward.reconcile.rounds import as_reviewed

        journals, taken = self.checkout.journals, as_reviewed(self.current, {**closing.taken, **closing.noted})
        for instance, decisions in taken.items():
            try:
                with opened(journals.folder, instance, key=journals.key, clock=now) as journal:
                    journal.take_review(
                        decisions, review=self.made.name, digest=self.made.digest, due=self.made.due, rest=rest,
                        actor=journals.actor,
                    )  # fmt: skip
            except TROUBLE as problem:
                raise StoppedError(
                    Report(command="review", diagnostics=(describe_trouble(instance, problem),))
                ) from problem

    def _reopen(self, closing: Closing, privacy: Privacy) -> None:
        """Write what moved on new sheets, one for each reviewer who had it, as it is now."""
        from siteward.reconcile.rounds import move_items

        parts: dict[str, list[str]] = defaultdict(list)
        suffixes: dict[str, Suffix] = {}
        for item, row in closing.reopened.items():
            parts[row.sheet.reviewer].append(item)
            suffixes[row.sheet.reviewer] = "xlsx" if row.sheet.file.endswith(".xlsx") else "csv"
        files: dict[str, bytes] = {}
        added: list[Assignment] = []
        for reviewer, items in parts.items():
            taken = [sheet.file for sheet in (*self.made.sheets, *added)]
            sheet, content = _draw_sheet(self.made, self.current, reviewer, items, privacy, suffixes[reviewer], taken)
            added.append(sheet)
            files[sheet.file] = content
        _write_round(self.checkout, move_items(self.made, closing, self.rows, added), files)


def _open_closing(session: Session, name: str) -> _Closing:
    """Return what closing a round works on. Raises `StoppedError` where it cannot be closed, before anything is written."""
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.reconcile.confirmed import taken_before
    from siteward.reconcile.rounds import read_sheets
    from siteward.reconcile.sheets import BadDecisionsError

    checkout = open_checkout(session, "review", writes=True)
    made = _load(checkout, name)
    try:
        rows = read_sheets(checkout.journals.folder, made)
    except BadDecisionsError as problem:
        raise refuse(*problem.args) from problem
    named = {row.cells.get("instance", "").strip("'") for row in rows.values()}
    names = tuple(instance.name for instance in checkout.instances if instance.name in named)
    if not names:
        raise refuse(f"the sheets of {name} name no instance of the file")
    _require_journals(checkout, names)
    checkout = open_checkout(session, "review", names=names, writes=True)
    report, surveys = read_instances(checkout, "review", steps=False)
    return _Closing(
        checkout=checkout, made=made, rows=rows, surveys=surveys, current=_review_whole(checkout, report, surveys)[0],
        before=taken_before(checkout.journals, names, name),
    )  # fmt: skip


def _tell(session: Session, work: _Closing, closing: Closing, edit: Edit) -> None:
    """Say what is opened again, what is gone, and what no edit carries out."""
    for row in closing.reopened.values():
        was = f", decided was {row.answer.text}" if row.answer is not None else ""
        session.say(f"opened again: {_name(row.cells)} ({row.place}): it is not as it was seen{was}")
    for row in map(work.rows.__getitem__, closing.gone):
        session.say(f"nobody holds any more: {_name(row.cells)} ({row.place})")
    for decision in edit.needless:
        session.say(f"nothing to edit: {decision}")
    for decision in edit.undone:
        session.say(f"left to you: {decision}")
    if missing := work.count_missing():
        session.say(f"{plural(missing, 'row')} taken out of the sheets: put back what stood there, and decide on it")


def _name(cells: Mapping[str, str]) -> str:
    who, where, instance = (cells.get(column, "").lstrip("'") for column in ("account", "where", "instance"))
    return f"{cells.get('person', '') or who} on {where} ({instance})"


# -- beginning


def _blank(name: str, due: str, digest: str) -> ReviewRound:
    from siteward.access.documents import ReviewRound

    return ReviewRound(name=name, made=now().replace(microsecond=0), due=due, digest=digest, sheets=())


def _parse_due(checkout: Checkout, text: str) -> str:
    """Return the day that `--due` names. Raises `UsageError` for one that is none, or is over."""
    try:
        day = date.fromisoformat(text) if len(text) == len("2027-03-31") else None
    except ValueError:
        day = None
    if day is None:
        raise click.UsageError(f"--due: {text!r} is no date; write one as 2027-03-31")
    if _is_past(checkout, text):
        raise click.UsageError(f"--due {text} is over")
    return text


def _is_past(checkout: Checkout, day: str) -> bool:
    """Return whether a day is over, in the policy's time zone."""
    ends = parse_day(day, str(checkout.project.declaration.timezone), "--due", last=True)
    return ends is not None and ends <= checkout.now


def _read_mapped(path: Path, checkout: Checkout) -> Mapped:
    """Return the reviewers that a file names. Raises `StoppedError` for one that cannot be read, or names nobody."""
    import msgspec
    import yaml

    from siteward.reconcile.rounds import Mapped

    try:
        mapped = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Mapped)
    except OSError as problem:
        raise refuse(f"cannot read {path}: {problem.strerror}") from problem
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        raise refuse(f"{path} is not valid YAML: {str(problem).splitlines()[0]}") from problem
    except msgspec.ValidationError as problem:
        raise refuse(f"{path}: {problem}; allowed are items, users, groups, sites and default") from problem
    faults = list(mapped.faults(checkout.project.declaration))
    if faults:
        raise StoppedError(
            Report(command="review", diagnostics=tuple(error("unknown-reviewer", f"{path}: {why}") for why in faults))
        )
    return mapped


def _refuse_old(checkout: Checkout, name: str) -> None:
    """Raise `StoppedError` for a name that is none, or that a round has already."""
    from siteward.reconcile.rounds import RoundError, RoundThereError, check_name, list_rounds

    try:
        check_name(name)
    except RoundError as problem:
        raise _stop(problem) from problem
    if name in list_rounds(checkout.journals.folder):
        hint = f"siteward review status {name}; a review of another name begins another one"
        raise _stop(RoundThereError(f"there is a review {name} already", hint))


def _stop(problem: RoundError) -> StoppedError:
    return StoppedError(Report(command="review", diagnostics=(error(problem.code, str(problem), hint=problem.hint),)))


def _load(checkout: Checkout, name: str) -> ReviewRound:
    from siteward.reconcile.rounds import RoundError, read_round

    try:
        return read_round(checkout.journals.folder, name)
    except RoundError as problem:
        raise _stop(problem) from problem


def _require_journals(checkout: Checkout, names: Iterable[str]) -> None:
    """Raise `StoppedError` where a journal cannot take the decisions: there is none, it is broken, or its key is missing."""
    from siteward.reconcile.apply.inputs import TROUBLE, describe_trouble
    from siteward.reconcile.journal.chain import NEEDS_KEY
    from siteward.reconcile.journal.reading import path_of, read

    problems = []
    for name in names:
        path = path_of(checkout.journals.folder, name)
        try:
            standing = read(path, checkout.journals.key).standing
        except TROUBLE as problem:
            problems.append(describe_trouble(name, problem))
            continue
        if not standing.entries:
            words = f"there is no journal at {path}, so that decisions would leave no trace"
            problems.append(replace(error("no-journal", words, hint="`siteward apply` begins it"), instance=name))
        elif standing.sealed_since and checkout.journals.key is None:
            words = f"{path} is sealed (HMAC), and there is no key to go on with"
            problems.append(replace(error("journal-broken", words, hint=NEEDS_KEY), instance=name))
    if problems:
        raise StoppedError(Report(command="review", diagnostics=tuple(problems)))


def _review_whole(checkout: Checkout, report: Report, surveys: tuple[Survey, ...]) -> tuple[Review, Confirmations]:
    """Return the review of now, and what the journals say of earlier ones. Raises `StoppedError` where not everything was read: what is not seen is not reviewed."""
    from siteward.access.certification import Horizon

    made, confirmed = make_review(checkout, report, surveys, Horizon(as_of=checkout.as_of))
    if made.gaps:
        gaps = (
            replace(error("not-read", "not read whole, so nothing is written"), instance=gap.instance)
            for gap in made.gaps
        )
        raise StoppedError(replace(report, plan=None, diagnostics=(*report.diagnostics, *gaps), stale=True))
    return made, confirmed


def _draw_sheets(
    made: ReviewRound, current: Review, parts: Mapping[str, Sequence[str]], privacy: Privacy, suffix: Suffix
) -> tuple[ReviewRound, Mapping[str, bytes]]:
    """Return the round with its sheets, and the content of each by file."""
    files: dict[str, bytes] = {}
    sheets: list[Assignment] = []
    for reviewer, items in sorted(parts.items()):
        sheet, content = _draw_sheet(made, current, reviewer, items, privacy, suffix, tuple(files))
        sheets.append(sheet)
        files[sheet.file] = content
    return replace(made, sheets=tuple(sheets)), files


def _draw_sheet(
    made: ReviewRound,
    current: Review,
    reviewer: str,
    items: Sequence[str],
    privacy: Privacy,
    suffix: Suffix,
    taken: Sequence[str],
) -> tuple[Assignment, bytes]:
    """Return the sheet of one reviewer with these items, under a file name that is not taken."""
    from siteward.access.documents import Assignment
    from siteward.reconcile.rounds import choose_file
    from siteward.reconcile.workbook import WorkbookError, write_workbook
    from siteward.render.certification import reviewer_sheet
    from siteward.render.csv import cell, table

    chosen = set(items)
    own = tuple(item for item in current.items if item.id in chosen)
    header, rows = reviewer_sheet(replace(current, items=own, digest=made.digest), privacy, reviewer)
    try:
        content = (
            table(header, rows).encode("utf-8-sig")
            if suffix == "csv"
            else write_workbook(header, [[cell(text) for text in row] for row in rows], "review")
        )
    except WorkbookError as problem:
        raise click.ClickException(str(problem)) from problem
    digest = hashlib.sha256(content).hexdigest()
    return Assignment(
        reviewer=reviewer, file=choose_file(reviewer, suffix, taken), items=len(own), sha256=digest
    ), content


def _write_round(checkout: Checkout, made: ReviewRound, files: Mapping[str, bytes]) -> Path:
    from siteward.reconcile.rounds import write_round

    try:
        return write_round(checkout.journals.folder, made, files)
    except OSError as problem:
        raise click.ClickException(f"cannot write the review: {problem.strerror}: {problem.filename}") from problem


# -- status


def _find_standing(checkout: Checkout, made: ReviewRound) -> RoundStanding:
    from siteward.reconcile.apply.inputs import TROUBLE, describe_trouble
    from siteward.reconcile.confirmed import taken_before
    from siteward.reconcile.rounds import decided_in, find_standing

    try:
        taken = taken_before(checkout.journals, [instance.name for instance in checkout.instances], made.name)
    except TROUBLE as problem:
        raise StoppedError(Report(command="review", diagnostics=(describe_trouble("", problem),))) from problem
    past = _is_past(checkout, made.due)
    return find_standing(checkout.journals.folder, made, decided_in(taken).keys(), is_past=past)


def _answer(session: Session, found: Sequence[RoundStanding]) -> int:
    from siteward.render.review_rounds import render

    return session.answer(lambda form, options: render(found, form, options), Report(command="review"))
