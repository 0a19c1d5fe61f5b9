"""The journal: a chain that shows every edit, a memory, a lock, and what a crash may leave."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.small_world import (
    EDIT,
    HERE,
    ROBOT,
    VIEW,
    Clock,
    Crash,
    File,
    Instance,
    Server,
    SmallRig,
    one_instance,
    sealed,
    world,
)
from siteward.access.change import Change
from siteward.access.model import Access, Account, account_key
from siteward.access.plan import Plan
from siteward.access.state import DeclaredUser, Live, Memory
from siteward.reconcile.journal import reading
from siteward.reconcile.journal.chain import JournalBrokenError, erase_parts, follow, hash_line, link
from siteward.reconcile.journal.entries import Result, RunFacts
from siteward.reconcile.journal.files import UnsafeFileError
from siteward.reconcile.journal.journal import JournalBusyError, opened
from siteward.reconcile.journal.reading import path_of, recall
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = Secret("a key that is long enough")
CLOCK = Clock()
PLAN = sealed(Plan(tool="0.1.0", created=CLOCK.now, as_of=CLOCK.now))
KNOWN: RunFacts = {
    "platform": "small", "origin": "https://stats.test", "users": {"ann": "ann"}, "accounts": ("ann",),
    "sites": 3, "grants": 1,
}  # fmt: skip


BEFORE, AFTER = Live(access=world(VIEW)), Live(access=world(EDIT))


def written(folder: Path, *, key: Secret | None = None, end: bool = True) -> Path:
    """Write a journal of one run and return its path."""
    with opened(folder, "stats", key=key, clock=CLOCK) as journal:
        journal.begin(PLAN, live=BEFORE, **KNOWN)
        journal.waive("removals", PLAN.digest, "OPS-900")
        journal.intend({"s1": Change(VIEW, EDIT)})
        journal.record([Result(step="s1", status="done", sends=2)])
        if end:
            left = Memory(last=world(EDIT), users={"ann": "ann"}, accounts=frozenset({"ann"}))
            journal.end({"done": 1}, left, AFTER)
    return path_of(folder, "stats")


def test_what_was_written_verifies(tmp_path: Path) -> None:
    """The head is the last header's sum, every header names the one before, and counts the parts before it."""
    path = written(tmp_path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    headers = [line for line in lines if "part" not in line]
    assert recall(path).standing.head == headers[-1]["sum"]
    assert [header["prev"] for header in headers] == ["", *(header["sum"] for header in headers[:-1])]
    assert [header["n"] for header in headers] == [1, 2, 3, 4, 5, 6]
    assert [header["kind"] for header in headers] == ["run", "state", "waiver", "intent", "outcome", "end"]
    assert sum(len(header["parts"]) for header in headers) == len(lines) - len(headers)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "keyed"])
def test_any_edited_byte_is_found(tmp_path: Path, key: Secret | None) -> None:
    """Whichever byte is changed, in whatever way, the journal no longer verifies."""
    path = written(tmp_path, key=key)
    data = path.read_bytes()

    @given(st.integers(0, len(data) - 1), st.integers(1, 255))
    def edited(at: int, by: int) -> None:
        path.write_bytes(data[:at] + bytes([data[at] ^ by]) + data[at + 1 :])
        with pytest.raises(JournalBrokenError) as found:
            recall(path, key)
        whole = at == len(data) - 1  # without its line feed the last line is no line, and the file ends too early
        assert found.value.line == (0 if whole else data[:at].count(b"\n") + 1)

    edited()
    path.write_bytes(data)
    recall(path, key)


def test_an_edit_that_says_the_same_is_found(tmp_path: Path) -> None:
    """A space more, or a key twice, changes nothing of what is said, and is an edit all the same."""
    path = written(tmp_path)
    data = path.read_bytes()
    for old, new in ((b'"kind":"waiver"', b'"kind": "waiver"'), (b'"role":"edit"', b'"role":"edit","role":"edit"')):
        path.write_bytes(data.replace(old, new, 1))
        with pytest.raises(JournalBrokenError, match="the line was changed"):
            recall(path)


