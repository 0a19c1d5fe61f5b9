"""Renders answers as text, JSON and CSV: explanations (`explain`), holdings (`who-can`) and check-ups (`doctor`)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from msgspec.structs import replace

from siteward.access.codec import encode_resource
from siteward.access.diagnostic import plural
from siteward.access.known_names import merge_accounts
from siteward.access.model import Grant
from siteward.access.state import Origin
from siteward.render import keys, words
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Palette
from siteward.render.local_time import localized
from siteward.render.privacy import Pseudonyms, redact_missing
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.certification import Confirmed
    from siteward.access.explanation import Checkup, Explanation, Grantee
    from siteward.access.model import Accounts
    from siteward.access.report import Missing
    from siteward.access.state import Ended
    from siteward.render.context import Options, Privacy
    from siteward.render.privacy import Names

JSON: TypeAlias = "Mapping[str, object]"
IDLE = "nothing is planned"
_Answer = TypeVar("_Answer", "Explanation", "Grantee")
_HOLDING = (
    "instance", "site", "account", "person", "live", "through", "declared", "at", "until", "extras", "declared_extras",
    "agreement", "scope",
)  # fmt: skip


_REASONS = (
    "instance", "site", "scope", "account", "person", "live", "through", "declared", "agreement", "at", "via", "until",
    "ticket", "reason", "step", "blocked", "why_not", "why_kept",
)  # fmt: skip


def explanations(
    answers: Sequence[Explanation],
    form: str,
    options: Options,
    gaps: Sequence[Missing] = (),
    accounts: Accounts = MappingProxyType({}),
    timezone: str = "UTC",
    *,
    brief: bool = False,
) -> str:
    """Return explanations as `text`, `json` or `csv`, below the instances that could not be asked (`gaps`).

    `accounts` are all known account names (`Report.accounts`), by which names are found and redacted in texts.
    People read moments in the `timezone` of the policy. With `brief`, text has a line for each, by account.
    """
    shown, gaps = _redact_answers(answers, gaps, options.privacy, accounts, _redact_explanation)
    if form == "json":
        return _write_json("siteward.explanations/1", map(_explanation_data, shown), gaps, len(answers))
    if form == "csv":
        return _write_csv(_REASONS, gaps, map(_reasons_row, shown))
    shown, gaps = localized((tuple(shown), tuple(gaps)), timezone)
    palette = Palette(options)
    lines = (
        _list_briefly(shown, palette)
        if brief
        else (line for explanation in shown for line in _explanation_lines(explanation, palette))
    )
    hidden = _count_hidden(len(answers) - len(shown), "explanation")
    return palette.page((*palette.warn(map(words.not_read, gaps)), *lines, *hidden))


def holdings(
    answers: Sequence[Grantee],
    form: str,
    options: Options,
    gaps: Sequence[Missing] = (),
    accounts: Accounts = MappingProxyType({}),
    timezone: str = "UTC",
) -> str:
    """Return holdings as `text`, `json` or `csv`, below the instances that were not read, or not whole (`gaps`).

    `accounts` as in `explanations`.
    """
    shown, gaps = _redact_answers(answers, gaps, options.privacy, accounts, _redact_grantee)
    if form == "json":
        return _write_json("siteward.holdings/1", map(_grantee_data, shown), gaps, len(answers))
    if form == "csv":
        return _write_csv(_HOLDING, gaps, map(_grantee_data, shown))
    shown, gaps = localized((tuple(shown), tuple(gaps)), timezone)
    palette = Palette(options)
    lines = palette.table([_grantee_cells(grantee, palette) for grantee in shown], 0)
    hidden = _count_hidden(len(answers) - len(shown), "account")
    return palette.page((*palette.warn(map(words.not_read, gaps)), *lines, *hidden))


def _write_csv(columns: Sequence[str], gaps: Sequence[Missing], rows: Iterable[JSON]) -> str:
    """Return rows as CSV, below one for each instance that was not read, or not whole."""
    missing: list[JSON] = [{"instance": gap.instance, "site": words.not_seen(gap)} for gap in gaps]
    return csv_table(columns, [[_write_cell(row.get(name)) for name in columns] for row in (*missing, *rows)])


def _write_cell(value: object) -> str:
    """Return a value as text; a list as its items with blanks between."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def checkups(answers: Sequence[Checkup], form: str, options: Options, accounts: Accounts = MappingProxyType({})) -> str:
    """Return check-ups as `text` or `json`; `accounts` as in `explanations`."""
    if options.privacy != "full":
        own = {checkup.instance: {checkup.account: None} for checkup in answers if checkup.account}
        names = Pseudonyms(merge_accounts(accounts, own))
        answers = [_redact_checkup(checkup, names.of(checkup.instance), options.privacy) for checkup in answers]
    if form == "json":
        return _write_json("siteward.checkups/1", map(_checkup_data, answers))
    palette = Palette(options)
    return palette.page(line for checkup in answers for line in _checkup_lines(checkup, palette))


