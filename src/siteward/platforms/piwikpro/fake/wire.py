"""How the stand-in Piwik PRO account answers: envelopes, paging, and the five shapes of an error (API.md section 2)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from datetime import datetime

    from werkzeug.wrappers import Request

    from siteward.platforms.fakery import FaultKind
    from siteward.platforms.piwikpro.fake.state import Person, State

Area = Literal["users", "groups", "apps", "grants", "metas", "modules", "audit"]
Row: TypeAlias = Mapping[str, object]

JSON_API = "application/vnd.api+json"
PLAIN = "application/json"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(slots=True)
class ProblemError(Exception):
    """An error answer: its status, and the fields of the one error object in the main shape."""

    status: int
    code: str = "error.default"
    title: str = ""
    detail: str = ""
    pointer: str = ""
    parameter: str = ""


@dataclass(slots=True)
class Asked:
    """One authenticated request: who asks what, of which account, when; `struck` tells of staged faults."""

    area: Area
    state: State
    request: Request
    caller: Person
    now: datetime
    touch: Callable[[], None]
    struck: Callable[[FaultKind, Request], bool]

    @property
    def is_owner(self) -> bool:
        """Tell whether the caller may do everything."""
        return self.caller.role == "OWNER"

    def owners_only(self) -> None:
        """Refuse everybody else."""
        if not self.is_owner:
            raise ProblemError(403)

    def wrote(self, kind: str, subject: str, **payload: str) -> None:
        """Note a change of state: in the count of writes and in the audit log."""
        self.touch()
        self.state.log(self.now, self.caller, kind, subject, payload)

    def body(self) -> dict[str, object]:
        """Return the `data` object of a JSON:API body; raises a 400 for anything else."""
        found = self._data()
        if not isinstance(found, dict):
            raise ProblemError(400, "error.json-api-content", "data must be an object", pointer="/data")
        return found

    def bodies(self) -> list[dict[str, object]]:
        """Return the `data` list of a JSON:API body; raises a 400 for anything else."""
        found = self._data()
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise ProblemError(400, "error.json-api-content", "data must be a list of objects", pointer="/data")
        return found

    def _data(self) -> object:
        try:
            body = json.loads(self.request.get_data())
        except ValueError:
            raise ProblemError(400, "error.json-api-content", "not JSON") from None
        return body.get("data") if isinstance(body, dict) else None

    def listing(self, rows: Sequence[Row], *, most: int = 1000) -> Response:
        """Return one page of `rows`: ten of them unless `limit` asks for more, and never more than `most`."""
        offset, limit = self._number("offset", 0, 2**31), self._number("limit", 10, most)
        total = len(rows) + (1 if self.struck("lying-total", self.request) else 0)
        page = rows[offset : offset + limit]
        if offset and self.struck("shift-rows", self.request):
            page = rows[offset - 1 : offset - 1 + len(page)]
        return answer({"meta": {"total": total}, "data": list(page)})

    def _number(self, name: str, default: int, most: int) -> int:
        text = self.request.args.get(name, str(default))
        if not text.isdecimal():
            raise ProblemError(400, title=f"{name} must be a positive integer", parameter=name)
        if int(text) > most:
            raise ProblemError(400, title=f"{name} {text} exceeds {most}", parameter=name)
        return int(text)

    def sorted(self, rows: Sequence[Row], names: Mapping[str, str], default: str) -> list[Row]:
        """Return `rows` in the order that `sort` asks for; `names` maps its values to attributes."""
        wanted = self.request.args.get("sort", default)
        descends, name = wanted.startswith("-"), wanted.removeprefix("-")
        if name not in names:
            raise ProblemError(400, title=f"sort must be one of {', '.join(names)}", parameter="sort")
        return sorted(rows, key=lambda row: str(attributes(row).get(names[name]) or "").casefold(), reverse=descends)

    def found(self, rows: Sequence[Row], *names: str) -> list[Row]:
        """Return the rows whose id or named attributes contain what `search` asks for, whatever the case."""
        wanted = (self.request.args.get("search") or self.request.args.get("search_query") or "").casefold()
        return [
            row
            for row in rows
            if wanted in str(row["id"]).casefold()
            or any(wanted in str(attributes(row).get(name) or "").casefold() for name in names)
        ]


def attributes(row: Row) -> Mapping[str, object]:
    """Return the attributes of a resource, or none."""
    found = row.get("attributes")
    return found if isinstance(found, Mapping) else {}


def answer(data: object, status: int = 200) -> Response:
    """Return an answer with a JSON:API body."""
    return Response(json.dumps(data), status=status, content_type=JSON_API)


def one(row: Row, status: int = 200) -> Response:
    """Return an answer with one resource."""
    return answer({"data": row}, status)


def done() -> Response:
    """Return the answer of a command that worked: 204 and no body."""
    return Response(status=204)


def known_uuid(text: str) -> str:
    """Return `text` if it is a UUID; a 400 otherwise."""
    if not UUID.fullmatch(text):
        raise ProblemError(400, title="not a UUID")
    return text.lower()


def stamp(moment: datetime) -> str:
    """Return a moment as the users and apps APIs write it."""
    return moment.isoformat(timespec="seconds")


def zulu(moment: datetime) -> str:
    """Return a moment as the groups, meta sites and audit APIs write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def error(area: Area, method: str, problem: ProblemError) -> Response:
    """Return a problem in the shape that its API has for it."""
    status = problem.status
    if area == "groups" or (area == "grants" and status in {403, 404}) or (area == "apps" and status in {403, 404}):
        return Response(status=status)
    if status == 401:
        return _unauthorized(area, method)
    return answer({"errors": [_error_object(area, problem)]}, status)


def _unauthorized(area: Area, method: str) -> Response:
    if area == "audit":
        body = json.dumps({"error": "authorization field missing"})
        return Response(body, status=401, content_type=PLAIN)
    if area == "grants" and method == "GET":
        return Response(status=401)
    return answer({"message": "Unauthorized"}, 401)


_FORBIDDEN: Mapping[Area, str] = {
    "metas": "error.forbidden",
    "modules": "modules.error.access-denied",
    "audit": "not_authenticated",
}


def _error_object(area: Area, problem: ProblemError) -> Row:
    code, title, detail = problem.code, problem.title, problem.detail
    if problem.status == 403 and code == "error.default":
        code, title = _FORBIDDEN.get(area, code), "Forbidden"
    untitled = area in {"modules", "audit"} or (area == "users" and problem.status == 409)
    if untitled:
        detail, title = detail or title, ""
    found: dict[str, object] = {"status": str(problem.status), "code": code}
    if title:
        found["title"] = title
    if detail:
        found["detail"] = detail
    if problem.pointer:
        found["source"] = {"pointer": problem.pointer}
    elif problem.parameter and area == "audit":
        found["source"] = {"parameter": problem.parameter}
    return found
