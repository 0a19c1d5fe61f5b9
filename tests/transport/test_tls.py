"""TLS as it is on the wire: a private authority has to be named, and then it is enough."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from siteward.transport.errors import UnreachableError
from siteward.transport.http import Link, Reading, open_doors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READS = [Reading("GET", "/")]


class Hello(http.server.BaseHTTPRequestHandler):
    """Answers every GET with an empty object."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own making, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    file, key = folder / "server.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(file)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "both.pem").write_bytes(key.read_bytes() + file.read_bytes())
    return file


@pytest.fixture
def server(certificate: Path) -> Iterator[str]:
    """The address of a TLS server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.with_name("both.pem"))
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    served.handle_error = lambda *_: None  # type: ignore[method-assign]  # a refused handshake is what is tested
    served.socket = context.wrap_socket(served.socket, server_side=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{served.server_address[1]}"
    served.shutdown()
    served.server_close()
    thread.join()


def test_an_unknown_authority_is_refused_with_the_way_out(server: str) -> None:
    """Nobody is trusted by default, and the message says what to do."""
    with (
        open_doors(Link(url=server), reads=READS) as open_,
        pytest.raises(UnreachableError, match="not trusted") as caught,
    ):
        open_.reader.query("/")
    assert "ca_file" in (caught.value.hint or "")


def test_a_named_authority_is_trusted(server: str, certificate: Path) -> None:
    """`ca_file` replaces the usual authorities."""
    with open_doors(Link(url=server, ca_file=certificate), reads=READS) as open_:
        assert open_.reader.query("/").json() == {}
