"""Whose the credentials are: a wrong `self` in the file takes no power from the account in use (promise 4)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cli.conftest import start
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program, Result

FILE = """\
version: 1
instances:
  tags: {settings, url: "URL"}
users:
  demoted: {email: demoted@example.org}
  anna: {email: anna@example.org}
grants:
  - {to: demoted, role: view, sites: shop.example.org}
  - {to: anna, role: admin, on: tags}
policy: {admins: {min: 1}}
"""
SELF = "SITEWARD_TAGS_SELF"
EMAILS = {"root": "root@example.test"}


def written(program: Program, url: str, settings: str, demoted: str) -> None:
    """Write a file that makes somebody a viewer who is more."""
    text = FILE.replace("settings", settings).replace("URL", url)
    text = text.replace("demoted@example.org", EMAILS.get(demoted, f"{demoted}@example.org"))
    program.write(text.replace("demoted", demoted))


class Place(NamedTuple):
    """A Matomo whose token is root's, with two other superusers, and a program beside it."""

    program: Program
    url: str

    def declare(self, name: str, *, demoted: str) -> None:
        """Write a file that calls `name` the account in use."""
        written(self.program, self.url, f"platform: matomo, self: {name}", demoted)

    def superusers(self) -> set[str]:
        """Return who is a superuser."""
        said = self.program("who-can", "admin", "shop.example.org", "-f", "json")
        return {load["account"] for load in json.loads(said.out)["items"]}


@pytest.fixture(params=["5"])
def place(request: pytest.FixtureRequest, program: Program) -> Iterator[Place]:
    factory = platforms.fake("matomo")
    release = next(release for release in factory.releases if release.startswith(request.param))
    accounts = [WorldAccount(login=login, email=f"{login}@example.org", role="superuser") for login in ("anna", "vera")]
    accounts.append(WorldAccount(login="mia", email="mia@example.org"))
    world = World(accounts=tuple(accounts), sites=(WorldSite(name="Shop", domain="shop.example.org"),))
    with serve(factory.of(world, release, clock=lambda: datetime.now(UTC))) as sandbox:
        given = sandbox.fake.credentials
        program.env |= {f"SITEWARD_TAGS_{name.upper()}": value for name, value in given.items()}
        yield Place(program, sandbox.url)


@pytest.mark.parametrize("place", ["5", "2"], indirect=True)
def test_a_wrong_self_takes_nothing_from_the_account_in_use(place: Place) -> None:
    """The file calls vera the account in use and root a viewer; the token is root's."""
    place.declare("vera", demoted="root")
    before = place.superusers()
    assert before == {"root", "anna", "vera"}
    said = place.program("plan", "--out", "plan.json")
    assert said.code == 3, said.out
    assert "self-unconfirmed" in said.out
    assert "--accept self" in said.out
    assert SELF in said.out
    for arguments in (("apply", "plan.json", "--yes"), ("apply", "--yes")):
        said = place.program(*arguments)
        assert said.code == 3, said.out + said.err
        assert SELF in said.out
    assert place.superusers() == before


@pytest.mark.parametrize("verb", ["plan", "drift", "doctor", "apply --yes", "who-can admin shop.example.org"])
@pytest.mark.parametrize("settings", ["platform: matomo, self: vera", "platform: umami, layout: existing, self: vera"])
def test_a_self_that_is_not_the_one_beside_the_credentials_sends_nothing(
    program: Program, verb: str, settings: str
) -> None:
    """Where the owner has said whose the credentials are, a branch cannot say otherwise; nobody is even called."""
    program.env |= {f"SITEWARD_TAGS_{suffix}": "given" for suffix in ("TOKEN", "USERNAME", "PASSWORD")}
    written(program, "http://127.0.0.1:1", settings, "root")
    said = program(*verb.split(), **{SELF: "root"})
    assert said.code == 1, said.out
    assert "self-mismatch" in said.out + said.err
    assert "unreachable" not in said.out + said.err


def test_the_right_self_beside_the_credentials_needs_no_further_word(place: Place) -> None:
    """With it, a superuser is unmade as the file says; without it the same plan is blocked."""
    place.declare("root", demoted="vera")
    assert place.program("plan").code == 3
    owned = {SELF: "ROOT"}
    assert place.program("plan", "--out", "plan.json", **owned).code == 2
    said = place.program("apply", "plan.json", "--yes", **owned)
    assert said.code == 0, said.out
    assert place.superusers() == {"root", "anna"}


