"""The main job over HTTP: validate, plan, apply, plan again, somebody interferes, drift."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from cli.conftest import ROOT

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program, Result
    from siteward.platforms.fakery import Sandbox

AS_OF = ("--as-of", "2026-12-01")
ALLOWED = (*AS_OF, "--allow-delete", "--passwords-out", "passwords.txt")


def applied(checkout: Program) -> Result:
    checkout("plan", *ALLOWED, "--out", "plan.json")
    return checkout("apply", "plan.json", *ALLOWED, "--yes")


def test_the_example_is_valid(program: Program) -> None:
    """The file that shows every feature has nothing wrong with it."""
    result = program("validate", "-c", str(ROOT / "access.example.yaml"))
    assert result.code == 0, result.out
    assert "0 errors, 0 warnings" in result.out


def test_the_demo_tells_the_main_job_in_few_lines(program: Program) -> None:
    """One server, six people, a line that says the point of each step; the page and the files of it are left to look at."""
    result = program("demo", "--keep", "demo")
    assert result.code == 0, result.out[-2000:] + result.err
    told = result.out + result.err
    assert len(told.splitlines()) <= 120
    verbs = ("validate", "plan", "apply", "plan", "drift", "who-can", "apply", "matrix")
    assert re.findall(r"(?m)^\$ siteward ([\w-]+)", told) == list(verbs)
    points = re.findall(r"(?m)^# (\d)\. .+$", told)
    assert points == [str(number) for number in range(1, len(verbs) + 1)]
    declaration = yaml.safe_load((program.folder / "demo" / "access.yaml").read_text())
    assert len(declaration["users"]) == 6
    assert f"Open {Path('demo') / 'matrix.html'}" in told
    assert "<html" in (program.folder / "demo" / "matrix.html").read_text()


def test_the_steps_of_the_demo_show_what_they_say(program: Program) -> None:
    """The second plan is empty, the drift has a name, and the contractor's end is carried out."""
    result = program("demo", "--keep", "demo")
    parts = re.split(r"(?m)^# \d\. ", result.out)
    assert "jonas  shop.example.org  team-member" in parts[2]
    assert "no changes" in parts[4]
    assert "dmitri" in parts[5]
    assert "not granted in the file" in parts[6]
    assert "jonas  shop.example.org  team-member → none" in parts[7]
    assert "expired" in parts[7]


def test_the_demo_says_in_words_that_it_cannot_work_there(program: Program) -> None:
    """A folder that is a file, or lies in one, is an error of one line."""
    program.write("no folder", "taken")
    result = program("demo", "--keep", "taken/below")
    assert (result.code, result.out) == (1, "")
    assert "cannot make the folder" in result.err


def test_the_full_demo_tells_the_main_job_on_every_instance_of_the_example(program: Program) -> None:
    """Every verb in it leaves as the story needs, or the demo itself fails."""
    result = program("demo", "--full", "--keep", "demo")
    assert result.code == 0, result.out[-2000:] + result.err
    assert "What to try next" in result.out


def test_planning_changes_nothing(checkout: Program, umami: Sandbox) -> None:
    """A plan leaves every byte of the server's state as it was (promise 1)."""
    result = checkout("plan", *ALLOWED)
    assert result.code == 2, result.out
    assert umami.fake.writes == 0


def test_apply_does_what_the_plan_says_and_then_nothing_is_left(checkout: Program, umami: Sandbox) -> None:
    """After a completed apply a new plan is empty."""
    result = applied(checkout)
    assert result.code == 0, result.out
    again = checkout("plan", *ALLOWED)
    assert again.code == 0, again.out
    assert "no changes" in again.out
    before = umami.fake.writes
    assert checkout("apply", *ALLOWED, "--yes").code == 0
    assert umami.fake.writes == before


def test_passwords_go_to_the_file_alone(checkout: Program) -> None:
    """New passwords stand in the named file, which only its owner can read, and nowhere else (promise 11)."""
    result = applied(checkout)
    file = checkout.folder / "passwords.txt"
    assert file.stat().st_mode & 0o777 == 0o600
    passwords = [json.loads(line)["password"] for line in file.read_text().splitlines()]
    assert len(passwords) == 2
    everything = result.out + result.err + (checkout.folder / "plan.json").read_text()
    everything += "".join(path.read_text() for path in (checkout.folder / ".siteward").rglob("*.json*"))
    for secret in (*passwords, checkout.env["SITEWARD_STATS_PASSWORD"]):
        assert secret not in everything


