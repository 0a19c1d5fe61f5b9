"""`siteward instances`: lists the instances of a checkout, for people and for the matrix of a forge's job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from siteward.cli.names import instance_option
from siteward.cli.session import Session, with_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = dict[str, str]


def _as_text(rows: Sequence[Row]) -> str:
    width = max((len(row["instance"]) for row in rows), default=0)
    return "\n".join(f"{row['instance']:<{width}}  {row['prefix']}_…" for row in rows)


def _as_json(rows: Sequence[Row]) -> str:
    return json.dumps(list(rows), indent=2)


def _as_matrix(rows: Sequence[Row]) -> str:
    """Return the value of `strategy.matrix`, on one line as `GITHUB_OUTPUT` takes it."""
    return json.dumps({"include": list(rows)}, separators=(",", ":"))


def _as_parallel(rows: Sequence[Row]) -> str:
    """Return a file to include: `.siteward-instances`, from which a job takes its `parallel` by `extends`."""
    matrix = [{name.upper(): value for name, value in row.items()} for row in rows]
    return json.dumps({".siteward-instances": {"parallel": {"matrix": matrix}}}, indent=2)


FORMATS: dict[str, Callable[[Sequence[Row]], str]] = {
    "text": _as_text,
    "json": _as_json,
    "github-matrix": _as_matrix,
    "gitlab-parallel": _as_parallel,
}


@click.command("instances")
@instance_option
@click.option("-f", "--format", "form", type=click.Choice(list(FORMATS)), default="text", help="Output format.")
@with_session()
def command(session: Session, instances: tuple[str, ...], form: str) -> int:
    """List the instances, each with the prefix of its credentials. Contacts nothing.

    A job that plans for a change asks the trusted checkout, before the change is laid over it.
    """
    from siteward.cli.checkout import project_of

    project = project_of(session, "instances")
    known = project.declaration.instances
    for name in instances:
        if name not in known:
            raise click.UsageError(f"no instance {name!r}; there are {', '.join(known) or 'none'}")
    names = tuple(dict.fromkeys(instances)) or tuple(known)
    click.echo(list_instances(names, form))
    return 0


def list_instances(names: Sequence[str], form: str) -> str:
    """Return instances, each with the prefix of its credentials, in one of `FORMATS`."""
    from siteward.transport.secrets import variable

    return FORMATS[form]([{"instance": name, "prefix": variable(name, "url").removesuffix("_URL")} for name in names])
