"""`apply -o notice:DIR`: one text for each person whose access was changed or ends soon, and nobody else's in it."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from cli.conftest import Program
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siteward.platforms.fakery import Sandbox

FILE = """\
version: 1
instances:
  stats: {platform: matomo, url: URL, self: root, unmanaged: revoke}
sites:
  shop: {domain: shop.example.org}
  blog: {domain: blog.example.org}
users:
  anna: {email: anna@example.org}
  ben: {email: ben@example.org}
  cleo: {email: cleo@example.org}
grants:
  - {to: anna, role: edit, sites: shop, ticket: OPS-9}
  - {to: ben, role: view, sites: [shop, blog], until: 2026-03-20}
  - {to: cleo, role: view, sites: blog}
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    names = ("anna", "ben", "cleo", "../../evil")
    world = World(
        accounts=tuple(WorldAccount(login=name, email=f"{name.strip('./')}@example.org") for name in names),
        sites=(WorldSite(name="shop", domain="shop.example.org"), WorldSite(name="blog", domain="blog.example.org")),
        grants=(
            WorldGrant(account="anna", site="shop.example.org", role="view"),
            WorldGrant(account="cleo", site="blog.example.org", role="view"),
            WorldGrant(account="../../evil", site="blog.example.org", role="view"),
        ),
    )
    fake = platforms.fake("matomo")
    with serve(fake.of(world, fake.releases[0], clock=lambda: datetime.now(UTC))) as served:
        yield served


@pytest.fixture
def company(tmp_path: Path, sandbox: Sandbox) -> Program:
    program = Program(tmp_path / "repo", moment="2026-03-01T12:00:00+00:00")
    program.folder.mkdir()
    program.write(FILE.replace("URL", sandbox.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
    return program


def written(company: Program, folder: str = "out") -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((company.folder / folder).iterdir())}


def test_everybody_gets_their_own_text(company: Program) -> None:
    """By handle where there is one, else under a digest; readable by their owner alone, and nobody else is in it."""
    said = company("apply", "--yes", "-o", "notice:out")
    assert said.code == 0, said.out + said.err
    texts = written(company)
    (other,) = texts.keys() - {"anna.md", "ben.md"}
    assert other.startswith("account-")
    assert "became" in texts["anna.md"]
    assert "`OPS-9`" in texts["anna.md"]
    assert "you now have" in texts["ben.md"]
    assert texts["ben.md"].count("ends with 2026-03-20") == 2
    assert "was taken away" in texts[other]
    for name, text in texts.items():
        others = {"anna", "ben", "cleo", "evil"} - {name.removesuffix(".md")} - ({"evil"} if name == other else set())
        assert not any(person in text for person in others), text
        assert company.env["SITEWARD_STATS_TOKEN"] not in text
        assert stat.S_IMODE((company.folder / "out" / name).stat().st_mode) == 0o600
    assert "nothing is sent" in said.err
    assert not (company.folder.parent / "evil.md").exists()


def test_nothing_is_written_for_what_was_not_done(company: Program) -> None:
    """What was blocked, left out or not needed is in no text; an empty folder does not stay."""
    said = company("apply", "--yes", "--only", "user:anna", "-o", "notice:out")
    assert said.code == 0, said.out
    assert "anna.md" in written(company)
    assert not any("taken away" in text for text in written(company).values())
    assert company("apply", "--yes", "-o", "notice:rest").code == 0
    assert "anna.md" not in written(company, "rest")
    assert company("apply", "--yes", "-o", "notice:none").code == 0
    assert not (company.folder / "none").exists()


def test_a_folder_that_is_not_empty_or_a_link_is_refused_before_anything_is_done(
    company: Program, sandbox: Sandbox
) -> None:
    """Texts of another run would be taken for those of this one."""
    company.write("x", "full/anna.md")
    (company.folder / "link").symlink_to(company.folder / "elsewhere")
    for folder in ("full", "link", "access.yaml"):
        assert company("apply", "--yes", "-o", f"notice:{folder}").code == 1
    assert company("apply", "--yes", "-o", "notice:a", "-o", "notice:b").code == 1
    assert company("apply", "--yes", "-f", "notice").code == 1
    assert company("plan", "-o", "notice:a").code == 1
    assert sandbox.fake.writes == 0


def test_names_are_hidden_where_that_is_asked_for(company: Program) -> None:
    """With handles undeclared logins are; with counts there is no text."""
    company("apply", "--yes", "--only", "user:../../evil", "-o", "notice:out", "--privacy", "handles")
    texts = written(company)
    assert not any("evil" in text for text in texts.values())
    assert any(name.startswith("account-") for name in texts)
    said = company("apply", "--yes", "-o", "notice:none", "--privacy", "counts")
    assert not (company.folder / "none").exists()
    assert "0 notices" in said.err
