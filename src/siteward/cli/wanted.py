"""The instance that a command line describes, for `import` and `init`: its settings, and what is live on it."""

from __future__ import annotations

import functools
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn, cast

import click
from msgspec import Struct, ValidationError, convert, to_builtins
from msgspec.inspect import Metadata, StructType, type_info
from msgspec.structs import fields, replace

from siteward import platforms
from siteward.access.diagnostic import near
from siteward.cli.checkout import environment_of, keyring_of, reading_deadline
from siteward.declaration.grammar import keys_of
from siteward.declaration.instances import NAME_HINT, can_name
from siteward.platforms.instance import Instance
from siteward.reconcile.own_account import claim_of, own_account
from siteward.transport.link import Link
from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.cli.session import Session, Verb
    from siteward.reconcile.project import Project


class Wanted(Struct, frozen=True, kw_only=True):
    """The instance to import, as far as the command line and the environment describe it."""

    name: str
    platform: str | None = None
    url: str | None = None
    self_account: str | None = None
    settings: tuple[str, ...] = ()

    def with_environment(self) -> Wanted:
        """Return it with the address and the account that the environment names, where the command line does not."""
        known = environment_of(Path())
        return replace(
            self,
            url=self.url or known.get(variable(self.name, "url")),
            self_account=self.self_account or known.get(variable(self.name, "self")),
        )


def place_options(verb: Verb) -> Verb:
    """Give a verb the options that describe an instance: those of `Wanted` but its name."""
    options = (
        click.option("--platform", metavar="PLATFORM", help=f"One of {', '.join(platforms.names())}."),
        click.option("--url", metavar="URL", help="Its address; else SITEWARD_<NAME>_URL."),
        click.option(
            "--self",
            "self_account",
            metavar="LOGIN",
            help="The account behind the credentials; else SITEWARD_<NAME>_SELF.",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the platform; repeatable."
        ),
    )
    return functools.reduce(lambda command, option: option(command), reversed(options), verb)


class _Place(Struct, frozen=True, kw_only=True):
    """The address and the settings of an instance: `written` as they stand in the file, `settings` as read."""

    platform: str
    url: str
    self_account: str | None
    written: Mapping[str, object]
    settings: Struct


class Found(Struct, frozen=True, kw_only=True):
    """An instance as it was read: its keys in the file, in order, its traits, what is live, and how it is reached."""

    block: Mapping[str, object]
    traits: Traits
    live: Live
    instance: Instance


def read_wanted(
    wanted: Wanted, project: Project | None, session: Session, more: Mapping[str, str] = MappingProxyType({})
) -> Found:
    """Read the instance, which `project` may declare already; `more` are variables beside those of the environment.

    Raises `UsageError` where the command line does not suffice to find it, and `PlatformError`.
    """
    if not can_name(wanted.name):
        raise click.UsageError(f"{wanted.name!r} cannot name an instance: {NAME_HINT}")
    env = {**environment_of(Path()), **more}
    place = (None if wanted.platform else _find_declared(project, wanted.name)) or _place_of(wanted)
    instance = Instance(
        name=wanted.name,
        platform=platforms.load(place.platform),
        settings=place.settings,
        self_account=place.self_account,
        link=Link(url=place.url, deadline=reading_deadline(session, env)),
        env=env,
        keyring=keyring_of(),
    )
    with instance.reading() as reader:
        traits, seed = instance.platform.probe(reader, place.settings)
        live = instance.platform.read(reader, place.settings, traits, seed)
    _, objections = own_account(live, traits, claim_of(instance, place.self_account))
    for objection in objections:
        raise click.UsageError(f"{objection.message}: say --self {live.me or 'LOGIN'}")
    self_account = place.self_account or live.me or _need_self(traits)
    block = {"platform": place.platform, "url": place.url, "self": self_account, **place.written}
    return Found(block=block, traits=traits, live=live, instance=instance)


