"""Whose certificate an LDAP server has to show: the rules of HTTPS, whatever Python and its LDAP client make of names."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from siteward.transport.deadline import Deadline
from siteward.transport.errors import UnreachableError
from siteward.transport.ldap import FIELDS, LdapReader
from siteward.transport.secrets import find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class Met:
    """What a server saw of its one client."""

    port: int
    asked_for: list[str | None] = field(default_factory=list)
    trusted: bool = False


@contextlib.contextmanager
def served(folder: Path, subject: str, names: str) -> Iterator[Met]:
    """Show one client a certificate with a common name and alternative names; then hang up."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={subject}",
         "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        met = Met(listener.getsockname()[1])
        context.sni_callback = lambda _connection, name, _context: met.asked_for.append(name)

        def answer() -> None:
            client, _ = listener.accept()
            client.settimeout(60)
            with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as wrapped:
                met.trusted = bool(wrapped.recv(1))  # nothing is asked of a server that is not trusted

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield met
        thread.join(60)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed, so no certificate can be made")
@pytest.mark.parametrize(
    ("host", "subject", "names", "trusted"),
    [
        ("localhost", "directory", "DNS:localhost", True),
        ("127.0.0.1", "directory", "IP:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", "DNS:ldap.example.org", False),
        ("localhost", "localhost", "DNS:ldap.example.org", False),
        ("localhost", "directory", "DNS:local*", False),
    ],
)
def test_names_are_those_of_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, subject: str, names: str, *, trusted: bool
) -> None:
    """An address is an alternative name of the kind IP, a star stands for a whole first part, and a name is asked for."""
    with served(tmp_path, subject, names) as met:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        given = {"SITEWARD_HQ_BIND_DN": "cn=reader", "SITEWARD_HQ_BIND_PASSWORD": "x" * 12}
        url = f"ldaps://{host}:{met.port}"
        secrets = find("hq", FIELDS, url=url, env=given, schemes=("ldap", "ldaps"))
        with pytest.raises(UnreachableError), LdapReader("hq", url, secrets, given, Deadline(60)) as reader:
            reader.read_one("", ("namingContexts",))
    assert met.trusted is trusted
    assert met.asked_for == [None if host == "127.0.0.1" else host]
