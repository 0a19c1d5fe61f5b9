"""Bad input gets a message with a rule, a place and a next step; never a traceback, and nothing is changed.

`Program` itself fails a test in which a traceback is printed.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from siteward.platforms.fakery import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

HEAD = (
    "version: 1\ninstances:\n  stats: {platform: umami, url: 'http://127.0.0.1:9', self: siteward, layout: per-site}\n"
)

FILES: dict[str, tuple[str | bytes, str]] = {
    "not yaml": ("version: [1\n", "yaml"),
    "a BOM in UTF-16": ("version: 1\n".encode("utf-16"), "encoding"),
    "tabs": ("version: 1\nusers:\n\tanna: {}\n", "yaml"),
    "empty": ("", "empty"),
    "a list": ("- a\n", "root"),
    "two documents": (HEAD + "---\nversion: 1\n", "documents"),
    "unknown key": (HEAD + "user: {}\n", "unknown-key"),
    "duplicate user": (HEAD + "users:\n  anna: {}\n  anna: {}\n", "duplicate-key"),
    "group cycle": (HEAD + "groups: {a: [b], b: [a]}\n", "group-cycle"),
    "grant to nobody": (HEAD + "grants:\n  - {to: nobody, role: view, sites: shop.example.org}\n", "unknown"),
    "a role that is none": (HEAD + "users: {anna: {}}\ngrants:\n  - {to: anna, role: veiw, sites: x.org}\n", "unknown-role"),
    "a role the platform lacks": (
        HEAD + "users: {anna: {}}\ngrants:\n  - {to: anna, role: publish, sites: x.org}\n", "role"),
    "until before from": (
        HEAD + "users: {anna: {}}\ngrants:\n  - {to: anna, role: view, sites: x.org, from: 2027-02-01, until: 2027-01-01}\n",
        "window"),
    "no e-mail": (HEAD + "users: {anna: {email: not-an-address}}\n", "email"),
    "null": (HEAD + "users: {anna: }\n", "null"),
    "an unquoted exclusion": (HEAD + "groups:\n  a: [!jonas]\n", "quote"),
    "an escape byte in a login": (HEAD + 'users: {anna: {logins: {stats: "a\\e[31m"}}}\n', "name"),
    "right-to-left marks in a login": (HEAD + 'users: {anna: {logins: {stats: "a\\u202Eb"}}}\n', "name"),
    "300 characters in a login": (HEAD + f"users: {{anna: {{logins: {{stats: {'a' * 300}}}}}}}\n", "name"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_wrong_is_told_with_its_place(case: str, program: Program) -> None:
    """Every wrong file leaves with 1, names a file and a line, and the JSON says the same."""
    content, _ = FILES[case]
    path = program.folder / "access.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = program("validate")
    assert result.code == 1, result.out
    assert "access.yaml" in result.out
    told = program("validate", "--format", "json")
    assert told.code == 1
    errors = [diagnostic for diagnostic in told.json()["diagnostics"] if diagnostic["severity"] == "error"]
    assert errors
    assert all(error["at"] is not None and error["code"] for error in errors)
    assert all(ord(character) >= 32 or character == "\n" for character in result.out), (
        "a control character came through"
    )


VERBS = (
    ("validate",), ("plan",), ("apply", "--yes"), ("drift",), ("explain", "anna", "shop.example.org"), ("who-can", "view", "shop.example.org"),
    ("matrix",), ("review",), ("doctor",), ("import", "stats"),
)  # fmt: skip
MISSPELT = {"instances": "instance", "users": "user"}  # all others are tried on the reader of files itself


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
@pytest.mark.parametrize("section", MISSPELT)
def test_a_misspelt_section_is_told_by_every_verb(section: str, verb: tuple[str, ...], program: Program) -> None:
    """It is named with what was likely meant, and no verb goes on as if it were not there."""
    tables = {
        "users": "{anna: {}}", "groups": "{team: [anna]}", "sites": "{shop: {domain: shop.example.org}}",
        "grants": "[{to: team, role: view, sites: shop}]", "roles": "{analyst: {umami: view}}",
        "policy": "{timezone: UTC}", "journal": "{dir: records}", "include": "[]",
    }  # fmt: skip
    text = HEAD + "".join(f"{name}: {written}\n" for name, written in tables.items())
    program.write(text.replace(f"{section}:", f"{MISSPELT[section]}:", 1))
    result = program(*verb)
    assert result.code in {1, 2, 3}
    if verb[0] != "import":  # which needs no file, and says what it needs instead
        assert f"unknown key `{MISSPELT[section]}`" in result.out + result.err
        assert section in result.out + result.err


def test_everything_wrong_is_reported_at_once(program: Program) -> None:
    """Five faults in one file are five messages."""
    program.write(
        HEAD
        + "users:\n  anna: {emial: a@x.org}\n  ben: {email: nonsense}\ngroups: {a: [b], b: [a]}\n"
        + "grants:\n  - {to: carl, role: veiw, sites: x.org}\n"
    )
    errors = program("validate", "--format", "json").json()["diagnostics"]
    assert len([error for error in errors if error["severity"] == "error"]) >= 5


def test_aliases_that_repeat_too_much_are_refused(program: Program) -> None:
    """A list of a thousand values, repeated a little more often than the bound allows."""
    program.write(f"version: 1\na: &a [{', '.join(['x'] * 1000)}]\nb: [{', '.join(['*a'] * 101)}]\n")
    result = program("validate")
    assert result.code == 1
    assert "alias-bomb" in result.out


def test_a_huge_file_is_refused_unread(program: Program) -> None:
    """200 MB are refused by their size."""
    with (program.folder / "access.yaml").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    result = program("validate")
    assert result.code == 1
    assert "MB" in result.out


@pytest.mark.parametrize("target", ["../secret.yaml", "/etc/passwd", "link.yaml"])
def test_an_include_stays_in_its_folder(target: str, program: Program, tmp_path_factory: Any) -> None:
    """An include that leaves the folder, by its path or by a link, is refused and never shown."""
    outside = tmp_path_factory.mktemp("outside") / "secret.yaml"
    outside.write_text("users: {secret-token-value: {}}\n")
    (program.folder / "link.yaml").symlink_to(outside)
    program.write(HEAD + f"include: [{target}]\n")
    result = program("validate")
    assert result.code == 1
    assert "secret-token-value" not in result.out + result.err


def with_url(program: Program, url: str) -> None:
    program.write(
        f"version: 1\ninstances:\n  stats: {{platform: umami, url: '{url}', self: siteward, layout: per-site}}\n"
        "users: {anna: {email: anna@example.org}}\ngrants:\n  - {to: anna, role: view, sites: shop.example.org}\n"
    )
    program.env |= {"SITEWARD_STATS_USERNAME": "siteward", "SITEWARD_STATS_PASSWORD": "sandbox-siteward"}


@pytest.mark.parametrize("verb", ["plan", "drift", "apply", "doctor"])
def test_a_server_that_is_down(verb: str, program: Program) -> None:
    """Nobody listening is said as that, with the address, and leaves with 1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with_url(program, f"http://127.0.0.1:{port}")
    result = program(verb)
    assert result.code == 1
    assert str(port) in result.out + result.err


