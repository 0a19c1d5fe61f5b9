"""The branch that keeps the journal, by the recipe's own script: jobs at once, clones that are kept, refused pushes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from cli.conftest import base_environment
from cli.forge import Forge

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def run(clone: Path, *words: str) -> tuple[int, str]:
    """Run the recipe's script in a clone; return the exit code and what it said."""
    return ended(begun(clone, *words))


def begun(clone: Path, *words: str) -> subprocess.Popen[str]:
    config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.Popen(
        ["sh", "ci/journal.sh", *words], cwd=clone, env=base_environment() | config,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def write(clone: Path, name: str, line: str) -> None:
    """Write down a step of an instance, as apply does."""
    with (clone / ".siteward" / f"{name}.jsonl").open("a") as file:
        file.write(f"{line}\n")


def pushed_files(forge: Forge) -> dict[str, str]:
    """What the journal's branch holds at the origin; git may not change a byte of it, on any machine."""
    names = forge.git("ls-tree", "--name-only", "siteward-journal", at=forge.origin).splitlines()
    files = {name: forge.git("show", f"siteward-journal:{name}", at=forge.origin) for name in names}
    assert files.pop(".gitattributes") == "* -text"
    return files


@pytest.fixture
def bare(tmp_path: Path) -> Forge:
    """A repository with the recipes in it, and no sandbox behind it."""
    made = Forge(tmp_path, {})
    (made.work / ".gitignore").write_text(".siteward/\n")
    made.push("Begin")
    return made


def there_already(forge: Forge) -> None:
    """Begin the journal's branch by one run."""
    clone = forge.clone()
    assert run(clone, "pull") == (0, "")
    write(clone, "first", "1")
    assert run(clone, "push", "first") == (0, "")


@pytest.mark.parametrize("there", [True, False], ids=["branch there", "very first run"])
def test_two_jobs_at_once_keep_both_journals(bare: Forge, *, there: bool) -> None:
    """Both pull, both apply, one after the other pushes; what is pushed last goes on top."""
    if there:
        there_already(bare)
    first, second = bare.clone(), bare.clone()
    for clone, name in ((first, "stats"), (second, "matomo")):
        assert run(clone, "pull") == (0, "")
        write(clone, name, name)
    assert run(first, "push", "one")[0] == 0
    assert run(second, "push", "two")[0] == 0
    assert run(second, "push", "two again")[0] == 0
    assert pushed_files(bare) == ({"first.jsonl": "1"} if there else {}) | {"matomo.jsonl": "matomo", "stats.jsonl": "stats"}  # fmt: skip
    told = ["two", "one", *(["first"] if there else []), "Begin the journal"]
    assert bare.journal() == told
    assert run(first, "push", "one again")[0] == 0
    assert not (second / "journal-not-pushed").exists()


def test_many_jobs_at_the_same_moment(bare: Forge) -> None:
    """Whoever loses the race tries again, until each journal is there."""
    clones = [bare.clone() for _ in range(5)]
    for at, clone in enumerate(clones):
        assert run(clone, "pull")[0] == 0
        write(clone, f"instance-{at}", str(at))
    ends = [ended(popen) for popen in [begun(clone, "push", f"job {at}") for at, clone in enumerate(clones)]]
    assert [code for code, _ in ends] == [0] * 5, ends
    assert pushed_files(bare) == {f"instance-{at}.jsonl": str(at) for at in range(5)}


@pytest.mark.parametrize("cleaned", [True, False])
def test_a_clone_that_is_kept_from_job_to_job(bare: Forge, *, cleaned: bool) -> None:
    """With the runner's clean in between and without one; also two pulls in one folder."""
    clone, other = bare.clone(), bare.clone()
    for night in ("1", "2", "3"):
        if cleaned:
            bare.git("clean", "-ffdxq", at=clone)
        assert run(clone, "pull") == (0, "")
        assert run(clone, "pull") == (0, "")
        write(clone, "stats", night)
        assert run(clone, "push", f"night {night}") == (0, "")
        run(other, "pull")
        write(other, "matomo", night)
        assert run(other, "push", f"other {night}") == (0, "")
    assert pushed_files(bare) == {"matomo.jsonl": "1\n2\n3", "stats.jsonl": "1\n2\n3"}


def test_a_job_that_only_reads_leaves_nothing_behind(bare: Forge) -> None:
    """A plan of the very first day in a kept clone does not become a part of what others began."""
    clone = bare.clone()
    assert run(clone, "pull") == (0, "")
    there_already(bare)
    bare.git("clean", "-ffdxq", at=clone)
    assert run(clone, "pull") == (0, "")
    assert (clone / ".siteward" / "first.jsonl").read_text() == "1\n"
    assert run(clone, "push") == (0, "")
    assert bare.journal() == ["first", "Begin the journal"]


@pytest.mark.parametrize("cleaned", [True, False])
def test_a_journal_that_is_refused_is_kept_and_goes_with_the_next(bare: Forge, *, cleaned: bool) -> None:
    """It ends in an error and a copy, and where the clone is kept the next job pushes it with its own."""
    there_already(bare)
    clone, other = bare.clone(), bare.clone()
    assert run(clone, "pull") == (0, "")
    write(clone, "stats", "1")
    hook = bare.refuse()
    code, said = run(clone, "push", "refused")
    assert code == 1
    assert "the repository refuses it" in said
    copy = clone / "journal-not-pushed"
    assert {path.name: path.read_text() for path in copy.glob("*.jsonl")} == {
        "first.jsonl": "1\n",
        "stats.jsonl": "1\n",
    }
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (copy, *copy.iterdir()))
    hook.unlink()
    run(other, "pull")
    write(other, "matomo", "2")
    assert run(other, "push", "other") == (0, "")
    if cleaned:
        bare.git("clean", "-ffdxq", at=clone)
    assert run(clone, "pull") == (0, "")
    write(clone, "stats", "3")
    assert run(clone, "push", "next") == (0, "")
    assert pushed_files(bare) == {"first.jsonl": "1", "matomo.jsonl": "2", "stats.jsonl": "1\n3"}
    assert not copy.exists()


