"""Plans that were saved: read back, or refused with what is wrong with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from siteward.access import codec
from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.session import Stopped

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.plan import Plan


def read_plan(path: Path, command: str) -> Plan:
    """Return the plan in `path`, or stop: not there, no JSON, no plan, edited, or from a newer version."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        inner = data.get("plan") if isinstance(data, dict) and "plan" in data else data
        return codec.decode(inner)
    except OSError as problem:
        told = error("cannot-read", f"cannot read {path}: {problem.strerror}", hint="siteward plan --out plan.json")
    except codec.CodecError as problem:
        told = error("plan-unreadable", f"{path}: {problem}", hint="make a new one: siteward plan --out plan.json")
    except (ValueError, RecursionError):
        told = error("plan-unreadable", f"{path} is no JSON", hint="make a new one: siteward plan --out plan.json")
    raise Stopped(Report(command=command, diagnostics=(told,)))
