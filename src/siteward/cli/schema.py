"""`siteward schema`: the grammar of the file, or of a saved plan, as JSON Schema."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.argument("which", type=click.Choice(["access", "plan"]), default="access")
def command(which: str) -> int:
    """Print the JSON Schema of access.yaml (default) or of a saved plan, for editors and checks."""
    if which == "access":
        from siteward.declaration.schema import access_schema
        from siteward.reconcile.project import settings_models

        schema = access_schema(settings_models())
    else:
        from siteward.access.codec import plan_schema

        schema = plan_schema()
    click.echo(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
