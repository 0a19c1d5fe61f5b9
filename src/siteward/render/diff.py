"""Renders the comparison of two revisions by effective access, as text, Markdown and JSON; escalations come first."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.codec import encode_resource
from siteward.access.diagnostic import plural
from siteward.render import words
from siteward.render.fitting import Block
from siteward.render.json import diagnostic
from siteward.render.lines import Cell, Glyph, Palette, Style
from siteward.render.links import link_place, link_run
from siteward.render.local_time import localized
from siteward.render.markdown import linked, place_of
from siteward.render.markdown_escape import code, comment, details, prose, table
from siteward.render.privacy import Pseudonyms
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.diff import Band, Comparison, Kind, Movement, Side
    from siteward.access.state import Origin
    from siteward.render.context import Options
    from siteward.render.privacy import Names

FORMAT = "siteward.diff/1"
HEADINGS: Mapping[Band, str] = {
    "escalation": "Privilege increased",
    "outsider": "External users",
    "loss": "Access taken or lowered",
    "gain": "Access given",
    "dates": "Dates moved",
}
_ENDINGS = {"silence": "no longer in the file", "left": "left the file", "not-yet": "begins later"}
_COUNTED: Mapping[str, str] = {
    "gained": "gained", "raised": "raised", "wider": "wider", "changed": "changed", "moved": "moved to another account",
    "longer": "longer", "shorter": "shorter", "narrower": "narrower", "lowered": "lowered", "lost": "lost",
    "deleted": "to be deleted",
}  # fmt: skip
_SIGNS: Mapping[Kind, Glyph] = {
    "gained": "+", "raised": "~", "wider": "+", "changed": "~", "moved": "~", "longer": "~", "shorter": "~", "narrower": "-", "lowered": "-", "lost": "-", "deleted": "-",
}  # fmt: skip
_MARKS: Mapping[str, str] = {"+": "\u2795", "~": "\u270e", "-": "\u2796"}  # heavy plus, pencil, heavy minus


class _Page(Struct, frozen=True, kw_only=True):
    """A redacted comparison with the numbers and the exit code of the whole."""

    shown: Comparison
    counts: Mapping[str, int]
    code: int
    options: Options


def render(comparison: Comparison, form: str, options: Options, timezone: str = "UTC") -> str:
    """Return a comparison as `text`, `markdown` or `json`; people read moments in the `timezone` of the policy."""
    redacted = _redact(comparison, options)
    shown = redacted if form == "json" else localized(redacted, timezone)
    page = _Page(shown=shown, counts=comparison.counts(), code=comparison.exit_code, options=options)
    match form:
        case "json":
            return as_json(_document(page), 2)
        case "markdown":
            return linked(lambda shown: _blocks(replace(page, options=shown)), options, _last_line(page))
        case _:
            palette = Palette(options)
            return palette.page(_lines(page, palette))


def _redact(comparison: Comparison, options: Options) -> Comparison:
    """Return the comparison redacted as `options.privacy` asks."""
    if options.privacy == "full":
        return comparison
    if options.privacy == "counts":
        return replace(comparison, movements=(), notices=())
    names = Pseudonyms(comparison.accounts)
    return replace(
        comparison,
        movements=tuple(_redact_movement(movement, names.of(movement.instance)) for movement in comparison.movements),
        notices=tuple(names.of(notice.instance).diagnostic(notice) for notice in comparison.notices),
    )


def _redact_movement(movement: Movement, names: Names) -> Movement:
    """Return a movement with the handle of the person in place of logins."""
    sides = {
        name: replace(
            side,
            account=movement.person,
            grant=replace(side.grant, subject=replace(side.grant.subject, name=movement.person)),
            origin=names.origin(side.origin) if side.origin else None,
        )
        for name, side in (("before", movement.before), ("after", movement.after))
        if side is not None
    }
    origin = names.origin(movement.origin) if movement.origin else None
    return replace(movement, origin=origin, **sides)


# -- words


def _headline(page: _Page) -> str:
    counts = page.counts
    parts = [f"{counts[kind]} {word}" for kind, word in _COUNTED.items() if counts[kind]]
    return ", ".join(parts) or "nobody gains or loses anything"


def _describe_impact(page: _Page) -> tuple[str, ...]:
    counts = page.counts
    parts = (
        (counts["people"], f"{plural(counts['people'], 'person', 'people')} affected"),
        (counts["escalations"], plural(counts["escalations"], "escalation")),
        (counts["outsiders"], plural(counts["outsiders"], "external user")),
        (counts["notices"], plural(counts["notices"], "rule or setting changed", "rules or settings changed")),
    )
    return tuple(text for count, text in parts if count)


def _role_name(side: Side | None) -> str:
    return words.value(side.grant if side else None)


def _describe_movement(movement: Movement, arrow: str = words.ARROW) -> str:
    before, after = movement.before, movement.after
    if movement.kind == "deleted":
        return "deleted, if it is there"
    if movement.kind in {"longer", "shorter"}:
        return f"{_role_name(after)} until {_end_date(before)}{arrow}{_end_date(after)}"
    if movement.kind == "moved" and before and after:
        return f"{_role_name(after)}, login {before.account}{arrow}{after.account}"
    sides = [f"{_role_name(side)}{_exceptions(side)}" for side in (before, after)]
    return sides[1] if before is None else arrow.join(sides)


def _exceptions(side: Side | None) -> str:
    """Return the exceptions of a pattern as a phrase; empty where it has none."""
    excluded = side.grant.scope.name.split(" !")[1:] if side else []
    return f" except {', '.join(excluded)}" if excluded else ""


def _end_date(side: Side | None) -> str:
    return words.end(side.until) if side and side.until else "no end"


def _location(movement: Movement, page: _Page) -> str:
    """Return the line of the file that gives the access; for lost access the line of the base that gave it."""
    origin = _origin(movement)
    if origin is None:
        return ""
    at = f"{origin.at.file}:{origin.at.line}"
    return at if movement.after or movement.origin else f"{at} at {page.shown.base}"


def _origin(movement: Movement) -> Origin | None:
    """Return the line behind a movement: of the account itself, of what is given, or else of what was."""
    side = movement.after or movement.before
    return movement.origin or (side.origin if side else None)


def _is_grave(movement: Movement) -> bool:
    return movement.raises or movement.kind == "deleted"


def _reasons(movement: Movement) -> Iterator[str]:
    origin = _origin(movement)
    if movement.ending:
        yield _ENDINGS.get(movement.ending, movement.ending)
    if movement.kind == "deleted":
        yield "apply asks for --allow-delete"
    if origin:
        came = "via" if movement.after else "was via"
        yield f"{came} {', '.join(origin.via)}" if origin.via else ""
        yield origin.ticket or ""
        yield origin.reason or ""
        yield f"until {words.end(origin.until)}" if origin.until and movement.after else ""
    if movement.begins:
        yield f"from {words.begin(movement.begins)}"
    if movement.external:
        yield "external"


def _place(movement: Movement, page: _Page) -> str:
    place = words.place(movement.scope)
    return place if len(page.shown.instances) == 1 else f"{place} on {movement.instance}"


def _title(page: _Page) -> str:
    return f"{page.shown.base}{words.ARROW}{page.shown.head}"


# -- text


def _lines(page: _Page, palette: Palette) -> Iterator[str]:
    yield f"{palette.paint('Access', 'bold')} {palette.text(_title(page))}"
    for notice in words.by_weight(page.shown.notices):
        style: Style = "yellow" if notice.severity else "dim"
        at = f" ({notice.at})" if notice.at else ""
        yield f"  {palette.paint(notice.severity.word, style)} {palette.text(f'{notice.code}: {notice.message}{at}')}"
    for band, movements in page.shown.by_band().items():
        if page.options.quiet and band in {"gain", "dates"}:
            continue
        style = "alarm" if band == "escalation" else "bold"
        yield from ("", f"  {palette.paint(HEADINGS[band], style)}")
        rows = [_movement_cells(movement, page, palette) for movement in movements]
        for row, line in zip(rows, palette.table([row[:-1] for row in rows], 4), strict=True):
            yield line
            if row[-1].text:
                yield f"          {palette.paint(row[-1].text, 'dim')}"
    yield ""
    yield f"{palette.paint('Diff:', 'bold')} {palette.text(_headline(page))}."
    if beside := _describe_impact(page):
        yield f"      {palette.join(beside)}"
    if unresolved := _describe_unresolved(page):
        yield palette.paint(palette.text(unresolved), "dim")
    yield palette.paint(f"exit {page.code} ({words.verdict(page.code)})", "dim")


def _movement_cells(movement: Movement, page: _Page, palette: Palette) -> tuple[Cell, ...]:
    shape = palette.glyph(_SIGNS[movement.kind])
    flag = palette.glyph("high") if _is_grave(movement) else Cell(" ")
    return (
        Cell(f"{flag.text} {shape.text}", flag.style or shape.style),
        palette.cell(movement.person, "bold"),
        palette.cell(_place(movement, page)),
        palette.cell(_describe_movement(movement, palette.arrow), "bold" if _is_grave(movement) else ""),
        Cell(palette.join((_location(movement, page), *_reasons(movement))), "dim"),
    )


def _describe_unresolved(page: _Page) -> str:
    names = ", ".join(page.shown.unresolved)
    return f"sites of {names} are not known here: selectors stand for themselves" if names else ""


# -- markdown


def _blocks(page: _Page) -> Iterator[Block]:
    head = f"{comment(('siteward:diff', page.shown.base))}\n### Access diff: {_headline(page)}"
    after = " · ".join((*map(prose, _describe_impact(page)), prose(_describe_unresolved(page))))
    yield Block((f"{head}\n\n{after}".rstrip(" ·"),))
    if notices := words.by_weight(page.shown.notices):
        title = "**❗ Rules and settings that decide about access**\n\n"
        yield Block(
            (title + "\n".join(_notice_line(said, page.options) for said in notices), title + _count_codes(notices)), 3
        )
    for band, movements in page.shown.by_band().items():
        yield _band_block(band, movements, page)


def _notice_line(said: Diagnostic, options: Options) -> str:
    at = f" ({place_of(said.at, options)})" if said.at else ""
    return f"- {said.severity.word} {code(said.code)} {prose(said.message)}{at}"


def _count_codes(notices: Iterable[Diagnostic]) -> str:
    counts = Counter(notice.code for notice in notices)
    return "\n".join(f"- {code(rule)} {plural(count, 'time')}" for rule, count in counts.items())


def _band_block(band: Band, movements: Sequence[Movement], page: _Page) -> Block:
    rows = table(("", "who", "where", "change", "why"), (_markdown_cells(movement, page) for movement in movements))
    brief = _brief(movements, page)
    if band in {"gain", "dates"}:
        count = f"{plural(len(movements), 'line')} in the full report"
        return Block(tuple(details(HEADINGS[band], body) for body in (rows, brief, count)), 0 if band == "gain" else 1)
    mark = "❗ " if band in {"escalation", "outsider"} else ""
    return Block(tuple(f"**{mark}{HEADINGS[band]}**\n\n{body}" for body in (rows, brief)), 4)


def _markdown_cells(movement: Movement, page: _Page) -> tuple[str, ...]:
    shape = _MARKS[_SIGNS[movement.kind]]
    why = (link_place(_location(movement, page), page.options), *map(prose, filter(None, _reasons(movement))))
    return (
        f"❗ {shape}" if _is_grave(movement) else shape,
        code(movement.person),
        code(_place(movement, page)),
        code(_describe_movement(movement)),
        " · ".join(filter(None, why)),
    )


def _brief(movements: Iterable[Movement], page: _Page) -> str:
    """Return all movements in brief, without causes, those of one kind and place in one line."""
    people_of: dict[tuple[str, str], list[str]] = defaultdict(list)
    for movement in movements:
        people_of[_describe_movement(movement), _place(movement, page)].append(movement.person)
    return "\n".join(
        f"- {code(move)} {code(place)}: {', '.join(map(code, people))}" for (move, place), people in people_of.items()
    )


def _last_line(page: _Page) -> str:
    run = f" · {link_run(page.options)}" if page.options.run else ""
    return f"{code(page.shown.base)} to {code(page.shown.head)} as of {words.moment(page.shown.as_of)}{run}"


# -- data


def _document(page: _Page) -> Mapping[str, object]:
    shown = page.shown
    return {
        "format": FORMAT,
        "command": "diff",
        "exit_code": page.code,
        "privacy": page.options.privacy,
        "base": shown.base,
        "head": shown.head,
        "as_of": words.moment(shown.as_of),
        "summary": dict(page.counts),
        "unresolved": list(shown.unresolved),
        "notices": list(map(diagnostic, shown.notices)),
        "movements": list(map(_movement_data, shown.movements)),
    }


def _movement_data(movement: Movement) -> Mapping[str, object]:
    return {
        "instance": movement.instance,
        "person": movement.person,
        "scope": [movement.scope.kind, movement.scope.name],
        "kind": movement.kind,
        "band": movement.band,
        "escalation": movement.raises,
        "outsider": movement.external,
        "begins": words.moment(movement.begins) if movement.begins else None,
        "ending": movement.ending,
        "before": _side_data(movement.before),
        "after": _side_data(movement.after),
        "at": str(movement.origin.at) if movement.origin else None,
    }


def _side_data(side: Side | None) -> Mapping[str, object] | None:
    if side is None:
        return None
    origin = side.origin
    return {
        "account": side.account,
        "grant": encode_resource(side.grant),
        "power": side.power.word,
        "group": side.group,
        "file": origin.at.file if origin else None,
        "line": origin.at.line if origin else None,
        "via": list(origin.via) if origin else [],
        "ticket": origin.ticket if origin else None,
        "reason": origin.reason if origin else None,
        "until": words.moment(side.until) if side.until else None,
    }
