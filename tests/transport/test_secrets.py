"""Promises 11 and 13: where credentials come from, whom they are for, and that nothing shows them."""

from __future__ import annotations

import base64
import json
import pickle
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteward.transport.errors import InsecureError, OriginMismatchError, SecretMissingError, SelfMismatchError
from siteward.transport.secrets import Secret, Secrets, bound, confirmed, dotenv, find, variable

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://stats.example.org"
BOUND = {"SITEWARD_STATS_EU_URL": URL}
GIVEN = {**BOUND, "SITEWARD_STATS_EU_USERNAME": "siteward", "SITEWARD_STATS_EU_PASSWORD": "s3cret-pass"}
FIELDS = ("username", "password")


def test_names_are_upper_case_with_underscores() -> None:
    """The instance's name as it must stand in an environment."""
    assert variable("stats-eu", "client_id") == "SITEWARD_STATS_EU_CLIENT_ID"


def test_values_come_from_the_environment_and_say_so() -> None:
    """Origins are told, values are not."""
    secrets = find("stats-eu", FIELDS, url=URL, env=GIVEN)
    assert secrets.get("password").reveal() == "s3cret-pass"
    assert secrets.origins() == {
        "username": "SITEWARD_STATS_EU_USERNAME",
        "password": "SITEWARD_STATS_EU_PASSWORD",
    }
    for shown in (str(secrets), repr(secrets), f"{secrets.get('password')}", repr(secrets.origins())):
        assert "s3cret" not in shown


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    """One line end is the editor's, all else is the secret's."""
    file = tmp_path / "password"
    file.write_bytes(b" s3cret \r\n")
    env = {**BOUND, "SITEWARD_STATS_EU_PASSWORD_FILE": str(file)}
    secrets = find("stats-eu", ["password"], url=URL, env=env)
    assert secrets.get("password").reveal() == " s3cret "
    assert secrets.origins() == {"password": "SITEWARD_STATS_EU_PASSWORD_FILE"}


def test_a_value_may_come_from_a_command(tmp_path: Path) -> None:
    """The command is run without a shell; what it says on stderr goes nowhere."""
    script = tmp_path / "show.py"
    script.write_text("import sys; sys.stderr.write('noise'); print(sys.argv[1])")
    env = {**BOUND, "SITEWARD_STATS_EU_PASSWORD_COMMAND": f"{sys.executable} {script} '$HOME; s3cret'"}
    assert find("stats-eu", ["password"], url=URL, env=env).get("password").reveal() == "$HOME; s3cret"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program-here --token s3cret", "cannot be run"),
        (f"{sys.executable} -c \"import sys; print('s3cret'); sys.exit(3)\"", "ended with 3"),
        (f'{sys.executable} -c "pass"', "empty"),
        ("'unclosed s3cret", "cannot be run"),
    ],
)
def test_a_command_that_fails_is_told_without_its_words(command: str, words: str) -> None:
    """Neither the command nor its output is quoted, and no cause carries them either."""
    env = {**BOUND, "SITEWARD_STATS_EU_PASSWORD_COMMAND": command}
    with pytest.raises(SecretMissingError, match=words) as caught:
        find("stats-eu", ["password"], url=URL, env=env)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_keyring_comes_last() -> None:
    """The system's keyring, where nothing else is set."""
    kept = {("siteward", "stats-eu/password"): "from-keyring"}
    secrets = find(
        "stats-eu", ["password"], url=URL, env=BOUND, keyring=lambda service, user: kept.get((service, user))
    )
    assert secrets.get("password").reveal() == "from-keyring"
    assert secrets.origins() == {"password": "keyring"}


def test_what_is_missing_is_named_with_its_places() -> None:
    """The message says which credential, the hint where to put it."""
    with pytest.raises(SecretMissingError, match="its password") as caught:
        find("stats-eu", FIELDS, url=URL, env={**BOUND, "SITEWARD_STATS_EU_USERNAME": "x"})
    assert "SITEWARD_STATS_EU_PASSWORD_FILE" in (caught.value.hint or "")


