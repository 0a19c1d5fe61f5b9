"""Renders a report as one self-contained HTML page, without scripts or network, for light, dark and paper.

The page's content security policy allows one style sheet, by its hash, and nothing else. Every text goes through the
template's escapes.
"""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.render import words
from siteward.render.safe import advice, excerpt, show
from siteward.render.view import STEP_HEADER, Row, Table, drift_tables, instance_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan
    from siteward.access.report import Outcome
    from siteward.render.context import RenderContext

_TITLES = {"validate": "Access files", "drift": "Access drift", "apply": "Access applied"}
_SIGNS = {"blocked": "⊘ ", "high": "! ", "": "", "+": "+", "~": "~", "-": "-"}


class Part(Struct, frozen=True, kw_only=True):
    """A part of the page, such as an instance: a title, leading lines, diagnostics and tables."""

    title: str
    lead: tuple[str, ...] = ()
    said: tuple[Diagnostic, ...] = ()
    tables: tuple[Table, ...]


class _Remark(Struct, frozen=True, kw_only=True):
    """A diagnostic as the page shows it."""

    kind: str
    code: str
    text: str
    at: str
    help: tuple[str, ...]
    excerpt: Markup


def render(context: RenderContext) -> str:
    """Return the page of a report."""
    report = context.report
    return draw(
        title=", ".join(filter(None, (_TITLES.get(report.command, "Access plan"), words.partial(report.plan)))),
        lead=tuple(_lead_lines(context)),
        said=tuple(replace(diagnostic, message=words.told(diagnostic)) for diagnostic in context.diagnostics),
        parts=tuple(_parts(context)),
        foot=tuple(_foot_lines(context)),
        texts=report.texts,
        digest=context.digest,
    )


def draw(
    *,
    title: str,
    lead: tuple[str, ...],
    parts: tuple[Part, ...],
    foot: tuple[str, ...],
    said: tuple[Diagnostic, ...] = (),
    texts: Mapping[str, Sequence[str]] = MappingProxyType({}),
    digest: str = "",
) -> str:
    """Return a page of these parts; every text is escaped here.

    `texts` are the lines of the files that diagnostics show excerpts of, `digest` is the plan's, for hints.
    """
    style = resource("report.css")
    return (
        environment()
        .get_template("report.html")
        .render(
            title=title,
            lead=lead,
            said=said,
            parts=parts,
            foot=foot,
            remarks_of=partial(_remarks, texts=texts, digest=digest),
            step_header=STEP_HEADER,
            style=Markup(style),  # noqa: S704 - the package's own file, and the very text that the hash is of
            style_hash=content_hash(style),
        )
    )


def content_hash(text: str) -> str:
    """Return the hash by which a content security policy allows a style sheet or script."""
    return b64encode(sha256(text.encode()).digest()).decode()


def environment() -> Environment:
    """Return the environment of this package's templates, in which every text that is not `Markup` is made safe to show."""
    return Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else show(value),  # an excerpt is safe already
        keep_trailing_newline=True,
    )


def resource(name: str) -> str:
    """Return the text of a file in this package's templates."""
    return (files(__package__ or "") / "templates" / name).read_text(encoding="utf-8")


def _headline(context: RenderContext) -> str:
    summary = context.summary
    return {
        "validate": words.findings(summary),
        "drift": words.drifted(summary),
        "apply": words.results(summary) if summary.outcomes else words.headline(summary),
    }.get(context.report.command, words.headline(summary))


def _lead_lines(context: RenderContext) -> Iterator[str]:
    yield _headline(context)
    if context.report.plan and not context.summary.outcomes:
        yield from (
            " · ".join(parts)
            for parts in (words.consequences(context.summary), words.leftovers(context.summary))
            if parts
        )


def _foot_lines(context: RenderContext) -> Iterator[str]:
    report, plan = context.report, context.report.plan
    if plan:
        commit = f" for commit {words.commit(plan)}" if plan.commit else ""
        yield f"plan {plan.digest}{commit} as of {words.moment(plan.as_of)}"
    yield from words.dates(report)
    if report.journal_head:
        yield f"journal, head {report.journal_head}"
    if report.next:
        yield f"next: {report.next}"
    yield f"{words.findings(context.summary)} · exit {context.code} ({context.verdict})"


def _remarks(said: Iterable[Diagnostic], texts: Mapping[str, Sequence[str]], digest: str) -> tuple[_Remark, ...]:
    """Return diagnostics as remarks, the worst first; the template calls this with `texts` and `digest` filled in."""
    return tuple(_build_remark(diagnostic, texts, digest) for diagnostic in words.by_weight(said))


def _build_remark(said: Diagnostic, texts: Mapping[str, Sequence[str]], digest: str) -> _Remark:
    found = excerpt(said.at, texts) if said.at else None
    lines = [f"{number:>5}  {line}" for number, line in found.lines] if found else []
    return _Remark(
        kind=said.severity.word,
        code=said.code,
        text=said.message,
        at=str(said.at) if said.at else "",
        help=advice(said, digest),
        excerpt=escape("\n".join((*lines, f"{' ' * (7 + found.start)}{'^' * found.length}")) if found else ""),
    )


def _parts(context: RenderContext) -> Iterator[Part]:
    report = context.report
    if report.outcomes:
        rows = tuple(map(_outcome_row, words.by_outcome(report.outcomes)))
        yield Part(
            title="What happened",
            tables=(Table(title="Steps", header=("", "who", "where", "change", "what happened"), rows=rows),),
        )
    else:
        yield from (_instance_part(instance, context) for instance in context.instances)
    if report.drift:
        yield Part(title="Drift", tables=tuple(table for _, table in drift_tables(report.drift)))


def _instance_part(instance: InstancePlan, context: RenderContext) -> Part:
    release = words.release(instance.platform, instance.version, instance.edition)
    counted = zip(instance.read, ("account", "site", "grant"), strict=True)
    read = f"read {', '.join(plural(count, noun) for count, noun in counted)}"
    hidden = ", ".join(words.unseen(instance))
    lead = (
        f"{instance.origin} · {release} · mode {instance.mode} · {read}",
        words.headline(context.parts[instance.instance]),
        *(f"not read: {listing}" for listing in words.unread(instance)),
        *((f"cannot be seen: {hidden}",) if hidden else ()),
    )
    return Part(
        title=instance.instance,
        lead=lead,
        said=instance.diagnostics,
        tables=tuple(instance_tables(instance, context.options.group_by, _SIGNS)),
    )


def _outcome_row(outcome: Outcome) -> Row:
    change = outcome.step.change
    three = [f"{name} {side}" for name, side in words.three(outcome)]
    return Row(
        cells=(
            words.OUTCOMES[outcome.status],
            f"{outcome.instance}: {words.title(outcome.step)}",
            words.subject_of_change(change),
            words.movement(change),
        ),
        why=(outcome.message, *three, outcome.hint or ""),
    )
