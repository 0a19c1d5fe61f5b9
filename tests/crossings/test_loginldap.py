"""Matomo whose accounts LoginLdap makes from a real OpenLDAP, beside people who are refreshed from the same server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from directory.slapd import PASSWORD, READER, SUFFIX, company, modify, serve
from rig import NOW, Rig, made, statuses
from siteward.access.diagnostic import Span
from siteward.access.model import Grant
from siteward.declaration.declared import Ldap
from siteward.directory.file import print_people, read_people
from siteward.directory.refresh import Demands, refresh
from siteward.directory.server import read_server
from siteward.platforms.fakery import World, WorldSite
from siteward.platforms.matomo.fake import FAKE
from siteward.platforms.matomo.fake.plugins import log_in, person_of
from siteward.transport.deadline import Deadline
from siteward.transport.ldap import FIELDS, LdapReader
from siteward.transport.secrets import find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siteward.access.plan import Plan

AT = Span("access.yaml", 1, 1)
SHOP, WORD = "shop.example.org", "ldap-password"
WRITTEN = {
    "anna": "uid: anna\nmail: anna@example.org\n",
    "Mark": "uid: Mark\nmail: mark@example.org\n",
    "ben@example.org": "uid: ben@example.org\nmail: ben@example.org\n",
    "o+neil": "uid: o+neil\nmail: o.neil@example.org\n",
    "müller": "uid: müller\nmail: mueller@example.org\n",
    "lena": "uid: lena\nuid: lena.long\nmail: lena@example.org\nmail: l@example.org\n",
    "nomail": "uid: nomail\n",
}
"""The login that LoginLdap gives, and the attributes that it comes from."""


def entry(number: int, login: str) -> str:
    """Return somebody's entry as LDIF, in which LDIF's own base64 is not needed: slapadd takes UTF-8."""
    rdn = login.replace("+", "\\+")
    return (
        f"dn: uid={rdn},ou=People,{SUFFIX}\nobjectClass: inetOrgPerson\n{WRITTEN[login]}sn: P\ncn: Person {number}\n"
        f"entryUUID: {number:08x}-0000-1000-8000-000000000000\n\n"
    )


class Place:
    """The directory's server, Matomo's stand-in and the file, which names the directory's people and Matomo's sites."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.where = Ldap(
            url=f"ldap://127.0.0.1:{port}",
            base=f"ou=People,{SUFFIX}",
            filter="(uid=*)",
            map={"id": "entryUUID", "handle": "uid", "email": "mail", "name": "cn"},
        )
        self.fake = FAKE.of(World(sites=(WorldSite(name=SHOP, domain=SHOP),)), "5.3", clock=lambda: NOW)
        self.fake.state.plugins["LoginLdap"] = True
        self.refresh()
        self.rig = Rig(folder, self.fake, self.document())

    def reader(self) -> LdapReader:
        given = {"SITEWARD_HQ_BIND_DN": READER, "SITEWARD_HQ_BIND_PASSWORD": PASSWORD}
        secrets = find("hq", FIELDS, url=self.where.url, env=given, schemes=("ldap", "ldaps"))
        return LdapReader("hq", self.where.url, secrets, given, Deadline(60))

    def refresh(self) -> None:
        """Write the people's file anew, and let LoginLdap see what the server says now."""
        with self.reader() as reader:
            listing = read_server(reader, self.where, AT)
            entries = reader.list_all(self.where.base, "(uid=*)", ("uid", "mail", "cn"))
        path = self.folder / "people" / "hq.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        refreshed = refresh(listing, read_people(path, "people/hq.yaml"), Demands(directory="hq", at=AT))
        assert not refreshed.diagnostics
        path.write_text(print_people("hq", refreshed.people), encoding="utf-8")
        self.handles = sorted(name for name, known in refreshed.people.users.items() if not known.suspended)
        decoded = [
            {name: [value.decode() for value in values] for name, values in one.values.items()} for one in entries
        ]
        self.fake.state.directory.people = [person_of(attributes, WORD) for attributes in decoded]

    def document(self) -> dict[str, Any]:
        wide = {"count": 99, "percent": 100}
        return {
            "version": 1,
            "instances": {
                "it": {"platform": "matomo", "url": "http://127.0.0.1:1", "self": "root", "managed_by": "directory"}
            },
            "directories": {"hq": {"ldap": {"url": self.where.url, "base": self.where.base, "filter": "(uid=*)"}}},
            "include": [{"path": "people/hq.yaml", "directory": "hq"}],
            "sites": {"shop": {"domain": SHOP}},
            "policy": {"admins": {"min": 1}, "limits": dict.fromkeys(("removals", "revocations", "escalations"), wide)},
            "grants": [{"to": self.handles, "role": "view", "sites": "shop"}],
        }

    def log_in(self) -> None:
        """Let everybody log in to Matomo."""
        for person in self.fake.state.directory.people:
            assert log_in(self.fake.state, person.login, WORD) is not None

    def told(self) -> list[str]:
        """Return the codes of what a new plan says of accounts and people."""
        report = self.rig.plan()
        assert report.plan is not None, [(found.code, found.message) for found in report.diagnostics]
        (part,) = report.plan.instances
        found = (*report.diagnostics, *part.diagnostics, *(told for step in part.steps for told in step.diagnostics))
        about = ("account", "identity", "orphan", "login", "undeclared")
        return sorted(told.code for told in found if told.code.startswith(about))

    def rows(self) -> set[str]:
        """Return who has access in Matomo's table, spelled as there."""
        return {row.login for row in self.fake.state.all_rows()}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    people = "".join(entry(number, login) for number, login in enumerate(WRITTEN, start=1))
    with serve(tmp_path / "slapd", company(0).partition("dn: cn=all")[0] + people) as port:
        yield Place(port, tmp_path / "files")