def test_a_wrong_password(program: Program, umami: Sandbox) -> None:
    """A wrong password is said as that, and is not shown."""
    with_url(program, umami.url)
    result = program("plan", SITEWARD_STATS_PASSWORD="not-this-one-23")
    assert result.code == 1
    assert "unauthenticated" in result.out
    assert "not-this-one-23" not in result.out + result.err


def test_an_account_that_is_no_admin(program: Program, umami: Sandbox) -> None:
    """Credentials of somebody who may not manage access are refused with what is needed."""
    with_url(program, umami.url)
    result = program("plan", SITEWARD_STATS_USERNAME="lena", SITEWARD_STATS_PASSWORD="sandbox-password")
    assert result.code == 1
    assert "admin" in result.out


def test_missing_credentials_name_the_variables(program: Program, umami: Sandbox) -> None:
    """What is missing is named, with every place it may stand."""
    with_url(program, umami.url)
    program.env.clear()
    result = program("plan")
    assert result.code == 1
    assert "SITEWARD_STATS_USERNAME" in result.out


@pytest.mark.parametrize(
    "fault", ["html", "cutx0", "cutx0:GET /api/admin/teams", "lying-totalx0:GET", "500x0:GET /api/admin/users"]
)
def test_a_server_that_misbehaves_while_it_is_read(fault: str, program: Program, umami: Sandbox) -> None:
    """HTML, a cut connection, a count that lies, an error: never taken for an empty list, and nothing is written."""
    with_url(program, umami.url)
    umami.fake.faults.append(Fault.parse(fault if "x0" in fault else f"{fault}x0"))
    result = program("plan")
    assert result.code == 1, result.out
    assert "to revoke" not in result.out
    assert umami.fake.writes == 0


