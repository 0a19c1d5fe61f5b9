"""What is packed: the whole project and nothing that merely lies about in the checkout."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKED = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
READ = {"src/siteward", "tests", "schemas", "docs", "examples", "README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md"}
LITTER = (
    "src/siteward/.env",
    "src/siteward/access/__pycache__/model.cpython-311.pyc",
    "examples/ci/.siteward/stats.jsonl",
    "examples/ci/tonight.plan.json",
    "examples/ci/passwords.txt",
    "tests/.hypothesis/examples/one",
    ".siteward/stats.jsonl",
    ".env",
    "plan.json",
)


class Archives(NamedTuple):
    """The names in the two archives, below their root."""

    sdist: frozenset[str]
    wheel: frozenset[str]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Build both archives of a checkout with litter in it, below a folder whose ignore file would empty them.

    The checkout has no ignore file of its own, as an archive that is unpacked into somebody else's repository.
    """
    above = tmp_path_factory.mktemp("above")
    (above / ".gitignore").write_text("checkout/src/\n*.md\n*.py\n", encoding="utf-8")
    checkout, out = above / "checkout", above / "dist"
    for name in (*PACKED, "pyproject.toml"):
        source, target = ROOT / name, checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
        else:
            shutil.copy(source, target)
    for name in LITTER:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("a secret", encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", out], cwd=checkout, check=True, capture_output=True
    )
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with tarfile.open(sdist) as opened:
        names = frozenset(member.name.partition("/")[2] for member in opened.getmembers())
    with zipfile.ZipFile(wheel) as unzipped:
        return Archives(names, frozenset(unzipped.namelist()))


def files_below(name: str) -> set[str]:
    """Return the files of the project below that name, as far as git would know them."""
    source = ROOT / name
    files = source.rglob("*") if source.is_dir() else [source]
    unknown = {"__pycache__", ".hypothesis"}
    return {str(file.relative_to(ROOT)) for file in files if file.is_file() and not unknown & set(file.parts)}


def test_the_source_archive_has_what_a_reader_needs(archives: Archives) -> None:
    """Sources, tests, schemas, pages and examples are there, each file of them, and nothing else."""
    assert set(PACKED) >= READ
    wanted = {file for name in PACKED for file in files_below(name)}
    assert archives.sdist - {".gitignore"} == wanted | {"pyproject.toml", "PKG-INFO"}


def test_the_wheel_has_the_package_and_the_examples_that_it_uses(archives: Archives) -> None:
    """Every module but the template, the declaration that `demo` shows, the recipes that `init` fills in, the licence."""
    template = files_below("src/siteward/platforms/_template")
    sources = {name.removeprefix("src/") for name in files_below("src/siteward") - template}
    recipes = {
        name
        for part in (".github/actions", ".github/workflows", ".gitlab-ci.yml", "ci")
        for name in files_below(f"examples/ci/{part}")
    }
    shown = {"access.example.yaml", "examples/teams/shop.yaml", *recipes}
    example = {f"siteward/cli/example/{name}" for name in shown}
    about = {name for name in archives.wheel if ".dist-info/" in name}
    assert archives.wheel - about == sources | example
    assert any(name.endswith("licenses/LICENSE") for name in about)


@pytest.mark.parametrize("name", LITTER)
def test_what_lies_about_is_not_packed(archives: Archives, name: str) -> None:
    """Credentials, journals, plans and caches stay where they are, wherever the checkout lies."""
    assert name not in archives.sdist
    assert name.removeprefix("src/") not in archives.wheel


def test_all_is_every_other_extra() -> None:
    """`siteward[all]` leaves no extra out."""
    extras = dict(PROJECT["project"]["optional-dependencies"])
    (everything,) = extras.pop("all")
    assert everything == f"siteward[{','.join(sorted(extras))}]"


def test_the_version_is_one() -> None:
    """What the program says, what is packed and what a tag is compared with are the same."""
    from siteward import __version__

    assert PROJECT["project"]["version"] == __version__


@pytest.mark.parametrize(
    ("tag", "headings", "said"),
    [
        ("v1.2.0", "## Unreleased\n\n## 1.2.0 (2027-01-31)\n\n### Added\n", 0),
        ("v1.2.0", "## 1.2.0 (2027-01-31)\n", 0),
        ("v1.2.1", "## 1.2.0 (2027-01-31)\n", 1),
        ("1.2.0", "## 1.2.0 (2027-01-31)\n", 1),
        ("v1.2.0", "## 1.2.0\n", 1),
        ("v1.2.0", "## Unreleased\n\n- more\n\n## 1.2.0 (2027-01-31)\n", 1),
    ],
)
def test_a_release_is_one_that_the_changelog_knows(tag: str, headings: str, said: int) -> None:
    """The release workflow refuses a tag of another version, without a heading, or that leaves changes untold."""
    found = runpy.run_path(str(ROOT / ".ci" / "released.py"))["objections"]
    assert len(found(tag, '[project]\nversion = "1.2.0"\n', headings)) == said


def test_no_address_is_invented() -> None:
    """The metadata names no person's address and no page: where the project lives is for those who publish it."""
    assert not PROJECT["project"].keys() & {"authors", "maintainers", "urls"}


def test_the_benchmarks_name_what_there_is() -> None:
    """They are run by hand, so nothing else tells that a name they import has gone."""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
    if not names:
        pytest.skip("the source archive has no benchmarks")
    code = f"import sys; sys.path[:0] = {[str(ROOT / 'benchmarks'), str(ROOT / 'src')]!r}; import {', '.join(names)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