def test_every_byte_of_a_short_chain_counts(tmp_path: Path) -> None:
    """No byte is left out: each one of them, flipped, breaks the chain (or, at its very end, tears the last line)."""
    path = tmp_path / "stats.jsonl"
    line = {"kind": "torn", "run": "", "bytes": 3}
    first, head = link({**line, "at": "2027-01-10T09:00:00Z"}, [{"part": "ann"}], number=1, head="", key=KEY)
    second, _ = link({**line, "at": "2027-01-10T09:00:01Z"}, [{"part": "bob"}], number=2, head=head, key=KEY)
    data = first + second
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        if at < len(data) - 1:
            with pytest.raises(JournalBrokenError) as found:
                follow(path, KEY)
            assert found.value.line == data[:at].count(b"\n") + 1
        else:
            assert follow(path, KEY).truncated


def test_a_missing_added_or_moved_line_is_found(tmp_path: Path) -> None:
    """Whichever line, part or header, is taken away, written twice or moved: the line where it shows is named.

    The last ones are missed by what the run left beside them, so that no line is to blame.
    """
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(len(lines)):
        taken = lines[:at] + lines[at + 1 :]
        twice = [*lines[: at + 1], lines[at], *lines[at + 1 :]]
        moved = [*taken[: at + 1], lines[at], *taken[at + 1 :]] if at < len(lines) - 1 else taken
        for edited in (taken, twice, moved):
            path.write_bytes(b"".join(edited))
            with pytest.raises(JournalBrokenError) as found:
                recall(path)
            wrong = next(
                (i for i, pair in enumerate(zip(lines, edited, strict=False)) if pair[0] != pair[1]), len(taken)
            )
            assert found.value.line == 0 or wrong < found.value.line <= wrong + 4, (at, found.value)


def test_lines_cut_off_the_end_are_missed_by_what_the_run_left(tmp_path: Path) -> None:
    """However many whole records are gone, also all of them."""
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(len(lines)):
        path.write_bytes(b"".join(lines[:kept]))
        with pytest.raises(JournalBrokenError, match="lines are missing"):
            recall(path)


def test_a_part_that_was_erased_leaves_a_chain_that_verifies(tmp_path: Path) -> None:
    """Every part line, one by one and all together, with the key and without it."""
    path = written(tmp_path, key=KEY)
    data = path.read_bytes()
    numbers = [number for number, line in enumerate(data.splitlines(), start=1) if b'"part":' in line]
    for erased in (*([number] for number in numbers), numbers):
        path.write_bytes(erase_parts(data, erased))
        assert recall(path, KEY).standing.head == recall(path).standing.head != ""
    assert b"ann" not in path.read_bytes()


def test_only_parts_hold_names(tmp_path: Path) -> None:
    """Whoever reads the headers alone learns nobody's name."""
    path = written(tmp_path)
    headers = [line for line in path.read_text().splitlines() if '"part":' not in line]
    assert len(headers) == 6
    assert not [header for header in headers if "ann" in header]


def test_the_journal_itself_may_not_go_missing(tmp_path: Path) -> None:
    """Where the journal is gone but what the run left is not, nobody takes it for a first run."""
    path = written(tmp_path)
    path.unlink()
    with pytest.raises(JournalBrokenError, match="missing"):
        recall(path)


def test_what_the_run_left_cannot_be_edited(tmp_path: Path) -> None:
    """What stands beside the journal is held to the digest in its `end`."""
    path = written(tmp_path)
    last = tmp_path / "stats.last.json"
    last.write_bytes(last.read_bytes().replace(b"edit", b"view"))
    with pytest.raises(JournalBrokenError, match="not what its end names"):
        recall(path)


def test_a_line_says_where_the_chain_breaks(tmp_path: Path) -> None:
    """The error names the file, the line and why."""
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"OPS-900", b"OPS-901"))
    with pytest.raises(JournalBrokenError) as caught:
        recall(path)
    assert b"OPS-901" in path.read_bytes().splitlines()[caught.value.line - 1]
    assert "the sum of this part does not match" in caught.value.why
    assert str(path) in str(caught.value)


