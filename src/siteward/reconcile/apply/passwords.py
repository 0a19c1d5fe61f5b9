"""New passwords: generated here, and delivered to their owner before the account exists.

A password goes, encrypted to the user's `age` key, into `<folder>/<instance>-<login>.age`, or in clear into the one
file that whoever applies has named. It is on the disk before it is sent to the platform, so that no account is ever
made that nobody can log in to; and it is nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic, error, join_some, note, plural
from siteward.access.model import Account, account_key
from siteward.reconcile.journal.files import UnsafeFileError, append_only, make_private, replace_file, write_all
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from siteward.access.model import Key
    from siteward.access.plan import InstancePlan
    from siteward.access.state import DeclaredUser
    from siteward.access.traits import Traits
    from siteward.reconcile.apply.target import Fresh

WAYS = "give the user an `age:` key in the file, or name a file with `--passwords-out FILE`"
_LETTERS = "abcdefghijkmnpqrstuvwxyz"
_CAPITALS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS = "23456789"
_LONGEST_NAME = 100
_TURN = Lock()
"""The turn to write to the one file: instances are written side by side, and no line of it is in another."""


class UndeliveredError(Exception):
    """A password could not be delivered; the account it was for must not be made."""


class Passwords(Struct, frozen=True, kw_only=True):
    """The destinations of new passwords: `folder` for encrypted ones, or the file `out` for all, in clear."""

    folder: Path
    out: Path | None = None


def made_with_password(change: Change, traits: Traits) -> bool:
    """Return whether a change makes an account that needs a password from us, because nobody is invited."""
    return isinstance(change.after, Account) and change.before is None and "invite" not in traits.onboarding


def undeliverable(
    instance: str,
    changes: Iterable[Change],
    declared_users: Mapping[str, DeclaredUser],
    traits: Traits,
    passwords: Passwords,
) -> tuple[Diagnostic, ...]:
    """Return the errors, by account (`about`), for new accounts whose password could not be delivered."""
    errors = []
    for change in changes:
        if isinstance(change.after, Account) and made_with_password(change, traits):
            name = change.after.name
            objection = _find_objection(name, declared_users.get(name), passwords)
            if objection is not None:
                code, message, hint = objection
                errors.append(error(code, message, about=account_key(name), hint=hint, instance=instance))
    return tuple(errors)


class Obstacles(Struct, frozen=True, kw_only=True):
    """The objections to delivering new passwords, by account key: with the named file (if any), and without one."""

    as_allowed: Mapping[Key, Diagnostic]
    without_file: Mapping[Key, Diagnostic]


def obstacles_to_delivery(reviewed: InstancePlan, fresh: Fresh, passwords: Passwords) -> Obstacles:
    """Return the objections to delivering the passwords of accounts that a plan may make; looks at the disk."""
    made = [Change(None, step.change.after) for step in reviewed.steps if isinstance(step.change.after, Account)]

    def look(allowed: Passwords) -> Mapping[Key, Diagnostic]:
        owners = fresh.desired.declared_users
        objections = undeliverable(fresh.plan.instance, made, owners, fresh.traits, allowed)
        return {objection.about: objection for objection in objections if objection.about is not None}

    without = look(replace(passwords, out=None))
    return Obstacles(as_allowed=without if passwords.out is None else look(passwords), without_file=without)


def generate() -> Secret:
    """Return a new password: 29 characters in groups of five, about 140 bits, without ambiguous characters."""
    alphabet = _LETTERS + _CAPITALS + _DIGITS
    while True:
        text = "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(5))
        if all(any(character in kind for character in text) for kind in (_LETTERS, _CAPITALS, _DIGITS)):
            return Secret(text, "generated")


def deliver(
    instance: str, url: str, login: str, password: Secret, declared_user: DeclaredUser | None, passwords: Passwords
) -> Path:
    """Write a password to its destination and flush it to the disk; return the file. Raises `UndeliveredError`."""
    text = json.dumps(
        {"instance": instance, "url": url, "login": login, "password": password.reveal()}, ensure_ascii=False
    )
    data = f"{text}\n".encode("utf-8", "surrogatepass")
    try:
        if passwords.out is not None:
            return _append_to(passwords.out, data)
        if declared_user is not None and declared_user.age is not None:
            return _write_encrypted(passwords.folder, instance, login, data, declared_user.age)
    except (OSError, UnsafeFileError, _AgeMissingError, ValueError) as problem:
        raise UndeliveredError(f"the new password of {login} could not be delivered: {problem}") from None
    raise UndeliveredError(f"the new password of {login} has nowhere to go: {WAYS}")


def describe_delivered(instance: str, logins: Collection[str], passwords: Passwords) -> Diagnostic:
    """Return the note that says where the new passwords of these accounts are and how they are opened."""
    count = plural(len(logins), "new password")
    verb, names = "is" if len(logins) == 1 else "are", join_some(tuple(sorted(logins)))
    if passwords.out is not None:
        words, hint = f"in {passwords.out}, in clear", "hand each one to its owner, then delete the file"
    else:
        words = f"in {passwords.folder}, each for the age key of its owner alone"
        hint = f"the owner opens it: age --decrypt --identity KEY {passwords.folder}/{instance}-LOGIN.age"
    return note("password-delivered", f"{count} {verb} {words}: {names}", instance=instance, hint=hint)


def sealed_path(folder: Path, instance: str, login: str) -> Path:
    """Return the file of an encrypted password; whatever a login holds, the name stays inside the folder."""
    name = quote(login, safe="@", errors="surrogatepass")
    if len(name) > _LONGEST_NAME or name.startswith("."):
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(login.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return folder / f"{instance}-{name}.age"


class _AgeMissingError(Exception):
    """The `age` extra is not installed."""


def _find_objection(
    login: str, declared_user: DeclaredUser | None, passwords: Passwords
) -> tuple[str, str, str] | None:
    """Return code, message and hint of the objection to delivering a password, if there is one."""
    if passwords.out is not None:
        why = _describe_unwritable(passwords.out)
        hint = "name a new file, or one that only you may read"
        return ("passwords-out-unsafe", why, hint) if why else None
    if declared_user is None or declared_user.age is None:
        return "no-password-destination", f"a new password for {login} has nowhere to go", WAYS
    try:
        _encrypter_for(declared_user.age)
    except _AgeMissingError:
        hint = "install `siteward[age]`, or name a file with `--passwords-out FILE`"
        return "age-extra-missing", f"the password of {login} cannot be encrypted: pyrage is not installed", hint
    except ValueError:
        return "age-key-invalid", f"the `age` key of {login} is none", "it begins with age1, or is an SSH public key"
    return None


def _describe_unwritable(path: Path) -> str:
    """Return why passwords cannot be written to a file, or an empty text; creates no file."""
    if not os.path.lexists(path):
        return "" if os.access(path.parent, os.W_OK | os.X_OK) else f"{path.parent} is not a folder to write in"
    try:
        os.close(append_only(path))
    except UnsafeFileError as problem:
        return str(problem)
    except OSError as problem:
        return f"{path} cannot be written: {problem.strerror}"
    return ""


def _append_to(path: Path, data: bytes) -> Path:
    with _TURN:
        handle = append_only(path)
        try:
            write_all(handle, data)
        finally:
            os.close(handle)
    return path


def _write_encrypted(folder: Path, instance: str, login: str, data: bytes, key: str) -> Path:
    path = sealed_path(folder, instance, login)
    make_private(folder)
    replace_file(path, _encrypter_for(key)(data))
    return path


def _encrypter_for(key: str) -> Callable[[bytes], bytes]:
    """Return a function that encrypts to an `age` or SSH key.

    Raises `_AgeMissingError` without pyrage, and `ValueError` for an invalid key.
    """
    try:
        import pyrage  # noqa: PLC0415 — an extra, needed by who makes accounts
    except ImportError:
        raise _AgeMissingError("pyrage is not installed") from None
    kind = pyrage.ssh.Recipient if key.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        recipient = kind.from_str(key)
    except pyrage.RecipientError:
        raise ValueError("this is not a valid age key") from None

    def encrypt(data: bytes) -> bytes:
        return bytes(pyrage.encrypt(data, [recipient], armored=True))

    return encrypt
