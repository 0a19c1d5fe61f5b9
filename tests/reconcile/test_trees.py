"""Trees that no checkout has made: nothing is written outside the folder they are laid into, and all is told in words."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from siteward.declaration.load import MAX_BYTES
from siteward.reconcile.revisions.git import NoSuchRevisionError, commit_at, read_at

REAL = shutil.which("git") or ""
pytestmark = pytest.mark.skipif(not REAL, reason="git is not installed")
WHO = {
    "GIT_AUTHOR_NAME": "Somebody", "GIT_AUTHOR_EMAIL": "somebody@example.org", "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
}  # fmt: skip
ROOT = b"version: 1\ninclude: [more.yaml]\n"
MORE = b"users:\n  anna: {email: anna@example.org}\n"
Row = tuple[str, bytes, str]
"""One entry of a tree: mode, name, object."""


class Repo:
    """A repository whose trees are written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, given: bytes = b"") -> str:
        done = subprocess.run(
            [REAL, *arguments], cwd=self.folder, env=os.environ | WHO, input=given, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", given=content)

    def tree(self, *rows: Row) -> str:
        text = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in rows)
        return self.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=text)

    def commit(self, *rows: Row) -> str:
        """Commit a tree that holds a small declaration and `rows`; the repository's branch is that commit."""
        whole = (*rows, ("100644", b"access.yaml", self.blob(ROOT)), ("100644", b"more.yaml", self.blob(MORE)))
        found = self.git("commit-tree", "-m", "Odd", self.tree(*whole))
        self.git("update-ref", "refs/heads/main", found)
        return found


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository, and a folder for temporary ones that is looked at afterwards."""
    (tmp_path / "repo").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return Repo(tmp_path / "repo")


def told(repo: Repo, commit: str) -> str:
    """Read a commit that cannot be read; nothing is left behind, here or beside."""
    before = {path for path in repo.folder.parent.rglob("*") if ".git" not in path.parts}
    with pytest.raises(NoSuchRevisionError) as problem:
        read_at(repo.folder / "access.yaml", commit)
    assert {path for path in repo.folder.parent.rglob("*") if ".git" not in path.parts} == before
    return str(problem.value)


def test_an_ordinary_tree_is_read(repo: Repo) -> None:
    """The control: what the odd ones add to can be read."""
    deep = ("40000", b"deep", repo.tree(("100644", b"x" * 250 + b".yaml", repo.blob(MORE))))
    loaded = read_at(repo.folder / "access.yaml", repo.commit(deep, ("100644", b"..b.yaml", repo.blob(MORE))))
    assert loaded is not None
    assert set(loaded.texts) == {str(repo.folder / "access.yaml"), str(repo.folder / "more.yaml")}


@pytest.mark.parametrize(
    "name",
    [b"../outside.yaml", b"/outside.yaml", b"a//b.yaml", b"./b.yaml", b"a/../b.yaml", b".git/b.yaml", b".GIT/b.yaml",
     b"x" * 251 + b".yaml", b"a/" + b"x" * 300 + b"/b.yaml"],
)  # fmt: skip
def test_a_name_that_no_checkout_can_have(repo: Repo, name: bytes) -> None:
    """Each part is a name, and none leads elsewhere."""
    said = told(repo, repo.commit(("100644", name, repo.blob(b"outside\n"))))
    assert "a name that no checkout can have" in said
    assert len(said) < 250


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".Git"])
def test_a_folder_that_no_checkout_can_have(repo: Repo, name: bytes) -> None:
    """The same for folders, however deep."""
    inner = repo.tree(("40000", name, repo.tree(("100644", b"outside.yaml", repo.blob(b"outside\n")))))
    assert "checkout" in told(repo, repo.commit(("40000", b"deep", inner)))


def test_a_path_that_is_too_long_for_a_disk(repo: Repo) -> None:
    """Many parts of lawful length are more than a disk takes."""
    tree = repo.tree(("100644", b"end.yaml", repo.blob(MORE)))
    for _ in range(20):
        tree = repo.tree(("40000", b"x" * 250, tree))
    assert "laid out" in told(repo, repo.commit(("40000", b"deep", tree)))


def test_a_name_is_there_once(repo: Repo) -> None:
    """Neither twice, nor as a file and a folder, nor as a link and a folder below which something lies."""
    blob, outside = repo.blob(MORE), repo.blob(b"..")
    folder = repo.tree(("100644", b"b.yaml", blob))
    assert "twice" in told(repo, repo.commit(("100644", b"more.yaml", blob)))
    assert "as a file and as a folder" in told(repo, repo.commit(("100644", b"a.yaml", blob), ("40000", b"a.yaml", folder)))  # fmt: skip
    assert "as a file and as a folder" in told(repo, repo.commit(("120000", b"a.yaml", outside), ("40000", b"a.yaml", folder)))  # fmt: skip


@pytest.mark.parametrize("target", [b"", b"a\0b.yaml", b"x" * 5000, b"x" * 4095 + b"\xff"])
def test_a_link_that_leads_to_no_name(repo: Repo, target: bytes) -> None:
    """What no link can hold is told."""
    assert "leads to no name" in told(repo, repo.commit(("120000", b"link.yaml", repo.blob(target))))


@pytest.mark.parametrize(
    "target", [b"x" * 300, b"link.yaml", b"nowhere.yaml", b"\xff.yaml", b"/etc/hostname", b"../.."]
)
def test_a_link_that_leads_nowhere_is_no_file(repo: Repo, target: bytes) -> None:
    """A link in a circle, out of the folder or to what is not there is passed by while nothing includes it."""
    commit = repo.commit(("120000", b"link.yaml", repo.blob(target)))
    loaded = read_at(repo.folder / "access.yaml", commit)
    assert loaded is not None
    assert len(loaded.texts) == 2


def test_a_link_does_not_lead_out_by_way_of_another(repo: Repo) -> None:
    """Each alone stays inside; made in this order, the first leads out."""
    (repo.folder.parent / "temporary" / "secret.yaml").write_text("users: {stolen: {email: secret@example.org}}\n")
    step = repo.tree(("120000", b"z.yaml", repo.blob(b"..")), ("100644", b"other.yaml", repo.blob(MORE)))
    commit = repo.commit(
        ("120000", b"link.yaml", repo.blob(b"step/z.yaml/../secret.yaml")), ("40000", b"step", step)
    )  # fmt: skip
    assert read_at(repo.folder / "link.yaml", commit) is None


def test_objects_that_are_not_there(repo: Repo) -> None:
    """A missing file, a missing folder, and an object of another kind are told."""
    nowhere = "1" * 40
    assert "'gone.yaml' is not here" in told(repo, repo.commit(("100644", b"gone.yaml", nowhere)))
    assert "'gone.yaml' is not here" in told(repo, repo.commit(("120000", b"gone.yaml", nowhere)))
    assert "'tree.yaml' is not here" in told(repo, repo.commit(("100644", b"tree.yaml", repo.tree())))
    assert "cannot be read" in told(repo, repo.commit(("40000", b"gone", nowhere)))
    assert "cannot be read" in told(repo, repo.commit(("40000", b"", repo.tree())))
    assert read_at(repo.folder / "access.yaml", repo.commit(("100644", b"gone.txt", nowhere))) is not None


def test_a_file_that_is_too_long_is_one_all_the_same(repo: Repo) -> None:
    """It is not as if it were not there: reading it says what is wrong."""
    commit = repo.commit(("100644", b"long.yaml", repo.blob(b"#" * (MAX_BYTES + 10))))
    loaded = read_at(repo.folder / "long.yaml", commit)
    assert loaded is not None
    assert any("MB" in diagnostic.message for diagnostic in loaded.diagnostics)


def test_a_tree_that_unpacks_to_very_much(repo: Repo) -> None:
    """One object under many names is told before it is laid out."""
    blob = repo.blob(b"#" * MAX_BYTES)
    rows: list[Row] = [("100644", f"n{at}.yaml".encode(), blob) for at in range(11)]
    assert "220 MB together" in told(repo, repo.commit(*rows))


def test_a_revision_that_is_none(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such name, and no git to ask, are told apart."""
    repo.commit()
    with pytest.raises(NoSuchRevisionError, match="no revision nowhere"):
        commit_at(repo.folder, "nowhere")
    monkeypatch.setenv("PATH", str(repo.folder))
    with pytest.raises(NoSuchRevisionError, match="not installed"):
        commit_at(repo.folder, "main")