def test_a_forged_chain_does_not_fit_the_key(tmp_path: Path) -> None:
    """Whoever rewrites a keyed journal without the key is found out; without it, seals are said not to be checked."""
    path = written(tmp_path / "true", key=KEY)
    other = written(tmp_path / "other", key=Secret("another key"))
    with pytest.raises(JournalBrokenError, match="the seal does not match"):
        recall(other, KEY)
    assert (recall(path, KEY).standing.checked, recall(path).standing.checked) == (True, False)
    assert KEY.reveal().encode() not in path.read_bytes()


def test_a_sealed_journal_is_not_written_to_without_its_key(tmp_path: Path) -> None:
    """Reading needs no key; a line without a seal after sealed ones would make the journal worthless."""
    path = written(tmp_path, key=KEY)
    before = path.read_bytes()
    with (
        pytest.raises(JournalBrokenError, match="SITEWARD_JOURNAL_KEY is not given here"),
        opened(tmp_path, "stats", key=None, clock=CLOCK),
    ):
        pass
    assert path.read_bytes() == before


def test_a_key_may_come_and_may_not_go(tmp_path: Path) -> None:
    """A journal begun without a key goes on with one; lines after that are never accepted without it."""
    path = written(tmp_path)
    written(tmp_path, key=KEY)
    chain = follow(path, KEY)
    assert (chain.sealed_since, chain.records[-1].is_keyed) == (7, True)
    appended(path, {"kind": "torn"})
    for key in (KEY, None):
        with pytest.raises(JournalBrokenError, match="not sealed with the key"):
            follow(path, key)


@pytest.mark.parametrize(
    "cut_off",
    [b"{", b'{"at":"2027-01-10T09:00:00Z","kind":"out', b'{"part":"ann","salt":"00"}\n', b'{"part":"ann"}\n{"at":'],
    ids=["byte", "header", "part", "part-and-header"],
)
def test_a_truncated_end_is_told_apart_and_mended(tmp_path: Path, cut_off: bytes) -> None:
    """What a crash cut off is no edit; the next run takes it away, says so, and goes on with the chain."""
    path = written(tmp_path, end=False)
    path.write_bytes(path.read_bytes() + cut_off)
    assert follow(path, None).truncated == len(cut_off)
    with opened(tmp_path, "stats", key=None, clock=CLOCK) as journal:
        assert journal.unfinished is not None
        journal.go_on(journal.unfinished, PLAN)
    assert kinds(path) == ["run", "state", "waiver", "intent", "outcome", "torn", "resume"]
    recall(path)


def test_a_last_line_without_its_line_feed_is_kept(tmp_path: Path) -> None:
    """A whole line whose line feed was lost is a whole line."""
    path = written(tmp_path, end=False)
    path.write_bytes(path.read_bytes()[:-1])
    with opened(tmp_path, "stats", key=None, clock=CLOCK) as journal:
        assert journal.unfinished is not None
        assert journal.unfinished.results["s1"].status == "done"
        journal.go_on(journal.unfinished, PLAN)
    assert kinds(path) == ["run", "state", "waiver", "intent", "outcome", "resume"]
    recall(path)


def test_a_crash_before_the_snapshot_is_in_its_place(tmp_path: Path) -> None:
    """Between the `end` and the renaming of the snapshot lies a moment; what is read then is the new one."""
    path = written(tmp_path)
    shutil.move(tmp_path / "stats.last.json", tmp_path / "stats.last.json.new")
    memory = recall(path).memory
    assert memory is not None
    assert memory.last == world(EDIT)
    with opened(tmp_path, "stats", key=None, clock=CLOCK):
        pass
    assert (tmp_path / "stats.last.json").exists()


def test_a_stale_snapshot_of_a_crashed_run_is_not_taken(tmp_path: Path) -> None:
    """A snapshot that no `end` names is not put in the place of the good one."""
    path = written(tmp_path)
    (tmp_path / "stats.last.json.new").write_bytes(b"{}")
    with opened(tmp_path, "stats", key=None, clock=CLOCK):
        pass
    memory = recall(path).memory
    assert memory is not None
    assert memory.last == world(EDIT)


def test_no_journal_is_no_memory(tmp_path: Path) -> None:
    """Where there was no run, nothing is remembered, which is not the same as remembering nothing."""
    assert recall(tmp_path / "stats.jsonl").memory is None
    assert recall(tmp_path / "stats.jsonl").standing.head == ""


