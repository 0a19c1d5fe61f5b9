"""Renders a report as one self-contained HTML page, without scripts or network, for light, dark and paper.

The page's content security policy allows one style sheet, by its hash, and nothing else. Every text goes through the
template's escapes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache, partial
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape
from msgspec import Struct

from siteward.access.diagnostic import plural
from siteward.render import words
from siteward.render.links import NO_LINES, Lines, lines_of
from siteward.render.repeats import Occurrence, Told, merge, tell_once
from siteward.render.safe import advice, excerpt, name_digest, show
from siteward.render.view import (
    REPORTED,
    Band,
    Row,
    Table,
    band_tables,
    drift_tables,
    equal_outcomes,
    objections,
    reported,
    reported_tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jinja2.runtime import Macro

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan
    from siteward.access.report import Outcome
    from siteward.render.context import RenderContext

_TITLES = {"validate": "Access files", "drift": "Access drift", "apply": "Access applied"}
BLOCKED = Band.BLOCKED.name.lower()
_AT_ONCE = 1_000
"""The pieces of a page that are put together: few enough for the memory not to be felt."""
_KNOWN = 4_096
"""The parts of rows that are kept to be drawn again."""
_QUOTED = re.compile(r"`([^`]+)`")
_SIGNS = {"blocked": "⊘ ", "high": "! ", "": "", "+": "+", "~": "~", "-": "-"}


class Part(Struct, frozen=True, kw_only=True):
    """A part of the page, such as what is blocked: a title, leading lines, findings and tables."""

    title: str
    lead: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()
    tables: tuple[Table, ...] = ()


class Sources(Struct, frozen=True, kw_only=True):
    """What a page refers to: the lines of files to show excerpts of, a plan's digest for hints, and the lines on a forge."""

    texts: Mapping[str, Sequence[str]] = MappingProxyType({})
    digest: str = ""
    lines: Lines = NO_LINES


_NO_SOURCES = Sources()


class _Remark(Struct, frozen=True, kw_only=True):
    """A diagnostic as the page shows it."""

    kind: str
    code: str
    text: str
    at: str
    help: tuple[str, ...]
    excerpt: Markup


def render(context: RenderContext) -> Iterator[str]:
    """Yield the page of a report, piece by piece: a plan may have 100,000 steps."""
    report = context.report
    return _pieces(
        title=", ".join(filter(None, (_TITLES.get(report.command, "Access plan"), words.partial(report.plan)))),
        lead=tuple(_lead_lines(context)),
        told=tell_once(map(Occurrence, words.by_weight(context.diagnostics))),
        parts=tuple(_parts(context)),
        foot=tuple(_foot_lines(context)),
        sources=Sources(texts=report.texts, digest=context.digest, lines=lines_of(context.options)),
    )


def draw(
    *,
    title: str,
    lead: tuple[str, ...],
    parts: tuple[Part, ...],
    foot: tuple[str, ...],
    told: tuple[Told, ...] = (),
    sources: Sources = _NO_SOURCES,
) -> str:
    """Return a page of these parts; every text is escaped here, and places link to their lines on the forge."""
    return "".join(_pieces(title=title, lead=lead, parts=parts, foot=foot, told=told, sources=sources))


def _pieces(*, sources: Sources, **content: object) -> Iterator[str]:
    """Yield a page as `draw` returns it."""
    remarks_of = partial(_remarks, texts=sources.texts, digest=sources.digest)
    return _pieces_of("report.html", {"remarks_of": remarks_of, **content}, sources.lines)


def page_of(template: str, *, style: str = "", script: str = "", **content: object) -> str:
    """Return the page that a template makes of its content.

    Its look is that of all pages, and `style`; it runs `script`, if it is given.
    """
    return "".join(_pieces_of(template, content, style=style, script=script))


def _pieces_of(
    template: str, content: Mapping[str, object], lines: Lines = NO_LINES, *, style: str = "", script: str = ""
) -> Iterator[str]:
    """Yield the page that a template makes of its content.

    Its look is that of all pages, and `style`; it runs `script`, if it is given. Its content security policy allows these
    two, by their hashes, and nothing else.
    """
    look = "\n".join(filter(None, (resource("page.css").rstrip(), style)))
    running = f" script-src 'sha256-{_content_hash(script)}';" if script else ""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_content_hash(look)}';{running} base-uri 'none'; form-action 'none'"
    )
    page = (
        _environment(lines)
        .get_template(template)
        .stream(
            policy=Markup(policy),  # noqa: S704 - made above, of hashes
            style=Markup(look),  # noqa: S704 - the package's own files, and the very texts that the hashes are of
            script=Markup(script),  # noqa: S704
            **content,
        )
    )
    page.enable_buffering(_AT_ONCE)
    return page


def _content_hash(text: str) -> str:
    """Return the hash by which a content security policy allows a style sheet or script."""
    return b64encode(sha256(text.encode()).digest()).decode()


def _environment(lines: Lines) -> Environment:
    """Return the environment of this package's templates, in which every text that is not `Markup` is made safe to show."""
    made = Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else show(value),  # an excerpt is safe already
        keep_trailing_newline=True,
    )
    made.filters |= {"prose": _prose, "anchor": anchor, "address": lines.of, "once": lru_cache(_KNOWN)(_draw_once)}
    made.tests["address"] = lambda place: bool(lines.of(place))
    return made


