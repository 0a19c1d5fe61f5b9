"""Answers as text, JSON and CSV: explanations, holdings and check-ups."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from siteward.access.codec import encode_resource
from siteward.access.model import Grant
from siteward.render import words
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Pen
from siteward.render.privacy import Pseudonyms, veil_missing
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.answer import Checkup, Explanation, Holding
    from siteward.access.model import Accounts
    from siteward.access.report import Missing
    from siteward.access.state import Origin
    from siteward.render.options import Options, Privacy
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
        gaps, names = veil_missing(gaps, options.privacy, accounts), Pseudonyms(accounts)
        found = [] if options.privacy == "counts" else [_veiled(each, names.of(each.instance)) for each in found]
    if form == "json":
        return _json("siteward.explanations/1", [_explanation(each) for each in found], gaps, count)
    pen = Pen(options)
    lines = (line for each in found for line in _told(each, pen))
    return pen.page((*pen.warn(map(words.not_read, gaps)), *lines, *_hidden(count - len(found), "explanation")))


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
        gaps, names = veil_missing(gaps, options.privacy, accounts), Pseudonyms(accounts)
        shown = () if options.privacy == "counts" else found
        found = [replace(each, account=names.of(each.instance).name(each.account)) for each in shown]
    if form == "json":
        return _json("siteward.holdings/1", [_holding(each) for each in found], gaps, count)
    if form == "csv":
        missing = [{"instance": each.instance, "site": words.not_seen(each)} for each in gaps]
        rows = [*missing, *map(_holding, found)]
        return csv_table(_HOLDING, [[str(each.get(name) or "") for name in _HOLDING] for each in rows])
    pen = Pen(options)
    lines = pen.table([_holding_row(each, pen) for each in found], 0)
    return pen.page((*pen.warn(map(words.not_read, gaps)), *lines, *_hidden(count - len(found), "account")))


def checkups(found: Sequence[Checkup], form: str, options: Options, accounts: Accounts = MappingProxyType({})) -> str:
    """Return check-ups as `text` or `json`; `accounts` as in `explanations`."""
    if options.privacy != "full":
        own = {each.instance: {each.account: None} for each in found if each.account}
        names = Pseudonyms({each: {**accounts.get(each, {}), **own.get(each, {})} for each in {**accounts, **own}})
        found = [_veiled_checkup(each, names.of(each.instance), options.privacy) for each in found]
    if form == "json":
        return _json("siteward.checkups/1", [_checkup(each) for each in found])
    pen = Pen(options)
    return pen.page(line for each in found for line in _checked(each, pen))


def _veiled(each: Explanation, names: Names) -> Explanation:
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
    told = [{"instance": each.instance, "why": words.not_seen(each)} for each in gaps or ()]
    incomplete = {} if gaps is None else {"incomplete": told}
    number = {} if count is None else {"count": count}
    return as_json({"format": form, **incomplete, **number, "items": items}, 2)


def _told(each: Explanation, pen: Pen) -> Iterator[str]:
    who = f"{each.person} (login {each.account})" if each.person and each.person != each.account else each.account
    role = each.wished.role if each.wished else "nothing"
    yield f"{pen.paint(pen.text(who), 'bold')} on {pen.text(each.instance)} {pen.text(each.scope.name)}"
    yield f"  declared: {pen.text(role)}"
    yield from (f"    {line}" for line in _origin_lines(each.origin, pen))
    for wish, origin in each.also:
        yield f"    and {pen.text(wish.role)}"
        yield from (f"    {line}" for line in _origin_lines(origin, pen))
    if each.ended:
        yield f"    {each.ended[0]} by {pen.text(str(each.ended[1]))}"
    live = each.live
    yield f"  live: {pen.text(live.role or 'nothing') if live else 'nothing'}{' (waiting for acceptance)' if each.pending else ''}"
    for way in live.ways if live else ():
        through = f" through group {way.group}" if way.group else ""
        yield f"    {pen.text(way.grant.role)} on {pen.text(str(way.grant.scope))}{pen.text(through)}"
    if each.why_not:
        yield f"  why not: {pen.text(each.why_not)}"
    yield from (f"  {line}" for line in _next_of(each, pen))


def _next_of(each: Explanation, pen: Pen) -> Iterator[str]:
    """Yield what is planned, here and for the account as far as it matters here, or why nothing is."""
    steps = (*((each.step,) if each.step else ()), *each.beside)
    for step in steps:
        blocked = next((one for one in step.diagnostics if one.blocks), None)
        on = "" if step is each.step else f"{words.subject_of_change(step.change)} "
        why = f", blocked: {blocked.code}: {blocked.message}" if blocked else ""
        yield pen.text(f"planned: {on}{words.movement(step.change, pen.arrow)}{why}".rstrip())
    if not steps:
        yield f"nothing is planned: {pen.text(each.why_kept)}" if each.why_kept else "nothing is planned"


def _origin_lines(origin: Origin | None, pen: Pen) -> Iterator[str]:
    if origin is None:
        return
    for one in (origin, *origin.others):
        mark = "←" if one is origin else "also"
        via = f" via {', '.join(one.via)}" if one.via else ""
        until = f", until {words.end(one.until)}" if one.until else ""
        said = "".join(f", {part}" for part in (one.ticket, one.reason) if part)
        yield f"{mark} {pen.text(f'{one.at}{via}{until}{said}')}"


def _holding_row(each: Holding, pen: Pen) -> tuple[Cell, ...]:
    who = f"{each.person} (login {each.account})" if each.person and each.person != each.account else each.account
    agree = each.live == each.declared
    state = "" if agree else "not live" if each.live is None else "not declared" if each.declared is None else "differs"
    return (
        pen.cell(who, "bold"),
        pen.cell(f"{each.instance} {each.scope.name}"),
        pen.cell(each.live or "-"),
        pen.cell(f"by {each.through}" if each.through else ""),
        pen.cell("" if agree else f"declared {each.declared or 'nothing'}"),
        pen.cell(state, "yellow"),
        pen.cell(str(each.origin.at) if each.origin else "", "dim"),
    )


def _checked(each: Checkup, pen: Pen) -> Iterator[str]:
    head = f"{each.instance}  {each.origin}  {each.platform} {each.version}".rstrip()
    yield pen.paint(pen.text(head), "bold")
    for name, origin in each.credentials.items():
        yield f"  {name}: from {pen.text(origin)}"
    if each.problem:
        yield pen.paint(f"  error {each.problem.code}: {pen.text(each.problem.message)}", "alarm")
        if each.problem.hint:
            yield f"    {pen.text(each.problem.hint)}"
    if not each.version:
        return
    how = f"; confirmed by {each.confirmed}" if each.confirmed else ""
    yield f"  account: {pen.text(each.account or 'unknown')} ({pen.text(each.role or 'role unknown')}){pen.text(how)}"
    for one in each.warnings:
        yield pen.paint(f"  warning {one.code}: {pen.text(one.message)}", "yellow")
        if one.hint:
            yield f"    {pen.text(one.hint)}"
    yield from (f"  may: {pen.text(one)}" for one in each.may)
    yield from (f"  may not: {pen.text(one)}" for one in each.may_not)
    yield from (f"  cannot be seen: {pen.text(one)}" for one in each.blind_spots)
    yield from (f"  note: {pen.text(one)}" for one in each.notes)
    yield f"  journal: {pen.text(each.journal)}"
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
        "beside": [one.id for one in each.beside],
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
        "warnings": [{"code": one.code, "message": one.message, "hint": one.hint} for one in each.warnings],
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
        "others": [_origin(each) for each in origin.others],
    }
