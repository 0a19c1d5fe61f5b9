"""Answers as text, JSON and CSV: explanations, holdings and check-ups."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from siteward.access.codec import encode_resource
from siteward.access.model import Grant
from siteward.render import words
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Palette
from siteward.render.privacy import Pseudonyms, redact_missing
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.answer import Checkup, Explanation, Holding
    from siteward.access.model import Accounts
    from siteward.access.report import Missing
    from siteward.access.state import Origin
    from siteward.render.context import Options, Privacy
    from siteward.render.privacy import Names

JSON: TypeAlias = "Mapping[str, object]"
_HOLDING = ("instance", "site", "account", "person", "live", "through", "declared", "at", "until")


def explanations(
    found: Sequence[Explanation],
    form: str,
    options: Options,
    gaps: Sequence[Missing] = (),
    accounts: Accounts = MappingProxyType({}),
) -> str:
    """Return explanations as `text` or `json`, above them the instances that could not be asked.

    `accounts` are the account names that are known (`Report.accounts`), for what may be published.
    """
    count = len(found)
    if options.privacy != "full":
        gaps, names = redact_missing(gaps, options.privacy, accounts), Pseudonyms(accounts)
        found = (
            []
            if options.privacy == "counts"
            else [_redacted(explanation, names.of(explanation.instance)) for explanation in found]
        )
    if form == "json":
        return _json("siteward.explanations/1", [_explanation(explanation) for explanation in found], gaps, count)
    palette = Palette(options)
    lines = (line for explanation in found for line in _told(explanation, palette))
    return palette.page((*palette.warn(map(words.not_read, gaps)), *lines, *_hidden(count - len(found), "explanation")))


def holdings(
    found: Sequence[Holding],
    form: str,
    options: Options,
    gaps: Sequence[Missing] = (),
    accounts: Accounts = MappingProxyType({}),
) -> str:
    """Return holdings as `text`, `json` or `csv`, above them the instances of which some or all are missing.

    `accounts` are the account names that are known (`Report.accounts`), for what may be published.
    """
    count = len(found)
    if options.privacy != "full":
        gaps, names = redact_missing(gaps, options.privacy, accounts), Pseudonyms(accounts)
        shown = () if options.privacy == "counts" else found
        found = [replace(holding, account=names.of(holding.instance).name(holding.account)) for holding in shown]
    if form == "json":
        return _json("siteward.holdings/1", [_holding(holding) for holding in found], gaps, count)
    if form == "csv":
        missing = [{"instance": gap.instance, "site": words.not_seen(gap)} for gap in gaps]
        rows = [*missing, *map(_holding, found)]
        return csv_table(_HOLDING, [[str(row.get(name) or "") for name in _HOLDING] for row in rows])
    palette = Palette(options)
    lines = palette.table([_holding_row(holding, palette) for holding in found], 0)
    return palette.page((*palette.warn(map(words.not_read, gaps)), *lines, *_hidden(count - len(found), "account")))


def checkups(found: Sequence[Checkup], form: str, options: Options, accounts: Accounts = MappingProxyType({})) -> str:
    """Return check-ups as `text` or `json`; `accounts` as in `explanations`."""
    if options.privacy != "full":
        own = {checkup.instance: {checkup.account: None} for checkup in found if checkup.account}
        names = Pseudonyms({each: {**accounts.get(each, {}), **own.get(each, {})} for each in {**accounts, **own}})
        found = [_veiled_checkup(checkup, names.of(checkup.instance), options.privacy) for checkup in found]
    if form == "json":
        return _json("siteward.checkups/1", [_checkup(checkup) for checkup in found])
    palette = Palette(options)
    return palette.page(line for checkup in found for line in _checked(checkup, palette))


def _redacted(each: Explanation, names: Names) -> Explanation:
    """Return an explanation without addresses, and without account names but declared handles."""
    return replace(
        each,
        account=names.name(each.account),
        wished=_grant(each.wished, names),
        origin=names.origin(each.origin) if each.origin else None,
        also=tuple(
            (_grant(wish, names) or wish, names.origin(origin) if origin else None) for wish, origin in each.also
        ),
        step=names.step(each.step) if each.step else None,
        beside=tuple(map(names.step, each.beside)),
        why_not=names.text(each.why_not) if each.why_not else None,
        why_kept=names.text(each.why_kept) if each.why_kept else None,
    )


def _grant(grant: Grant | None, names: Names) -> Grant | None:
    shown = names.side(grant)
    return shown if isinstance(shown, Grant) else None


def _veiled_checkup(each: Checkup, names: Names, privacy: Privacy) -> Checkup:
    """Return a check-up without the account in use; where only numbers may be shown, without anything said of it."""
    if privacy == "counts":
        problem = names.wordless(each.problem) if each.problem else None
        return replace(each, account=None, credentials={}, may=(), may_not=(), notes=(), journal="", problem=problem)
    return replace(
        each,
        account=names.name(each.account) if each.account else None,
        may=tuple(map(names.text, each.may)),
        may_not=tuple(map(names.text, each.may_not)),
        notes=tuple(map(names.text, each.notes)),
        journal=names.text(each.journal),
        problem=names.diagnostic(each.problem) if each.problem else None,
    )


def _hidden(count: int, what: str) -> Iterator[str]:
    """Yield how many are not shown, where only numbers may be."""
    if count:
        yield f"{words.plural(count, what)}, not shown: --privacy counts"


def _json(form: str, items: Sequence[JSON], gaps: Sequence[Missing] | None = None, count: int | None = None) -> str:
    told = [{"instance": gap.instance, "why": words.not_seen(gap)} for gap in gaps or ()]
    incomplete = {} if gaps is None else {"incomplete": told}
    number = {} if count is None else {"count": count}
    return as_json({"format": form, **incomplete, **number, "items": items}, 2)


def _told(each: Explanation, palette: Palette) -> Iterator[str]:
    who = f"{each.person} (login {each.account})" if each.person and each.person != each.account else each.account
    role = each.wished.role if each.wished else "nothing"
    yield f"{palette.paint(palette.text(who), 'bold')} on {palette.text(each.instance)} {palette.text(each.scope.name)}"
    yield f"  declared: {palette.text(role)}"
    yield from (f"    {line}" for line in _origin_lines(each.origin, palette))
    for wish, origin in each.also:
        yield f"    and {palette.text(wish.role)}"
        yield from (f"    {line}" for line in _origin_lines(origin, palette))
    if each.ended:
        yield f"    {each.ended[0]} by {palette.text(str(each.ended[1]))}"
    live = each.live
    yield f"  live: {palette.text(live.role or 'nothing') if live else 'nothing'}{' (waiting for acceptance)' if each.pending else ''}"
    for way in live.ways if live else ():
        through = f" through group {way.group}" if way.group else ""
        yield f"    {palette.text(way.grant.role)} on {palette.text(str(way.grant.scope))}{palette.text(through)}"
    if each.why_not:
        yield f"  why not: {palette.text(each.why_not)}"
    yield from (f"  {line}" for line in _next_of(each, palette))


def _next_of(each: Explanation, palette: Palette) -> Iterator[str]:
    """Yield what is planned, here and for the account as far as it matters here, or why nothing is."""
    steps = (*((each.step,) if each.step else ()), *each.beside)
    for step in steps:
        blocked = next((diagnostic for diagnostic in step.diagnostics if diagnostic.blocks), None)
        on = "" if step is each.step else f"{words.subject_of_change(step.change)} "
        why = f", blocked: {blocked.code}: {blocked.message}" if blocked else ""
        yield palette.text(f"planned: {on}{words.movement(step.change, palette.arrow)}{why}".rstrip())
    if not steps:
        yield f"nothing is planned: {palette.text(each.why_kept)}" if each.why_kept else "nothing is planned"


def _origin_lines(origin: Origin | None, palette: Palette) -> Iterator[str]:
    if origin is None:
        return
    for other in (origin, *origin.others):
        mark = "←" if other is origin else "also"
        via = f" via {', '.join(other.via)}" if other.via else ""
        until = f", until {words.end(other.until)}" if other.until else ""
        said = "".join(f", {part}" for part in (other.ticket, other.reason) if part)
        yield f"{mark} {palette.text(f'{other.at}{via}{until}{said}')}"


def _holding_row(each: Holding, palette: Palette) -> tuple[Cell, ...]:
    who = f"{each.person} (login {each.account})" if each.person and each.person != each.account else each.account
    agree = each.live == each.declared
    state = "" if agree else "not live" if each.live is None else "not in the file" if each.declared is None else "differs"
    return (
        palette.cell(who, "bold"),
        palette.cell(f"{each.instance} {each.scope.name}"),
        palette.cell(each.live or "-"),
        palette.cell(f"by {each.through}" if each.through else ""),
        palette.cell("" if agree else f"declared {each.declared or 'nothing'}"),
        palette.cell(state, "yellow"),
        palette.cell(str(each.origin.at) if each.origin else "", "dim"),
    )


def _checked(each: Checkup, palette: Palette) -> Iterator[str]:
    head = f"{each.instance}  {each.origin}  {each.platform} {each.version}".rstrip()
    yield palette.paint(palette.text(head), "bold")
    for name, origin in each.credentials.items():
        yield f"  {name}: from {palette.text(origin)}"
    if each.problem:
        yield palette.paint(f"  error {each.problem.code}: {palette.text(each.problem.message)}", "alarm")
        if each.problem.hint:
            yield f"    {palette.text(each.problem.hint)}"
    if not each.version:
        return
    how = f"; confirmed by {each.confirmed}" if each.confirmed else ""
    yield f"  account: {palette.text(each.account or 'unknown')} ({palette.text(each.role or 'role unknown')}){palette.text(how)}"
    for warning in each.warnings:
        yield palette.paint(f"  warning {warning.code}: {palette.text(warning.message)}", "yellow")
        if warning.hint:
            yield f"    {palette.text(warning.hint)}"
    yield from (f"  may: {palette.text(one)}" for one in each.may)
    yield from (f"  may not: {palette.text(one)}" for one in each.may_not)
    yield from (f"  cannot be seen: {palette.text(spot)}" for spot in each.blind_spots)
    yield from (f"  note: {palette.text(note)}" for note in each.notes)
    yield f"  journal: {palette.text(each.journal)}"
    yield f"  {words.plural(each.requests, 'request')} in {each.seconds:.1f} s"


def _explanation(each: Explanation) -> JSON:
    return {
        "instance": each.instance,
        "account": each.account,
        "person": each.person,
        "site": each.scope.name,
        "declared": encode_resource(each.wished) if each.wished else None,
        "origin": _origin(each.origin),
        "also": [{"declared": encode_resource(wish), "origin": _origin(origin)} for wish, origin in each.also],
        "ended": {"how": each.ended[0], "at": str(each.ended[1])} if each.ended else None,
        "live": each.live.role if each.live else None,
        "ways": [
            {"role": way.grant.role, "scope": str(way.grant.scope), "group": way.group}
            for way in (each.live.ways if each.live else ())
        ],
        "pending": each.pending,
        "step": each.step.id if each.step else None,
        "blocked": each.step.blocked if each.step else False,
        "beside": [step.id for step in each.beside],
        "why_not": each.why_not,
        "why_kept": each.why_kept,
    }


def _holding(each: Holding) -> JSON:
    return {
        "instance": each.instance,
        "site": each.scope.name,
        "account": each.account,
        "person": each.person,
        "live": each.live,
        "through": each.through,
        "declared": each.declared,
        "at": str(each.origin.at) if each.origin else None,
        "until": words.moment(each.origin.until) if each.origin and each.origin.until else None,
    }


def _checkup(each: Checkup) -> JSON:
    return {
        "instance": each.instance,
        "platform": each.platform,
        "origin": each.origin,
        "version": each.version,
        "account": each.account,
        "confirmed": each.confirmed,
        "role": each.role,
        "credentials": dict(each.credentials),
        "may": list(each.may),
        "may_not": list(each.may_not),
        "blind_spots": list(each.blind_spots),
        "notes": list(each.notes),
        "warnings": [
            {"code": warning.code, "message": warning.message, "hint": warning.hint} for warning in each.warnings
        ],
        "journal": each.journal,
        "requests": each.requests,
        "seconds": round(each.seconds, 3),
        "problem": {"code": each.problem.code, "message": each.problem.message, "hint": each.problem.hint}
        if each.problem
        else None,
    }


def _origin(origin: Origin | None) -> JSON | None:
    if origin is None:
        return None
    return {
        "at": str(origin.at),
        "via": list(origin.via),
        "ticket": origin.ticket,
        "reason": origin.reason,
        "until": words.moment(origin.until) if origin.until else None,
        "others": [_origin(other) for other in origin.others],
    }