def test_the_memory_of_a_finished_run(tmp_path: Path) -> None:
    """What the last run left, whom it met, who was declared."""
    memory = recall(written(tmp_path)).memory
    assert memory is not None
    assert (memory.last, memory.users, memory.accounts) == (world(EDIT), {"ann": "ann"}, frozenset({"ann"}))
    assert memory.last_at is not None


def test_the_memory_of_an_unfinished_run_has_what_it_did(tmp_path: Path) -> None:
    """A run without an end is ours all the same: what it did is no drift, and the mails it sent count."""
    written(tmp_path)
    facts: RunFacts = {**KNOWN, "users": {"bob": "bob"}}
    with opened(tmp_path, "stats", key=None, clock=CLOCK) as journal:
        journal.begin(PLAN, **facts)
        journal.intend({"s1": Change(None, Account("bob"))})
        journal.record([Result(step="s1", status="done", sends=1)])
        journal.intend({"s2": Change(EDIT, None)})
    memory = recall(path_of(tmp_path, "stats")).memory
    assert memory is not None
    assert memory.last == Access([*world(EDIT).values(), Account("bob")])
    assert memory.accounts == {"ann", "bob"}
    assert memory.users == {"ann": "ann", "bob": "bob"}
    assert memory.sends[account_key("bob")][0] == 1


def test_an_open_run_knows_what_is_unsettled(tmp_path: Path) -> None:
    """An intent without an outcome, and an outcome that is unknown, are for resume to settle."""
    with opened(tmp_path, "stats", key=None, clock=CLOCK) as journal:
        journal.begin(PLAN, **KNOWN)
        journal.intend({"s1": Change(VIEW, EDIT), "s2": Change(None, ROBOT)})
        journal.record([Result(step="s1", status="done"), Result(step="s2", status="unknown")])
        journal.intend({"s3": Change(None, Account("bob"))})
    run = reading.recall(path_of(tmp_path, "stats")).unfinished
    assert run is not None
    assert run.unsettled == {"s2", "s3"}
    assert run.done == {"s1": Change(VIEW, EDIT)}


def test_a_new_run_gives_up_an_unfinished_one(tmp_path: Path) -> None:
    """Another plan ends the wait for resume, and the journal says so."""
    written(tmp_path, end=False)
    with opened(tmp_path, "stats", key=None, clock=CLOCK) as journal:
        journal.begin(PLAN, **KNOWN)
    runs = reading.runs(path_of(tmp_path, "stats"))
    assert [run.ended for run in runs] == [True, False]


def test_the_lock_says_who_holds_it(tmp_path: Path) -> None:
    """One apply at a time, and the second one learns of the first; afterwards the way is free."""
    with opened(tmp_path, "stats", key=None, clock=CLOCK):
        with (
            pytest.raises(JournalBusyError, match=r"process [0-9]+ on .* since 2027"),
            opened(tmp_path, "stats", key=None, clock=CLOCK),
        ):
            pass
        with opened(tmp_path, "other", key=None, clock=CLOCK):
            pass
    with opened(tmp_path, "stats", key=None, clock=CLOCK):
        pass
    assert not (tmp_path / "stats.holder").exists()


