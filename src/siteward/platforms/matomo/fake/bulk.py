"""API.getBulkRequest: several calls in one request, in order, each with its own result."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote_plus, unquote_plus

from siteward.platforms.matomo.fake.answer import as_result, error_body
from siteward.platforms.matomo.fake.auth import Credentials, authenticate
from siteward.platforms.matomo.fake.call import VIEW, Actor, AlwaysError, ApiError, Call, api, invoke
from siteward.platforms.matomo.fake.php import Parameter, Value, as_text, variables

BULK = "API.getBulkRequest"
NOT_INHERITED = {"module", "method", "format", "token_auth"}


@api(BULK, "urls")
def _get_bulk_request(call: Call) -> Value:
    """Run each entry; one without a method of its own, and a bulk within, leaves no trace in the results."""
    urls = call.params["urls"]
    if not isinstance(urls, list):
        return []
    limit = _limit_of(call)
    if call.release.since(5, 8) and 0 <= int(limit) < len(urls):
        raise ApiError(f"A bulk request may carry {limit} requests at most.", 400)  # our words: it was read, not seen
    if call.release.since(5, 13):
        for url in urls:
            _refuse_conflict(call, _entry(call, url))
    outer = {name: value for name, value in call.params.items() if name not in NOT_INHERITED}
    results: list[Value] = []
    for url in urls:
        params = _entry(call, url)
        method = as_text(params.get("method", ""))
        if method and method != BULK:
            results.append(_run(call, method, outer, params))
        elif call.release.before(3):
            raise AlwaysError("Maximum execution time of 30 seconds exceeded", 500)
    return results


def _limit_of(call: Call) -> str:
    """Return how many requests a bulk may carry; nobody's may carry 10, with view access 50 (5.8; read, not driven)."""
    limit = call.state.settings.get("API_bulk_request_limit", "-1")
    if not call.actor.anonymous or call.release.before(5, 8):
        return limit
    own = 50 if call.sites_with(VIEW) else 10
    return str(own if int(limit) < 0 else min(own, int(limit)))


def _refuse_conflict(call: Call, entry: dict[str, Parameter]) -> None:
    """Refuse the whole bulk for an entry that changes the session flag, or in a session the token (5.13; read)."""
    outer = "1" if call.actor.session else "0"
    if as_text(entry.get("force_api_session", outer)) != outer or (
        call.actor.session and as_text(entry.get("token_auth", "")) not in ("", as_text(call.params["token_auth"]))
    ):
        raise ApiError("A request in the bulk names another authentication than the bulk.", 400)


def _entry(call: Call, url: str) -> dict[str, Parameter]:
    """Return the variables of an entry.

    Up to 4.x the entry is decoded before it is split, so that a `&` in a value ends it (rec 10.m416#18).
    """
    early = call.release.before(5)
    text = unquote_plus(url).lstrip("?") if early else url
    _, found, rest = text.partition("index.php?")
    query = rest if found else text
    return variables("&".join(_encoded(part) for part in query.split("&")) if early else query)


def _encoded(field: str) -> str:
    name, _, value = field.partition("=")
    return f"{quote_plus(name)}={quote_plus(value)}"


def _run(call: Call, method: str, outer: dict[str, Parameter], params: dict[str, Parameter]) -> Value:
    merged = {**outer, **params}
    inner = replace(call, method=method, params=merged, inner=True, headers={}, touched=False)
    try:
        inner.actor = _actor(call, as_text(params.get("token_auth", "")))
        return as_result(invoke(inner), merged, call.release, inner=True)
    except ApiError as problem:
        return {**error_body(problem.message, inner=True)}
    finally:
        call.touched = call.touched or inner.touched


def _actor(call: Call, token: str) -> Actor:
    """Return who an entry is run for: an inner token counts only where there was none outside (rec 10#8-12)."""
    if not call.actor.anonymous or not token:
        return call.actor
    return authenticate(call.state, Credentials(token, in_body=False, address=call.address))
