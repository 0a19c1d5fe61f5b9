"""`siteward journal`: what it says of a journal, of one by an older release, and of one somebody was erased from."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from cli.repo import edit
from cli.test_main_job import ALLOWED, applied
from siteward.access.codec import decode
from siteward.reconcile.apply.target import Journals
from siteward.reconcile.journal import erasure
from siteward.reconcile.journal.journal import opened
from siteward.reconcile.journal.reading import path_of, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from cli.conftest import Program

KEY = {"SITEWARD_JOURNAL_KEY": "a key that is long enough"}
MOMENT = datetime(2026, 12, 2, tzinfo=UTC)
OF_0_1 = Path(__file__).parent / "journal-of-0.1"


def journal_of(program: Program) -> Path:
    return program.folder / ".siteward" / "stats.jsonl"


def change(program: Program) -> None:
    """Let the file want something more."""
    edit(program, ("grants:", "grants:\n  - {to: ben, role: view, sites: staging.example.org}"))


def head_of(program: Program) -> str:
    found = re.search("head ([0-9a-f]{64})", program("journal", "verify").out)
    assert found is not None
    return found[1]


def laid(program: Program) -> Path:
    """Lay the journal that a run of release 0.1 wrote into the program's folder."""
    folder = program.folder / ".siteward"
    folder.mkdir(mode=0o700)
    for file in OF_0_1.iterdir():
        shutil.copy(file, folder)
        (folder / file.name).chmod(0o600)
    return journal_of(program)


def test_a_journal_is_verified(checkout: Program) -> None:
    """With its numbers and its head, which is that of the apply; the head of an earlier record is in it too."""
    told = applied(checkout).out
    said = checkout("journal", "verify")
    assert said.code == 0, said.out
    assert re.search(
        r"stats\.jsonl: \d+ entries, 1 run, the live state of 2 moments, \d+ resources at the last", said.out
    )
    head = head_of(checkout)
    assert f"head {head}" in told
    checkout("apply", *ALLOWED, "--yes")
    assert checkout("journal", "verify", "--instance", "stats", "--head", head).code == 0
    data = json.loads(checkout("journal", "verify", "-f", "json").out)
    assert [found["code"] for found in data["diagnostics"]] == ["journal-verified"]


def test_a_cut_end_is_told_by_a_head_that_somebody_kept(checkout: Program) -> None:
    """Where last.json was put back too, nothing else can tell."""
    applied(checkout)
    copy = checkout.folder / "copy"
    shutil.copytree(checkout.folder / ".siteward", copy)
    change(checkout)
    assert checkout("apply", *ALLOWED, "--yes").code == 0
    head = head_of(checkout)
    shutil.rmtree(checkout.folder / ".siteward")
    copy.rename(checkout.folder / ".siteward")
    assert checkout("journal", "verify").code == 0
    said = checkout("journal", "verify", "--instance", "stats", "--head", head)
    assert said.code == 1
    assert f"no record of .siteward/stats.jsonl has the sum {head}" in re.sub(r"\s+", " ", said.out)
    other = checkout("journal", "verify", "--instance", "nowhere", "--head", head)
    assert other.code == 1


def test_an_edited_line_is_named(checkout: Program) -> None:
    """By file and number; nothing else is said of that journal."""
    applied(checkout)
    path = journal_of(checkout)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"', b"'", 1)
    path.write_bytes(b"".join(lines))
    said = checkout("journal", "verify")
    assert said.code == 1
    assert ".siteward/stats.jsonl:5: " in said.out
    assert "journal-verified" not in said.out


def test_without_the_key_seals_are_said_not_to_be_checked(checkout: Program) -> None:
    """Reading goes on; verifying leaves with 4, and an apply writes nothing."""
    checkout.env |= KEY
    applied(checkout)
    assert checkout("journal", "verify").code == 0
    del checkout.env["SITEWARD_JOURNAL_KEY"]
    said = checkout("journal", "verify")
    assert (said.code, "seals-not-checked" in said.out) == (4, True)
    plan = checkout("plan", "-v", *ALLOWED)
    assert (plan.code, "seals-not-checked" in plan.out) == (0, True)
    change(checkout)
    before = journal_of(checkout).read_bytes()
    refused = checkout("apply", *ALLOWED, "--yes")
    assert refused.code != 0
    assert "SITEWARD_JOURNAL_KEY is not given here" in re.sub(r"\s+", " ", refused.out + refused.err)
    assert journal_of(checkout).read_bytes() == before


