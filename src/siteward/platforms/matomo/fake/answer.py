"""From a method's result to an HTTP answer: limits, columns, formats, errors, statuses."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from siteward.platforms.matomo.fake.call import AlwaysError, ApiError
from siteward.platforms.matomo.fake.php import Parameter, Value, as_text, escape, export, is_index, xml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.platforms.matomo.fake.release import Release

DEFAULT_LIMIT = 100
JSON = "application/json; charset=utf-8"
XML = "text/xml; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"  # PHP's own default writes it in capitals; nobody can tell them apart
FORMATS = ("console", "csv", "html", "json", "original", "rss", "tsv", "xml")
OLD_FORMATS = ("console", "csv", "html", "json", "json2", "original", "php", "rss", "tsv", "xml")


def formats(release: Release) -> tuple[str, ...]:
    """Return the formats a release names."""
    return FORMATS if release.since(4) else OLD_FORMATS


def as_result(
    value: Value, params: Mapping[str, Parameter], release: Release, *, inner: bool = False, flat: bool = False
) -> Value:
    """Return a result as JSON shows it, cut and wrapped as API.md sections 1.4 and 1.5 tell.

    `inner` is for an entry of a bulk; `flat` for a format that does not wrap single records.
    """
    if value is None:
        return {"result": "success", "message": "ok"}
    if not isinstance(value, list | dict):
        return value if inner and release.before(4) else {"value": value}
    cut = _columns(_limit(value, params, release), params)
    if not cut:
        return []
    if isinstance(cut, dict) and release.before(4) and not flat and not _nested(cut):
        return [cut]
    return cut


def _nested(value: Mapping[str, Value]) -> bool:
    return any(isinstance(item, list | dict) for item in value.values())


def _limit(
    value: list[Value] | dict[str, Value], params: Mapping[str, Parameter], release: Release
) -> list[Value] | dict[str, Value]:
    if isinstance(value, dict) and not is_index(next(iter(value), "")):
        return value
    limit = _number(params, "filter_limit", -1 if release.before(3) else DEFAULT_LIMIT)
    offset = _number(params, "filter_offset", 0)
    if release.before(3) and limit == 0:
        limit = -1
    if limit < 0 and not offset:
        return value
    end = None if limit < 0 else offset + limit
    return value[offset:end] if isinstance(value, list) else _renumbered(list(value.items())[offset:end])


def _renumbered(items: list[tuple[str, Value]]) -> list[Value] | dict[str, Value]:
    """Return numeric keys counted anew, as PHP's `array_slice` does: logins such as 12345 are lost."""
    found: dict[str, Value] = {}
    numbers = 0
    for key, value in items:
        found[str(numbers) if is_index(key) else key] = value
        numbers += is_index(key)
    return list(found.values()) if numbers == len(found) else found


def _columns(value: list[Value] | dict[str, Value], params: Mapping[str, Parameter]) -> list[Value] | dict[str, Value]:
    show, hide = (_names(params, parameter) for parameter in ("showColumns", "hideColumns"))
    if not show and not hide:
        return value

    def kept(record: Value) -> Value:
        if not isinstance(record, dict):
            return record
        return {key: member for key, member in record.items() if (not show or key in show) and key not in hide}

    if isinstance(value, list):
        return [kept(item) for item in value]
    if _nested(value):
        return {key: kept(item) for key, item in value.items()}
    kept_value = kept(value)
    return kept_value if isinstance(kept_value, dict) else value


def _names(params: Mapping[str, Parameter], name: str) -> set[str]:
    return {part for part in as_text(params.get(name, "")).split(",") if part}


def _number(params: Mapping[str, Parameter], name: str, default: int) -> int:
    text = as_text(params.get(name, ""))
    return int(text) if text.lstrip("-").isdigit() else default


def error_body(message: str, *, inner: bool = False) -> dict[str, Value]:
    """Return an error: escaped once at the top, not at all inside a bulk (API.md section 1.1)."""
    return {"result": "error", "message": message if inner else escape(message)}


