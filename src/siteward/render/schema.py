"""The JSON Schema of the reports that commands give with `--format json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from siteward.access.codec import plan_schema

REPORT = Path(__file__).with_name("templates") / "report.schema.json"


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report, with that of the plan in it, so that it refers to nothing outside itself."""
    report: dict[str, Any] = json.loads(REPORT.read_text(encoding="utf-8"))
    plan = plan_schema()
    del plan["$schema"]
    definitions = plan.pop("$defs")
    report["$defs"] |= {"plan": plan, **definitions}
    return report
