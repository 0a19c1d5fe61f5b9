"""The answers that `init` needs: from options, from the environment, or asked at a terminal; never guessed.

Without a terminal everything that is missing is one error. A credential is given by naming its source; one that is typed
is used for this run and written nowhere.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields, replace

from siteward import platforms
from siteward.cli.checkout import environment_of, keyring_of
from siteward.cli.wanted import choices_of, descriptions_of
from siteward.declaration.instances import NAME_HINT, can_name
from siteward.transport.secrets import SHOWN, variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.cli.wanted import Wanted
    from siteward.platforms.interface import Platform

HELP_WITH: Mapping[str, str] = {
    "layout": "  per-site: Siteward keeps one team for each site; right where teams have one site each, or none.\n"
    "  existing: teams stay as they are; right where a team is meant to have several sites. A change that a shared team\n"
    "  cannot express is a blocked step of the plan then. Neither changes anything that is there now.",
    "self": "  The account that the credentials belong to, which no plan touches: best one of Siteward's own, with the highest\n"
    "  role. This platform does not show whose credentials are in use, so the file has to say it.",
}
"""What to know before choosing a setting that nothing else can tell, by its name."""
_SOURCES = "env:NAME, file:PATH, command:COMMAND or keyring"


class Answers(Struct, frozen=True, kw_only=True):
    """Everything that `init` needs: the instance, and what the environment has to have beside it.

    `env` are variables with values, secrets among them, for this run alone; `told` are the lines that a shell needs for the
    next ones, without any secret.
    """

    wanted: Wanted
    env: Mapping[str, str]
    told: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Answers({self.wanted.name})"


def is_asking() -> bool:
    """Return whether there is somebody to ask: a terminal, and no CI."""
    return sys.stdin is not None and sys.stdin.isatty() and not os.environ.get("CI")


def collect(wanted: Wanted, sources: Iterable[str]) -> Answers:
    """Return all answers; raises `UsageError` naming everything that is missing where nobody can be asked."""
    asking = is_asking()
    if wanted.platform is not None and wanted.platform not in platforms.names():
        raise click.UsageError(f"no platform {wanted.platform!r}; there are {', '.join(platforms.names())}")
    if not can_name(wanted.name):
        raise click.UsageError(f"{wanted.name!r} cannot name an instance: {NAME_HINT}")
    wanted = wanted.with_environment()
    given = _Given(wanted.name, dict(_parse_source(text) for text in sources))
    if asking:
        wanted = _ask(wanted)
    elif missing := _list_missing(wanted, given):
        raise click.UsageError(
            "nobody can be asked here, and these are missing:\n" + "\n".join(f"  {line}" for line in missing)
        )
    given.bind(wanted.url or "")
    if asking:
        given.ask(platforms.load(wanted.platform or ""))
    return Answers(wanted=wanted, env=given.env, told=tuple(given.told))


# -- the instance


def _required(platform: str) -> tuple[str, ...]:
    """Return the settings of a platform that have no default, as the file names them."""
    infos: tuple[FieldInfo, ...] = fields(platforms.settings_of(platform))
    return tuple(info.encode_name for info in infos if info.default is NODEFAULT and info.default_factory is NODEFAULT)


def _settings_missing(wanted: Wanted) -> tuple[str, ...]:
    """Return the settings that the platform needs and nobody has given, `self` among them where it is needed."""
    platform = wanted.platform or ""
    given = {text.partition("=")[0] for text in wanted.settings} | ({"self"} if wanted.self_account else set())
    unknown = () if platforms.widest_of(platform).knows_self else ("self",)
    return tuple(name for name in dict.fromkeys((*_required(platform), *unknown)) if name not in given)


def _list_missing(wanted: Wanted, given: _Given) -> list[str]:
    """Return a line for each answer that is missing, with the option that gives it."""
    lines = []
    if wanted.platform is None:
        lines.append(
            f"--platform PLATFORM    one of {', '.join(platforms.names())}; each needs credentials, and some a --set"
        )
    if not wanted.url:
        lines.append(f"--url URL    the address, or {variable(wanted.name, 'url')}")
    if wanted.platform is None:
        return lines
    for name in _settings_missing(wanted):
        words = "|".join(choices_of(wanted.platform, name)) or ("LOGIN" if name == "self" else "VALUE")
        option = f"--self {words}, or {variable(wanted.name, name)}" if name == "self" else f"--set {name}={words}"
        about = HELP_WITH.get(name) or descriptions_of(platforms.settings_of(wanted.platform)).get(name, "")
        lines.append(f"{option}    {' '.join(about.split())}".rstrip())
    return [*lines, *given.missing(platforms.load(wanted.platform))]


def _ask(wanted: Wanted) -> Wanted:
    """Ask for what is missing of the instance."""
    platform = wanted.platform or str(click.prompt("Platform", type=click.Choice(platforms.names()), err=True))
    wanted = replace(wanted, platform=platform)
    url = wanted.url or str(click.prompt("Address (URL)", err=True)).strip()
    settings, self_account = list(wanted.settings), wanted.self_account
    for name in _settings_missing(wanted):
        click.echo(HELP_WITH.get(name) or descriptions_of(platforms.settings_of(platform)).get(name, ""), err=True)
        words = choices_of(platform, name)
        answer = str(click.prompt(name, type=click.Choice(words) if words else str, err=True))
        if name == "self":
            self_account = answer
        else:
            settings.append(f"{name}={answer}")
    return replace(wanted, url=url, settings=tuple(settings), self_account=self_account)


# -- credentials


def _parse_source(text: str) -> tuple[str, tuple[str, str]]:
    """Return the field that `--credential` is about, and the kind and name of its source. Raises `UsageError`."""
    field, equals, source = text.partition("=")
    kind, colon, name = source.partition(":")
    if not equals or kind not in {"env", "file", "command", "keyring"} or (kind != "keyring") != bool(colon and name):
        # What stands there may be the secret itself: it is not said again.
        raise click.UsageError(f"--credential {field}=…: write {_SOURCES}; a value never stands on a command line")
    return field.lower().replace("-", "_"), (kind, name)


class _Given:
    """The credentials of one instance as they are given: `env` for this run, `told` for the next ones."""

    def __init__(self, instance: str, sources: Mapping[str, tuple[str, str]]) -> None:
        self.instance = instance
        self.env: dict[str, str] = {}
        self.told: list[str] = []
        self._sources = sources
        self._known = environment_of(Path())
        for field, (kind, name) in sources.items():
            self._take(field, kind, name)
        self._keyring = keyring_of()

    def bind(self, url: str) -> None:
        """Say for this run that the credentials are for the address that was given here, where the environment does not."""
        if variable(self.instance, "url") not in self._known and url:
            self.env[variable(self.instance, "url")] = url
            self.told.append(f"export {variable(self.instance, 'url')}={url}")

    def missing(self, platform: Platform) -> list[str]:
        """Return a line for each credential that is nowhere; raises `UsageError` for a field that the platform has not."""
        self._check_fields(platform)
        wanted = platform.fields or {} if any(map(self._has, self._fields(platform))) else self._fields(platform)
        between = "" if platform.fields else " (not all: which depends on the edition)"
        return [
            f"{variable(self.instance, field)}    {about}{between}; also …_FILE, …_COMMAND, or --credential {field}=SOURCE"
            for field, about in (wanted or {}).items()
            if not self._has(field) and (field in platform.fields or not platform.fields)
        ]

    def ask(self, platform: Platform) -> None:
        """Ask for the credentials that are nowhere; those that may be left out can be passed over."""
        self._check_fields(platform)
        optional = {} if platform.fields else platform.optional_fields
        asked = [field for field in (*platform.fields, *optional) if not self._has(field)]
        if optional and len(asked) < len(optional):
            return
        for field in asked:
            self._ask_one(field, (platform.fields | optional)[field], needed=field in platform.fields)  # type: ignore[operator]  # both are mappings with |

    def _ask_one(self, field: str, about: str, *, needed: bool) -> None:
        name = variable(self.instance, field)
        text = f"{field}, {about}\n  ({name} is not set: type it, it is written nowhere; or {_SOURCES})"
        hidden = field not in SHOWN
        answer = str(
            click.prompt(text, hide_input=hidden, default=None if needed else "", show_default=False, err=True)
        )
        kind, _, rest = answer.partition(":")
        if kind in {"env", "file", "command"} and rest:
            self._take(field, kind, rest)
        elif answer == "keyring":
            self._take(field, "keyring", "")
        elif answer:
            self.env[name] = answer
            self.told.append(f"export {name}=…    # as you typed it; it is written nowhere")

    def _fields(self, platform: Platform) -> dict[str, str]:
        return {**platform.fields, **platform.optional_fields}

    def _check_fields(self, platform: Platform) -> None:
        known = self._fields(platform)
        for field in self._sources:
            if field not in known and field != "headers":
                raise click.UsageError(f"--credential {field}=…: {platform.title} has {', '.join(known)}")

    def _take(self, field: str, kind: str, name: str) -> None:
        """Take a credential from its source, which is looked at only when it is used. Raises `UsageError`."""
        own = variable(self.instance, field)
        if kind == "env":
            value = self._known.get(name)
            if not value:
                raise click.UsageError(f"--credential {field}=env:{name}: {name} is not set")
            self.env[own] = value
            if own != name:
                self.told.append(f'export {own}="${name}"')
        elif kind == "keyring":
            os.environ["SITEWARD_KEYRING"] = "1"  # what reads it is asked in this process
            self.told.append(f"export SITEWARD_KEYRING=1    # service siteward, user {self.instance}/{field}")
        else:
            place = str(Path(name).expanduser().resolve()) if kind == "file" else name
            self.env[f"{own}_{kind.upper()}"] = place
            self.told.append(f"export {own}_{kind.upper()}={_shell(place)}")

    def _has(self, field: str) -> bool:
        """Return whether a credential has a source."""
        name = variable(self.instance, field)
        if any(f"{name}{ending}" in (self.env.keys() | self._known.keys()) for ending in ("", "_FILE", "_COMMAND")):
            return True
        if self._sources.get(field, ("", ""))[0] == "keyring":
            return True
        return self._keyring is not None and self._keyring("siteward", f"{self.instance}/{field}") is not None


def _shell(text: str) -> str:
    import shlex

    return shlex.quote(text)
