"""What `siteward import` needs before there is a declaration: an instance made of options and environment."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct, ValidationError, convert, to_builtins
from msgspec.inspect import Metadata, StructType, type_info

from siteward import platforms
from siteward.cli.checkout import environment_of, keyring_of
from siteward.cli.session import find_config
from siteward.declaration.edit import first_file
from siteward.platforms.instance import Instance
from siteward.reconcile.project import Project, open_project
from siteward.transport.link import Link
from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.traits import Traits
    from siteward.cli.session import Session


class Wanted(Struct, frozen=True, kw_only=True):
    """Which instance is imported, as far as the command line says it."""

    name: str
    platform: str | None = None
    url: str | None = None
    self_account: str | None = None
    settings: tuple[str, ...] = ()


def first_text(session: Session, wanted: Wanted) -> str:
    """Read the instance and return the file that declares what it has. Raises `PlatformError`."""
    block, settings = _block(session, wanted)
    instance = Instance(
        name=wanted.name,
        platform=platforms.load(block["platform"]),
        settings=settings,
        link=Link(url=block["url"]),
        env=environment_of(Path()),
        keyring=keyring_of(),
    )
    with instance.reading() as reader:
        traits = instance.platform.probe(reader, settings)
        live = instance.platform.read(reader, settings, traits)
    named = block.get("self") or live.me or _need_self(traits)
    first = {"platform": block["platform"], "url": block["url"], "self": named}
    return first_file(wanted.name, {**first, **block, "self": named}, live, traits)


def _block(session: Session, wanted: Wanted) -> tuple[dict[str, str], Struct]:
    """Return the instance's keys for the file, and the platform's settings, from options or a declaration."""
    declared = None if wanted.platform else _declared(session, wanted.name)
    if declared is not None:
        return declared
    platform = wanted.platform or _need_platform()
    environment = environment_of(Path())
    url = wanted.url or environment.get(variable(wanted.name, "url"))
    if not url:
        raise click.UsageError(f"where is it? say --url URL, or set {variable(wanted.name, 'url')}")
    given = dict(_pair(each) for each in wanted.settings)
    own = {"self": wanted.self_account} if wanted.self_account else {}
    return {"platform": platform, "url": url, **own, **given}, _settings(platform, given, own)


def _declared(session: Session, name: str) -> tuple[dict[str, str], Struct] | None:
    """Return the block of an instance that a declaration already names."""
    try:
        project = open_project(find_config(session), "import")
    except click.ClickException:
        return None
    if not isinstance(project, Project) or name not in project.declaration.instances:
        return None
    instance = project.declaration.instances[name]
    if instance.settings is None:
        return None
    own = {"self": instance.self_account} if instance.self_account else {}
    given = {key: str(value) for key, value in to_builtins(instance.settings).items()}
    return {"platform": instance.platform, "url": instance.url, **own, **given}, instance.settings


def _settings(platform: str, given: Mapping[str, str], own: Mapping[str, str]) -> Struct:
    if platform not in platforms.names():
        near = difflib.get_close_matches(platform, platforms.names(), n=1)
        raise click.UsageError(
            f"no platform {platform!r}; there are {', '.join(platforms.names())}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    model = platforms.load(platform).settings
    about = _described(model)
    for name in given.keys() - about.keys():
        raise click.UsageError(f"--set {name}=…: no such setting; there are {', '.join(about)}")
    shared = {name: each for name, each in own.items() if name in about}
    try:
        return convert({**shared, **given}, model, strict=False)
    except ValidationError as problem:
        told = "; ".join(f"{name}: {each}" for name, each in about.items())
        raise click.UsageError(f"say --set KEY=VALUE: {problem}. {told}") from problem


def _described(model: type[Struct]) -> dict[str, str]:
    """Return what each setting of a platform is."""
    kind = type_info(model)
    fields = kind.fields if isinstance(kind, StructType) else ()
    return {
        each.encode_name: (each.type.extra_json_schema or {}).get("description", "")
        for each in fields
        if isinstance(each.type, Metadata)
    }


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise click.UsageError(f"--set {text}: write KEY=VALUE")
    return name, value


def _need_platform() -> str:
    raise click.UsageError(f"which platform is it? say --platform with one of {', '.join(platforms.names())}")


def _need_self(traits: Traits) -> str:
    raise click.UsageError(f"{traits.platform} does not tell whose credentials these are: say --self LOGIN")
