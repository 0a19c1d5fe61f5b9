"""`explain` and `who-can`: from the line of the file to the live grant, or why not."""

from __future__ import annotations

import csv
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from cli.closed import unreachable
from cli.conftest import ROOT, base_environment

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program

AS_OF = ("--as-of", "2026-12-01")


@pytest.mark.parametrize(
    ("user", "site", "said"),
    [
        ("jonas", "staging.example.org", ("declared: team-member", "access.yaml:", "live: team-manager", "planned: ")),
        ("anna", "shop", ("declared: admin", "and team-view-only", "via group analysts, role analyst, tag acme")),
        ("ben", "blog", ("declared: admin", "live: admin", "nothing is planned")),
        ("vera", "events.example.org", ("declared: nothing", "expired by access.yaml:", "planned: ")),
        ("mia", "shop", ("suspended by access.yaml:", "planned: ")),
        ("tessa", "shop", ("blocked:",)),
        ("jonas", "internal.example.org", ("why not: the grant leaves out `!internal.example.org` (access.yaml:68:",)),
        ("jonas", "careers.example.org", ("declared: team-view-only",)),
        ("lena", "internal.example.org", ("why not: no grant in force reaches this site",)),
        ("sven", "careers.example.org", ("nothing is planned: no declared user has this account",)),
        ("petra", "lab.example.org", ("live: owner", "nothing is planned: no declared user has this account")),
        ("siteward", "shop", ("nothing is planned: this is the account in use here",)),
        ("anna@example.org", "shop", ("anna on stats",)),
        ("hana", "docs", ("yasmin (login hana)",)),
        ("sven", "shop", ("why not: no declared user has this account",)),
    ],
)
def test_explain_gives_the_way_or_why_not(user: str, site: str, said: tuple[str, ...], checkout: Program) -> None:
    """Each answer names the line, the live way, and what is planned or why nothing is."""
    result = checkout("explain", user, site, *AS_OF)
    assert result.code == 0, result.out + result.err
    for phrase in said:
        assert phrase in result.out
    assert checkout("explain", user, site, *AS_OF, "--format", "json").json()["items"]


def test_without_a_site_all_that_somebody_may_do_anywhere_is_told(checkout: Program) -> None:
    """A line for each place, by which line of the file, and what is planned; in full with -v."""
    told = checkout("explain", "jonas", *AS_OF)
    assert told.code == 0
    head, *lines = told.out.splitlines()
    assert head == "jonas on stats"
    places = {line.split("  ")[1].strip(): " ".join(line.split()) for line in lines}
    assert {"careers.example.org", "staging.example.org"} <= places.keys()
    assert places["staging.example.org"].startswith(
        "staging.example.org team-manager declared team-member ← access.yaml:"
    )
    assert "planned: team-manager → team-member" in places["staging.example.org"]
    assert "jonas on stats staging.example.org\n" in checkout("explain", "jonas", *AS_OF, "-v").out
    items = checkout("explain", "jonas", *AS_OF, "--format", "json").json()["items"]
    assert {item["scope"].replace("instance", "whole instance") for item in items} == places.keys()
    rows = list(csv.DictReader(StringIO(checkout("explain", "jonas", *AS_OF, "--format", "csv").out)))
    assert [row["scope"] for row in rows] == [item["scope"] for item in items]
    (staging,) = (row for row in rows if row["scope"] == "staging.example.org")
    assert (staging["live"], staging["declared"], staging["reason"]) == (
        "team-manager",
        "team-member",
        "implementation",
    )
    assert staging["at"].startswith("access.yaml:")
    over = checkout("explain", "vera", *AS_OF).out
    assert "expired by access.yaml:" in over


def test_without_a_site_who_has_a_role_anywhere_is_listed(checkout: Program) -> None:
    """An admin stands once, for the whole instance; in each format the same."""
    told = checkout("who-can", "manage", *AS_OF)
    as_json = checkout("who-can", "manage", *AS_OF, "--format", "json").json()["items"]
    as_csv = list(csv.DictReader(StringIO(checkout("who-can", "manage", *AS_OF, "--format", "csv").out)))
    pairs = [(item["account"], item["scope"]) for item in as_json]
    assert pairs == [(row["account"], row["scope"]) for row in as_csv]
    assert len(told.out.splitlines()) == len(pairs) == len(set(pairs))
    assert [scope for account, scope in pairs if account == "anna"] == ["instance"]
    assert ("jonas", "staging.example.org") in pairs
    assert "stats whole instance" in told.out


@pytest.mark.parametrize(
    ("user", "site", "said"), [("nobody", "shop", "no account or declared user 'nobody'"), ("anna", "nosite", "no site 'nosite'")]
)  # fmt: skip
def test_explain_says_which_name_is_unknown(user: str, site: str, said: str, checkout: Program) -> None:
    """An unknown person is not taken for an unknown site."""
    result = checkout("explain", user, site)
    assert result.code == 1
    assert said in result.out


def test_an_exclusion_from_a_group_is_named(checkout: Program) -> None:
    """Who is taken out of a group with `!` is told by which."""
    path = checkout.folder / "access.yaml"
    path.write_text(path.read_text().replace('reports, "!jonas"]', 'reports, "!fatou"]'))
    result = checkout("explain", "fatou", "docs", *AS_OF)
    assert "why not: the group everyone leaves out `!fatou` (access.yaml:60" in result.out