def _redact_answers(
    answers: Sequence[_Answer],
    gaps: Sequence[Missing],
    privacy: Privacy,
    accounts: Accounts,
    redact: Callable[[_Answer, Names], _Answer],
) -> tuple[Sequence[_Answer], Sequence[Missing]]:
    """Return the answers and the gaps as far as `privacy` allows them to be shown; `counts` leaves no answer."""
    if privacy == "full":
        return answers, gaps
    names = Pseudonyms(accounts)
    shown = [] if privacy == "counts" else [redact(answer, names.of(answer.instance)) for answer in answers]
    return shown, redact_missing(gaps, privacy, accounts)


def _redact_grantee(grantee: Grantee, names: Names) -> Grantee:
    return replace(grantee, account=names.name(grantee.account))


def _redact_explanation(explanation: Explanation, names: Names) -> Explanation:
    """Return an explanation without addresses, and without account names but declared handles."""
    return replace(
        explanation,
        account=names.name(explanation.account),
        wished=_redact_grant(explanation.wished, names),
        origin=names.origin(explanation.origin) if explanation.origin else None,
        also=tuple(
            (_redact_grant(wish, names) or wish, names.origin(origin) if origin else None)
            for wish, origin in explanation.also
        ),
        ended=_redact_ended(explanation.ended, names) if explanation.ended else None,
        step=names.step(explanation.step) if explanation.step else None,
        beside=tuple(map(names.step, explanation.beside)),
        why_not=names.text(explanation.why_not) if explanation.why_not else None,
        why_kept=names.text(explanation.why_kept) if explanation.why_kept else None,
        confirmed=_redact_confirmed(explanation.confirmed, names) if explanation.confirmed else None,
        keys=keys.redacted(explanation.keys, lambda _: names),
    )


def _redact_confirmed(last: Confirmed, names: Names) -> Confirmed:
    return replace(last, by=names.reviewer(last.by))


def _redact_ended(over: Ended, names: Names) -> Ended:
    written = names.origin(Origin(over.at, ticket=over.ticket, reason=over.reason))
    return over._replace(ticket=written.ticket, reason=written.reason)


def _redact_grant(grant: Grant | None, names: Names) -> Grant | None:
    shown = names.side(grant)
    return shown if isinstance(shown, Grant) else None


def _redact_checkup(checkup: Checkup, names: Names, privacy: Privacy) -> Checkup:
    """Return a check-up without the account in use; where only numbers may be shown, without anything said of it."""
    if privacy == "counts":
        problem = names.wordless(checkup.problem) if checkup.problem else None
        warnings = tuple(map(names.wordless, checkup.warnings))
        return replace(
            checkup, account=None, credentials={}, may=(), may_not=(), notes=(), journal="", problem=problem,
            warnings=warnings, keys=None, keys_unseen="",
        )  # fmt: skip
    return replace(
        checkup,
        account=names.name(checkup.account) if checkup.account else None,
        may=tuple(map(names.text, checkup.may)),
        may_not=tuple(map(names.text, checkup.may_not)),
        notes=tuple(map(names.text, checkup.notes)),
        journal=names.text(checkup.journal),
        problem=names.diagnostic(checkup.problem) if checkup.problem else None,
        warnings=tuple(map(names.diagnostic, checkup.warnings)),
        keys=keys.redacted(checkup.keys, lambda _: names) if checkup.keys is not None else None,
    )


def _count_hidden(count: int, noun: str) -> Iterator[str]:
    """Yield a line with the number of answers that are not shown, if there are any."""
    if count:
        yield f"{plural(count, noun)}, not shown: --privacy counts"


