"""Names that a shell may complete: those that the declaration has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteward.access import codec
from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.session import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from siteward.access.plan import Plan
    from siteward.declaration.load import Declaration


def instances(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the declared instances that begin so."""
    return _matching(ctx, param, begun, lambda declaration: declaration.instances)


def users(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the declared users that begin so."""
    return _matching(ctx, param, begun, lambda declaration: declaration.users)


def sites(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the declared sites, by handle and domain, that begin so."""
    return _matching(
        ctx,
        param,
        begun,
        lambda declaration: {*declaration.sites, *(site.domain for site in declaration.sites.values())},
    )


def _matching(
    ctx: click.Context, _param: click.Parameter, begun: str, names: Callable[[Declaration], Iterable[str]]
) -> list[str]:
    from siteward.cli.session import Session, find_config
    from siteward.reconcile.project import Project, open_project

    given = next(
        (context.params["config"] for context in (ctx, ctx.parent) if context and context.params.get("config")), None
    )
    try:
        opened = open_project(find_config(Session(config=Path(given) if given else None)), "completion")
    except click.ClickException:
        return []
    found = names(opened.declaration) if isinstance(opened, Project) else ()
    return sorted(name for name in found if name.startswith(begun))


instance_option = click.option(
    "--instance",
    "instances",
    multiple=True,
    shell_complete=instances,
    metavar="NAME",
    help="Only this instance; repeatable.",
)


def known_blocks(names: Iterable[str]) -> None:
    """See that what `--accept` names can be lifted; raises `UsageError` with what was likely meant."""
    from siteward.access.diagnostic import near
    from siteward.reconcile.apply.consent import CONSENTS

    known = tuple(dict.fromkeys(CONSENTS.values()))
    for name in names:
        if name not in known:
            meant = near(name, known)
            hint = f"; did you mean {meant!r}?" if meant else ""
            raise click.UsageError(f"--accept {name}: there is no such block; there are {', '.join(known)}{hint}")


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
        told = error(
            "plan-unreadable", f"{path} is not valid JSON", hint="make a new one: siteward plan --out plan.json"
        )
    raise StoppedError(Report(command=command, diagnostics=(told,)))