def affected_logins(plan: Plan, role: str | None) -> set[str]:
    """Return whose grants the steps of a plan bring to a role, or end where it is `None`."""
    sides = [(step.change.before, step.change.after) for step in plan.instances[0].steps]
    grants = [after if role else before for before, after in sides if (after is None) is (role is None)]
    return {grant.subject.name for grant in grants if isinstance(grant, Grant) and role in {None, grant.role}}


def test_the_accounts_that_it_makes_are_the_people_of_the_file(place: Place) -> None:
    """Whatever a `uid` looks like: nobody is missed, made twice or taken for somebody else, and grants survive log-ins."""
    assert place.told() == ["account-not-there"] * len(WRITTEN)
    assert not made(place.rig).instances[0].steps
    place.log_in()
    assert place.told() == ["identity-mismatch"], (
        "lena has two addresses: LoginLdap takes the first, the file the shortest"
    )
    reviewed = made(place.rig)
    assert affected_logins(reviewed, "view") == set(WRITTEN)
    assert set(statuses(place.rig.apply(reviewed))) == {"done"}
    assert place.rows() == set(WRITTEN)
    place.log_in()
    assert not made(place.rig).instances[0].steps


def test_a_new_uid_is_the_same_person_under_a_new_account(place: Place) -> None:
    """LoginLdap makes a second account for it, and keeps the first: the grants move, and nobody has them twice."""
    place.log_in()
    place.rig.apply(made(place.rig))
    modify(place.port, f"dn: uid=anna,ou=People,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=anna.berg\ndeleteoldrdn: 1\n")
    place.refresh()
    place.rig.declare(place.document())
    place.log_in()
    reviewed = made(place.rig)
    assert (affected_logins(reviewed, "view"), affected_logins(reviewed, None)) == ({"anna.berg"}, {"anna"})
    assert set(statuses(place.rig.apply(reviewed))) == {"done"}
    assert place.rows() == {*WRITTEN, "anna.berg"} - {"anna"}


def test_a_uid_that_is_given_to_somebody_new_takes_no_grants_along(place: Place) -> None:
    """The account of that name is the newcomer's from then on, as LoginLdap has it, and the file follows."""
    place.log_in()
    place.rig.apply(made(place.rig))
    modify(place.port, f"dn: uid=anna,ou=People,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=anna.berg\ndeleteoldrdn: 1\n")
    person = f"dn: uid=anna,ou=People,{SUFFIX}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: anna\n"
    modify(place.port, person + "mail: anna.new@example.org\nsn: P\ncn: Anna New\n")
    before = place.handles
    place.refresh()
    (newcomer,) = set(place.handles) - set(before)
    place.handles = before
    place.rig.declare(place.document())
    place.log_in()
    reviewed = made(place.rig)
    assert place.rig.project.declaration.users[newcomer].listed_logins == {"it": "anna"}
    assert (affected_logins(reviewed, "view"), affected_logins(reviewed, None)) == ({"anna.berg"}, {"anna"})