def _write_json(
    form: str, items: Iterable[JSON], gaps: Sequence[Missing] | None = None, count: int | None = None
) -> str:
    """Return a document of that format; `None` for a format that has no gaps, or no count."""
    incomplete = {} if gaps is None else {"incomplete": [words.gap_data(gap) for gap in gaps]}
    number = {} if count is None else {"count": count}
    return as_json({"format": form, **incomplete, **number, "items": list(items)}, 2)


def _explanation_lines(explanation: Explanation, palette: Palette) -> Iterator[str]:
    who = words.name_with_login(explanation.person, explanation.account)
    role = words.value(explanation.wished) if explanation.wished else "nothing"
    yield f"{palette.paint(palette.text(who), 'bold')} on {palette.text(explanation.instance)} {palette.text(words.place(explanation.scope))}"
    yield f"  declared: {palette.text(role)}"
    yield from (f"    {line}" for line in _origin_lines(explanation.origin, palette))
    for wish, origin in explanation.also:
        yield f"    and {palette.text(words.value(wish))}"
        yield from (f"    {line}" for line in _origin_lines(origin, palette))
    if explanation.ended:
        over = explanation.ended
        written = "".join(f", {text}" for text in (over.ticket, over.reason) if text)
        yield f"    {over.how} by {palette.text(f'{over.at}{written}')}"
    live = explanation.live
    yield f"  live: {palette.text(live.role or 'nothing') if live else 'nothing'}{' (waiting for acceptance)' if explanation.pending else ''}"
    for way in live.ways if live else ():
        through = f" through group {way.group}" if way.group else ""
        yield f"    {palette.text(words.value(way.grant))} on {palette.text(str(way.grant.scope))}{palette.text(through)}"
    if explanation.confirmed:
        yield f"  last confirmed: {palette.text(words.confirmed(explanation.confirmed))}"
    yield from (f"  key: {palette.text(keys.phrase(key))}" for key in explanation.keys)
    if explanation.why_not:
        yield f"  why not: {palette.text(explanation.why_not)}"
    yield from (f"  {line}" for line in _next_steps(explanation, palette))


def _list_briefly(explanations: Iterable[Explanation], palette: Palette) -> Iterator[str]:
    """Yield a head for each account, and below it a line for each place: the role there, and what it comes from."""
    accounts: dict[tuple[str, str], list[Explanation]] = {}
    for explanation in explanations:
        accounts.setdefault((explanation.instance, explanation.account), []).append(explanation)
    for (instance, account), places in accounts.items():
        who = words.name_with_login(places[0].person, account)
        yield f"{palette.paint(palette.text(who), 'bold')} on {palette.text(instance)}"
        yield from palette.table([_brief_cells(explanation, palette) for explanation in places], 2)


def _brief_cells(explanation: Explanation, palette: Palette) -> tuple[Cell, ...]:
    """Return the cells of one place: the live role, how the file differs from it, the line behind it, and what is planned."""
    ways = explanation.live.ways if explanation.live else ()
    way = next((way for way in ways if way.grant.scope == explanation.scope), next(iter(ways), None))
    wishes = [wish for wish in (explanation.wished, *(also for also, _ in explanation.also)) if wish is not None]
    wished = next((wish for wish in wishes if wish.scope == explanation.scope), next(iter(wishes), None))
    differs = {
        "same": "",
        "missing": "not live",
        "extra": words.undeclared(declared=explanation.person is not None),
        "differs": f"declared {words.value(wished)}" if wished else "differs",
    }[explanation.agreement]
    role = words.value(way.grant if way is not None else wished) if way or wished else "nothing"
    waits = " (waiting for acceptance)" if explanation.pending else ""
    over = explanation.ended
    lines = [
        *_origin_lines(explanation.origin, palette),
        *((f"{over.how} by {over.at}",) if over else ()),
        *_next_steps(explanation, palette),
        *((f"why not: {explanation.why_not}",) if explanation.why_not else ()),
    ]
    return (
        palette.cell(words.place(explanation.scope)),
        palette.cell(f"{role}{waits}"),
        palette.cell(f"by group {way.group}" if way and way.group else ""),
        palette.cell(differs, "yellow"),
        palette.cell("; ".join(line for line in lines if line != IDLE), "dim"),
    )


