"""Renders the history of access: events as text, JSON, CSV, Markdown or one HTML page."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.codec import encode_resource
from siteward.access.diagnostic import plural
from siteward.access.event import Event, Judged, Ran, describe_review
from siteward.access.model import Account
from siteward.render import words
from siteward.render.csv import origin_cells
from siteward.render.csv import table as csv_table
from siteward.render.lines import Cell, Palette
from siteward.render.local_time import localized
from siteward.render.markdown_escape import prose
from siteward.render.markdown_escape import table as markdown_table
from siteward.render.privacy import Pseudonyms
from siteward.render.safe import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Accounts
    from siteward.render.context import Options
    from siteward.render.privacy import Names

FORMATS = ("text", "json", "csv", "markdown", "html")
_COLUMNS = (
    "at", "since", "instance", "person", "account", "kind", "on", "before", "after", "by", "result", "via", "ticket",
    "reason", "file", "line", "commit", "plan", "run", "approvers", "sealed", "record", "review", "decision", "decided by",
    "decision reason",
)  # fmt: skip
_SHOWN = ("when", "where", "who", "what", "change", "by whom", "why")


def render(
    events: Sequence[Event],
    form: str,
    options: Options,
    said: Sequence[Diagnostic] = (),
    accounts: Accounts = MappingProxyType({}),
    timezone: str = "UTC",
) -> str:
    """Return events in one of `FORMATS`, below what is said of the journals (`said`).

    `accounts` are all known account names, by which names are found and redacted in texts. People read moments in the
    `timezone` of the policy; JSON and CSV, which programs read, have them in UTC.
    """
    shown, said = _redact(events, said, options, accounts)
    if form not in {"json", "csv"}:
        shown, said = localized((tuple(shown), tuple(said)), timezone)
    hidden = [f"{plural(len(events), 'event')}, not shown: --privacy counts"] if len(shown) < len(events) else []
    return _FORMS[form](shown, said, options, hidden)


def _redact(
    events: Sequence[Event], said: Sequence[Diagnostic], options: Options, accounts: Accounts
) -> tuple[Sequence[Event], Sequence[Diagnostic]]:
    if options.privacy == "full":
        return events, said
    names = Pseudonyms(accounts)
    said = [names.of(found.instance or "").diagnostic(found) for found in said]
    if options.privacy == "counts":
        return [], said
    return [_redact_event(event, names.of(event.instance)) for event in events], said


def _redact_event(event: Event, names: Names) -> Event:
    """Return an event without addresses, and without names of people but declared handles."""
    return replace(
        event,
        account=names.name(event.account),
        person=event.person if event.person is None or names.name(event.person) == event.person else None,
        change=Change(names.side(event.change.before), names.side(event.change.after)),
        message=names.text(event.message),
        origin=names.origin(event.origin) if event.origin else None,
        ran=_redact_run(event.ran) if event.ran else None,
        review=_redact_review(event.review, names) if event.review else None,
    )


def _redact_review(judged: Judged, names: Names) -> Judged:
    """Return a decision with who reviewed only where that is a declared handle."""
    by = names.reviewer(judged.by)
    return replace(judged, by=by, reason=names.text(judged.reason), account=names.name(judged.account))


def _redact_run(ran: Ran) -> Ran:
    """Return a run without the names of who ran and approved it."""
    hidden = "someone"
    return replace(ran, actor=hidden if ran.actor else None, approvers=(hidden,) * len(ran.approvers))


def _text(events: Sequence[Event], said: Sequence[Diagnostic], options: Options, hidden: Sequence[str]) -> str:
    palette = Palette(options)
    rows = [[Cell(cell) for cell in _cells(event)] for event in events]
    told = (f"{found.instance}: {found.message}" if found.instance else found.message for found in said)
    lines = palette.table(rows, 0) if rows else ()
    total = palette.text(plural(len(events), "event")) if not hidden else None
    return palette.page((*palette.warn(told), *lines, *map(palette.text, hidden), *((total,) if total else ())))


def _cells(event: Event) -> tuple[str, ...]:
    """Return an event in the columns that people read."""
    what = event.kind if event.status == "done" else f"{event.kind} ({event.status})"
    what = f"{what}: {event.review.decision}" if event.review else what
    return (
        _when(event), event.instance, words.name_with_login(event.person, event.account), what, _moved(event), _by(event),
        ", ".join(_why(event)),
    )  # fmt: skip


def _when(event: Event) -> str:
    at = words.moment(event.at)
    return at if event.since is None else f"{words.moment(event.since)} to {at}"


def _moved(event: Event) -> str:
    """Return the place and the change of the value; nothing for an account that came or went."""
    if event.kind == "offboarded":
        return event.message
    if event.kind == "invited" or (
        isinstance(event.change.after or event.change.before, Account) and event.kind != "changed"
    ):
        return ""
    if event.review is not None:
        return f"{words.where(event.change.key)}: {words.value(event.change.after)}"
    return f"{words.where(event.change.key)}: {words.movement(event.change)}"


def _by(event: Event) -> str:
    ran = event.ran
    if event.review is not None:
        closed = f", closed by {ran.actor} ({ran.how})" if ran is not None and ran.actor else ""
        return f"{event.review.by or 'nobody'} (review {event.review.name}){closed}"
    if ran is None:
        return "others"
    approved = f", approved by {', '.join(ran.approvers)} (as told)" if ran.approvers else ""
    return f"{ran.actor} ({ran.how}){approved}" if ran.actor else f"not recorded{approved}"


def _why(event: Event) -> Iterator[str]:
    origin = event.origin
    if event.review is not None and event.review.reason:
        yield event.review.reason
    if origin is not None:
        yield str(origin.at)
        yield from origin.via
        yield from filter(None, (origin.ticket, origin.reason))
    if event.due is not None:
        yield f"by date: {event.due}"
    ran = event.ran
    if ran is not None and ran.commit is not None:
        yield f"commit {ran.commit[:12]}{' (changed since)' if ran.dirty else ''}"
    if ran is not None and ran.run:  # by which `undo` knows it; its last part begins the plan's digest
        yield f"run {ran.run}"
    if event.status != "done" and event.message:
        yield event.message


def _data(event: Event) -> Mapping[str, object]:
    """Return an event as plain data."""
    origin, change, ran = event.origin, event.change, event.ran
    return {
        "at": words.moment(event.at), "since": words.moment(event.since) if event.since else None,
        "instance": event.instance, "person": event.person, "account": event.account, "kind": event.kind,
        "before": encode_resource(change.before) if change.before else None,
        "after": encode_resource(change.after) if change.after else None,
        "status": event.status, "message": event.message, "by_others": event.by_others,
        "actor": ran.actor if ran else None, "how": ran.how if ran else None, "approvers": list(ran.approvers) if ran else [],
        "at_file": str(origin.at) if origin else None, "via": list(origin.via) if origin else [],
        "ticket": origin.ticket if origin else None, "reason": origin.reason if origin else None, "due": event.due,
        "commit": ran.commit if ran else None, "dirty": ran.dirty if ran else False, "plan": ran.plan if ran else None,
        "run": ran.run if ran else None, "step": event.step,
        "review": describe_review(event.review), "sealed": event.is_sealed, "record": event.number,
    }  # fmt: skip


def _json(events: Sequence[Event], said: Sequence[Diagnostic], _: Options, hidden: Sequence[str]) -> str:
    gaps = [{"instance": found.instance, "code": found.code, "message": found.message} for found in said]
    data = {"format": "siteward.history/1", "said": gaps, "items": [_data(event) for event in events]}
    return as_json({**data, **({"hidden": list(hidden)} if hidden else {})}, 2)


def _csv(events: Sequence[Event], _said: Sequence[Diagnostic], _: Options, _hidden: Sequence[str]) -> str:
    return csv_table(_COLUMNS, [_row(event) for event in events])


def _row(event: Event) -> Sequence[str]:
    change, ran = event.change, event.ran or Ran(run="", plan="")
    via, ticket, reason, file, line = origin_cells(event.origin)
    return (
        words.moment(event.at), words.moment(event.since) if event.since else "", event.instance, event.person or "",
        event.account, event.kind, words.where(change.key), words.value(change.before), words.value(change.after),
        "others" if event.by_others else ran.actor or "", event.status, via, ticket, reason, file, line,
        ran.commit or "", ran.plan, ran.run, " ".join(ran.approvers), "yes" if event.is_sealed else "no",
        str(event.number), *((told.name, told.decision, told.by, told.reason) if (told := event.review) else [""] * 4),
    )  # fmt: skip


def _markdown(events: Sequence[Event], said: Sequence[Diagnostic], _: Options, hidden: Sequence[str]) -> str:
    told = [f"> {prose(f'{found.instance}: {found.message}')}\n" for found in said]
    rows = [[prose(cell) for cell in _cells(event)] for event in events]
    total = [] if hidden else [plural(len(events), "event")]
    return "\n".join([*told, markdown_table(_SHOWN, rows), "", *hidden, *total, ""])


def _html(events: Sequence[Event], said: Sequence[Diagnostic], _: Options, hidden: Sequence[str]) -> str:
    from siteward.render.html import Part, draw  # noqa: PLC0415 — no other format needs templates
    from siteward.render.repeats import Occurrence, tell_once  # noqa: PLC0415 — as above
    from siteward.render.view import Row, Table  # noqa: PLC0415 — as above

    rows = tuple(Row(cells=cells[:6], why=(cells[6],)) for cells in map(_cells, events))
    table = Table(title="Events", header=_SHOWN, rows=rows)
    return draw(
        title="History of access",
        lead=(plural(len(events), "event"), *hidden),
        told=tell_once(map(Occurrence, said)),
        parts=(Part(title="What changed", tables=(table,)),) if events else (),
        foot=(),
    )


_FORMS: Mapping[str, Callable[[Sequence[Event], Sequence[Diagnostic], Options, Sequence[str]], str]] = MappingProxyType(
    {"text": _text, "json": _json, "csv": _csv, "markdown": _markdown, "html": _html}
)
