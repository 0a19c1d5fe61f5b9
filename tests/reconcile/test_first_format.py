"""Journals of the first format: they are read, gone on from in a new file, and never written to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconcile.one_of_each import CHANGES, Ticks
from siteward.access.codec import canonical
from siteward.access.model import Access
from siteward.access.plan import Plan
from siteward.access.state import Live
from siteward.reconcile.journal.chain import JournalBrokenError, follow
from siteward.reconcile.journal.entries import JournalContinued
from siteward.reconcile.journal.files import UnsafeFileError
from siteward.reconcile.journal.first_format import compute_seal, verify_first
from siteward.reconcile.journal.journal import opened
from siteward.reconcile.journal.migration import continue_old
from siteward.reconcile.journal.reading import path_of, read, recall, runs
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.reconcile.journal.entries import RunFacts

EARLIER = Path(__file__).parent / "journal-1"
KEY = Secret("a key that is long enough")
MOMENT = {"at": "2027-01-10T09:00:00Z", "run": ""}
FACTS: RunFacts = {
    "platform": "umami", "origin": "https://stats.example.org", "users": {"ann": "ann"}, "accounts": ("Bob", "ann"),
    "sites": 3, "grants": 2,
}  # fmt: skip


def laid(folder: Path) -> Path:
    """Lay the journal of an earlier release into a folder, as it was left there, and return its path."""
    for file in EARLIER.iterdir():
        shutil.copy(file, folder)
        (folder / file.name).chmod(0o600)
    return path_of(folder, "stats")


def chained(path: Path, lines: Iterable[Mapping[str, Any]], *, sealed_from: int = 0) -> Path:
    """Write lines in the first format, sealed with the key from a number on, and return the path."""
    head, data = "", b""
    for number, line in enumerate(lines, start=1):
        bare = {name: member for name, member in line.items() if name not in {"prev", "seal"}} | {"prev": head}
        head = compute_seal(bare, KEY if 0 < sealed_from <= number else None)
        data += canonical({**bare, "seal": head}) + b"\n"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def begin(folder: Path, key: Secret | None = None) -> None:
    """Let a run begin and end in the journal of `stats`."""
    clock = Ticks()
    plan = Plan(tool="0.2.0", created=clock(), as_of=clock(), digest=f"sha256:{'1' * 64}")
    with opened(folder, "stats", key=key, clock=clock) as journal:
        live = Live(access=Access([]))
        journal.begin(plan, live=live, **FACTS)
        memory = journal.memory
        assert memory is not None
        journal.end({}, memory, live)


def test_every_kind_of_line_is_read(tmp_path: Path) -> None:
    """With the runs, the consents and the memory that they were written for."""
    path = laid(tmp_path)
    chain = verify_first(path, path.read_bytes(), None)
    assert {entry.kind for entry in chain.entries} == {
        "run", "waiver", "intent", "outcome", "resume", "abandoned", "torn", "resend", "end",
    }  # fmt: skip
    first, last = runs(path)
    assert [intent.change for intent in first.intents.values()] == list(CHANGES.values())
    assert (first.results["s1"].sends, first.began.chosen, last.began.chosen) == (2, ("s1", "s2"), None)
    memory = recall(path).memory
    assert memory is not None
    assert memory.last == Access([change.after for change in CHANGES.values() if change.after is not None])


def test_members_that_the_oldest_releases_did_not_write_may_be_missing(tmp_path: Path) -> None:
    """Lines of before `instance`, `me` and the consents were written down read as without them."""
    path = laid(tmp_path)
    later = {"instance", "me", "chosen", "lifted", "allow_delete", "message", "sends"}
    chained(path, [{name: member for name, member in line.items() if name not in later} for line in lines_of(path)])
    first, _ = runs(path)
    assert (first.began.instance, first.began.me, first.claimed.lifted) == (None, None, frozenset())
    memory = recall(path).memory
    assert memory is not None
    assert memory.me is None


def test_a_run_goes_on_from_it_in_a_new_file(tmp_path: Path) -> None:
    """The old file is kept to the byte under another name; what both know is remembered."""
    path = laid(tmp_path)
    before, memory = path.read_bytes(), recall(path).memory
    begin(tmp_path)
    older = tmp_path / "stats.1.jsonl"
    assert older.read_bytes() == before
    continues = read(path, None).entries[len(before.splitlines())]
    assert isinstance(continues, JournalContinued)
    assert (continues.of, continues.lines, continues.head) == (
        "siteward.journal/1", len(before.splitlines()), lines_of(older)[-1]["seal"],
    )  # fmt: skip
    now = recall(path).memory
    assert memory is not None
    assert now is not None
    assert (now.last, now.users, now.accounts, now.sends) == (memory.last, memory.users, memory.accounts, memory.sends)
    assert len(runs(path)) == 3
    begin(tmp_path)
    assert older.read_bytes() == before
    assert [record.header["kind"] for record in follow(path, None).records].count("continues") == 1


def test_a_run_without_an_end_is_given_up_and_what_it_did_is_known(tmp_path: Path) -> None:
    """Its known changes are in the memory from which the new file goes on, and what is uncertain stays so."""
    path = laid(tmp_path)
    chained(path, lines_of(path)[:4])
    (tmp_path / "stats.last.json").unlink()
    before = recall(path)
    assert before.unfinished is not None
    assert before.memory is not None
    begin(tmp_path)
    journal = read(path, None)
    continues = next(entry for entry in journal.entries if isinstance(entry, JournalContinued))
    assert continues.open_run == before.unfinished.began.run
    assert journal.unfinished is None
    assert journal.memory is not None
    assert journal.memory.unsettled == before.memory.unsettled != ()
    assert journal.memory.accounts == before.memory.accounts


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """Neither does opening it where something else stands in the way."""
    path = laid(tmp_path)
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    recall(path)
    runs(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == files
    path.chmod(0o644)
    with pytest.raises(UnsafeFileError):
        begin(tmp_path)
    path.chmod(0o600)
    (tmp_path / "stats.1.jsonl").write_text("something else\n")
    with pytest.raises(JournalBrokenError, match="another file is where"):
        begin(tmp_path)
    assert path.read_bytes() == files["stats.jsonl"]


@pytest.mark.parametrize("sealed_from", [0, 4])
def test_with_a_key_lines_without_seal_are_taken_over_for_a_reason_only(tmp_path: Path, sealed_from: int) -> None:
    """Nothing proves them: whoever has the key says why they are believed, and that stays in the journal."""
    path = laid(tmp_path)
    chained(path, lines_of(path), sealed_from=sealed_from)
    before = path.read_bytes()
    with pytest.raises(JournalBrokenError, match="are not sealed with it") as found:
        begin(tmp_path, KEY)
    assert "siteward journal migrate stats --reason" in found.value.hint
    assert path.read_bytes() == before
    continue_old(path, read(path, KEY), key=KEY, clock=Ticks(), reason="OPS-12")
    begin(tmp_path, KEY)
    journal = read(path, KEY)
    continues = next(entry for entry in journal.entries if isinstance(entry, JournalContinued))
    assert (continues.reason, continues.sealed_since) == ("OPS-12", sealed_from)
    assert [sealed for _, sealed in journal.marked[: len(before.splitlines())]] == [
        0 < sealed_from <= number for number in range(1, len(before.splitlines()) + 1)
    ]


def test_sealed_from_the_first_line_on_it_goes_on_by_itself(tmp_path: Path) -> None:
    """With its key; without it nothing is written, and reading says that no seal was checked."""
    path = laid(tmp_path)
    chained(path, lines_of(path), sealed_from=1)
    assert recall(path).standing.checked is False
    with pytest.raises(JournalBrokenError, match="SITEWARD_JOURNAL_KEY is not given here"):
        begin(tmp_path)
    begin(tmp_path, KEY)
    assert recall(path, KEY).standing.checked
    assert recall(path).standing.checked is False


@pytest.mark.parametrize("spoil", ["gone", "cut", "edited"])
def test_the_old_file_stays_part_of_the_journal(tmp_path: Path, spoil: str) -> None:
    """What it says is still needed, so it may be neither missing nor another one."""
    path = laid(tmp_path)
    begin(tmp_path)
    older = tmp_path / "stats.1.jsonl"
    data = older.read_bytes()
    older.unlink()
    if spoil == "cut":
        older.write_bytes(b"".join(data.splitlines(keepends=True)[:-1]))
    elif spoil == "edited":
        older.write_bytes(data.replace(b"OPS-900", b"OPS-901"))
    with pytest.raises(JournalBrokenError) as found:
        recall(path)
    assert found.value.path == older


def test_a_crash_between_the_two_files_loses_nothing(tmp_path: Path) -> None:
    """Whatever of the new files is there already, the next run begins them again, or goes on."""
    path = laid(tmp_path)
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    begin(tmp_path)
    memory = recall(path).memory
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for there in (["stats.1.jsonl"], ["stats.1.jsonl", "stats.last.json.new"]):
        again = tmp_path / f"crash-{len(there)}"
        again.mkdir(mode=0o700)
        for name, data in {**files, **{name: made.get(name, b"{}") for name in there}}.items():
            (again / name).write_bytes(data)
            (again / name).chmod(0o600)
        begin(again)
        now = recall(path_of(again, "stats")).memory
        assert now == memory


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"kind": "prophecy", **MOMENT}, "a newer release wrote this.*prophecy is not known"),
        ({"kind": "run", "format": "siteward.journal/0", **MOMENT}, "siteward.journal/0 is not known"),
        ({"kind": "end", **MOMENT, "outcomes": {}}, "/snapshot: is missing"),
        ({"kind": "torn", **MOMENT, "bytes": "3"}, "/bytes: should be integer"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: dict[str, object], words: str) -> None:
    """With its number, and what is wrong with it."""
    path = laid(tmp_path)
    chained(path, [*lines_of(path), line])
    with pytest.raises(JournalBrokenError, match=words) as found:
        recall(path)
    assert found.value.line == 12


def test_any_edited_byte_is_found(tmp_path: Path) -> None:
    """In every line, as ever."""
    path = laid(tmp_path)
    data = path.read_bytes()
    for at in range(0, len(data) - 1, 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(JournalBrokenError) as found:
            recall(path)
        assert found.value.line == data[:at].count(b"\n") + 1