def test_no_journal_is_said(checkout: Program) -> None:
    """It is no error before the first apply, and nothing that was verified."""
    said = checkout("journal", "verify")
    assert "no-journal" in said.out
    assert "journal-verified" not in said.out


def test_a_journal_of_release_0_1_is_read_and_gone_on_from(checkout: Program) -> None:
    """It verifies, a plan knows who left by it, and the next apply keeps it to the byte beside the new one."""
    path = laid(checkout)
    before = path.read_bytes()
    said = checkout("journal", "verify")
    assert (said.code, "38 entries, 1 run" in said.out) == (0, True), said.out
    assert "leavers-unknown" not in checkout("plan", *ALLOWED).out
    assert path.read_bytes() == before
    applied(checkout)
    older = path.with_name("stats.1.jsonl")
    assert older.read_bytes() == before
    said = checkout("journal", "verify")
    assert (said.code, "38 more in the older file, 2 runs" in said.out) == (0, True), said.out


def test_a_head_of_release_0_1_is_found(checkout: Program) -> None:
    """Each line of the older file has one, before and after it is gone on from; one that is not there is told."""
    path = laid(checkout)
    heads = [json.loads(line)["seal"] for line in path.read_bytes().splitlines()]
    for moment in ("before", "after"):
        for head in (heads[0], heads[len(heads) // 2], heads[-1]):
            said = checkout("journal", "verify", "--instance", "stats", "--head", head)
            assert said.code == 0, (moment, said.out)
        said = checkout("journal", "verify", "--instance", "stats", "--head", heads[0][:-1] + "x")
        assert (said.code, "journal-broken" in said.out) == (1, True), (moment, said.out)
        if moment == "before":
            applied(checkout)


def test_with_a_key_it_is_gone_on_from_for_a_reason(checkout: Program) -> None:
    """Nothing proves its lines, so somebody says why they are believed; that stays in the journal."""
    path = laid(checkout)
    checkout.env |= KEY
    refused = applied(checkout)
    assert "siteward journal migrate stats --reason TEXT" in re.sub(r"\s+", " ", refused.out)
    said = checkout("journal", "migrate", "stats", "--reason", "kept on a protected branch, OPS-12")
    assert (said.code, "journal-continued" in said.out) == (0, True), said.out
    assert checkout("journal", "migrate", "stats", "--reason", "again").out.count("journal-current") == 1
    assert applied(checkout).code == 0
    assert b"OPS-12" in path.read_bytes()


@pytest.fixture
def left(checkout: Program) -> Program:
    """A checkout that an apply has deleted old-ed from, and whose file no longer has the tombstone."""
    applied(checkout)
    text = (checkout.folder / "access.yaml").read_text()
    checkout.write(re.sub(r"\n  old-ed:.*", "", text))
    assert checkout("apply", *ALLOWED, "--yes").code == 0
    return checkout


def test_somebody_who_left_is_erased_and_the_journal_verifies(left: Program) -> None:
    """No file of the journal has the name any more; the sum of every line still holds, and why is written down."""
    folder = left.folder / ".siteward"
    assert "old-ed" in journal_of(left).read_text()
    head = head_of(left)
    said = left("journal", "erase", "--user", "old-ed", "--reason", "erasure requested")
    assert (said.code, "journal-erased" in said.out) == (0, True), said.out
    assert "not erased: the history of the journal's branch" in re.sub(r"\s+", " ", said.out)
    assert not [file for file in folder.iterdir() if b"old-ed" in file.read_bytes()]
    assert left("journal", "verify", "--instance", "stats", "--head", head).code == 0
    assert left("plan", *ALLOWED).code == 0
    again = left("journal", "erase", "--user", "old-ed", "--reason", "erasure requested")
    assert "nothing-to-erase" in again.out
    assert left("apply", *ALLOWED, "--yes").code == 0


class CutOffError(BaseException):
    """The process ends here."""


@contextmanager
def cut_off_after(steps: int) -> Iterator[None]:
    """Let as many files be deleted or moved to their place as `steps` says, and end there."""
    done = itertools.count()

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(path: Path, *arguments: Any, **more: Any) -> Any:
            if not path.name.endswith((".holder", ".holder.new")) and next(done) >= steps:
                raise CutOffError
            return work(path, *arguments, **more)

        return run

    with mock.patch.object(Path, "unlink", counted(Path.unlink)), mock.patch.object(Path, "replace", counted(Path.replace)):  # fmt: skip
        yield


def test_an_erasing_that_was_cut_off_is_finished_by_the_next(left: Program, tmp_path: Path) -> None:
    """Wherever it was: then no file of the journal has the name, and the chain verifies."""
    whole, cut = left.folder / ".siteward", 0
    for steps in range(20):
        folder = tmp_path / f"cut-{steps}"
        shutil.copytree(whole, folder)
        journals = Journals(folder=folder)
        try:
            with cut_off_after(steps):
                erasure.erase(journals, "stats", "old-ed", "asked", lambda: MOMENT)
        except CutOffError:
            cut += 1
            read(path_of(folder, "stats"), None)
            erasure.erase(journals, "stats", "old-ed", "asked again", lambda: MOMENT)
        read(path_of(folder, "stats"), None)
        assert not [file for file in folder.iterdir() if b"old-ed" in file.read_bytes()], steps
    assert 2 < cut < 20  # two plans and two files


def test_a_plan_that_another_run_still_needs_keeps_its_people(left: Program) -> None:
    """It names them and is needed to resume that run, so nothing is erased until the run has ended."""
    folder = left.folder / ".siteward"
    before = journal_of(left).read_bytes()
    path = next(path for path in sorted(folder.glob("*.plan.json")) if b"old-ed" in path.read_bytes())
    plan = decode(path.read_bytes())
    with opened(folder, "other", key=None, clock=lambda: MOMENT) as journal:
        journal.begin(
            plan, platform="umami", origin="https://other.example.org", users={}, accounts=(), sites=0, grants=0
        )
    said = left("journal", "erase", "--user", "old-ed", "--reason", "x")
    assert (said.code, "the last run on other has no end, and its plan names them" in said.out) == (1, True), said.out
    assert journal_of(left).read_bytes() == before
    assert path.exists()


def test_who_still_has_access_is_not_erased(left: Program) -> None:
    """The journal is needed to tell what is theirs; nothing is written."""
    before = journal_of(left).read_bytes()
    for name in ("carla", "CARLA", "kofi"):
        said = left("journal", "erase", "--user", name, "--reason", "x")
        assert (said.code, "not-erasable" in said.out) == (1, True), said.out
    assert journal_of(left).read_bytes() == before


def test_erasing_names_nobody_where_others_may_read_it(left: Program, admin: httpx.Client) -> None:
    """Whom the file does not declare, and who is live all the same."""
    admin.post("/api/users", json={"username": "zoe", "password": "somebody-else", "role": "user"}).raise_for_status()
    assert "state-recorded" in left("drift", "--record", "-v").out
    for name, code in (("zoe", "not-erasable"), ("old-ed", "journal-erased")):
        said = left("journal", "erase", "--user", name, "--reason", "x", "--privacy", "handles")
        assert code in said.out
        assert name not in said.out


def test_a_name_that_is_not_there_is_said(left: Program) -> None:
    """A misspelt one must not pass for an erased one."""
    assert "nothing-to-erase" in left("journal", "erase", "--user", "old-de", "--reason", "x").out


def test_who_is_live_by_others_doing_is_not_erased(left: Program, admin: httpx.Client) -> None:
    """Also an account that no apply has met: the journal has to tell when it goes."""
    admin.post("/api/users", json={"username": "zoe", "password": "somebody-else", "role": "user"}).raise_for_status()
    assert "state-recorded" in left("drift", "--record", "-v").out
    before = journal_of(left).read_bytes()
    said = left("journal", "erase", "--user", "zoe", "--reason", "x")
    assert (said.code, "not-erasable" in said.out) == (1, True), said.out
    assert journal_of(left).read_bytes() == before


def test_erasing_takes_nobody_else_with_it(left: Program) -> None:
    """A name that is part of another one's, or of who ran it, is not theirs; the address of a declared user is theirs."""
    before = journal_of(left).read_bytes()
    plans = sorted((left.folder / ".siteward").glob("*.plan.json"))
    for name in ("o", "user", "host", "arl"):
        assert "nothing-to-erase" in left("journal", "erase", "--user", name, "--reason", "x").out
    said = left("journal", "erase", "--user", "carla@example.org", "--reason", "x")
    assert said.code in {0, 1}
    assert "journal-erased" not in said.out
    assert journal_of(left).read_bytes() == before
    assert sorted((left.folder / ".siteward").glob("*.plan.json")) == plans
    assert left("journal", "erase", "--user", "nobody", "--reason", "x", "--journal-dir", "empty").code == 0
    assert not (left.folder / "empty" / "stats.jsonl").exists()
