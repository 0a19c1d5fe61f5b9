"""Who holds what, people by sites, live and declared; and what of it may be published."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from cli.closed import unreachable
from cli.conftest import AS_OF

if TYPE_CHECKING:
    from cli.conftest import Program

MATRIX = ("matrix", *AS_OF)


def data(program: Program, *arguments: str, **env: str) -> Any:
    return program(*MATRIX, "--format", "json", *arguments, **env).json()


def test_live_and_declared_side_by_side(checkout: Program) -> None:
    """What is declared and not live, live and not declared, and what differs, each in its cell with its line."""
    found = {(holding["account"], holding["where"]): holding for holding in data(checkout)["holdings"]}
    assert found["samir", "shop.example.org"]["agreement"] == "missing"
    assert found["vera", "events.example.org"]["agreement"] == "extra"
    jonas = found["jonas", "staging.example.org"]
    assert (jonas["live"], jonas["declared"], jonas["agreement"]) == ("team-manager", "team-member", "differs")
    assert jonas["file"] == "access.yaml"
    assert jonas["until"].startswith("2027-02-28")
    assert found["kofi", "docs.example.org"]["person"] == "kofi-mensah"


def test_facts_that_no_file_declares_are_no_difference(checkout: Program) -> None:
    """Owning, the lingering role of an account, and what the account in use has are told and do not differ."""
    found = {(holding["account"], holding["where"]): holding["agreement"] for holding in data(checkout)["holdings"]}
    assert found["siteward", "shop.example.org"] == "same"
    assert found["siteward", "whole instance"] == "same"
    assert found["omar", "whole instance"] == "same"
    assert found["sven", "whole instance"] == "extra"


def test_what_the_file_does_not_give_is_told_by_whose_it_is(checkout: Program) -> None:
    """A declared person's grant is not granted; an account that nobody declared is unmanaged. The reason is beside a fact."""
    rows = [
        line
        for line in checkout(*MATRIX).out.splitlines()
        if "events.example.org" in line or "careers.example.org" in line
    ]
    assert any("not granted in the file" in row for row in rows)
    assert any("unmanaged" in row for row in rows)
    found = {(holding["account"], holding["where"]): holding["why"] for holding in data(checkout)["holdings"]}
    assert found["siteward", "whole instance"] == "the account in use here"
    assert found["omar", "whole instance"] == "stays until the account goes"


@pytest.mark.parametrize("verb", [("matrix",), ("review",), ("who-can", "view", "docs"), ("explain", "anna", "docs")])
def test_beside_a_row_in_error_no_answer_is_whole(checkout: Program, verb: tuple[str, ...]) -> None:
    """Each says so of the instance, in text and data, and leaves with 1 as plan does."""
    path = checkout.folder / "access.yaml"
    wrong = "\ngrants:\n  - {to: anna, role: view, sites: gone.example.org, on: stats}\n"
    path.write_text(path.read_text().replace("\ngrants:\n", wrong))
    assert checkout("plan", *AS_OF).code == 1
    result = checkout(*verb, *AS_OF)
    assert result.code == 1
    assert "stats was judged in part only" in result.out
    assert "error unknown-site" in result.err
    incomplete = checkout(*verb, *AS_OF, "--format", "json").json()["incomplete"]
    assert "a row of the file is in error" in next(gap["why"] for gap in incomplete if gap["instance"] == "stats")


def test_every_form_has_the_same_holdings(checkout: Program) -> None:
    """Text, table, page and data say the same numbers."""
    numbers = data(checkout)["summary"]
    rows = list(csv.DictReader(StringIO(checkout(*MATRIX, "--format", "csv").out)))
    assert sum(bool(row["where"]) for row in rows) == numbers["grants"]
    assert len({row["account"] for row in rows}) == numbers["accounts"]
    text = checkout(*MATRIX).out
    assert f"Matrix: {numbers['accounts']} accounts, {numbers['sites']} sites, {numbers['grants']} grants." in text
    assert f"{numbers['missing']} not live" in text


