"""`siteward schema`: prints the JSON Schema of the files, of a saved plan, of a report, and of what evidence holds."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _access_schema() -> dict[str, Any]:
    from siteward.declaration.schema import access_schema
    from siteward.reconcile.project import settings_models

    return access_schema(settings_models())


def _included_schema() -> dict[str, Any]:
    from siteward.declaration.schema import included_schema

    return included_schema()


def _directory_schema() -> dict[str, Any]:
    from siteward.declaration.schema import directory_schema

    return directory_schema()


def _plan_schema() -> dict[str, Any]:
    from siteward.access.codec import plan_schema

    return plan_schema()


def _report_schema() -> dict[str, Any]:
    from siteward.render.schema import report_schema

    return report_schema()


def _document_schema(name: str) -> dict[str, Any]:
    from siteward.access.documents import document_schema

    return document_schema(name)


SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "access": _access_schema,
    "included": _included_schema,
    "directory": _directory_schema,
    "plan": _plan_schema,
    "report": _report_schema,
    **{name: partial(_document_schema, name) for name in ("approvals", "evidence", "review")},
}
"""The function that makes each schema; none is imported before it is asked for."""


@click.command("schema")
@click.argument("which", type=click.Choice(list(SCHEMAS)), default="access")
def command(which: str) -> int:
    """Print the JSON Schema of access.yaml (default), of a file it includes, or of a document that is written."""
    click.echo(json.dumps(SCHEMAS[which](), indent=2, ensure_ascii=False))
    return 0