def status_of(problem: ApiError, release: Release) -> int:
    """Return the HTTP status of an error on a release (API.md section 1.2)."""
    if isinstance(problem, AlwaysError):
        return problem.status
    return problem.status if release.since(5) else 200


def render(value: Value, params: Mapping[str, Parameter], release: Release, *, status: int = 200) -> Response:
    """Return a result in the format that was asked for; XML where none was."""
    wanted = (as_text(params.get("format", "")) or "xml").lower()
    if wanted == "json" or (wanted == "json2" and release.before(5)):
        result = as_result(value, params, release, flat=wanted == "json2")
        return Response(json.dumps(result, ensure_ascii=False, separators=(",", ":")), status, content_type=JSON)
    if wanted == "original":
        kind = TEXT if release.since(4) else HTML
        return Response(export(_cut(value, params, release)), status, content_type=kind)
    if wanted == "xml":
        if value is None:
            return _xml_message("success", "ok", status)
        return Response(xml(_cut(value, params, release)), status, content_type=XML)
    return unknown_format(wanted, release)


def _cut(value: Value, params: Mapping[str, Parameter], release: Release) -> Value:
    return _columns(_limit(value, params, release), params) if isinstance(value, list | dict) else value


def render_error(problem: ApiError, params: Mapping[str, Parameter], release: Release) -> Response:
    """Return an error in the format that was asked for."""
    wanted = (as_text(params.get("format", "")) or "xml").lower()
    status = status_of(problem, release)
    if wanted in {"json", "json2"}:
        body = json.dumps(error_body(problem.message), ensure_ascii=False, separators=(",", ":"))
        return Response(body, status, content_type=JSON)
    if wanted == "xml":
        return _xml_message("error", problem.message, status)
    return Response(f"Error: {problem.message}", status, content_type=TEXT)


def _xml_message(kind: str, message: str, status: int) -> Response:
    text = escape(message)
    return Response(
        f'<?xml version="1.0" encoding="utf-8" ?>\n<result>\n\t<{kind} message="{text}" />\n</result>',
        status,
        content_type=XML,
    )


def unknown_format(wanted: str, release: Release) -> Response:
    """Say that there is no such format: plain text with status 200 (rec 01#24)."""
    message = f"Renderer format '{wanted}' not valid. Try any of the following instead: {', '.join(formats(release))}."
    if release.before(3):
        return Response(
            f"<br />\n<b>Fatal error</b>:  Uncaught exception 'Exception' with message '{message}'", content_type=TEXT
        )
    return Response(f"Error: {message}", content_type=TEXT)


def error_page(release: Release, message: str, *, status: int) -> Response:
    """Return the HTML page that stands for an error where no API answer can be given (rec 01#10)."""
    return _page(
        release, f"{release.product} &rsaquo; Error", "An error occurred", f"<h2>{html.escape(message)}</h2>", status
    )


def maintenance_page(release: Release) -> Response:
    """Return the page of a server that is closed (rec 14#30)."""
    title = f"{release.product} is undergoing maintenance"
    return _page(release, title, title, "<p>We will be back up and running again soon.</p>", 503)


def untrusted_host_page(release: Release) -> Response:
    """Return the warning of a 6.0 behind a proxy whose name is not among `trusted_hosts` (read; the words are ours)."""
    words = "<p>The host name of this request is not one of <code>trusted_hosts</code> in the config file.</p>"
    return _page(release, f"{release.product} &rsaquo; Warning", "Untrusted host", words, 200)


def _page(release: Release, title: str, heading: str, content: str, status: int) -> Response:
    body = (
        f'<!DOCTYPE html>\n<html>\n<head>\n\t<meta charset="utf-8">\n\t<title>{title}</title>\n</head>\n'
        f'<body id="simple">\n<div class="logo"><img title="{release.product}" alt="{release.product}"/></div>\n'
        f'<div class="box">\n<div class="header"><h1>{heading}</h1></div>\n'
        f'<div class="content">{content}</div>\n</div>\n</body>\n</html>\n'
    )
    return Response(body, status, content_type=HTML)
