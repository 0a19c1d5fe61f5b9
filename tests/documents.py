"""Documents of plans, whole and as plain data, and such as were changed by somebody who knows how a digest is made."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from siteward.access.codec import encode

if TYPE_CHECKING:
    from siteward.access.plan import Plan


def document(plan: Plan) -> bytes:
    """Return the document of a plan in one piece."""
    return b"".join(encode(plan))


def parsed(plan: Plan) -> Any:
    """Return the document of a plan as plain data."""
    return msgspec.json.decode(document(plan))


def resealed(data: dict[str, Any]) -> bytes:
    """Return plain data as a document whose digest fits."""
    return sealed_anew(msgspec.json.encode({name: value for name, value in data.items() if name != "digest"})[:-1])


def sealed_anew(covered: bytes) -> bytes:
    """Return a document from all bytes before its end."""
    return b'%b,"digest":"sha256:%b"}' % (covered, sha256(covered).hexdigest().encode())


def steps_within(plan: Any) -> list[Any]:
    """Return the steps of a plan's data, with accounts, scopes and origins instead of their places in the tables."""
    tables = plan["tables"]

    def side(held: dict[str, Any] | None) -> dict[str, Any] | None:
        return held and {
            **held,
            **{name: tables[f"{name}s"][held[name]] for name in ("account", "scope") if name in held},
        }

    found = [step for instance in plan["instances"] for step in instance["steps"]]
    changes = [{name: side(held) for name, held in step["change"].items()} for step in found]
    origins = [{"origin": tables["origins"][step["origin"]]} if "origin" in step else {} for step in found]
    return [{**step, "change": change, **origin} for step, change, origin in zip(found, changes, origins, strict=True)]