def test_one_page_without_a_network(checkout: Program) -> None:
    """The page is chosen by the file's suffix, and allows itself nothing from elsewhere."""
    result = checkout(*MATRIX, "-o", "matrix.html", "--quiet")
    assert result.code == 0
    page = (checkout.folder / "matrix.html").read_text()
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_an_instance_that_cannot_be_reached(checkout: Program) -> None:
    """What was not read is no empty matrix."""
    result = checkout(*MATRIX, SITEWARD_STATS_PASSWORD="wrong")
    assert result.code == 1
    assert "Matrix:" not in result.out


def test_an_instance_that_is_missing_is_named_in_every_form(checkout: Program) -> None:
    """The file goes to people who do not see what stderr said."""
    env = unreachable(checkout)
    result = checkout(*MATRIX, "-o", "m.html", "-o", "m.csv", "-o", "m.json", **env)
    assert result.code == 1
    assert result.out.startswith("! eu was not read: ")
    assert ", 1 instance not read." in result.out
    assert "error unreachable: eu: " in result.err
    page = (checkout.folder / "m.html").read_text()
    assert '<p class="error" role="alert"><strong>eu was not read: ' in page
    rows = list(csv.DictReader(StringIO((checkout.folder / "m.csv").read_text())))
    assert (rows[0]["instance"], rows[0]["kind"], rows[0]["reason"][:10]) == ("eu", "not read", "not read: ")
    assert {row["instance"] for row in rows[1:]} == {"stats"}
    found = data(checkout, **env)
    assert [listing["instance"] for listing in found["incomplete"]] == ["eu"]
    assert (found["summary"]["instances"], found["summary"]["not_read"]) == (1, 1)


@pytest.mark.parametrize("verb", ["matrix", "review", "plan", "drift"])
def test_privacy(checkout: Program, verb: str) -> None:
    """Handles hide addresses and the logins of those nobody declared; counts hide everybody, and count the same."""
    forms = ("text", "json", "csv", "html")
    files = [f"--output={form}:x.{form}" for form in forms]
    shown = {}
    for privacy in ("full", "handles", "counts"):
        checkout(verb, *AS_OF, *files, "--privacy", privacy)
        shown[privacy] = [(checkout.folder / f"x.{form}").read_text() for form in forms]
    assert any("petra" in text for text in shown["full"])
    for page_ in shown["handles"]:
        assert "petra" not in page_
        assert "@" not in page_.replace("@media", "").replace("@page", "")
        assert "jonas" in page_
    for total in shown["counts"]:
        _nobody(total)


def _nobody(counts: str) -> None:
    for name in ("anna", "kofi", "petra", "jonas"):
        assert name not in counts


def test_a_public_repository_hides_names_by_itself(checkout: Program) -> None:
    """GitHub and GitLab say so; whoever wants all of it says it."""
    for env in ({"GITHUB_REPOSITORY_VISIBILITY": "public"}, {"CI_PROJECT_VISIBILITY": "public"}):
        assert "petra" not in checkout(*MATRIX, **env).out
        assert "petra" not in checkout("plan", *AS_OF, **env).out
        assert "petra" in checkout(*MATRIX, "--privacy", "full", **env).out
    assert "petra" in checkout(*MATRIX, CI_PROJECT_VISIBILITY="internal").out
    event = checkout.write('{"repository": {"private": false}}', "event.json")
    assert "petra" not in checkout(*MATRIX, GITHUB_ACTIONS="true", GITHUB_EVENT_PATH=str(event)).out


def test_html_is_a_word_of_its_own(checkout: Program) -> None:
    """`--html` puts the page on stdout."""
    result = checkout("matrix", "--html", *AS_OF)
    assert result.out.startswith("<!")
    assert result.out == checkout("matrix", "--format", "html", *AS_OF).out


@pytest.mark.parametrize(("verb", "summary"), [("matrix", "Matrix: "), ("review", "Review: ")])
def test_what_goes_into_a_file_is_not_printed_too(verb: str, summary: str, checkout: Program) -> None:
    """The terminal gets the summary and the name of the file, and everything only where a format asks for it."""
    told = checkout(verb, *AS_OF, "-o", "it.csv")
    assert told.out.startswith(summary)
    assert len(told.out.splitlines()) <= 5
    assert "wrote it.csv" in told.err
    assert len(checkout(verb, *AS_OF, "-o", "it.csv", "-f", "text").out.splitlines()) > 10