def _place_of(wanted: Wanted) -> _Place:
    """Return the place that the command line and the environment describe; raises `UsageError` for what is missing."""
    wanted = wanted.with_environment()
    platform = wanted.platform or _need_platform()
    if not wanted.url:
        raise click.UsageError(f"where is it? say --url URL, or set {variable(wanted.name, 'url')}")
    given = dict(_parse_setting(setting) for setting in wanted.settings)
    settings = _read_settings(platform, given, wanted.self_account or given.get("self"))
    values: Mapping[str, object] = to_builtins(settings)
    return _Place(
        platform=platform,
        url=wanted.url,
        self_account=wanted.self_account or given.get("self"),
        written={name: values[name] for name in given if name != "self"},
        settings=settings,
    )


def _find_declared(project: Project | None, name: str) -> _Place | None:
    """Return the place of an instance that a declaration already names; `None` where there is none."""
    if project is None or name not in project.declaration.instances:
        return None
    instance = project.declaration.instances[name]
    if instance.settings is None:
        return None
    written = cast("Mapping[str, Mapping[str, object]]", instance.location.source.data["instances"])[name]
    own = keys_of(type(instance.settings))
    return _Place(
        platform=instance.platform,
        url=instance.url,
        self_account=instance.self_account,
        written={key: value for key, value in written.items() if key in own and key not in {"platform", "url", "self"}},
        settings=instance.settings,
    )


def _read_settings(platform: str, given: Mapping[str, str], self_account: str | None) -> Struct:
    """Return the settings of a platform from the texts after `--set`; raises `UsageError` with a suggestion."""
    if platform not in platforms.names():
        raise click.UsageError(
            f"no platform {platform!r}; there are {', '.join(platforms.names())}"
            + _suggestion(platform, platforms.names())
        )
    model = platforms.settings_of(platform)
    about = descriptions_of(model)
    for name in given.keys() - about.keys() - {"self"}:
        raise click.UsageError(
            f"--set {name}=…: no such setting; there are {', '.join(about)}{_suggestion(name, about)}"
        )
    texts = {**given, "self": self_account} if self_account and "self" in about else given
    try:
        return convert({name: value for name, value in texts.items() if name in about}, model, strict=False)
    except ValidationError as problem:
        name = next(
            (name for name in about if f"$.{name}`" in str(problem) or f"field `{name}`" in str(problem)), "KEY"
        )
        choices = "|".join(choices_of(platform, name))
        why = f"{given[name]!r} is none of these" if choices and name in given else str(problem).partition(" - at ")[0]
        raise click.UsageError(f"say --set {name}={choices or '…'}: {why}. {about.get(name, '')}".rstrip()) from problem


def choices_of(platform: str, name: str) -> tuple[str, ...]:
    """Return the words that a setting may have; none where it takes any text."""
    for info in fields(platforms.settings_of(platform)):
        annotated = getattr(info.type, "__origin__", info.type)
        if info.encode_name == name:
            return tuple(word for word in getattr(annotated, "__args__", ()) if isinstance(word, str))
    return ()


def descriptions_of(model: type[Struct]) -> dict[str, str]:
    """Return the description of each setting of a platform, by its name in the file."""
    described = type_info(model)
    fields = described.fields if isinstance(described, StructType) else ()
    return {
        field.encode_name: (field.type.extra_json_schema or {}).get("description", "")
        for field in fields
        if isinstance(field.type, Metadata)
    }


def _suggestion(word: str, known: Iterable[str]) -> str:
    nearest = near(word, known)
    return f"; did you mean {nearest!r}?" if nearest else ""


def _parse_setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text}: write KEY=VALUE")
    return name, value


def _need_platform() -> NoReturn:
    raise click.UsageError(f"which platform is it? say --platform with one of {', '.join(platforms.names())}")


def _need_self(traits: Traits) -> NoReturn:
    raise click.UsageError(f"{traits.platform} does not show whose credentials these are: say --self LOGIN")
