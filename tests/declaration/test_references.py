"""References to people and groups in another letter case, and one person in two spellings."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, read_text, told

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = HEAD + "users: {BenTheElder: {email: b@example.org}, anna: {email: a@example.org}, zoe: {}}\n"


@pytest.mark.parametrize("name", ["bentheelder", "BENTHEELDER", "BenTheElder"])
def test_every_reference_is_read_in_any_letter_case_and_kept_in_the_declared_one(tmp_path: Path, name: str) -> None:
    loaded = read_text(
        tmp_path,
        PEOPLE
        + f"""\
groups:
  Readers: [anna, "!{name}", {{user: {name}, until: 2027-01-31}}]
  all: [readers]
grants: [{{to: [{name}, ALL], role: view, sites: a.example.org}}]
""",
    )
    assert loaded.diagnostics == ()
    declaration = loaded.declaration
    assert declaration is not None
    assert declaration.grants is not None
    assert declaration.grants[0].to == ("BenTheElder", "all")
    assert [member.name for member in declaration.groups["Readers"].members] == ["anna", "BenTheElder", "BenTheElder"]
    assert declaration.groups["all"].members[0].name == "Readers"


def test_an_owner_is_read_in_any_letter_case(tmp_path: Path) -> None:
    loaded = read_text(tmp_path, HEAD + "users: {Anna: {}, robot: {kind: service, owner: anna}}\ngrants: []\n")
    assert loaded.diagnostics == ()
    assert loaded.declaration is not None
    assert loaded.declaration.users["robot"].owner == "Anna"


def test_one_person_in_two_spellings_is_one_error_however_often_it_is_named(tmp_path: Path) -> None:
    grants = "".join(
        f"  - {{to: {name}, role: view, sites: s{n}.example.org}}\n"
        for n in range(20)
        for name in ("Anna", "anna", "ANNA")
    )
    loaded = read_text(
        tmp_path,
        HEAD
        + "users:\n  Anna: {email: a@example.org, previously: anke}\n  anna: {email: a@example.org}\n"
        + "groups: {g: [ANNA, Anna]}\ngrants:\n  - {to: g, role: view, sites: a.example.org}\n"
        + grants,
    )
    (error,) = loaded.diagnostics
    assert error.code == "handle-twice"
    assert told(error).splitlines()[0].startswith("access.yaml:6:3-7 error handle-twice"), told(error)
    assert [at.line for at in error.related] == [5]
    assert loaded.usable is not None  # the error is of two rows, not of the file
    assert sorted(loaded.usable.faults.users) == ["Anna", "anna"]


def test_a_group_that_differs_from_a_user_in_letter_case_alone_is_one_error(tmp_path: Path) -> None:
    loaded = read_text(
        tmp_path, PEOPLE + "groups: {Anna: [zoe]}\ngrants: [{to: [ANNA, zoe], role: view, sites: a.example.org}]\n"
    )
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["handle-twice"]


def test_a_reference_to_a_row_in_error_is_quiet_in_any_letter_case(tmp_path: Path) -> None:
    loaded = read_text(
        tmp_path, HEAD + "users: {Anna: {kind: king}}\ngrants: [{to: anna, role: view, sites: a.example.org}]\n"
    )
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["unknown-value"]
    assert loaded.usable is not None
    assert loaded.usable.grants is not None
    assert loaded.usable.grants[0].to == ("Anna",)


def test_a_line_that_does_not_fit_the_grammar_holds_whom_it_names_in_another_case(tmp_path: Path) -> None:
    loaded = read_text(tmp_path, PEOPLE + "grants: [{to: ANNA, role: 3, sites: a.example.org}]\n")
    assert loaded.usable is not None
    assert [lost.to for lost in loaded.usable.faults.lost] == [("anna",)]


def test_a_group_in_error_is_held_under_its_declared_name(tmp_path: Path) -> None:
    loaded = read_text(
        tmp_path,
        PEOPLE
        + "groups: {G: [ANNA, {user: zoe, until: never}, 3]}\ngrants: [{to: g, role: view, sites: a.example.org}]\n",
    )
    assert loaded.usable is not None
    assert {member.name for member in loaded.usable.groups["G"].members} >= {"anna", "zoe"}


def test_a_typo_is_still_a_typo(tmp_path: Path) -> None:
    loaded = read_text(tmp_path, PEOPLE + "grants: [{to: Annna, role: view, sites: a.example.org}]\n")
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["unknown-user"]


def test_two_hundred_thousand_references_in_another_case_stay_fast(tmp_path: Path) -> None:
    from siteward.declaration.references import canonical

    lines = "".join(f"  - {{to: U{n % 500}, role: view, sites: a.example.org}}\n" for n in range(2000))
    loaded = read_text(
        tmp_path, HEAD + "users:\n" + "".join(f"  u{n}: {{}}\n" for n in range(500)) + "grants:\n" + lines
    )
    declaration = loaded.declaration
    assert declaration is not None
    assert declaration.grants is not None
    assert {line.to[0] for line in declaration.grants} == {f"u{n}" for n in range(500)}
    from msgspec.structs import replace

    many = tuple(replace(line, to=(line.to[0].upper(),)) for line in declaration.grants) * 100
    began = process_time()
    result = canonical(replace(declaration, grants=many))
    assert process_time() - began < 10  # a search through all names for each would take minutes
    assert result.grants is not None
    assert result.grants[-1].to == ("u499",)


MATOMO = 'version: 1\ninstances: {eu: {platform: matomo, url: "https://matomo.example.org", self: root}}\n'


@pytest.mark.parametrize("name", ["anonymous", "ANONYMOUS", "anönymous", "\uff41nonymous"])
@pytest.mark.parametrize(
    "row", ["NAME: {}", "ben: {logins: {eu: NAME}}", "ben: {previously: NAME}", "ben: {previously: [old, NAME]}"]
)
def test_everybody_is_no_user_in_any_spelling(tmp_path: Path, name: str, row: str) -> None:
    loaded = read_text(tmp_path, MATOMO + f"users:\n  zoe: {{}}\n  {row.replace('NAME', name)}\n")
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["reserved-login"]
    assert loaded.usable is not None
    assert len(loaded.usable.faults.users) == 1, "the error is of one row"


def test_a_grant_to_everybody_says_how_a_site_is_opened(tmp_path: Path) -> None:
    loaded = read_text(tmp_path, MATOMO + "grants: [{to: Anonymous, role: view, sites: a.example.org}]\n")
    (error,) = loaded.diagnostics
    assert error.code == "unknown-user"
    assert error.hint is not None
    assert "`public`" in error.hint


def test_siteward_is_not_everybody(tmp_path: Path) -> None:
    loaded = read_text(tmp_path, MATOMO.replace("root", "Anonymous"))
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["reserved-login"]


def test_sharp_s_is_no_letter_case(tmp_path: Path) -> None:
    """As servers compare logins: `straße` is not `strasse`; umlauts have a case."""
    loaded = read_text(
        tmp_path,
        HEAD
        + "users: {straße: {}, strasse: {}, Änne: {}}\ngrants: [{to: [STRASSE, änne], role: view, sites: a.example.org}]\n",
    )
    assert not [found for found in loaded.diagnostics if found.blocks]
    assert loaded.declaration is not None
    assert loaded.declaration.grants is not None
    assert loaded.declaration.grants[0].to == ("strasse", "Änne")


def test_what_an_included_file_names_is_read_the_same_way(tmp_path: Path) -> None:
    """References across files, one person in two files, and everybody under another name."""
    root = (
        MATOMO
        + "include: [team.yaml]\nusers: {Anna: {}, ben: {}}\ngrants: [{to: ZOE, role: view, sites: a.example.org}]\n"
    )
    team = "users: {zoe: {}}\ngrants: [{to: ANNA, role: view, sites: a.example.org}]\n"
    loaded = read_text(tmp_path, root, team=team)
    assert loaded.diagnostics == ()
    assert loaded.declaration is not None
    assert {grant.to for grant in loaded.declaration.grants or ()} == {("zoe",), ("Anna",)}
    team = "users: {BEN: {}, zoe: {previously: Anonymous}}\ngrants: [{to: ben, role: view, sites: a.example.org}]\n"
    found = read_text(tmp_path, root, team=team).diagnostics
    assert [(said.code, len(said.related)) for said in found] == [("handle-twice", 1), ("reserved-login", 0)]


def test_owners_of_sites_and_groups_are_users_or_groups(tmp_path: Path) -> None:
    """In any letter case; one that nobody is, is told at its place."""
    text = PEOPLE + (
        "sites: {shop: {domain: shop.example.org, owner: [ANNA, Team]}}\n"
        "groups: {team: {members: [zoe], owner: benTheElder}, other: {members: external, owner: nobody}}\n"
        "grants: [{to: [team, other], role: view, sites: shop}]\n"
    )
    loaded = read_text(tmp_path, text)
    assert [told(found).splitlines()[0] for found in loaded.diagnostics] == [
        "access.yaml:6:88-94 error unknown-user: there is no user or group `nobody`"
    ]
    assert loaded.usable is not None
    assert loaded.usable.sites["shop"].owner == ("anna", "team")
    assert loaded.usable.groups["team"].owner == ("BenTheElder",)
    assert set(loaded.usable.faults.groups) == {"other"}


@pytest.mark.parametrize("line", [
    "grants: [{to: analytics, role: view, sites: a.example.org}]",
    "groups: {readers: {members: [anna], previously: [analytics]}, all: {members: [analytics]}}",
    "sites: {a: {domain: a.example.org, owner: analytics}}",
    "grants: [{to: Annika, role: view, sites: a.example.org}]",
])  # fmt: skip
def test_a_former_name_leads_to_the_present_one(tmp_path: Path, line: str) -> None:
    """Whoever still writes the name that a group or a user had is told how it is called now."""
    groups = "" if line.startswith("groups") else "groups: {readers: {members: [anna], previously: [analytics]}}\n"
    text = f"{HEAD}users: {{anna: {{previously: [annika]}}}}\n{groups}{line}\n"
    (found,) = [said for said in read_text(tmp_path, text).diagnostics if said.code == "unknown-user"]
    former, now = ("Annika", "anna") if "Annika" in line else ("analytics", "readers")
    assert (found.suggestion, found.hint) == (now, f"`{former}` is called `{now}` now")
