"""Credentials: where they are found, the server and account they are bound to, and their redaction.

For the instance `matomo-eu` and its field `token` the places are, in this order:

    SITEWARD_MATOMO_EU_TOKEN           the value itself
    SITEWARD_MATOMO_EU_TOKEN_FILE      a file that holds it (one trailing line end is taken off)
    SITEWARD_MATOMO_EU_TOKEN_COMMAND   a command that prints it, run without a shell
    the system keyring                 service `siteward`, user `matomo-eu/token`, where the extra is installed

Beside them `SITEWARD_MATOMO_EU_URL` names the server that they are for (`bound`), and `SITEWARD_MATOMO_EU_SELF` may
name the account that they belong to (`confirmed`). Every instance may have the field `headers`: what opens a gate before it
(`siteward.transport.headers`).
"""

from __future__ import annotations

import base64
import json
import shlex
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from siteward.access.hosts import HTTP, AddressError, address_of, origin_of
from siteward.transport.errors import InsecureError, OriginMismatchError, SecretMissingError, SelfMismatchError
from siteward.transport.headers import read_headers
from siteward.transport.link import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

Keyring = Callable[[str, str], str | None]

PREFIX = "SITEWARD"
HEADERS = "headers"
SHOWN = frozenset({"username", "email", "client_id"})
"""The fields that are no secret: `scrub` leaves them in texts."""
_COMMAND_SECONDS = 30.0
_NOT_IN_DOTENV = {
    "_COMMAND": "name no command",
    "_FILE": "name no other file",
    "_HEADERS": "give no extra headers",
    "_INSECURE": "not allow plain http",
}
_MASK = "•••"
_SHORTEST_PART = 8


