"""Listings of a real OpenLDAP server: whole and proven, or refused in words."""

from __future__ import annotations

import subprocess
import warnings
from typing import TYPE_CHECKING

import pytest

from directory.slapd import PASSWORD, READER, SUFFIX, company, modify, person, serve
from siteward.access.diagnostic import Span
from siteward.declaration.declared import Ldap
from siteward.directory.server import explain_absences, read_server
from siteward.transport.deadline import Deadline
from siteward.transport.errors import (
    IncompleteError,
    InsecureError,
    OriginMismatchError,
    OutOfTimeError,
    PlatformError,
    RefusedError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.ldap import FIELDS, LdapReader
from siteward.transport.secrets import find

if TYPE_CHECKING:
    from pathlib import Path

AT = Span("access.yaml", 3, 3)
UNLIMITED = f'limits dn.exact="{READER}" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited'
MAP = {"id": "entryUUID", "handle": "uid", "email": "mail", "name": "cn"}


def ldap(port: int, base: str = SUFFIX, filter_: str = "(mail=*)", scheme: str = "ldap") -> Ldap:
    return Ldap(url=f"{scheme}://127.0.0.1:{port}", base=base, filter=filter_, map=MAP)


def reader(where: Ldap, *, password: str = PASSWORD, seconds: float = 60, **env: str) -> LdapReader:
    given = {"SITEWARD_HQ_BIND_DN": READER, "SITEWARD_HQ_BIND_PASSWORD": password, **env}
    secrets = find("hq", FIELDS, url=where.url, env=given, schemes=("ldap", "ldaps"))
    return LdapReader("hq", where.url, secrets, given, Deadline(seconds))


def refused(where: Ldap, **options: object) -> PlatformError:
    with pytest.raises(PlatformError) as why, reader(where, **options) as open_reader:  # type: ignore[arg-type]
        read_server(open_reader, where, AT)
    assert PASSWORD not in str(why.value)
    return why.value


def test_five_thousand_people_are_listed_whole(tmp_path: Path) -> None:
    """In pages, twice, with groups whose members are written in another spelling than the entries."""
    with serve(tmp_path, company(5003), more=UNLIMITED) as port, reader(ldap(port)) as open_reader:
        listing = read_server(open_reader, ldap(port), AT)
    assert len(listing.people) == 5003
    first = next(found for found in listing.people if found.handle == "p1")
    assert (first.id, first.email, first.name) == ("00000001-0000-1000-8000-000000000000", "p1@example.org", "Person 1")
    assert len(listing.groups["all"]) == 5003
    assert listing.groups["Web Analytics"] == (first.id,)
    assert listing.strays == {"Web Analytics": (f"uid=ghost,ou=People,{SUFFIX}",)}


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ("", IncompleteError, "ended the listing early"),  # OpenLDAP's own limit of 500 counts over all pages together
        (f'limits dn.exact="{READER}" size.prtotal=disabled', IncompleteError, "ended the listing early"),
        (f'limits dn.exact="{READER}" size.pr=200 size.prtotal=unlimited', IncompleteError, "ended the listing early"),
    ],
)
def test_a_listing_that_the_server_cuts_is_refused(
    tmp_path: Path, more: str, error: type[Exception], words: str
) -> None:
    with serve(tmp_path, company(700), more=more) as port:
        why = refused(ldap(port))
    assert isinstance(why, error)
    assert words in str(why)


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    """A base that is not there, a filter that is none, a wrong password, a server that refers elsewhere for a part."""
    refers = f"dn: ou=Far,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\nou: Far\nref: ldap://far.example.org/ou=Far,{SUFFIX}\n\n"
    with serve(tmp_path, company(3) + refers) as port:
        assert isinstance(refused(ldap(port, base=f"ou=None,{SUFFIX}")), RefusedError)
        assert isinstance(refused(ldap(port, filter_="(mail=*")), RefusedError)
        assert isinstance(refused(ldap(port), password="wrong-horse"), UnauthenticatedError)
        assert "refers elsewhere" in str(refused(ldap(port)))
        assert "refers elsewhere" in str(refused(ldap(port, base=f"ou=Far,{SUFFIX}")))
        with reader(ldap(port)) as open_reader:  # a misspelt attribute is undefined, and no error for the server
            assert open_reader.list_all(f"ou=People,{SUFFIX}", "(mial=*)", ("uid",)) == ()
    assert isinstance(refused(ldap(1)), UnreachableError)