def _draw_once(macro: Macro, *content: object) -> str:
    """Return what a macro makes of its content; few people, places and reasons stand in thousands of rows."""
    return macro(*content)


def anchor(title: str) -> str:
    """Return the name by which an address leads to a part of a page."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _prose(text: str) -> Markup:
    """Return a sentence in which what stands in backquotes is code."""
    pieces = _QUOTED.split(show(text))  # what is quoted stands at the odd places
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if at % 2 else piece for at, piece in enumerate(pieces)
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
            for parts in (
                words.consequences(context.summary),
                words.leftovers(context.summary),
                tuple(filter(None, (words.coverage(context.summary),))),
            )
            if parts
        )
        if context.report.command != "drift" and (needs := words.needs(context.report.plan)):
            yield f"Apply needs: {needs}"


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


def _remarks(said: Iterable[Told | Diagnostic], texts: Mapping[str, Sequence[str]], digest: str) -> tuple[_Remark, ...]:
    """Return findings as remarks; the template calls this with `texts` and `digest` filled in."""
    found = (told if isinstance(told, Told) else merge((Occurrence(told),)) for told in said)
    return tuple(_build_remark(told, texts, digest) for told in found)


def _build_remark(told: Told, texts: Mapping[str, Sequence[str]], digest: str) -> _Remark:
    said = told.said
    found = excerpt(said.at, texts) if said.at else None
    lines = [f"{number:>5}  {line}" for number, line in found.lines] if found else []
    return _Remark(
        kind=said.severity.word,
        code=said.code,
        text=f"{told.where}{said.message}",
        at=str(said.at) if said.at else "",
        help=(*advice(said, digest), *told.more()),
        excerpt=escape("\n".join((*lines, f"{' ' * (7 + found.start)}{'^' * found.length}")) if found else ""),
    )


def _parts(context: RenderContext) -> Iterator[Part]:
    report, instances = context.report, context.instances
    drift = (Part(title="Drift", tables=tuple(table for _, table in drift_tables(report.drift))),)
    if report.outcomes:
        yield Part(title="What happened", tables=(_outcome_table(context),))
        yield from drift if report.drift else ()
        return
    if report.command == "drift":
        yield from drift if report.drift else ()
        yield from _blocked_part(context)
    else:
        yield from _change_parts(context)
    yield from _reported_part(context)
    if instances:
        yield Part(title="Instances", tables=(_instance_table(instances, context),))


def _outcome_table(context: RenderContext) -> Table:
    """Return the outcomes as a table, in which those with the same reason give it once."""
    rows = (
        _outcome_row(outcome, ("as above",) if number else _describe_outcome(outcome, context))
        for equal in equal_outcomes(words.by_outcome(context.report.outcomes))
        for number, outcome in enumerate(equal)
    )
    return Table(title="Steps", header=("", "who", "where", "change", "what happened"), rows=tuple(rows))


def _change_parts(context: RenderContext) -> Iterator[Part]:
    """Yield the steps of all instances, those that are done and those that are blocked, with the reasons for that."""
    tables = tuple(band_tables(context.instances, context.options.group_by, _SIGNS))
    done = tuple(table for table in tables if table.kind != BLOCKED)
    if done:
        yield Part(title="Changes", tables=done)
    yield from _blocked_part(context, tuple(table for table in tables if table.kind == BLOCKED))


def _blocked_part(context: RenderContext, tables: tuple[Table, ...] = ()) -> Iterator[Part]:
    told = objections(context.instances)
    if told or tables:
        yield Part(title=Band.BLOCKED.heading, told=told, tables=tables)


def _reported_part(context: RenderContext) -> Iterator[Part]:
    told = reported(context.instances, lambda _: True)
    tables = tuple(reported_tables(context.instances, _SIGNS))
    if told or tables:
        yield Part(title=REPORTED, told=told, tables=tables)


def _instance_table(instances: Sequence[InstancePlan], context: RenderContext) -> Table:
    """Return what was read of each instance, what it misses, and the numbers of its changes."""
    changes = () if context.report.command == "drift" else ("changes",)
    header = ("instance", "address", "platform", "mode", "read", "not read", *changes)
    return Table(title="What was read", header=header, rows=tuple(_instance_row(part, context) for part in instances))


def _instance_row(instance: InstancePlan, context: RenderContext) -> Row:
    counted = zip(instance.read, ("account", "site", "grant"), strict=True)
    hidden = ", ".join(words.unseen(instance))
    return Row(
        cells=(
            instance.instance,
            instance.origin,
            words.release(instance.platform, instance.version, instance.edition),
            instance.mode,
            ", ".join(plural(count, noun) for count, noun in counted),
        ),
        why=(*words.unread(instance), *((f"cannot be seen: {hidden}",) if hidden else ())),
        after=() if context.report.command == "drift" else (words.headline(context.parts[instance.instance]),),
    )


def _outcome_row(outcome: Outcome, reasons: tuple[str, ...]) -> Row:
    change = outcome.step.change
    return Row(
        cells=(
            words.OUTCOMES[outcome.status],
            f"{outcome.instance}: {words.title(outcome.step)}",
            words.subject_of_change(change),
            words.movement(change),
        ),
        why=reasons,
    )


def _describe_outcome(outcome: Outcome, context: RenderContext) -> tuple[str, ...]:
    three = (f"{name} {side}" for name, side in words.three(outcome))
    return (outcome.message, *three, name_digest(outcome.hint or "", context.digest))
