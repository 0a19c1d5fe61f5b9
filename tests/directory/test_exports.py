"""Exports of directories: whom each kind lists, and what is refused because it proves nothing or is not as it should be."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteward.directory.entries import dn_key
from siteward.directory.export import read_export
from siteward.directory.ldif import read_ldif
from siteward.directory.listing import Listing, ListingError
from siteward.directory.scim import read_json
from siteward.directory.table import read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ENTRA = (
    "userPrincipalName,displayName,surname,mail,givenName,id,userType,accountEnabled,telephoneNumber\n"
    "anna@example.org,Anna Berg,Berg,Anna.Berg@example.org,Anna,7f3c,Member,True,+49 1\n"
    "ben@example.org,Ben Cole,Cole,,Ben,81aa,Member,FALSE,\n"
    "x_partner.test#EXT#@tenant.onmicrosoft.com,Xia,,xia@partner.test,Xia,99bb,Guest,true,\n"
    "y_partner.test#EXT#@tenant.onmicrosoft.com,Yan,,,Yan,99cc,Guest,true,\n"
)
GOOGLE = (
    "First Name [Required],Last Name [Required],Email Address [Required],Password [Required],Status [READ ONLY],Employee ID,Recovery Email\n"
    "Anna,Berg,anna@example.org,****,Active,E1,private@example.net\n"
    "Ben,Cole,ben@example.org,****,Suspended,E2,\n"
)
OWN = "id\temail\tname\tgroups\tuntil\n001\tanna@example.org\tAnna\tweb|ops\t2026-12-31\n"


def told(read: Callable[[str, str], Listing], text: str) -> list[str]:
    """Return what is wrong with an export: the rule, the line and the message."""
    with pytest.raises(ListingError) as refused:
        read("export", text)
    return [f"{found.code}:{found.at.line if found.at else 0}: {found.message}" for found in refused.value.diagnostics]


def people(listing: Listing) -> list[tuple[str, str | None, str | None, bool]]:
    return [(person.id, person.handle, person.email, person.active) for person in listing.people]


def test_entra_s_users() -> None:
    """The address is `mail`, else the sign-in name, which is none for a guest."""
    assert people(read_table("export", ENTRA)) == [
        ("7f3c", "anna", "Anna.Berg@example.org", True),
        ("81aa", "ben", "ben@example.org", False),
        ("99bb", None, "xia@partner.test", True),
        ("99cc", None, None, True),
    ]
    old = ENTRA.replace(",id,", ",objectId,")
    assert people(read_table("export", old)) == people(read_table("export", ENTRA))


def test_google_s_users_are_known_by_the_employee_id() -> None:
    """Google's table has no id of its own; without that column somebody with a new address would be somebody else."""
    assert people(read_table("export", GOOGLE)) == [
        ("E1", "anna", "anna@example.org", True),
        ("E2", "ben", "ben@example.org", False),
    ]
    (why,) = told(read_table, GOOGLE.replace("Employee ID", "Cost Center"))
    assert why == "listing-malformed:1: Google Workspace: no column holds the person's id"


def test_a_table_with_our_names() -> None:
    """An id stays text; groups are divided by bars."""
    listing = read_table("export", OWN)
    assert (listing.people[0].id, listing.people[0].until) == ("001", "2026-12-31")
    assert listing.groups == {"web": ("001",), "ops": ("001",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,email\n1,a@x.org\n,b@x.org\n", ["listing-malformed:3: the column `id` is empty"]),
        ("id,email\n1,a@x.org\n1,b@x.org\n", ["listing-malformed:3: the id `1` stands there twice"]),
        ("id,email\n1,a@x.org,more\n2\n", ["listing-malformed:2: 3 cells under 2 columns", "listing-malformed:3: 1 cells under 2 columns"]),
        ("id,email\n1.23E+15,a@x.org\n", ["listing-malformed:2: the id `1.23E+15` was shortened by a spreadsheet"]),
        ("id,email,ID\n1,a@x.org,2\n", ["listing-malformed:1: the column `id` stands there twice"]),
        ("who,where\n1,2\n", ["listing-malformed:1: the header is of no known export"]),
        ("version:v1.0,,\nName [displayName] Required,,\n", ["listing-malformed:1: this is a table for uploads, not a list of people"]),
        ("id,email,state\n1,a@x.org,gone\n", ["listing-malformed:2: the column `state` holds a word that is not known"]),
        ("id,email,until\n1,a@x.org,31.12.2026\n", ["listing-malformed:2: the column `until` holds a word that is not known"]),
        ('id,email\n1,"a@x.org\n', ["listing-malformed:2: this is no CSV: unexpected end of data"]),
        ("", ["listing-malformed:1: the header is of no known export"]),
        (f"id,email\n1,{'a' * 1001}\n", ["listing-malformed:2: a cell of more than 1,000 characters"]),
    ],
)  # fmt: skip
def test_a_table_is_refused_with_all_that_is_wrong(text: str, expected: list[str]) -> None:
    assert told(read_table, text) == expected