def _next_steps(explanation: Explanation, palette: Palette) -> Iterator[str]:
    """Yield what is planned, here and for the account as far as it matters here, or why nothing is."""
    steps = (*((explanation.step,) if explanation.step else ()), *explanation.beside)
    for step in steps:
        blocked = next((diagnostic for diagnostic in step.diagnostics if diagnostic.blocks), None)
        on = "" if step is explanation.step else f"{words.subject_of_change(step.change)} "
        why = f", blocked: {blocked.code}: {blocked.message}" if blocked else ""
        yield palette.text(f"planned: {on}{words.movement(step.change, palette.arrow)}{why}".rstrip())
    if not steps:
        yield (f"nothing is planned: {palette.text(explanation.why_kept)}" if explanation.why_kept else IDLE)


def _origin_lines(origin: Origin | None, palette: Palette) -> Iterator[str]:
    if origin is None:
        return
    for other in (origin, *origin.others):
        mark = "←" if other is origin else "also"
        via = f" via {', '.join(other.via)}" if other.via else ""
        until = f", until {words.end(other.until)}" if other.until else ""
        written = "".join(f", {text}" for text in (other.ticket, other.reason) if text)
        yield f"{mark} {palette.text(f'{other.at}{via}{until}{written}')}"


def _grantee_cells(grantee: Grantee, palette: Palette) -> tuple[Cell, ...]:
    agree = (grantee.live, grantee.extras) == (grantee.declared, grantee.declared_extras)
    declared = _describe_rights(grantee.declared, grantee.declared_extras)
    return (
        palette.cell(words.name_with_login(grantee.person, grantee.account), "bold"),
        palette.cell(f"{grantee.instance} {words.place(grantee.scope)}"),
        palette.cell(_describe_rights(grantee.live, grantee.extras) if grantee.live else "-"),
        palette.cell(f"by {grantee.through}" if grantee.through else ""),
        palette.cell("" if agree else f"declared {declared}"),
        palette.cell(_describe_difference(grantee), "yellow"),
        palette.cell(str(grantee.origin.at) if grantee.origin else "", "dim"),
    )


def _describe_difference(grantee: Grantee) -> str:
    """Return how the live role differs from the declared one, in a word or two; empty where it does not."""
    if grantee.agreement == "extra":
        return words.undeclared(declared=grantee.person is not None)
    return {"same": "", "missing": "not live", "differs": "differs"}[grantee.agreement]


def _describe_rights(role: str | None, extras: Iterable[str]) -> str:
    return " +".join((role or "nothing", *sorted(extras)))


def _checkup_lines(checkup: Checkup, palette: Palette) -> Iterator[str]:
    head = f"{checkup.instance}  {checkup.origin}  {checkup.platform} {checkup.version}".rstrip()
    yield palette.paint(palette.text(head), "bold")
    for name, origin in checkup.credentials.items():
        yield f"  {name}: from {palette.text(origin)}"
    if checkup.problem:
        yield palette.paint(f"  error {checkup.problem.code}: {palette.text(checkup.problem.message)}", "alarm")
        if checkup.problem.hint:
            yield f"    {palette.text(checkup.problem.hint)}"
    if not checkup.version:
        return
    how = f"; confirmed by {checkup.confirmed}" if checkup.confirmed else ""
    yield f"  account: {palette.text(checkup.account or 'unknown')} ({palette.text(checkup.role or 'role unknown')}){palette.text(how)}"
    for warning in checkup.warnings:
        yield palette.paint(f"  warning {warning.code}: {palette.text(warning.message)}", "yellow")
        if warning.hint:
            yield f"    {palette.text(warning.hint)}"
    yield from (f"  may: {palette.text(ability)}" for ability in checkup.may)
    yield from (f"  may not: {palette.text(ability)}" for ability in checkup.may_not)
    yield from (f"  cannot be seen: {palette.text(spot)}" for spot in checkup.blind_spots)
    for key in checkup.keys or ():
        line = f"  key: {palette.text(keys.phrase(key))}"
        yield palette.paint(line, "yellow") if keys.is_wrong(key) else line
    if checkup.keys_unseen:
        yield f"  keys: not all can be read: {palette.text(checkup.keys_unseen)}"
    elif checkup.keys == ():
        yield "  keys: none"
    yield from (f"  note: {palette.text(note)}" for note in checkup.notes)
    yield f"  journal: {palette.text(checkup.journal)}"
    yield f"  {plural(checkup.requests, 'request')} in {checkup.seconds:.1f} s"


