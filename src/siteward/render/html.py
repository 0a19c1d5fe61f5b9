"""One page by itself: no script, no network, nothing but what the report says; for light, dark and paper.

The page allows itself one style sheet, by its hash; everything else is forbidden by its own content policy, and every
text goes through the template's escapes.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.render import words
from siteward.render.safe import advice, excerpt, show
from siteward.render.view import sections, sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Step
    from siteward.access.report import DriftItem, Outcome
    from siteward.render.context import RenderContext

_STEPS = ("", "who", "where", "change", "why")
_TITLES = {"validate": "Access files", "drift": "Access drift", "apply": "Access applied"}


class Remark(Struct, frozen=True, kw_only=True):
    """A diagnostic as the page shows it."""

    kind: str
    code: str
    text: str
    at: str
    help: tuple[str, ...]
    excerpt: Markup


class Row(Struct, frozen=True, kw_only=True):
    """A row: its cells, and in the last column a place, a reason and what was said."""

    cells: tuple[str, ...]
    place: str = ""
    why: str = ""
    remarks: tuple[Remark, ...] = ()


class Table(Struct, frozen=True, kw_only=True):
    """Rows under a heading."""

    title: str
    kind: str = ""
    header: tuple[str, ...] = _STEPS
    rows: tuple[Row, ...]

    @property
    def steps(self) -> bool:
        """Tell whether the rows are steps, whose columns stand under each other from table to table."""
        return self.header == _STEPS


class Part(Struct, frozen=True, kw_only=True):
    """What is said of one instance."""

    title: str
    lead: tuple[str, ...] = ()
    said: tuple[Remark, ...] = ()
    tables: tuple[Table, ...]


def render(context: RenderContext) -> str:
    """Return the page of a report."""
    return draw(
        title=_TITLES.get(context.report.command, "Access plan"),
        lead=tuple(_lead(context)),
        said=_remarks(
            (replace(diagnostic, message=words.told(diagnostic)) for diagnostic in _spoken(context)), context
        ),
        parts=tuple(_parts(context)),
        foot=tuple(_foot(context)),
    )


def draw(
    *,
    title: str,
    lead: tuple[str, ...],
    parts: tuple[Part, ...],
    foot: tuple[str, ...],
    said: tuple[Remark, ...] = (),
) -> str:
    """Return a page of these parts; every text is made harmless here."""
    style = resource("report.css")
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            lead=lead,
            said=said,
            parts=parts,
            foot=foot,
            style=Markup(style),  # noqa: S704 - the package's own file, and the very text that the hash is of
            style_hash=b64encode(sha256(style.encode()).digest()).decode(),
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else show(value),  # an excerpt is safe already
        keep_trailing_newline=True,
    )


def resource(name: str) -> str:
    """Return a file of this package's templates."""
    return (files(__package__ or "") / "templates" / name).read_text(encoding="utf-8")


def _numbers(context: RenderContext) -> str:
    of, report = context.summary, context.report
    return {
        "validate": words.findings(of),
        "drift": words.drifted(of),
        "apply": words.results(of) if of.outcomes else words.headline(of),
    }.get(report.command, words.headline(of))


def _lead(context: RenderContext) -> Iterator[str]:
    yield _numbers(context)
    if context.report.plan and not context.summary.outcomes:
        yield from (
            " · ".join(parts)
            for parts in (words.consequences(context.summary), words.leftovers(context.summary))
            if parts
        )


def _foot(context: RenderContext) -> Iterator[str]:
    report, plan = context.report, context.report.plan
    if plan:
        commit = f" for commit {words.commit(plan)}" if plan.commit else ""
        yield f"plan {plan.digest}{commit} as of {words.moment(plan.as_of)}"
    if report.journal_head:
        yield f"journal, latest hash {report.journal_head}"
    if report.next:
        yield f"next: {report.next}"
    yield f"{words.findings(context.summary)} · exit {context.code} ({words.verdict(context.code)})"


def _spoken(context: RenderContext) -> Iterator[Diagnostic]:
    yield from context.report.diagnostics
    yield from context.report.plan.diagnostics if context.report.plan else ()


def _remarks(said: Iterable[Diagnostic], context: RenderContext) -> tuple[Remark, ...]:
    return tuple(_remark(diagnostic, context) for diagnostic in words.by_weight(said))