def test_no_message_repeats_a_row() -> None:
    """An export holds private addresses and numbers beside what is needed."""
    text = GOOGLE.replace("Active", "Locked").replace("E2", "")
    assert "private@example.net" not in "".join(told(read_table, text))


def scim(*resources: Mapping[str, Any], **fields: object) -> str:
    return json.dumps({"totalResults": len(resources), "Resources": resources, **fields})


USER = {"id": "1", "userName": "anna@example.org", "displayName": "Anna", "active": True}
SCIM_GROUP = {
    "id": "g",
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
    "displayName": "Web Analytics",
    "members": [{"value": "1"}, {"value": "7"}],
}


def test_a_scim_list() -> None:
    """Names have no case, the primary address counts, and Entra's client writes the truth value as a word."""
    second = {
        "ID": "2",
        "username": "ben",
        "Emails": [{"value": "b@x.org"}, {"value": "ben@x.org", "primary": True}],
        "active": "False",
    }
    listing = read_json("export", scim(USER, second, SCIM_GROUP))
    assert people(listing) == [("1", "anna", "anna@example.org", True), ("2", "ben", "ben@x.org", False)]
    assert (listing.groups, listing.strays) == ({"Web Analytics": ("1",)}, {"Web Analytics": ("7",)})
    assert listing.told == ()
    assert read_json("export", scim({"id": "1", "userName": "x"})).told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (scim(USER, totalResults=2), "listing-incomplete:1: the list counts 2 and holds 1, from number 1 on"),
        (scim(USER, startIndex=0), "listing-incomplete:1: the list counts 1 and holds 1, from number 0 on"),
        ('{"Resources": []}', "listing-incomplete:1: the list has no `totalResults`, and proves nothing"),
        (scim({**USER, "active": "no"}), "listing-malformed:1: number 1: `active` is neither true nor false"),
        (scim({"userName": "anna"}), "listing-malformed:1: number 1: there is no `id`"),
        (scim({**USER, "userName": 7}), "listing-malformed:1: number 1: `username` is no text"),
        (
            '{"users": [], "nextPageToken": "x"}',
            "listing-incomplete:1: a `nextPageToken` says that another page follows",
        ),
        ("[1]", "listing-malformed:1: `the list` is no list of objects"),
        ('"x"', "listing-malformed:1: this is neither a SCIM list nor a list of users"),
        ("{\n  x", "listing-malformed:2: this is no JSON: Expecting property name enclosed in double quotes"),
    ],
)
def test_a_json_export_is_refused(text: str, expected: str) -> None:
    assert told(read_json, text) == [expected]


def okta(status: str, number: int = 1) -> dict[str, Any]:
    return {
        "id": f"00u{number}",
        "status": status,
        "profile": {"login": "anna@corp.test", "email": "anna@example.org", "firstName": "Anna"},
    }


def test_okta_s_users() -> None:
    """Locked out is there, not yet activated is left out and said; a whole page may be one of several."""
    listing = read_json("export", json.dumps([okta("LOCKED_OUT"), okta("SUSPENDED", 2), okta("STAGED", 3)]))
    assert people(listing) == [("00u1", "anna", "anna@example.org", True), ("00u2", "anna", "anna@example.org", False)]
    assert listing.told == ("1 who are not active yet are left out",)
    assert told(read_json, json.dumps([okta("ACTIVE", number) for number in range(200)]))[0].startswith(
        "listing-incomplete"
    )
    assert told(read_json, json.dumps([okta("NEW")])) == [
        "listing-malformed:1: number 1: the status is none that is known"
    ]


def test_google_s_list() -> None:
    users = [
        {"id": "1", "primaryEmail": "anna@example.org", "name": {"fullName": "Anna Berg"}},
        {"id": "2", "archived": True},
    ]
    listing = read_json("export", json.dumps({"kind": "admin#directory#users", "users": users}))
    assert people(listing) == [("1", "anna", "anna@example.org", True), ("2", None, None, False)]


NO_TEXT = base64.b64encode(bytes([255])).decode()
GUID = base64.b64encode(bytes(range(16))).decode()
LDIF = f"""\
version: 1

# anna, People, example.org
dn: uid=anna,ou=People,dc=example,dc=org
objectClass: inetOrgPerson
uid: anna
cn: Anna
 Berg
mail: anna.berg@example.org
mail: anna@example.org
entryUUID: 660AD4A4-0000-1041-8000-000000000001
pwdAccountLockedTime: 20261101000000Z

dn: CN=Ben,OU=People,DC=example,DC=org
objectClass: user
sAMAccountName: ben
cn:: {base64.b64encode("Ben Cöle".encode()).decode()}
objectGUID:: {GUID}
userAccountControl: 66050
accountExpires: 133800000000000000

dn: cn=Web Analytics,ou=Groups,dc=example,dc=org
objectClass: groupOfNames
cn: Web Analytics
member: UID=Anna, OU=People,DC=Example,DC=org
member: uid=ghost,ou=People,dc=example,dc=org
member: cn=all,ou=Groups,dc=example,dc=org

dn: cn=all,ou=Groups,dc=example,dc=org
objectClass: groupOfNames
cn: all
member: cn=Ben,ou=People,dc=example,dc=org
member: cn=Web Analytics,ou=Groups,dc=example,dc=org

dn: cn=posix,ou=Groups,dc=example,dc=org
objectClass: posixGroup
cn: posix
memberUid: anna
"""