def test_an_optional_field_may_be_missing() -> None:
    """Not every field is for everybody."""
    secrets = find("stats-eu", FIELDS, url=URL, env=GIVEN, optional=["totp_secret"])
    assert secrets.optional("totp_secret") is None
    with pytest.raises(SecretMissingError):
        secrets.get("totp_secret")


@pytest.mark.parametrize(
    "url",
    [
        "https://stats.example.org.evil.test",
        "http://stats.example.org",
        "https://stats.example.org:8443",
        "https://evil.test/stats.example.org",
        "https://stats.example.org@evil.test",
        "https://evil.test#https://stats.example.org",
        "ftp://stats.example.org",
        "https://",
    ],
)
def test_a_branch_cannot_send_credentials_elsewhere(url: str) -> None:
    """Scheme, host and port are bound; the command that knows the secret is not even run."""
    env = {**BOUND, "SITEWARD_STATS_EU_PASSWORD_COMMAND": "no-such-program-that-would-fail"}
    with pytest.raises(OriginMismatchError):
        find("stats-eu", ["password"], url=url, env=env)


@pytest.mark.parametrize(
    "url", ["https://stats.example.org/umami", "https://STATS.example.org", "https://stats.example.org:443/"]
)
def test_path_case_and_the_usual_port_are_the_same_origin(url: str) -> None:
    """What leads to the same server is the same."""
    bound("stats-eu", url, BOUND)


def test_without_a_bond_nothing_is_sent() -> None:
    """Not saying whom credentials are for is no permission."""
    with pytest.raises(OriginMismatchError) as caught:
        bound("stats-eu", URL, {})
    assert caught.value.hint == f"if that is the right address, set SITEWARD_STATS_EU_URL={URL} beside them"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:3000", "http://localhost:3000", "http://[::1]:3000", "http://127.1.2.3"]
)
def test_this_machine_itself_needs_no_bond(url: str) -> None:
    """The sandbox and a tunnel are at home."""
    bound("stats-eu", url, {})


@pytest.mark.parametrize(
    ("url", "bond"),
    [
        ("http://127.0.0.1:3000", "https://stats.example.org"),
        ("http://localhost:3000", "http://localhost:3001"),
        ("http://localhost:3000", "http://127.0.0.1:3000"),
    ],
)
def test_a_bond_holds_on_this_machine_too(url: str, bond: str) -> None:
    """Whoever names another address means that one, and no listener that a branch may have started here."""
    with pytest.raises(OriginMismatchError):
        bound("stats-eu", url, {"SITEWARD_STATS_EU_URL": bond})


@pytest.mark.parametrize("host", ["localhost.evil.test", "127.0.0.1.evil.test", "10.0.0.1", "0x7f.1"])
def test_what_only_looks_like_this_machine_needs_one(host: str) -> None:
    """Names and private nets are not the loopback."""
    with pytest.raises(OriginMismatchError):
        bound("stats-eu", f"http://{host}", {})


def test_plain_http_needs_a_word() -> None:
    """Unencrypted only where somebody said so beside the credentials."""
    env = {"SITEWARD_STATS_EU_URL": "http://stats.intern"}
    with pytest.raises(InsecureError):
        bound("stats-eu", "http://stats.intern", env)
    with pytest.raises(InsecureError):
        bound("stats-eu", "http://stats.intern", {**env, "SITEWARD_STATS_EU_INSECURE": "no"})
    bound("stats-eu", "http://stats.intern", {**env, "SITEWARD_STATS_EU_INSECURE": "1"})


