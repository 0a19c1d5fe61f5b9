"""`siteward schema`: the grammar of the files, of a saved plan or of a report, as JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _access() -> dict[str, Any]:
    from siteward.declaration.schema import access_schema
    from siteward.reconcile.project import settings_models

    return access_schema(settings_models())


def _included() -> dict[str, Any]:
    from siteward.declaration.schema import included_schema

    return included_schema()


def _plan() -> dict[str, Any]:
    from siteward.access.codec import plan_schema

    return plan_schema()


def _report() -> dict[str, Any]:
    from siteward.render.schema import report_schema

    return report_schema()


SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "access": _access,
    "included": _included,
    "plan": _plan,
    "report": _report,
}


@click.command("schema")
@click.argument("which", type=click.Choice(list(SCHEMAS)), default="access")
def command(which: str) -> int:
    """Print the JSON Schema of access.yaml (default), of a file it includes, of a saved plan or of a report."""
    click.echo(json.dumps(SCHEMAS[which](), indent=2, ensure_ascii=False))
    return 0
