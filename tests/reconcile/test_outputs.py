"""Output files are replaced whole, keep their mode, and are never written through a link."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from siteward.reconcile.outputs import PRIVATE, make_output_folder, write_output


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_link_is_replaced_and_what_it_leads_to_stays() -> None:
    """A branch may bring a link of the name that a job writes to."""
    target, link = Path("secret.txt"), Path("plan.json")
    target.write_text("mine")
    link.symlink_to(target)
    write_output(link, b"plan")
    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("mine", "plan", False)


def test_a_link_to_nothing_makes_no_file_where_it_leads() -> None:
    """Nor is one made there."""
    Path("out").mkdir()
    link = Path("plan.json")
    link.symlink_to("out/new.txt")
    write_output(link, b"plan")
    assert list(Path("out").iterdir()) == []


def test_a_folder_that_is_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    """A relative path stays below the working directory, unless whoever types it says otherwise."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    Path("reports").symlink_to(outside)
    with pytest.raises(OSError, match="leads out of this folder"):
        write_output(Path("reports/plan.html"), b"x")
    with pytest.raises(OSError, match="leads out of this folder"):
        make_output_folder(Path("reports/sites"))
    assert list(outside.iterdir()) == []
    write_output(outside / "plan.html", b"x")
    assert (outside / "plan.html").read_bytes() == b"x"


def test_the_mode_of_a_file_stays_and_a_plan_is_private() -> None:
    """A file that others could not read is not opened to them by a new content; a plan is for its owner."""
    path = Path("report.txt")
    path.write_text("old")
    path.chmod(0o640)
    write_output(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write_output(Path("plan.json"), b"plan", mode=PRIVATE)
    assert stat.S_IMODE(Path("plan.json").stat().st_mode) == 0o600
    path.chmod(0o644)
    write_output(path, b"newer", mode=PRIVATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_written_leaves_the_old_file_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle: a reader finds what was there before."""
    path = Path("report.txt")
    path.write_text("old")

    def full(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_output(path, b"new")
    assert path.read_text() == "old"
    assert [found.name for found in Path().iterdir()] == ["report.txt"]


def test_pipes_and_devices_are_written_to() -> None:
    """`-o text:/dev/null` replaces nothing."""
    write_output(Path("/dev/null"), b"x")
    assert Path("/dev/null").is_char_device()


def test_what_breaks_off_between_pieces_leaves_the_file_that_was_there() -> None:
    """Written whole or not at all, in pieces too."""

    def pieces(*, whole: bool) -> Iterator[bytes]:
        yield b"new "
        if not whole:
            raise ValueError("no more")
        yield b"plan"

    path = Path("plan.json")
    path.write_text("plan")
    with pytest.raises(ValueError, match="no more"):
        write_output(path, pieces(whole=False))
    assert (path.read_text(), list(Path().iterdir())) == ("plan", [path])
    write_output(path, pieces(whole=True))
    assert path.read_text() == "new plan"