def private(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    file = tmp_path / ".env"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_an_env_file_holds_names_and_values(tmp_path: Path) -> None:
    """Lines as a shell reads them, and nothing is expanded."""
    file = private(tmp_path, "# ours\nSITEWARD_A_TOKEN='a b#c'\n\nSITEWARD_A_URL=https://a.test # here\nX=\"$HOME\"\n")
    assert dotenv(file, {}) == {"SITEWARD_A_TOKEN": "a b#c", "SITEWARD_A_URL": "https://a.test", "X": "$HOME"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_an_env_file_is_its_owners_alone(tmp_path: Path, mode: int) -> None:
    """What others may read is no secret."""
    with pytest.raises(InsecureError, match="others"):
        dotenv(private(tmp_path, "A=b\n", mode), {})


def test_an_env_file_is_not_read_under_ci(tmp_path: Path) -> None:
    """A branch must not bring credentials along."""
    with pytest.raises(InsecureError, match="CI"):
        dotenv(private(tmp_path, "A=b\n"), {"CI": "true"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SITEWARD_A_TOKEN_COMMAND", "no command"),
        ("SITEWARD_A_TOKEN_FILE", "no other file"),
        ("SITEWARD_A_INSECURE", "plain http"),
    ],
)
def test_an_env_file_holds_values_alone(tmp_path: Path, name: str, said: str) -> None:
    """Data becomes no program, opens no other file, and weakens no transport."""
    with pytest.raises(InsecureError, match=rf":2: .* {said}") as caught:
        dotenv(private(tmp_path, f"A=b\n{name}=1\n"), {})
    assert caught.value.hint == "set it in the environment"


@pytest.mark.parametrize("line", ["just words", "=s3cret", "a-b=c", "A='unclosed"])
def test_an_env_file_that_is_none_is_told_by_line(tmp_path: Path, line: str) -> None:
    """The place is named, the line is not quoted."""
    with pytest.raises(SecretMissingError, match=":1: ") as caught:
        dotenv(private(tmp_path, line + "\n"), {})
    assert line not in str(caught.value)


def test_a_secret_is_not_pickled() -> None:
    """No way out by the back door."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret("s3cret"))


values = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=33), min_size=8, max_size=40)


@given(values, st.binary(max_size=5), st.binary(max_size=5))
def test_a_secret_is_masked_however_it_is_written(value: str, before: bytes, after: bytes) -> None:
    """As it is, in a URL, in JSON, and within base64 whatever stands around it."""
    secrets = Secrets({"password": Secret(value), "username": Secret("siteward-account")})
    core = base64.b64encode(before + value.encode() + after).decode()
    masked = secrets.scrub(f"{value} {quote(value, safe='')} {json.dumps(value)} {core}")
    assert value not in masked
    assert quote(value, safe="") not in masked
    assert json.dumps(value) not in masked
    assert core not in masked
    assert secrets.scrub("siteward-account") == "siteward-account"


# Whose the credentials are

OWNED = {"SITEWARD_STATS_EU_SELF": "Root"}


@pytest.mark.parametrize(
    ("named", "env", "folds", "right"),
    [
        ("Root", OWNED, False, True),
        ("root", OWNED, True, True),
        ("root", {}, True, False),
        ("root", {"SITEWARD_STATS_EU_SELF": ""}, True, False),
        (None, OWNED, True, False),
    ],
)
def test_the_account_beside_the_credentials_confirms_the_one_in_the_file(
    named: str | None, env: dict[str, str], *, folds: bool, right: bool
) -> None:
    """Compared as the platform compares logins; where either is silent nothing is confirmed."""
    assert confirmed("stats-eu", named, env, folds_case=folds) is right


@pytest.mark.parametrize(("named", "folds"), [("root", False), ("boss", True), ("root ", True)])
def test_another_account_than_the_one_beside_the_credentials_is_refused(named: str, *, folds: bool) -> None:
    """Nothing is sent for a file that names another."""
    with pytest.raises(SelfMismatchError, match=r"for Root; nothing was sent") as caught:
        confirmed("stats-eu", named, OWNED, folds_case=folds)
    assert caught.value.code == "self-mismatch"
    assert "SITEWARD_STATS_EU_SELF" in (caught.value.hint or "")
