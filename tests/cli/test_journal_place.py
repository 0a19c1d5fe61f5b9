"""Where journals are: below the file that a branch controls, or where the command line says; and who else may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.conftest import AS_OF

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Program


def declare_folder(program: Program, folder: str) -> None:
    path = program.folder / "access.yaml"
    path.write_text(path.read_text().replace("journal: {dir: .siteward}", f"journal: {{dir: {folder}}}"))


@pytest.mark.parametrize("kind", ["climbs", "absolute", "link"])
def test_a_file_does_not_lead_the_journal_elsewhere(
    kind: str, checkout: Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing is read or written there, and the place in the file is told."""
    outside = tmp_path_factory.mktemp("outside")
    (checkout.folder / "link").symlink_to(outside)
    declare_folder(checkout, {"climbs": "../elsewhere", "absolute": str(outside), "link": "link/deep"}[kind])
    told = checkout("validate", "--format", "json").json()["diagnostics"]
    assert [(found["code"], found["at"]["line"]) for found in told if found["severity"] == "error"] == [
        ("journal-outside", 8)
    ]
    assert checkout("apply", *AS_OF, "--yes").code == 1
    assert list(outside.iterdir()) == []


def test_the_command_line_may_lead_it_anywhere(checkout: Program, tmp_path_factory: pytest.TempPathFactory) -> None:
    """By an option, which the next command repeats, or by a variable."""
    outside = tmp_path_factory.mktemp("outside") / "journals"
    planned = checkout("plan", *AS_OF, "--out", "plan.json", "--journal-dir", str(outside), "--format", "json").json()
    assert f"--journal-dir {outside}" in planned["next"]
    assert checkout("apply", "plan.json", *AS_OF, "--yes", "--journal-dir", str(outside)).code in {0, 3}
    assert (outside / "stats.jsonl").is_file()
    assert not (checkout.folder / ".siteward").exists()
    verified = checkout("journal", "verify", "--format", "json", SITEWARD_JOURNAL_DIR=str(outside)).json()
    assert "journal-verified" in {found["code"] for found in verified["diagnostics"]}


@pytest.fixture
def journal(checkout: Program) -> Path:
    checkout("apply", *AS_OF, "--yes")
    return checkout.folder / ".siteward" / "stats.jsonl"


@pytest.mark.parametrize(("mode", "word"), [(0o640, "read"), (0o622, "changed")])
@pytest.mark.parametrize("verb", [("plan",), ("drift",), ("doctor",), ("journal", "verify")], ids=" ".join)
def test_a_journal_that_others_may_use_is_told(
    verb: tuple[str, ...], mode: int, word: str, journal: Path, checkout: Program
) -> None:
    """Whoever reads it learns that others may, too; for its owner alone, nothing is said."""
    assert "journal-exposed" not in checkout(*verb).out
    journal.chmod(mode)
    said = checkout(*verb).out
    assert "journal-exposed" in said
    assert f"may be {word} by others (mode {mode:04o}, wanted 0600)" in said