def test_the_journal_remembers_self(place: Place) -> None:
    """Who names another account than the last run worked as is told, and a blocked run is none to go by."""
    place.declare("root", demoted="vera")
    place.program("apply", "--yes", "--only", "user:anna")
    place.program("plan", "--out", "plan.json")
    place.program("apply", "plan.json", "--yes")
    place.declare("vera", demoted="root")
    for _ in range(2):
        said = place.program("plan", "--out", "plan.json")
        assert said.code == 3
        assert "self-changed" in said.out
        assert "worked as root" in said.out
        assert place.program("apply", "plan.json", "--yes").code == 3


def test_accepting_self_is_for_one_plan_and_with_a_reason(place: Place) -> None:
    """The way out for who cannot set a variable: the plan's digest, and why."""
    place.declare("root", demoted="vera")
    place.program("plan", "--accept", "self", "--reason", "the token is root's", "--out", "plan.json")
    digest = json.loads((place.program.folder / "plan.json").read_text())["digest"]
    accept = ("apply", "plan.json", "--yes", "--accept", f"self={digest}")
    assert place.program(*accept).code == 1
    said = place.program(*accept, "--reason", "the token is root's")
    assert said.code == 0, said.out
    assert place.superusers() == {"root", "anna"}
    lines = (place.program.folder / ".siteward" / "tags.jsonl").read_text().splitlines()
    assert "self" in {json.loads(line).get("name") for line in lines}


def test_doctor_says_what_confirms_self(place: Place) -> None:
    """By the variable, or by nothing, which is a warning."""
    place.declare("root", demoted="vera")
    said = place.program("doctor", **{SELF: "root"})
    assert f"root (superuser); confirmed by {SELF}" in said.out
    assert f"self: from {SELF}" in said.out
    assert "self-unconfirmed" not in said.out
    said = place.program("doctor")
    assert said.code == 0
    assert "warning self-unconfirmed" in said.out
    assert json.loads(place.program("doctor", "-f", "json").out)["items"][0]["confirmed"] is None


@pytest.mark.parametrize("named", ["mia", "nobody"])
def test_doctor_judges_self_as_plan_does(place: Place, named: str) -> None:
    """A `self` that is no superuser, or no account at all, is refused by both with the same rule and words."""
    place.declare(named, demoted="vera")
    planned, checked = place.program("plan"), place.program("doctor")
    assert planned.code != 0
    assert checked.code == 1, checked.out
    problem = place.program("doctor", "-f", "json").json()["items"][0]["problem"]
    assert (problem["code"] == "self-mismatch") is (named == "mia")
    assert problem["code"] in planned.out
    assert problem["message"] in planned.out
    assert problem["message"] in checked.out


def umami(program: Program, verb: str, *, said: str, owner: str) -> Result:
    """Run a verb on an Umami, which tells whose the credentials are."""
    with serve(start("umami")) as sandbox:
        given = sandbox.fake.credentials
        program.env |= {f"SITEWARD_TAGS_{name.upper()}": value for name, value in given.items()}
        written(program, sandbox.url, f"platform: umami, layout: existing{said}", "mia")
        return program(verb, **{SELF: owner})


@pytest.mark.parametrize("verb", ["plan", "drift", "doctor"])
def test_what_a_platform_tells_is_compared_where_the_file_is_silent(program: Program, verb: str) -> None:
    """What stands beside the credentials is held against the platform's word."""
    told = umami(program, verb, said="", owner="somebody")
    assert told.code != 0
    assert "self-mismatch" in told.out
    assert SELF in told.out


@pytest.mark.parametrize(("named", "code"), [("siteward", 0), ("somebody", 1)])
def test_doctor_compares_the_file_with_what_the_platform_tells(program: Program, named: str, code: int) -> None:
    """As plan does."""
    told = umami(program, "doctor", said=f", self: {named}", owner="")
    assert told.code == code
    assert ("self-mismatch" in told.out) is bool(code)
    assert "confirmed by the server" in told.out