@pytest.mark.parametrize("spoil", ["link", "mode", "owner", "folder"])
def test_a_journal_that_others_could_have_made_is_not_written_to(
    tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link, a file that others may read or that belongs to another user, and what is no file are refused."""
    path = path_of(tmp_path, "stats")
    if spoil == "link":
        (tmp_path / "elsewhere").touch(mode=0o600)
        path.symlink_to(tmp_path / "elsewhere")
    elif spoil == "mode":
        path.touch()
        path.chmod(0o644)
    elif spoil == "owner":
        path.touch(mode=0o600)
        monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    else:
        path.mkdir()
    with pytest.raises((UnsafeFileError, JournalBrokenError)), opened(tmp_path, "stats", key=None, clock=CLOCK):
        pass


LINES = 11
"""The lines of what `written` writes, parts and headers."""
MOMENT = {"at": "2027-01-10T09:00:00Z", "run": ""}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"kind": "prophecy", **MOMENT}, "/kind: prophecy is not known"),
        ({"kind": "torn", **MOMENT, "bytes": 3, "why": "x"}, "/why: is not known"),
        ({"kind": "outcome", **MOMENT, "results": {"s1": "done"}, "cost": 3}, "/cost: is not known"),
    ],
    ids=["kind", "member", "member-of-joined"],
)
def test_a_line_of_a_newer_release_is_said_to_be_one(tmp_path: Path, line: dict[str, object], words: str) -> None:
    """A sealed line with words this version does not know is an error that names the line and says what wrote it."""
    with pytest.raises(JournalBrokenError, match="a newer release wrote this, and this version cannot") as found:
        recall(appended(written(tmp_path), line))
    assert (found.value.line, words in found.value.why) == (LINES + 1, True)
    assert "use the release that wrote the journal" in found.value.hint


def test_a_part_of_a_newer_release_is_said_to_be_one(tmp_path: Path) -> None:
    """A member of a part that this version does not know is no less."""
    path = appended(written(tmp_path), {"kind": "outcome", **MOMENT, "results": {}}, {"part": "ann", "mood": "good"})
    with pytest.raises(JournalBrokenError, match=r"a newer release wrote this.*/ann/mood"):
        recall(path)


def test_a_journal_of_a_newer_format_is_said_to_be_one(tmp_path: Path) -> None:
    """Also where everything else in the line is as it is written now; nothing is written to it."""
    path = path_of(tmp_path, "stats")
    body = b'{"format":"siteward.journal/3","n":1,"parts":[],"prev":""'
    path.write_bytes(body + f',"sum":"{hash_line(body)}"}}\n'.encode())
    path.chmod(0o600)
    before = path.read_bytes()
    with (
        pytest.raises(JournalBrokenError, match="a newer release wrote this") as found,
        opened(tmp_path, "stats", key=None, clock=CLOCK),
    ):
        pass
    assert (found.value.line, path.read_bytes()) == (1, before)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({**MOMENT, "bytes": 3}, "/kind: is missing"),
        ({"kind": 7, **MOMENT}, "/kind: should be string"),
        ({"kind": "torn", **MOMENT}, "/bytes: is missing"),
        ({"kind": "torn", **MOMENT, "bytes": "3"}, "/bytes: should be integer"),
        ({"kind": "torn", **MOMENT, "bytes": True}, "/bytes: should be integer"),
        ({"kind": "torn", "at": "2027-01-10T09:00:00", "run": "", "bytes": 3}, "/at: should have an offset"),
        ({"kind": "torn", "at": 1799571600, "run": "", "bytes": 3}, "/at: should be a time"),
        ({"kind": "end", **MOMENT, "outcomes": {"won": 1}, "last": ""}, "/outcomes/won: should be one of"),
        ({"kind": "intent", **MOMENT, "steps": "s1"}, "/steps: should be a list"),
        ({"kind": "intent", **MOMENT, "steps": [["s1"]]}, "/steps/0: should be a text"),
        ({"kind": "outcome", **MOMENT, "results": ["s1"]}, "/results: should be an object"),
    ],
    ids=["no-kind", "kind", "missing", "text", "truth", "no-offset", "number", "key", "steps", "step", "results"],
)
def test_a_line_that_no_release_writes_is_named(tmp_path: Path, line: dict[str, object], words: str) -> None:
    """Missing members and wrong types break the journal, sealed or not: line, member and what it should be are told."""
    with pytest.raises(JournalBrokenError, match="not an entry that this version writes") as found:
        recall(appended(written(tmp_path), line))
    assert (found.value.line, words in found.value.why) == (LINES + 1, True)
    assert "restore the journal" in found.value.hint


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"step": ["s1"], "before": None, "after": {}}, "should name a step"),
        ({"step": "s1", "before": None, "after": None}, "should have a side"),
    ],
)
def test_a_step_that_no_release_writes_is_named(tmp_path: Path, step: dict[str, object], words: str) -> None:
    """A part may hold anything that is JSON; a step without a name in text or without a side breaks the journal."""
    header = {"kind": "intent", **MOMENT, "steps": ["s1"]}
    path = appended(written(tmp_path), header, {"part": "ann", "steps": [step]})
    with pytest.raises(JournalBrokenError, match=f"/ann/steps/0: {words}"):
        recall(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "this is not valid JSON"),
        (b"[]", "should be an object"),
        (b'{"format":"siteward.last/2","run":"\\ud800"}', "this is not valid JSON"),
        (b'{"format":"siteward.last/3"}', "a newer release wrote this"),
        (b'{"format":"siteward.last/1","memory":{"mood":"good"},"run":""}', "/memory/mood"),
        (b'{"format":"siteward.last/1","memory":{"sites":"3"},"run":""}', "/memory/sites: should be integer"),
    ],
    ids=["cut", "list", "half-character", "format", "member", "type"],
)
def test_a_memory_that_fits_its_digest_and_no_grammar_is_broken(tmp_path: Path, data: bytes, words: str) -> None:
    """Without a key anybody can make the digest fit; what is read then is still told as a broken journal."""
    path = written(tmp_path, end=False)
    end = {"kind": "end", **MOMENT, "outcomes": {}, "last": hashlib.sha256(data).hexdigest()}
    appended(path, end)
    path.with_name("stats.last.json").write_bytes(data)
    with pytest.raises(JournalBrokenError) as found:
        recall(path)
    assert words in found.value.why
    assert found.value.path.name == "stats.last.json"


def appended(path: Path, header: Mapping[str, object], *parts: dict[str, object]) -> Path:
    """Add a record that follows the last one, without a seal, and return the path."""
    chain = follow(path, None)
    data, _ = link(header, parts, number=len(chain.records) + 1, head=chain.head, key=None)
    with path.open("ab") as file:
        file.write(data)
    return path


def kinds(path: Path) -> list[str]:
    """Return the kinds of the records in a journal."""
    return [record.header["kind"] for record in follow(path, None).records]


def test_leavers_are_remembered_until_nothing_of_theirs_is_live(tmp_path: Path) -> None:
    """Who left and could not be taken everything stays among the users, so that the next plan still knows them."""
    rig, server, file = one_instance(tmp_path, [EDIT], [Account("ann")])
    left = DeclaredUser(handle="ann", at=HERE, ending="left")
    file.declared_users = {"ann": left, "robot": DeclaredUser(handle="rob", at=HERE)}
    server.faults = {0: "failed"}
    rig.apply()
    memory = recall(rig.journal()).memory
    assert memory is not None
    assert memory.users == {"ann": "ann", "rob": "robot"}
    server.faults = {}
    rig.apply()
    memory = recall(rig.journal()).memory
    assert memory is not None
    assert memory.users == {"rob": "robot"}
    assert memory.accounts == {"ann", "robot"}


def test_resume_finishes_what_several_instances_began(tmp_path: Path) -> None:
    """A crash on the first instance leaves the second unwritten; resume does the rest of both, and leaves none open."""
    servers = [Server(), Server()]
    for server in servers:
        server.hold(world(ROBOT))
    wanted = world(ROBOT, VIEW)
    rig = SmallRig(tmp_path, tuple(Instance(server, File(wanted), name=f"i{at}") for at, server in enumerate(servers)))
    servers[0].faults = {0: "crash-after"}
    with pytest.raises(Crash):
        rig.apply()
    servers[0].faults = {}
    report = rig.resume()
    assert {outcome.status for outcome in report.outcomes} == {"done"}
    assert [server.access for server in servers] == [wanted, wanted]
    assert {diagnostic.code for diagnostic in rig.resume().diagnostics} == {"nothing-to-resume"}


def test_resume_leaves_alone_what_has_its_end(tmp_path: Path) -> None:
    """Of two instances the first was done when the second went down: its journal gets no further line."""
    servers = [Server(), Server()]
    for server in servers:
        server.hold(world(ROBOT))
    wanted = world(ROBOT, VIEW)
    rig = SmallRig(tmp_path, tuple(Instance(server, File(wanted), name=f"i{at}") for at, server in enumerate(servers)))
    servers[1].faults = {0: "crash-before"}
    with pytest.raises(Crash):
        rig.apply()
    servers[1].faults = {}
    before = rig.journal("i0").read_bytes()
    report = rig.resume()
    assert {outcome.instance for outcome in report.outcomes} == {"i1"}
    assert rig.journal("i0").read_bytes() == before
    assert [server.access for server in servers] == [wanted, wanted]
