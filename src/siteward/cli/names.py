"""Names on the command line: completed from the declaration, checked, or read as the path of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.paths import change_folder, given_before
from siteward.cli.session import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from siteward.access.model import Accounts
    from siteward.access.plan import Plan
    from siteward.declaration.load import Declaration


def instances(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the declared instances whose names start with `begun`."""
    return _complete(ctx, param, begun, lambda declaration: declaration.instances)


def users(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the declared users whose handles start with `begun`."""
    return _complete(ctx, param, begun, lambda declaration: declaration.users)


def sites(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the handles and domains of declared sites that start with `begun`."""
    return _complete(
        ctx,
        param,
        begun,
        lambda declaration: {*declaration.sites, *(site.domain for site in declaration.sites.values())},
    )


def subjects(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the declared users and groups whose names start with `begun`."""
    return _complete(ctx, param, begun, lambda declaration: (*declaration.users, *declaration.groups))


def roles(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the portable and the declared roles that start with `begun`."""
    from siteward.declaration.roles import PORTABLE

    return _complete(ctx, param, begun, lambda declaration: (*PORTABLE, *declaration.roles))


def places(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the handles and domains of sites, and the instances, that start with `begun`."""
    return sorted({*sites(ctx, param, begun), *instances(ctx, param, begun)})


def adoptable(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return what `adopt` takes that starts with `begun`: its words, and sites and users of the file with theirs."""
    kind, colon, name = begun.partition(":")
    if not colon:
        return [word for word in ("all", "site:", "user:") if word.startswith(begun)]
    known = {"site": sites, "user": users}.get(kind)
    return [f"{kind}:{found}" for found in known(ctx, param, name)] if known is not None else []


def _complete(
    ctx: click.Context, _param: click.Parameter, begun: str, names: Callable[[Declaration], Iterable[str]]
) -> list[str]:
    """Return the names of a declaration that start with `begun`; none where it cannot be found or is not valid."""
    from siteward.cli.session import Session, find_config
    from siteward.reconcile.project import Project, open_project

    given = given_before(ctx, "config")
    try:
        change_folder(ctx)
        opened = open_project(find_config(Session(config=Path(given) if given else None)), "completion")
    except click.ClickException:
        return []
    known = names(opened.declaration) if isinstance(opened, Project) else ()
    return sorted(name for name in known if name.startswith(begun))


instance_option = click.option(
    "--instance",
    "instances",
    multiple=True,
    shell_complete=instances,
    metavar="NAME",
    help="Only this instance; repeatable.",
)


same_option = click.option(
    "--same",
    multiple=True,
    shell_complete=users,
    metavar="USER",
    help="This declared user has an equal login there, and is the same person; `all` for everybody. Repeatable.",
)
at_option = click.option(
    "--at",
    metavar="DATE",
    help="Show what the journals recorded by the end of this past date, or by this instant; contacts nothing.",
)
journal_option = click.option(
    "--journal-dir",
    metavar="DIR",
    envvar="SITEWARD_JOURNAL_DIR",
    help="The folder of the journals, instead of the file's `journal.dir`.",
)


def names_with(declaration: Declaration, name: str) -> Accounts:
    """Return the account names of the files by instance, and `name`, which somebody has asked about, on each of them."""
    return {instance: {name: None, **known} for instance, known in declaration.accounts().items()}


def check_blocks(names: Iterable[str]) -> None:
    """Raise `UsageError` for a name after `--accept` that no block or limit has, with a suggestion."""
    from siteward.access.diagnostic import near
    from siteward.reconcile.apply.consent import CONSENTS, IDENTITY

    known = (*dict.fromkeys(CONSENTS.values()), f"{IDENTITY}LOGIN@INSTANCE")
    for name in names:
        if name.startswith(IDENTITY):
            login, _, instance = name.removeprefix(IDENTITY).rpartition("@")
            if not login or not instance:
                raise click.UsageError(f"--accept {name}: write {known[-1]}=DIGEST, for one account")
        elif name not in known:
            meant = near(name, known)
            hint = f"; did you mean {meant!r}?" if meant else ""
            raise click.UsageError(f"--accept {name}: there is no such block; there are {', '.join(known)}{hint}")


def read_plan(path: Path, command: str) -> Plan:
    """Return the plan in the file `path`, also where it stands within a report; a former format is read to `show` alone.

    Raises `StoppedError` for a file that cannot be read, holds no plan that is read, or one whose digest does not fit.
    """
    from siteward.access.serialize import CodecError

    again = "siteward plan --out plan.json"
    try:
        return _decode_plan(path.read_bytes(), shown=command == "show")
    except OSError as problem:
        unreadable = error("cannot-read", f"cannot read {path}: {problem.strerror}", hint=again)
    except CodecError as problem:
        unreadable = error("plan-unreadable", f"{path}: {problem}", hint=f"plan again: {again}")
    raise StoppedError(Report(command=command, diagnostics=(unreadable,)))


def _decode_plan(document: bytes, *, shown: bool) -> Plan:
    """Return the plan of a document, a report, or, if it is only `shown`, of the former format. Raises `CodecError`."""
    import msgspec

    from siteward.access import codec, former
    from siteward.render.json import FORMAT as REPORT

    if document.startswith(b'{"format":"siteward.plan/'):  # so a plan begins since its second format
        return codec.decode(document)
    try:
        data = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise codec.CodecError("", "this is not valid JSON") from None
    found = data.get("format") if isinstance(data, dict) else None
    if found == REPORT and data.get("plan") is not None:
        return codec.decode_data(data["plan"])
    if found != former.FORMAT:
        return codec.decode(document)
    if not shown:
        raise codec.CodecError("/format", f"{found} is the former format and can only be shown")
    return former.decode(data)
