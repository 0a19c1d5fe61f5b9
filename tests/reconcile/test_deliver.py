"""New passwords: what they look like, where they go, and what keeps them from there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.small_world import HERE, TRAITS, grant
from siteward.access.change import Change
from siteward.access.model import Account, account_key
from siteward.access.state import DeclaredUser
from siteward.access.traits import Traits
from siteward.reconcile.apply.passwords import (
    Passwords,
    UndeliveredError,
    deliver,
    generate,
    sealed_path,
    undeliverable,
)
from siteward.transport.secrets import Secret

PASSWORD = Secret("correct-horse-battery")
NEW = (Change(None, Account("ann")),)
BY_PASSWORD = Traits(platform="small", roles={}, onboarding=frozenset({"password"}))


def declared_user(age: str | None) -> DeclaredUser:
    """Return the user behind an account."""
    return DeclaredUser(handle="ann", at=HERE, age=age)


def objections(passwords: Passwords, age: str | None = None, traits: Traits = BY_PASSWORD) -> list[str]:
    """Return the codes of what keeps ann's password from her."""
    found = undeliverable("stats", NEW, {"ann": declared_user(age)}, traits, passwords)
    assert all(
        (diagnostic.blocks, diagnostic.about, diagnostic.instance) == (True, account_key("ann"), "stats")
        for diagnostic in found
    )
    return [diagnostic.code for diagnostic in found]


def test_a_password_goes_to_its_owner_alone(tmp_path: Path) -> None:
    """What is encrypted to an age key opens with its identity and holds what one needs to enter."""
    identity = pyrage.x25519.Identity.generate()
    age = str(identity.to_public())
    where = Passwords(folder=tmp_path / "passwords")
    assert objections(where, age) == []
    path = deliver("stats", "https://stats.test", "ann", PASSWORD, declared_user(age), where)
    assert path == tmp_path / "passwords" / "stats-ann.age"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert PASSWORD.reveal().encode() not in path.read_bytes()
    assert json.loads(pyrage.decrypt(path.read_bytes(), [identity])) == {
        "instance": "stats", "url": "https://stats.test", "login": "ann", "password": PASSWORD.reveal(),
    }  # fmt: skip


def test_an_ssh_key_will_do(tmp_path: Path) -> None:
    """An SSH public key is a recipient too."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ann@laptop"
    where = Passwords(folder=tmp_path)
    assert objections(where, key) == []
    assert deliver("stats", "https://stats.test", "ann", PASSWORD, declared_user(key), where).exists()


def test_a_second_password_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """Where an account is made a second time, the file holds the password that counts."""
    identity = pyrage.x25519.Identity.generate()
    where = Passwords(folder=tmp_path)
    for text in ("first", "second"):
        path = deliver("stats", "", "ann", Secret(text), declared_user(str(identity.to_public())), where)
    assert json.loads(pyrage.decrypt(path.read_bytes(), [identity]))["password"] == "second"


def test_the_named_file_takes_them_all(tmp_path: Path) -> None:
    """One line an account, appended, in a file made for its owner alone."""
    where = Passwords(folder=tmp_path / "no", out=tmp_path / "passwords.txt")
    assert objections(where) == []
    assert not (tmp_path / "passwords.txt").exists()
    for name in ("ann", "bob\n\x1b[2J"):
        deliver("stats", "https://stats.test", name, PASSWORD, None, where)
    lines = (tmp_path / "passwords.txt").read_text().splitlines()
    assert [json.loads(line)["login"] for line in lines] == ["ann", "bob\n\x1b[2J"]
    assert (tmp_path / "passwords.txt").stat().st_mode & 0o777 == 0o600


def test_the_two_ways_are_named(tmp_path: Path) -> None:
    """Without a key and without a file the error says both ways out."""
    (found,) = undeliverable("stats", NEW, {}, BY_PASSWORD, Passwords(folder=tmp_path))
    assert found.code == "no-password-destination"
    assert "age" in str(found.hint)
    assert "--passwords-out" in str(found.hint)


@pytest.mark.parametrize("spoil", ["mode", "owner", "link", "folder", "nowhere"])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide mode, another owner, a link, a folder and a missing folder are refused, at first and when it comes to it.

    Whoever owns the file may read it whatever its mode says.
    """
    out = tmp_path / "passwords.txt"
    match spoil:
        case "mode":
            out.touch()
            out.chmod(0o640)
        case "owner":
            out.touch(mode=0o600)
            monkeypatch.setattr("os.geteuid", lambda: out.stat().st_uid + 1)
        case "link":
            (tmp_path / "other").touch(mode=0o600)
            out.symlink_to(tmp_path / "other")
        case "folder":
            out.mkdir()
        case _:
            out = tmp_path / "missing" / "passwords.txt"
    where = Passwords(folder=tmp_path, out=out)
    assert objections(where) == ["passwords-out-unsafe"]
    with pytest.raises(UndeliveredError, match="could not be delivered") as caught:
        deliver("stats", "", "ann", PASSWORD, None, where)
    assert PASSWORD.reveal() not in str(caught.value)


def test_a_wrong_key_is_found_before_anything_runs(tmp_path: Path) -> None:
    """What is no key is an error of the plan, not of the apply."""
    assert objections(Passwords(folder=tmp_path), "age1nonsense") == ["age-key-invalid"]
    assert objections(Passwords(folder=tmp_path), "ssh-ed25519 nonsense") == ["age-key-invalid"]


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyrage is not installed, the error says what to install."""
    monkeypatch.setitem(sys.modules, "pyrage", None)
    (found,) = undeliverable("stats", NEW, {"ann": declared_user("age1x")}, BY_PASSWORD, Passwords(folder=tmp_path))
    assert found.code == "age-extra-missing"
    assert "siteward[age]" in str(found.hint)


def test_who_is_invited_needs_no_password(tmp_path: Path) -> None:
    """Where the platform invites, and where nothing is made, nothing has to be delivered."""
    assert objections(Passwords(folder=tmp_path), traits=TRAITS) == []
    others = (Change(Account("ann"), Account("ann", "ann@a.test")), Change(None, grant("ann", "a.test", "view")))
    assert undeliverable("stats", others, {}, BY_PASSWORD, Passwords(folder=tmp_path)) == ()


def test_passwords_are_long_mixed_and_never_the_same() -> None:
    """Within what servers take (8 to 72 bytes), of all kinds, without letters that look alike."""
    made = [generate().reveal() for _ in range(200)]
    assert len(set(made)) == len(made)
    for each in made:
        assert len(each.encode()) == 29
        assert any(map(str.islower, each))
        assert any(map(str.isupper, each))
        assert any(map(str.isdigit, each))
        assert not set(each) & set("Il1O0o ")


@given(st.text(max_size=400))
def test_a_hostile_login_stays_in_the_folder(login: str) -> None:
    """No login makes a path of its own, a hidden file or a name that is too long; two never share one."""
    folder = Path("/somewhere")
    path = sealed_path(folder, "stats", login)
    assert path.parent == folder
    assert path.name.startswith("stats-")
    assert len(path.name.encode()) < 200
    assert path.name.isascii()
    assert path.name.isprintable()
    assert login == "ann" or path != sealed_path(folder, "stats", "ann")