def test_an_ldif_of_two_kinds_of_servers() -> None:
    """Ids that stay, the bit and not the number of what is disabled, a lock that is no end, groups inside groups."""
    listing = read_ldif("export", LDIF)
    anna, ben = listing.people
    assert (anna.id, anna.handle, anna.name, anna.email, anna.active) == (
        "660ad4a4-0000-1041-8000-000000000001", "anna", "AnnaBerg", "anna@example.org", True,
    )  # fmt: skip
    assert (ben.id, ben.name, ben.active, ben.until) == (
        "03020100-0504-0706-0809-0a0b0c0d0e0f",
        "Ben Cöle",
        False,
        "2024-12-30",
    )
    assert set(listing.groups["Web Analytics"]) == {anna.id, ben.id} == set(listing.groups["all"])
    assert listing.groups["posix"] == (anna.id,)
    assert listing.strays["Web Analytics"] == ("uid=ghost,ou=People,dc=example,dc=org",)


def test_a_lock_for_good_is_an_end() -> None:
    assert not read_ldif("export", LDIF.replace("20261101000000Z", "000001010000Z")).people[0].active


@pytest.mark.parametrize("never", ["0", "9223372036854775807"])
def test_both_ways_to_say_never(never: str) -> None:
    assert read_ldif("export", LDIF.replace("133800000000000000", never)).people[1].until is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LDIF + "\n# search result\nsearch: 2\nresult: 4 Size limit exceeded\n", "listing-incomplete:1: the search ended with result 4"),
        (LDIF + "\n# search reference\nref: ldap://other.example.org/\n", "listing-incomplete:1: it refers to another server for the rest"),
        (LDIF.replace("entryUUID", "entryDN"), "listing-malformed:4: the entry has no id that stays"),
        ("dn: x=y\nchangetype: delete\n", "listing-malformed:2: this holds changes, not entries"),
        ("dn: x=y\nmail:< file:///tmp/x\n", "listing-malformed:2: a value that is read from elsewhere"),
        ("dn: x=y\nmail:: !\n", "listing-malformed:2: the value of `mail` is no base64"),
        ("dn: x=y\nmail\n", "listing-malformed:2: a line without `:`"),
        ("mail: a@x.org\n", "listing-malformed:1: an entry begins with `dn:`"),
        (f"dn: x=y\nmail: a@x.org\nentryUUID: 1\nuid:: {NO_TEXT}\n", "listing-malformed:1: a value that is no UTF-8 text or number"),
    ],
)  # fmt: skip
def test_an_ldif_is_refused(text: str, expected: str) -> None:
    assert told(read_ldif, text) == [expected]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("UID=U00003, OU=People,  DC=Example", "uid=u00003,ou=People,dc=example"),
        (r"cn=a\,b,dc=x", r"cn=a\2Cb,dc=x"),
        ("a=1+b=2,dc=x", "b=2+a=1,dc=x"),
        (r"cn=M\c3\bcller", "cn=Müller"),
        ("cn=a  b", "cn=A b"),
    ],
)
def test_spellings_of_one_name_have_one_key(one: str, other: str) -> None:
    assert dn_key(one) == dn_key(other)


def test_names_that_differ_have_two_keys() -> None:
    assert len({dn_key(dn) for dn in (r"cn=a\+b", "cn=a+b", r"cn=a\,dc=b", "cn=a,dc=b")}) == 4


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Nothing else is raised, whatever the ending says."""
    folder = tmp_path_factory.mktemp("any")
    for ending in (".csv", ".json", ".ldif"):
        path = folder / f"export{ending}"
        path.write_bytes(content)
        try:
            read_export(path, "export")
        except ListingError as refused:
            assert refused.diagnostics  # noqa: PT017 — each refusal says why


def test_encodings(tmp_path: Path) -> None:
    """UTF-8 and UTF-16 with their marks; anything else is said with its line."""
    path = tmp_path / "staff.csv"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(OWN.replace("Anna", "Ännä"), encoding=encoding)
        assert read_export(path, "staff.csv").people[0].name == "Ännä"
    path.write_text(OWN.replace("Anna", "Ännä"), encoding="cp1252")
    with pytest.raises(ListingError, match="neither UTF-8 nor UTF-16") as refused:
        read_export(path, "staff.csv")
    assert str(refused.value.diagnostics[0].at) == "staff.csv:2:1"
    with pytest.raises(ListingError, match="cannot be read: No such file"):
        read_export(tmp_path / "none.csv", "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ListingError, match="cannot be read: Is a directory"):
        read_export(tmp_path / "folder.csv", "folder.csv")