def test_what_was_not_committed_is_not_thrown_away(bare: Forge) -> None:
    """A job that was killed between its apply and its push leaves lines that the next one pushes."""
    clone = bare.clone()
    run(clone, "pull")
    write(clone, "stats", "1")
    assert run(clone, "pull") == (0, "")
    assert (clone / ".siteward" / "stats.jsonl").read_text() == "1\n"
    assert run(clone, "push", "next") == (0, "")
    assert bare.journal() == ["Left by an earlier run", "Begin the journal"]


def test_two_journals_of_one_instance_are_left_to_people(bare: Forge) -> None:
    """What does not fit is neither dropped nor mixed: the push fails and keeps a copy, and so does the next pull."""
    there_already(bare)
    first, second = bare.clone(), bare.clone()
    for clone, line in ((first, "a"), (second, "b")):
        run(clone, "pull")
        write(clone, "first", line)
    assert run(first, "push")[0] == 0
    code, said = run(second, "push")
    assert code == 1
    assert "the same instance" in said
    assert (second / "journal-not-pushed" / "first.jsonl").read_text() == "1\nb\n"
    for _ in range(2):
        code, said = run(second, "pull")
        assert code == 1
        assert "does not fit" in said
        assert "1\nb" in bare.git("show", "siteward-journal:first.jsonl", at=second)
    assert pushed_files(bare) == {"first.jsonl": "1\na"}


def test_a_journal_that_cannot_be_fetched_stops_the_run(bare: Forge) -> None:
    """Nobody knows whether there is a branch: nothing begins anew. Nor is a folder of another origin taken."""
    there_already(bare)
    clone = bare.clone()
    bare.git("remote", "set-url", "origin", str(bare.folder / "nowhere"), at=clone)
    code, said = run(clone, "pull")
    assert code == 1
    assert "the journal cannot be fetched" in said
    assert not (clone / ".siteward").exists()
    assert run(clone, "push")[0] == 1
    bare.git("remote", "set-url", "origin", str(bare.origin), at=clone)
    (clone / ".siteward").mkdir()
    write(clone, "stats", "mine")
    code, said = run(clone, "pull")
    assert code == 1
    assert "move it away" in said
    assert run(clone, "push")[0] == 1
    (clone / ".siteward" / "stats.jsonl").unlink()
    assert run(clone, "pull") == (0, "")