class Secret:
    """A value that no `str`, `repr`, format, pickle or log shows; only `reveal()` returns it.

    `origin` names the place where it was found, and may be shown.
    """

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """Return the value, to be passed on to the call that needs it and kept nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({_MASK})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")


class Secrets:
    """The credentials of one instance, by field name, lower-cased (`username`, `token`, …)."""

    def __init__(self, values: Mapping[str, Secret], *, instance: str = "") -> None:
        """Raise `BadHeadersError` where the field `headers` holds what cannot be sent as headers."""
        self._values = dict(values)
        self._instance = instance
        given = self._values.get(HEADERS)
        lines = read_headers(given.reveal(), given.origin) if given is not None else ()
        self.headers: Mapping[str, Secret] = {name: Secret(value, name) for name, value in lines}
        hidden = [value for field, value in self._values.items() if field not in SHOWN and field != HEADERS]
        parts = [part for _, value in lines for part in (value, *value.split()) if len(part) >= _SHORTEST_PART]
        texts = dict.fromkeys((*(value.reveal() for value in hidden), *(value for _, value in lines), *parts))
        self._forms = tuple(form for text in texts for form in _encodings_of(text))

    def get(self, field: str) -> Secret:
        """Return the credential of that field; raises `SecretMissingError` where there is none."""
        secret = self._values.get(field)
        if secret is None:
            raise _missing_error(self._instance, field)
        return secret

    def optional(self, field: str) -> Secret | None:
        """Return the credential of that field, if there is one."""
        return self._values.get(field)

    def origins(self) -> Mapping[str, str]:
        """Return where each field was found, with the names of extra headers; never a value."""
        found = {field: value.origin for field, value in self._values.items()}
        if self.headers:
            found[HEADERS] += f" ({', '.join(self.headers)})"
        return found

    def scrub(self, text: str) -> str:
        """Return `text` with every credential masked but those of `SHOWN`, also where it stands encoded."""
        return scrubbed(text, self._forms)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"


def find(
    instance: str,
    fields: Iterable[str],
    *,
    url: str,
    env: Mapping[str, str],
    optional: Iterable[str] = (),
    keyring: Keyring | None = None,
    schemes: tuple[str, str] = HTTP,
) -> Secrets:
    """Return the credentials of `instance` for the server at `url`; `fields` must be found, `optional` ones may be.

    Raises `OriginMismatchError` or `InsecureError` before anything is looked up, run or sent when they are not meant for that
    server (promise 13 of the README), `SecretMissingError` naming the places for the first of `fields` that has none, and
    `BadHeadersError` for extra headers that cannot be sent.
    """
    bound(instance, url, env, schemes)
    values: dict[str, Secret] = {}
    for field in fields:
        secret = _look_up(instance, field, env, keyring)
        if secret is None:
            raise _missing_error(instance, field)
        values[field] = secret
    for field in (*optional, HEADERS):
        if secret := _look_up(instance, field, env, keyring):
            values[field] = secret
    return Secrets(values, instance=instance)


def variable(instance: str, field: str) -> str:
    """Return the name of the environment variable that holds a field: `SITEWARD_MATOMO_EU_TOKEN`."""
    return f"{PREFIX}_{instance}_{field}".replace("-", "_").upper()


def bound(instance: str, url: str, env: Mapping[str, str], schemes: tuple[str, str] = HTTP) -> None:
    """Check that the credentials of `instance`, which may be a directory, may be sent to `url`.

    Anybody who can edit the file can write any address into it. So the address must stand a second time beside the
    credentials; only for a server on this machine it may be missing there. Plain http to another machine must be allowed
    there as well (`SITEWARD_<INSTANCE>_INSECURE=1`). Scheme, host, port and base path are compared; an address without a
    path is for every path of its host in this release (see `pathless_bond`). Raises `OriginMismatchError` or `InsecureError`.
    """
    name = variable(instance, "url")
    wanted = _address(url, "the url in the file", schemes)
    if not env.get(name):
        if is_loopback(wanted):
            return
        raise OriginMismatchError(
            f"the credentials of {instance} are bound to no address, so nothing is sent to {wanted}",
            hint=f"if that is the right address, set {name}={wanted} beside them",
        )
    allowed = _address(env[name], name, schemes)
    if allowed not in {wanted, origin_of(wanted, schemes)}:
        raise OriginMismatchError(
            f"the file sends the credentials of {instance} to {wanted}, but they are for {allowed}; nothing was sent",
            hint=f"correct `url` in the file, or {name} if the server has moved",
        )
    if (
        wanted.startswith(f"{schemes[0]}:")
        and not is_loopback(wanted)
        and env.get(variable(instance, "insecure")) != "1"
    ):
        raise InsecureError(
            f"{wanted} is plain {schemes[0]}, and the credentials of {instance} would travel unencrypted; nothing was sent",
            hint=f"use {schemes[1]}, or set {variable(instance, 'insecure')}=1 if the way there is safe",
        )


def pathless_bond(instance: str, url: str, env: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the variable of the address and the value it should have, where it names no path and `url` has one."""
    name = variable(instance, "url")
    try:
        given, wanted = address_of(env.get(name, "")), address_of(url)
    except AddressError:  # there is none, or `bound` refuses it
        return None
    return (name, wanted) if given == origin_of(wanted) != wanted else None


def confirmed(instance: str, named: str | None, env: Mapping[str, str], *, folds_case: bool = True) -> bool:
    """Return whether `SITEWARD_<INSTANCE>_SELF` confirms that the credentials belong to `named`, the file's `self`.

    Anybody who can edit the file can write any account into it, and so expose the account in use to changes.
    `folds_case` is true if the platform does not distinguish logins by letter case. Raises `SelfMismatchError` where the
    variable names another account. Where the file names none, the result is false, and the caller compares with what
    the platform shows.
    """
    name = variable(instance, "self")
    owner = env.get(name)
    if not owner or named is None:
        return False
    if owner != named and not (folds_case and owner.casefold() == named.casefold()):
        raise SelfMismatchError(
            f"the file names {named} as `self` of {instance}, but its credentials are for {owner}; nothing was sent",
            hint=f"correct `self` in the file, or {name} if these are another account's credentials now",
        )
    return True