def _remark(said: Diagnostic, context: RenderContext) -> Remark:
    found = excerpt(said.at, context.report.texts) if said.at else None
    lines = [f"{number:>5}  {line}" for number, line in found.lines] if found else []
    return Remark(
        kind=said.severity.word,
        code=said.code,
        text=said.message,
        at=str(said.at) if said.at else "",
        help=advice(said, context.report.plan.digest if context.report.plan else ""),
        excerpt=escape("\n".join((*lines, f"{' ' * (7 + found.start)}{'^' * found.length}")) if found else ""),
    )


def _parts(context: RenderContext) -> Iterator[Part]:
    report = context.report
    if report.outcomes:
        rows = tuple(map(_outcome, words.by_outcome(report.outcomes)))
        yield Part(
            title="What happened",
            tables=(Table(title="Steps", header=("", "who", "where", "change", "what happened"), rows=rows),),
        )
    else:
        yield from (_instance(instance, context) for instance in (report.plan.instances if report.plan else ()))
    if report.drift:
        yield Part(title="Drift", tables=tuple(_drift(context)))


def _instance(instance: InstancePlan, context: RenderContext) -> Part:
    release = words.release(instance.platform, instance.version, instance.edition)
    counted = ((instance.accounts, "account"), (instance.sites, "site"), (instance.grants, "grant"))
    read = f"read {', '.join(plural(count, noun) for count, noun in counted)}"
    hidden = ", ".join(spot for spot in instance.blind_spots if spot not in instance.accepted_blind)
    lead = (
        f"{instance.origin} · {release} · mode {instance.mode} · {read}",
        words.headline(context.parts[instance.instance]),
        *(f"not read: {listing}" for listing in words.unread(instance)),
        *((f"cannot be seen: {hidden}",) if hidden else ()),
    )
    return Part(
        title=instance.instance,
        lead=lead,
        said=_remarks(instance.diagnostics, context),
        tables=tuple(_tables(instance, context)),
    )


def _tables(instance: InstancePlan, context: RenderContext) -> Iterator[Table]:
    for section in sections(instance.steps, context.options.group_by):
        rows = tuple(_step(step, context) for step in section.steps)
        yield Table(title=section.band.heading, kind=section.band.name.lower(), rows=rows)
    if instance.held_back:
        yield Table(
            title=f"Skipped (mode {instance.mode})", rows=tuple(_step(step, context) for step in instance.held_back)
        )
    if instance.waiting:
        waiting = tuple(Row(cells=("", words.declared_user(key), words.where(key))) for key in instance.waiting)
        yield Table(title="Waiting for acceptance", header=("", "who", "where", ""), rows=waiting)
    if instance.unmanaged:
        unmanaged = tuple(
            Row(cells=("?", unmanaged_account.name, unmanaged_account.email or "", unmanaged_account.power.word, plural(unmanaged_account.grants, "grant")),
                why="ignored" if unmanaged_account.ignored else "")
            for unmanaged_account in sorted(instance.unmanaged, key=lambda account: (-account.power, account.name))
        )  # fmt: skip
        yield Table(
            title="Unmanaged accounts", header=("", "account", "e-mail", "access level", "holds", ""), rows=unmanaged
        )


def _step(step: Step, context: RenderContext) -> Row:
    flag = "⊘ " if step.blocked else "! " if step.raises or step.risk == "high" else ""
    change = step.change
    return Row(
        cells=(flag + sign(step), words.title(step), words.subject_of_change(change), words.movement(change)),
        place=words.location(step),
        why=" · ".join((*words.because(step), *(("external",) if step.external else ()))),
        remarks=_remarks(
            (diagnostic for diagnostic in step.diagnostics if diagnostic.severity or diagnostic.effect), context
        ),
    )


def _outcome(outcome: Outcome) -> Row:
    change = outcome.step.change
    three = [f"{name} {side}" for name, side in words.three(outcome)]
    return Row(
        cells=(
            words.OUTCOMES[outcome.status],
            f"{outcome.instance}: {words.title(outcome.step)}",
            words.subject_of_change(change),
            words.movement(change),
        ),
        why=" · ".join(filter(None, (outcome.message, *three, outcome.hint or ""))),
    )


def _drift(context: RenderContext) -> Iterator[Table]:
    header = ("instance", "who", "where", "live", "declared", "last applied", "note")
    for kind, title in words.DRIFT.items():
        rows = tuple(_piece(drift_item) for drift_item in context.report.drift if drift_item.kind == kind)
        if rows:
            yield Table(title=title.capitalize(), header=header, rows=rows)


def _piece(item: DriftItem) -> Row:
    key = words.key_of(item)
    sides = (words.value(side) for side in (item.live, item.declared, item.journalled))
    return Row(cells=(item.instance, words.declared_user(key), words.where(key), *sides), why=item.note or "")