def test_what_manages_leaves_out_is_said(checkout: Program) -> None:
    """A grant outside `manages` is live, stays, and the reason is named."""
    path = checkout.folder / "access.yaml"
    path.write_text(path.read_text().replace('"!legacy.example.org"]', '"!legacy.example.org", "!careers.example.org"]')
                    .replace("  carla: {email", "  sven: {email: sven@example.org}\n  carla: {email"))  # fmt: skip
    result = checkout("explain", "sven", "careers.example.org", *AS_OF)
    assert "nothing is planned: the instance's `manages` leaves this site out" in result.out


def test_who_can_lists_both_sides(checkout: Program) -> None:
    """Live and declared holders, the mightiest first, with what is not live and what is not declared."""
    result = checkout("who-can", "edit", "docs", *AS_OF)
    rows = {line.split()[0]: line for line in result.out.splitlines()}
    assert "team-view-only" in rows["lena"]
    assert "declared team-member  differs" in rows["lena"]
    assert "not granted in the file" in rows["tmp-agency"]
    assert next(iter(rows)) == "admin"
    assert "reports" not in rows
    assert checkout("who-can", "veiw", "docs").code == 1
    assert "no site 'nosite'" in checkout("who-can", "view", "nosite").out


def test_an_admin_who_is_declared_as_one_differs_on_no_site(checkout: Program) -> None:
    """The right on the whole instance is the declared one, on whatever site it is asked for."""
    result = checkout("who-can", "edit", "docs", "--instance", "stats", *AS_OF, "--format", "json")
    agreement = {item["account"]: item["agreement"] for item in result.json()["items"]}
    assert agreement["ben"] == "same"
    assert agreement["lena"] == "differs"


def test_an_instance_that_was_not_asked_is_named_in_every_answer(checkout: Program) -> None:
    """In the file itself, for whoever gets it without what stderr said."""
    assert checkout("who-can", "view", "docs", *AS_OF, "--format", "json").json()["incomplete"] == []
    env = unreachable(checkout)
    for verb in (("who-can", "view", "docs"), ("explain", "anna", "docs")):
        result = checkout(*verb, *AS_OF, **env)
        assert result.code == 1
        assert result.out.startswith("! eu was not read: ")
        assert "error unreachable: eu: " in result.err
        (gap,) = checkout(*verb, *AS_OF, "--format", "json", **env).json()["incomplete"]
        assert gap["instance"] == "eu"
        assert gap["why"].startswith("not read: ")
    rows = list(csv.DictReader(StringIO(checkout("who-can", "view", "docs", *AS_OF, "--format", "csv", **env).out)))
    assert (rows[0]["instance"], rows[0]["site"][:9], rows[0]["account"]) == ("eu", "not read:", "")


def test_an_account_that_is_called_like_a_command_commands_no_log(checkout: Program, admin: httpx.Client) -> None:
    """A login may be anything; at the beginning of a line it would be read by the runner."""
    made = {"username": "::error::boo", "password": "x" * 12, "role": "admin"}
    assert admin.post("/api/users", json=made).status_code == 200
    for verb in (("who-can", "view", "docs"), ("matrix",), ("review",), ("explain", "::error::boo", "docs")):
        result = checkout(*verb, *AS_OF)
        assert "error::boo" in result.out
        assert not [line for line in result.out.splitlines() if line.lstrip().startswith("::")]


def test_explain_tells_what_is_planned_for_the_role_behind_the_access(checkout: Program, admin: httpx.Client) -> None:
    """Somebody who is live an admin and declared a viewer loses by a step on the account's role."""
    admin.post("/api/users", json={"username": "carl", "password": "x" * 12, "role": "admin"})
    path = checkout.folder / "access.yaml"
    text = path.read_text().replace("  carla: {email", "  carl: {email: carl@example.org}\n  carla: {email")
    path.write_text(text.replace("\ngrants:\n", "\ngrants:\n  - {to: carl, role: view, sites: docs.example.org}\n"))
    result = checkout("explain", "carl", "docs", *AS_OF)
    assert "live: admin" in result.out
    assert "planned: whole instance admin" in result.out
    assert "nothing is planned" not in result.out
    (told,) = checkout("explain", "carl", "docs", *AS_OF, "--format", "json").json()["items"]
    assert told["beside"]


def test_explain_names_no_step_by_an_id(checkout: Program) -> None:
    result = checkout("explain", "jonas", "staging.example.org", *AS_OF)
    assert "planned: team-manager → team-member" in result.out


def test_show_writes_over_no_plan(checkout: Program) -> None:
    checkout("plan", *AS_OF, "--out", "plan.json")
    before = (checkout.folder / "plan.json").read_text()
    result = checkout("show", "plan.json", "-o", "./plan.json")
    assert result.code == 1
    assert "would write over the plan" in result.err
    assert (checkout.folder / "plan.json").read_text() == before


def test_a_closed_stdout_is_an_error_and_no_crash(checkout: Program) -> None:
    checkout("plan", *AS_OF, "--out", "plan.json")
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m siteward show plan.json >&-"],
        cwd=checkout.folder, env=base_environment() | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write the output: stdout is closed" in done.stderr
    assert "Traceback" not in done.stderr
