"""The template is a platform: copied and renamed as docs/add-a-platform.md says, it works, and a half of it does no harm."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.conftest import ROOT, Program, program
from platforms._template import worlds
from siteward import platforms
from siteward.platforms import interface
from siteward.platforms.fakery import Sandbox, serve
from spine import test_laws

__all__ = ["program"]  # the fixture of the command line serves here too
PAGE = ROOT / "docs" / "add-a-platform.md"
TEMPLATE = ROOT / "src" / "siteward" / "platforms" / "_template"
NAME = "acme-stats"
DECLARATION = f"""\
version: 1
instances:
  stats: {{platform: {NAME}, url: "URL", self: siteward}}
users:
  anna: {{email: anna@example.org}}
  ben: {{email: ben@example.org}}
  zoe: {{email: zoe@example.org}}
grants:
  - {{to: anna, role: edit, sites: [shop.example.org, blog.example.org]}}
  - {{to: zoe, role: view, sites: shop.example.org}}
  - {{to: ben, role: admin, on: stats}}
"""
UMAMI = """\
version: 1
instances:
  stats: {platform: umamy, url: "https://stats.example.org", self: siteward, layout: per-site}
users:
  anna: {email: anna@example.org}
grants:
  - {to: anna, role: view, sites: shop.example.org}
"""


def copy_to(folder: Path, name: str = NAME) -> Path:
    """Copy the template and rename it: the folder, the imports that name it, and `NAME`."""
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8").replace("_template", folder.name)
        path.write_text(text.replace('NAME = "toy"', f'NAME = "{name}"'), encoding="utf-8")
    return folder


@pytest.fixture
def copied(program: Program, tmp_path: Path) -> Path:
    """A copy of the whole package, which the program runs from; returns its folder of platforms."""
    shutil.copytree(
        ROOT / "src" / "siteward", tmp_path / "src" / "siteward", ignore=shutil.ignore_patterns("__pycache__")
    )
    program.env["PYTHONPATH"] = str(tmp_path / "src")
    return tmp_path / "src" / "siteward" / "platforms"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The renamed template as one more platform of this process; its name."""
    copy_to(tmp_path / "more" / "acme")
    monkeypatch.setattr(platforms, "__path__", [*platforms.__path__, str(tmp_path / "more")])
    platforms._find_platforms.cache_clear()
    yield NAME
    platforms._find_platforms.cache_clear()
    for name in [name for name in sys.modules if name.startswith("siteward.platforms.acme")]:
        del sys.modules[name]


@pytest.fixture
def server(acme: str) -> Iterator[Sandbox]:
    with serve(platforms.fake(acme).lived_in("1", clock=lambda: datetime.now(UTC))) as sandbox:
        yield sandbox


def test_a_renamed_copy_is_a_platform_from_validate_to_apply(copied: Path, program: Program, server: Sandbox) -> None:
    """Nothing but the folder was added: the file is valid, planned, applied, and then there is nothing left to do."""
    copy_to(copied / "acme")
    program.write(DECLARATION.replace("URL", server.url))
    program.env["SITEWARD_STATS_KEY"] = server.fake.credentials["key"]

    assert program("validate").code == 0
    assert "Toy Analytics" in program("doctor").out
    planned = program("plan", "--out", "plan.json", "--passwords-out", "passwords.txt")
    assert planned.code == 2, planned.out + planned.err
    assert server.fake.writes == 0
    applied = program("apply", "plan.json", "--yes", "--passwords-out", "passwords.txt")
    assert applied.code == 0, applied.out + applied.err
    assert program("plan").code == 0
    assert "zoe" in (program.folder / "passwords.txt").read_text(encoding="utf-8")
    assert NAME in program("schema").out
    assert NAME in program("sandbox", "--help").out


LAWS = [law for name, law in inspect.getmembers(test_laws, inspect.isfunction) if name.startswith("test_")]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_laws_hold_for_a_renamed_copy(law: object, acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very laws of tests/spine that every platform passes."""
    monkeypatch.setattr(test_laws, "worlds_of", lambda _platform: worlds)
    assert callable(law)
    law(platform=acme, release="1")


def test_the_template_itself_is_no_platform() -> None:
    """Nobody can name it in a file, and nothing is said of it."""
    assert "toy" not in platforms.names()
    assert platforms.unfinished() == {}


def test_a_name_is_the_one_that_the_platform_gives() -> None:
    """What is read of the settings as text is what the table says."""
    assert {name: platforms.load(name).name for name in platforms.names()} == {name: name for name in platforms.names()}


HALVES = {
    "platform.py alone": (["__init__.py", "platform.py"], "it has no settings.py and no roles.py"),
    "no roles": (["__init__.py", "settings.py", "platform.py"], "it has no roles.py"),
    "no package": (["settings.py", "roles.py", "platform.py"], "it has no __init__.py"),
}


@pytest.mark.parametrize(("kept", "words"), HALVES.values(), ids=HALVES)
def test_a_half_written_folder_is_told_in_words(copied: Path, program: Program, kept: list[str], words: str) -> None:
    """Whether the file names it, or misspells another: no traceback, and what is missing."""
    folder = copy_to(copied / "acme")
    for path in folder.glob("*.py"):
        if path.name not in kept:
            path.unlink()
    for text in (DECLARATION.replace("URL", "https://stats.example.org"), UMAMI):
        program.write(text)
        result = program("validate")
        assert result.code == 1
        assert "there is no platform" in result.out
        assert f"the folder siteward/platforms/acme is not a platform yet: {words}" in result.out
    program.write(UMAMI.replace("umamy", "umami"))
    assert program("validate").code == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [("umami", "gives the name `umami`, as that of umami does"), ("Acme!", 'has no line `NAME = "…"`')],
)
def test_a_name_that_is_taken_or_none_is_told(copied: Path, program: Program, name: str, words: str) -> None:
    """A folder never takes the place of another one's platform, whatever comes first."""
    copy_to(copied / "zacme", name)
    program.write(UMAMI.replace("umamy", "umami"))
    result = program("validate")
    assert result.code == 0
    assert words in result.out


def test_the_steps_of_the_page_make_the_platform(copied: Path, tmp_path: Path) -> None:
    """The page's own commands, run in a copy of the package, give the very files that these tests use."""
    (steps,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    subprocess.run(["sh", "-ec", steps], cwd=tmp_path, check=True)
    ours = copy_to(tmp_path / "acme", "acme")
    made = {path.name: path.read_text(encoding="utf-8") for path in (copied / "acme").iterdir()}
    assert made == {path.name: path.read_text(encoding="utf-8") for path in ours.iterdir()}


def test_the_page_names_every_file_and_every_function_of_the_table() -> None:
    """Whoever follows it misses nothing."""
    text = PAGE.read_text(encoding="utf-8")
    for path in TEMPLATE.glob("*.py"):
        assert f"`{path.name}`" in text or path.name == "__init__.py", path.name
    for name in (
        "connect",
        "probe",
        "read",
        "refresh",
        "bundle",
        "write",
        "review",
        "reach",
        "resend",
        "finish",
        "blame",
        "leftovers",
    ):
        assert re.search(rf"`{name}\b", text), name


def test_the_list_of_files_in_the_contract_is_right() -> None:
    """It names what `validate` asks for, and the stand-in."""
    named = set(re.findall(r"^    (\w+)\.py  ", interface.__doc__ or "", re.MULTILINE))
    assert named == ({*platforms.PARTS} - {"__init__"}) | {"fake"}