def test_something_else_behind_the_address(program: Program, tmp_path: Path) -> None:
    """A web server that is no Umami is said to be none."""
    import functools
    import http.server
    import threading

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with_url(program, f"http://127.0.0.1:{server.server_port}")
        result = program("plan")
        server.shutdown()
    assert result.code == 1
    assert "umami" in result.out.lower()


@pytest.fixture
def plan_file(checkout: Program) -> Path:
    checkout("plan", "--as-of", "2026-12-01", "--out", "plan.json")
    return checkout.folder / "plan.json"


def test_a_plan_that_was_edited(checkout: Program, plan_file: Path, umami: Sandbox) -> None:
    """An edited plan is refused by its digest."""
    plan_file.write_text(plan_file.read_text().replace("team-view-only", "team-manager", 1))
    result = checkout("apply", "plan.json", "--as-of", "2026-12-01", "--yes")
    assert result.code == 1
    assert "digest" in result.out
    assert umami.fake.writes == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 5000, "no json", '{"format": "siteward.plan/9"}'])
def test_a_file_that_is_no_plan(content: str, checkout: Program) -> None:
    """What is no plan, or one of a newer version, is refused in words."""
    checkout.write(content, "plan.json")
    for verb in ("apply", "show"):
        assert checkout(verb, "plan.json").code == 1


def test_a_plan_of_another_instance(checkout: Program, plan_file: Path, umami: Sandbox) -> None:
    """A plan made for another origin is refused."""
    text = (checkout.folder / "access.yaml").read_text()
    checkout.write(text.replace(umami.url, umami.url.replace("127.0.0.1", "localhost")))
    result = checkout("apply", "plan.json", "--as-of", "2026-12-01", "--yes")
    assert result.code == 1
    assert "origin" in result.out
    assert umami.fake.writes == 0


def test_a_plan_that_is_too_old(checkout: Program, plan_file: Path, umami: Sandbox) -> None:
    """A plan older than --max-age is stale."""
    result = checkout("apply", "plan.json", "--as-of", "2026-12-01", "--yes", "--max-age", "0")
    assert result.code == 4, result.out
    assert umami.fake.writes == 0


def test_no_terminal_and_no_yes(checkout: Program, plan_file: Path, umami: Sandbox) -> None:
    """Without a terminal apply never asks and never hangs: it refuses at once."""
    result = checkout("apply", "plan.json", "--as-of", "2026-12-01")
    assert result.code == 1
    assert "--yes" in result.err
    assert umami.fake.writes == 0


@pytest.mark.parametrize(
    "arguments",
    [("plna",), ("plan", "--instance", "nope"), ("plan", "--as-of", "tomorrow"), ("plan", "--format", "yaml"), ("apply", "--only", "x"),
     ("apply", "--max-age", "nan"), ("apply", "--max-age", "1e300")],
)  # fmt: skip
def test_a_typing_error_in_the_command(arguments: tuple[str, ...], checkout: Program) -> None:
    """An error in use leaves with 1, not with 2, which means differences."""
    result = checkout(*arguments)
    assert result.code == 1
    assert "error:" in result.err


def test_json_stays_json_in_every_outcome(program: Program) -> None:
    """No file, a wrong option, a server that is down: stdout is one JSON document."""
    for arguments in (("plan", "--format", "json"), ("plan", "--nope", "--format", "json")):
        result = program(*arguments)
        assert result.code == 1
        assert json.loads(result.out)["diagnostics"]
    with_url(program, "http://127.0.0.1:9")
    result = program("plan", "--format", "json")
    assert result.code == 1
    assert result.json()["exit_code"] == 1


def test_hostile_live_names_are_harmless(checkout: Program, admin: Any) -> None:
    """Names such as `[/x]`, with escapes, marks, an emoji or 255 characters come out as text."""
    names = ["[/x]", "a\x1b[31mred", "b\u202egnp", "c" * 255, "😀", "<script>alert(1)</script>", "=cmd|x", "@team"]
    for name in names:
        admin.post("/api/users", json={"username": name, "password": "password-1", "role": "user"}).raise_for_status()
    result = checkout("plan", "--as-of", "2026-12-01", "-v")
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    assert "[/x]" in result.out
    for form in ("json", "markdown", "html", "csv", "sarif"):
        assert checkout("plan", "--as-of", "2026-12-01", "--format", form).code == 2
