"""An instance as the file names it: opened over a real socket, with credentials found at that moment and not before."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from platforms.umami.at import SHOP, fake_of, grant
from siteward.platforms import fakery
from siteward.platforms.fakery import Fault, Sandbox
from siteward.platforms.instance import Instance
from siteward.platforms.umami.platform import PLATFORM
from siteward.platforms.umami.settings import Settings
from siteward.transport.errors import OriginMismatchError, SecretMissingError
from siteward.transport.http import Link, Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Settings(layout="per-site")
ENV = {"SITEWARD_STATS_USERNAME": "siteward", "SITEWARD_STATS_PASSWORD": "sandbox-siteward"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with fakery.serve(fake_of()) as served:
        yield served


def instance(url: str, env: dict[str, str] | None = None) -> Instance:
    return Instance(
        name="stats", platform=PLATFORM, settings=SETTINGS, link=Link(url=url), env=ENV if env is None else env
    )


def test_it_is_read_over_a_real_socket(sandbox: Sandbox) -> None:
    """The login, three listings and one question about the release, through eight threads and one client."""
    with instance(sandbox.url).reading() as reader:
        assert type(reader) is Reader
        traits, seed = PLATFORM.probe(reader, SETTINGS)
        live = PLATFORM.read(reader, SETTINGS, traits, seed)
        assert reader.requests == 5
    assert grant("anna", SHOP, "team-view-only") in set(live.access.grants())
    assert sandbox.fake.writes == 0


def test_a_page_that_is_cut_in_the_middle_is_asked_for_again(sandbox: Sandbox) -> None:
    """Half a list is no list."""
    sandbox.fake.faults.append(Fault.parse("cut:GET /api/admin/teams"))
    with instance(sandbox.url).reading() as reader:
        traits, seed = PLATFORM.probe(reader, SETTINGS)
        assert PLATFORM.read(reader, SETTINGS, traits, seed).complete


def test_only_who_writes_gets_a_writer(sandbox: Sandbox) -> None:
    """The two ways in."""
    with instance(sandbox.url).writing() as writer:
        assert type(writer) is Writer
        assert PLATFORM.probe(writer, SETTINGS)[0].version == "3.2"


def test_credentials_are_looked_up_when_it_is_opened() -> None:
    """One instance without them does not keep the others from being read."""
    lacking = instance("http://127.0.0.1:9", {})
    assert lacking.origin == "http://127.0.0.1:9"
    with pytest.raises(SecretMissingError), lacking.reading():
        pytest.fail("it must not open")


def test_an_address_that_the_credentials_are_not_for_is_not_opened() -> None:
    """Promise 13, where everybody comes through."""
    with pytest.raises(OriginMismatchError), instance("https://evil.test").reading():
        pytest.fail("it must not open")


def test_nothing_of_the_environment_shows() -> None:
    """An instance may be printed."""
    assert "sandbox-siteward" not in repr(instance("http://127.0.0.1:9"))


def test_the_platform_is_loaded_without_http() -> None:
    """`validate` needs its table and its settings, and no client."""
    code = "import sys, siteward.platforms as p; p.load('umami'); sys.exit('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert done.returncode == 0


def test_the_client_comes_without_its_command_line() -> None:
    """Half of what importing httpx costs is a program that nobody calls."""
    code = "import sys, siteward.transport.http; sys.exit('rich' in sys.modules or 'click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert done.returncode == 0