def test_credentials_go_to_the_address_they_are_bound_to() -> None:
    """And to another machine encrypted only; nothing is sent before."""
    far = Ldap(url="ldaps://ldap.example.org", base=SUFFIX, filter="(mail=*)", map=MAP)
    with pytest.raises(OriginMismatchError, match="bound to no address"):
        reader(far)
    with pytest.raises(OriginMismatchError, match=r"they are for ldaps://other\.example\.org"):
        reader(far, SITEWARD_HQ_URL="ldaps://other.example.org")
    reader(far, SITEWARD_HQ_URL="ldaps://LDAP.example.org:636/")
    plain = Ldap(url="ldap://ldap.example.org", base=SUFFIX, filter="(mail=*)", map=MAP)
    for insecure in ("", "1"):
        with pytest.raises(InsecureError):
            reader(plain, SITEWARD_HQ_URL="ldap://ldap.example.org", SITEWARD_HQ_INSECURE=insecure)


def test_each_who_is_missing_is_asked_for(tmp_path: Path) -> None:
    """Gone, moved and left out by the filter are three words; a rename is none of them."""
    base = ldap(0, base=f"ou=People,{SUFFIX}")
    ids = {number: f"{number:08x}-0000-1000-8000-000000000000" for number in range(1, 6)}
    with serve(tmp_path, company(5)) as port:
        changes = f"dn: uid=p2,ou=People,{SUFFIX}\nchangetype: delete\n\n"
        changes += f"dn: uid=p3,ou=People,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=p3\ndeleteoldrdn: 0\nnewsuperior: ou=Left,{SUFFIX}\n\n"
        changes += f"dn: uid=p4,ou=People,{SUFFIX}\nchangetype: modify\ndelete: mail\n\n"
        changes += f"dn: uid=p5,ou=People,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=eve\ndeleteoldrdn: 1\n"
        modify(port, changes)
        where = Ldap(url=f"ldap://127.0.0.1:{port}", base=base.base, filter=base.filter, map=MAP)
        with reader(where) as open_reader:
            listing = read_server(open_reader, where, AT)
            told = explain_absences(open_reader, where, [ids[2], ids[3], ids[4]], AT)
    assert {found.id: found.handle for found in listing.people} == {ids[1]: "p1", ids[5]: "eve"}
    assert told == {
        ids[2]: "gone from the directory",
        ids[3]: f"moved out of {base.base}",
        ids[4]: "left out by the filter",
    }


def test_hidden_entries_leave_no_trace(tmp_path: Path) -> None:
    """No answer tells that an access rule hides somebody: this is what `expects` is for (and the docs say so)."""
    access = f'access to dn.exact="uid=p2,ou=People,{SUFFIX}" by * none'
    with serve(tmp_path, company(3), access=access) as port, reader(ldap(port)) as open_reader:
        assert {found.handle for found in read_server(open_reader, ldap(port), AT).people} == {"p1", "p3"}


def test_an_unknown_certificate_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a known one is: `SSL_CERT_FILE` names it."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made = subprocess.run(
        [*make, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    tls = f"TLSCertificateFile {cert}\nTLSCertificateKeyFile {key}"
    with serve(tmp_path / "server", company(3), tls=tls) as port:
        where = ldap(port, scheme="ldaps")
        assert isinstance(refused(where), UnreachableError)
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        with reader(where) as open_reader:
            assert len(read_server(open_reader, where, AT).people) == 3


def test_a_run_whose_time_is_over_ends(tmp_path: Path) -> None:
    with serve(tmp_path, company(3)) as port:
        assert isinstance(refused(ldap(port), seconds=-1), OutOfTimeError)


def test_the_client_is_imported_without_a_warning() -> None:
    """`python -W error` is how some run their CI."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader(ldap(1))


def test_the_directory_s_own_rows_are_people() -> None:
    """The helper of these tests writes what the server takes."""
    assert person(7).startswith("dn: uid=p7,ou=People")
