"""The stand-in's audit log (API.md section 11)."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import TYPE_CHECKING

from siteward.platforms.piwikpro.fake.wire import Asked, ProblemError, Row, zulu

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from siteward.platforms.piwikpro.fake.state import AuditEntry

ADDRESS = "203.0.113.7"


def list_audit(asked: Asked) -> Response:
    """List the log, newest first unless sorted, by a hundred at most."""
    asked.owners_only()
    _check_address(asked)
    rows = [_entry_row(audit_entry) for audit_entry in reversed(asked.state.audit) if _passes(asked, audit_entry)]
    names = {
        "type": "type",
        "created_at": "created_at",
        "subject_id": "subject_id",
        "email": "author_email",
        "ip": "ip",
    }
    return asked.listing(asked.sorted(rows, names, "-created_at"), most=100)


def _passes(asked: Asked, entry: AuditEntry) -> bool:
    held = {"type": entry.type, "author_id": entry.author.id, "subject_id": entry.subject, "ip": ADDRESS}
    wanted = {name: asked.request.args.get(f"filter[{name}]") for name in held}
    since, until = (_moment(asked, name) for name in ("date_from", "date_to"))
    return (
        all(each is None or held[name] in each.split(",") for name, each in wanted.items())
        and (since is None or entry.created >= since)
        and (until is None or entry.created <= until)
    )


def _check_address(asked: Asked) -> None:
    try:
        ipaddress.ip_address(asked.request.args.get("filter[ip]", ADDRESS))
    except ValueError:
        raise ProblemError(400, "invalid", detail="not an address", parameter="filter[ip]") from None


def _moment(asked: Asked, name: str) -> datetime | None:
    wanted = asked.request.args.get(f"filter[{name}]")
    try:
        return datetime.fromisoformat(wanted) if wanted else None
    except ValueError:
        raise ProblemError(400, "invalid", detail="not a date", parameter=f"filter[{name}]") from None


def _entry_row(entry: AuditEntry) -> Row:
    return {
        "id": entry.id,
        "type": "ppms/audit-log-entry",
        "attributes": {
            "created_at": zulu(entry.created),
            "type": entry.type,
            "payload": entry.payload,
            "author_id": entry.author.id,
            "author_email": entry.author.email,
            "subject_id": entry.subject,
            "ip": ADDRESS,
            "version": 1,
        },
    }