def dotenv(path: Path, env: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables of a `.env` file: lines `NAME=value`, `#` comments, quotes as in a shell.

    Raises `InsecureError` for a file that group or others may read, for one that names a command or a file or allows
    plain http, and for any under `CI`, where a file of a branch must not choose credentials; `SecretMissingError` for one
    that cannot be read or has another form. The caller checks that git does not track the file.
    """
    if env.get("CI"):
        raise InsecureError(f"{path} is not read under CI", hint="give the credentials by the CI's own means")
    if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise InsecureError(f"{path} can be read by others than its owner", hint=f"chmod 600 {shlex.quote(str(path))}")
    values: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretMissingError(f"{path} cannot be read ({type(error).__name__})") from None
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise SecretMissingError(f"{path}:{number}: a quote is not closed") from error
        name, assigned, value = words[0].partition("=") if len(words) == 1 else ("", "", "")
        if not words:
            continue
        if not assigned or not name.isidentifier():
            raise SecretMissingError(f"{path}:{number}: not of the form NAME=value")
        for ending, what in _NOT_IN_DOTENV.items():
            if name.endswith(ending):
                raise InsecureError(
                    f"{path}:{number}: a .env file may {what} (…{ending})", hint="set it in the environment"
                )
        values[name] = value
    return values


def scrubbed(text: str, forms: Iterable[str]) -> str:
    """Return `text` with every occurrence of each of `forms` masked."""
    for form in forms:
        text = text.replace(form, _MASK)
    return text


def _address(url: str, what: str, schemes: tuple[str, str]) -> str:
    try:
        return address_of(url, schemes)
    except AddressError as error:
        raise OriginMismatchError(f"{what} is not usable: {error}; nothing was sent", hint=error.hint) from None


def _look_up(instance: str, field: str, env: Mapping[str, str], keyring: Keyring | None) -> Secret | None:
    """Return a field from the first of its places that has it; `None` where none has."""
    name = variable(instance, field)
    if value := env.get(name):
        return Secret(value, name)
    if path := env.get(f"{name}_FILE"):
        return Secret(_read_file(path, f"{name}_FILE"), f"{name}_FILE")
    if command := env.get(f"{name}_COMMAND"):
        return Secret(_run_command(command, f"{name}_COMMAND", env), f"{name}_COMMAND")
    value = keyring(PREFIX.lower(), f"{instance}/{field}") if keyring else None
    return Secret(value, "keyring") if value else None


def _read_file(path: str, name: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 — the path is an environment's text
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretMissingError(f"the file that {name} names cannot be read ({type(error).__name__})") from error
    return _strip_line_end(text, name)


def _run_command(command: str, name: str, env: Mapping[str, str]) -> str:
    import subprocess  # noqa: PLC0415 — few credentials are a command's

    try:
        done = subprocess.run(
            shlex.split(command),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_COMMAND_SECONDS,
            check=True,
        )
        return _strip_line_end(done.stdout.decode("utf-8"), name)
    except subprocess.CalledProcessError as error:
        raise SecretMissingError(f"the command of {name} ended with {error.returncode}") from None
    except subprocess.TimeoutExpired:
        raise SecretMissingError(f"the command of {name} gave nothing within {_COMMAND_SECONDS:g} s") from None
    except (OSError, ValueError) as error:
        raise SecretMissingError(f"the command of {name} cannot be run ({type(error).__name__})") from None


def _strip_line_end(text: str, name: str) -> str:
    """Return the text without one line end; raises `SecretMissingError` where nothing is left of it."""
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise SecretMissingError(f"{name} leads to nothing but an empty text")
    return value


def _missing_error(instance: str, field: str) -> SecretMissingError:
    name = variable(instance, field)
    return SecretMissingError(
        f"{instance} needs its {field.replace('_', ' ')}, and it is in none of the places where it may stand",
        hint=f"set {name}, or {name}_FILE, or {name}_COMMAND",
    )


def _encodings_of(value: str) -> tuple[str, ...]:
    """Return the forms in which a value may stand in a text: as it is, in a URL, in JSON, and within a base64 text."""
    raw = value.encode()
    return tuple(
        dict.fromkeys(
            form
            for form in (
                value,
                quote(value, safe=""),
                quote_plus(value),
                json.dumps(value)[1:-1],
                *(_within_base64(raw, offset, alphabet) for offset in range(3) for alphabet in (None, b"-_")),
            )
            if form
        )
    )


def _within_base64(raw: bytes, offset: int, alphabet: bytes | None) -> str:
    """Return the part of a base64 text that `raw` alone determines when `offset` bytes, modulo 3, stand before it."""
    encoded = base64.b64encode(bytes(offset) + raw, alphabet).decode("ascii")
    whole = (offset + len(raw)) // 3 * 4
    return encoded[(0, 2, 3)[offset] : whole] if whole > 4 else ""