def test_the_new_account_can_log_in(checkout: Program, umami: Sandbox) -> None:
    """The delivered password opens the account it was made for."""
    import httpx

    applied(checkout)
    for line in (checkout.folder / "passwords.txt").read_text().splitlines():
        given = json.loads(line)
        answer = httpx.post(
            f"{umami.url}/api/auth/login", json={"username": given["login"], "password": given["password"]}
        )
        assert answer.status_code == 200


def test_drift_tells_who_now_has_what(checkout: Program, admin: httpx.Client) -> None:
    """What somebody changed in the web interface is drift, by name and site."""
    applied(checkout)
    assert checkout("drift", *AS_OF).code == 0
    users = {user["username"]: user["id"] for user in admin.get("/api/admin/users?pageSize=1000").json()["data"]}
    sites = {website["domain"]: website for website in admin.get("/api/admin/websites?pageSize=1000").json()["data"]}
    admin.post(f"/api/users/{users['vera']}", json={"role": "admin"})
    team = sites["shop.example.org"]["teamId"]
    admin.post(f"/api/teams/{team}/users", json={"userId": users["mia"], "role": "team-member"})
    result = checkout("drift", *AS_OF)
    assert result.code == 2, result.out
    assert "vera" in result.out
    assert "mia" in result.out
    data = checkout("drift", *AS_OF, "--format", "json").json()
    since = [difference for difference in data["drift"] if difference["kind"] == "changed-since"]
    assert {difference["live"]["subject"]["name"] for difference in since} == {"vera", "mia"}
    assert {difference["kind"] for difference in data["drift"]} <= {"changed-since", "undeclared"}


def test_what_changed_since_the_review_is_refused(checkout: Program, admin: httpx.Client) -> None:
    """A step whose object moved since the plan is refused, and shown with all three sides (promise 2)."""
    checkout("plan", *ALLOWED, "--out", "plan.json")
    users = {user["username"]: user["id"] for user in admin.get("/api/admin/users?pageSize=1000").json()["data"]}
    sites = {website["domain"]: website for website in admin.get("/api/admin/websites?pageSize=1000").json()["data"]}
    team = sites["staging.example.org"]["teamId"]
    admin.post(f"/api/teams/{team}/users/{users['jonas']}", json={"role": "team-view-only"})
    result = checkout("apply", "plan.json", *ALLOWED, "--yes")
    assert result.code == 5, result.out
    assert "team-manager" in result.out
    assert "team-view-only" in result.out
    assert "team-member" in result.out


def test_a_saved_plan_is_shown_with_the_same_numbers(checkout: Program) -> None:
    """`show` renders a saved plan, and its numbers and digest are those of the run that made it."""
    made = checkout("plan", *ALLOWED, "--out", "plan.json", "--format", "json").json()
    shown = checkout("show", "plan.json", "--format", "json").json()
    assert shown["summary"] == made["summary"]
    assert shown["plan"]["digest"] == made["plan"]["digest"]
    text = checkout("show", "plan.json")
    assert made["plan"]["digest"] in text.out


def test_taking_everything_from_everybody_wants_a_word(checkout: Program, umami: Sandbox) -> None:
    """`grants: []` is blocked, and `--accept empty` lifts that for the plan at hand."""
    text = (checkout.folder / "access.yaml").read_text()
    text = re.sub(r"(?ms)^grants:\n.*?\n\n", "grants: []\n\n", text)
    text = re.sub(r"(removals|revocations): \{[^}]*\}", r"\1: {count: 500, percent: 100}", text)
    checkout.write(re.sub(r"(?m)^include:\n.*\n", "", text))
    assert "empty-grants" in checkout("plan", *AS_OF).out
    assert checkout("apply", *AS_OF, "--yes", "--only", "user:nadia").code == 3
    assert umami.fake.writes == 0
    result = checkout("apply", *AS_OF, "--yes", "--accept", "empty", "--only", "user:nadia")
    assert umami.fake.writes > 0, result.out