def _explanation_data(explanation: Explanation) -> JSON:
    return {
        "instance": explanation.instance,
        "account": explanation.account,
        "person": explanation.person,
        "site": explanation.scope.name,
        "scope": str(explanation.scope),
        "declared": encode_resource(explanation.wished) if explanation.wished else None,
        "origin": _origin_data(explanation.origin),
        "also": [
            {"declared": encode_resource(wish), "origin": _origin_data(origin)} for wish, origin in explanation.also
        ],
        "ended": _ended_data(explanation.ended),
        "live": explanation.live.role if explanation.live else None,
        "keys": list(map(keys.data, explanation.keys)),
        "ways": [
            {
                "role": way.grant.role,
                "scope": str(way.grant.scope),
                "group": way.group,
                "extras": sorted(way.grant.extras or ()),
            }
            for way in (explanation.live.ways if explanation.live else ())
        ],
        "pending": explanation.pending,
        "step": explanation.step.id if explanation.step else None,
        "blocked": explanation.step.blocked if explanation.step else False,
        "beside": [step.id for step in explanation.beside],
        "why_not": explanation.why_not,
        "why_kept": explanation.why_kept,
        "confirmed": _confirmed_data(explanation.confirmed),
        "agreement": explanation.agreement,
    }


def _reasons_row(explanation: Explanation) -> JSON:
    """Return an explanation as one row: its data, with the line behind it beside what is live."""
    ways = explanation.live.ways if explanation.live else ()
    origin = _origin_data(explanation.origin) or {}
    return {
        **_explanation_data(explanation),
        **{name: origin.get(name) for name in ("at", "via", "until", "ticket", "reason")},
        "live": words.value(ways[0].grant) if ways else None,
        "through": f"group {ways[0].group}" if ways and ways[0].group else None,
        "declared": words.value(explanation.wished) if explanation.wished else None,
        "blocked": "yes" if explanation.step and explanation.step.blocked else None,
    }


def _grantee_data(grantee: Grantee) -> JSON:
    return {
        "instance": grantee.instance,
        "site": grantee.scope.name,
        "scope": str(grantee.scope),
        "account": grantee.account,
        "person": grantee.person,
        "live": grantee.live,
        "through": grantee.through,
        "declared": grantee.declared,
        "at": str(grantee.origin.at) if grantee.origin else None,
        "until": words.moment(grantee.origin.until) if grantee.origin and grantee.origin.until else None,
        "extras": sorted(grantee.extras),
        "declared_extras": sorted(grantee.declared_extras),
        "agreement": grantee.agreement,
    }


def _checkup_data(checkup: Checkup) -> JSON:
    return {
        "instance": checkup.instance,
        "platform": checkup.platform,
        "origin": checkup.origin,
        "version": checkup.version,
        "account": checkup.account,
        "confirmed": checkup.confirmed,
        "role": checkup.role,
        "credentials": dict(checkup.credentials),
        "may": list(checkup.may),
        "may_not": list(checkup.may_not),
        "blind_spots": list(checkup.blind_spots),
        "notes": list(checkup.notes),
        "keys": list(map(keys.data, checkup.keys)) if checkup.keys is not None else None,
        "keys_unseen": checkup.keys_unseen or None,
        "warnings": [
            {"code": warning.code, "message": warning.message, "hint": warning.hint} for warning in checkup.warnings
        ],
        "journal": checkup.journal,
        "requests": checkup.requests,
        "seconds": round(checkup.seconds, 3),
        "problem": {"code": checkup.problem.code, "message": checkup.problem.message, "hint": checkup.problem.hint}
        if checkup.problem
        else None,
    }


def _confirmed_data(last: Confirmed | None) -> dict[str, object] | None:
    if last is None:
        return None
    return {"at": words.moment(last.at), "by": last.by, "decision": last.decision, "review": last.review}


def _ended_data(over: Ended | None) -> dict[str, object] | None:
    if over is None:
        return None
    return {"how": over.how, "at": str(over.at), "ticket": over.ticket, "reason": over.reason}


def _origin_data(origin: Origin | None) -> JSON | None:
    if origin is None:
        return None
    return {
        "at": str(origin.at),
        "via": list(origin.via),
        "ticket": origin.ticket,
        "reason": origin.reason,
        "until": words.moment(origin.until) if origin.until else None,
        "others": [_origin_data(other) for other in origin.others],
    }
