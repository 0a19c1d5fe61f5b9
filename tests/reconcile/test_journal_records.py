"""Entries and records: a law on every entry, what the parts hold, and the live state that is rebuilt from them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconcile.one_of_each import CHANGES, START
from reconcile.small_world import EDIT, HERE, ROBOT, VIEW, Clock, admin, grant, one_instance, world
from siteward.access.model import Access, Account, Grant, Scope, Subject, account_key, account_of
from siteward.access.plan import Plan
from siteward.access.state import DeclaredUser, Listing, Live, Memory
from siteward.platforms import load
from siteward.reconcile.events import events_of
from siteward.reconcile.journal.chain import erase_parts, follow, link, verify
from siteward.reconcile.journal.entries import (
    Actor,
    BlockWaived,
    Intent,
    InvitationResent,
    JournalContinued,
    Leaving,
    Offboarded,
    PartsErased,
    Result,
    RunAbandoned,
    RunEnded,
    RunResumed,
    RunStarted,
    StateRecorded,
    StepsFinished,
    StepsIntended,
    Truncated,
)
from siteward.reconcile.journal.journal import opened
from siteward.reconcile.journal.reading import path_of, read
from siteward.reconcile.journal.recorded import rebuild
from siteward.reconcile.journal.records import Known, join, split
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siteward.reconcile.journal.entries import Entry, RunFacts

NAMES = st.sampled_from(["ann", "Bob", "cleo@example.org", "erased", "actor", "Ünïon"])
STEPS = st.sampled_from(sorted(CHANGES))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
AT: dict[str, Any] = {"at": START, "run": "20270110T090003Z-01234567"}
USERS = st.dictionaries(NAMES, NAMES, max_size=4)
RUNS = st.builds(
    lambda users, ids, more: RunStarted(
        **AT, plan="sha256:0", tool="0.2.0", created=START, as_of=START, platform="umami", origin="https://x.test",
        instance="stats", sites=3, grants=2, users=users, ids={login: "7" for login in users.values() if login in ids}, **more,
    ),
    USERS,
    st.sets(NAMES),
    st.fixed_dictionaries({
        "accounts": st.sets(NAMES).map(lambda names: tuple(sorted(names))), "me": st.none() | NAMES,
        "chosen": st.none() | st.just(("s1",)), "only": st.lists(TEXTS.map("user:{}".format), max_size=2).map(tuple),
        "allow_delete": st.booleans(), "lifted": st.just(("s2",)), "accepted": st.just(("identity",)),
    }),
)  # fmt: skip
RESULTS = st.builds(
    Result, step=STEPS, status=st.sampled_from(["done", "failed", "unknown"]), message=TEXTS, sends=st.integers(0, 3),
    account_id=st.none() | TEXTS,
)  # fmt: skip
ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.one_of(
        RUNS,
        st.builds(BlockWaived, **{name: st.just(value) for name, value in AT.items()}, digest=TEXTS, reason=TEXTS,
                  name=st.one_of(st.just("removals"), NAMES.map("identity:{}@stats".format))),
        st.lists(STEPS, unique=True, min_size=1).map(
            lambda steps: StepsIntended(**AT, steps=tuple(Intent(step=step, before=CHANGES[step].before, after=CHANGES[step].after) for step in steps))
        ),
        st.lists(RESULTS, unique_by=lambda result: result.step).map(lambda results: StepsFinished(**AT, results=tuple(sorted(results, key=lambda result: result.step)))),
        st.builds(lambda login, words: InvitationResent(**AT, login=login, status="failed", message=words), NAMES, TEXTS),
        st.builds(lambda user, words: Offboarded(**AT, user=user, items=(
            Leaving(item="stats/tokens", decision="open", what=words), Leaving(item="also/x", decision="done", what=words, by=user, how="x", reason=words),
        )), NAMES, TEXTS),
        st.builds(lambda words: PartsErased(**AT, count=3, reason=words, last="ab"), TEXTS),
        st.builds(lambda words: JournalContinued(**AT, of="siteward.journal/1", lines=3, head="sha256:0", reason=words), st.none() | TEXTS),
        st.sampled_from([
            RunResumed(**AT, lifted=("s1",)), RunResumed(**AT, actor=Actor(actor="cleo@example.org", how="x")), RunAbandoned(**AT), Truncated(**AT, bytes=3), StateRecorded(**AT, complete=False, unread=("teams",)),
            RunEnded(**AT, outcomes={"done": 1}, last="ab"),
        ]),
    ),
    max_size=8,
)  # fmt: skip


def recorded(entries: Iterable[Entry], key: Secret | None = None) -> bytes:
    """Return entries as the content of a journal."""
    known, head, data = Known(), "", b""
    for number, entry in enumerate(entries, start=1):
        header, parts = split(entry, known)
        lines, head = link(header, parts, number=number, head=head, key=key)
        known.note(entry)
        data += lines
    return data


@given(entries=ENTRIES, keyed=st.booleans())
def test_what_is_written_is_read(*, entries: list[Entry], keyed: bool) -> None:
    """Law: the entries that a journal is read as are those that were written, whatever came before them."""
    key, known = Secret("a key that is long enough") if keyed else None, Known()
    chain = verify(Path("stats.jsonl"), recorded(entries, key), key)
    assert [join(record, known) for record in chain.records] == entries


@given(ENTRIES)
def test_headers_name_nobody(entries: list[Entry]) -> None:
    """Law: with all parts erased the chain verifies, is read, and no login is left in it."""
    data = recorded(entries)
    numbers = [number for number, line in enumerate(data.splitlines(), start=1) if b'"part":' in line]
    bare = erase_parts(data, numbers)
    known = Known()
    chain = verify(Path("stats.jsonl"), bare, None)
    read_again = [join(record, known) for record in chain.records]
    assert [entry.kind for entry in read_again] == [entry.kind for entry in entries]
    assert not [name for name in ("ann", "Bob", "cleo") if name.encode() in bare]


def test_an_account_is_in_one_part_of_a_record() -> None:
    """A bundle of many changes has a part for each account, and one for what concerns none."""
    steps = tuple(Intent(step=name, before=change.before, after=change.after) for name, change in CHANGES.items())
    header, parts = split(StepsIntended(**AT, steps=steps), Known())
    assert header["steps"] == list(CHANGES)
    assert {part["part"]: [step["step"] for step in part["steps"]] for part in parts} == {
        "": ["s3", "s5"], "ann": ["s1", "s2", "s4"],
    }  # fmt: skip
    assert {account_of(change.key) for change in CHANGES.values()} == {None, "ann"}


def test_a_run_says_only_what_changed_since_the_one_before() -> None:
    """The same users and accounts once more are nothing; whoever left is told so."""
    run = RunStarted(
        **AT, plan="", tool="", created=START, as_of=START, platform="umami", origin="", sites=0, grants=0,
        users={"ann": "ann", "bob": "Bob"}, ids={"ann": "7"}, accounts=("ann",), me="robot",
    )  # fmt: skip
    known = Known()
    _, first = split(run, known)
    known.note(run)
    assert [part["part"] for part in first] == ["ann", "bob", "robot"]
    assert split(run, known)[1] == []
    _, later = split(replace(run, users={"ann": "ann"}, ids={"ann": "8"}), known)
    assert later == [
        {"part": "ann", "declared": {"login": "ann", "id": "8"}},
        {"part": "bob", "declared": None},
    ]


def test_who_did_something_is_who_let_the_run_go_on_and_nobody_after_its_end() -> None:
    """What a resumed run does is the doing of whoever resumed it; an invitation sent again belongs to no run."""
    intent = Intent(step="s1", before=None, after=Account("ann"))
    run = RunStarted(
        **AT, plan="p", tool="", created=START, as_of=START, platform="umami", origin="", sites=0, grants=0, users={},
        accounts=(), actor=Actor(actor="alice", how="GITHUB_ACTOR"),
    )  # fmt: skip
    done = StepsFinished(**AT, results=(Result(step="s1", status="done"),))
    entries: list[Entry] = [
        run, StepsIntended(**AT, steps=(intent,)), done, RunResumed(**AT, actor=Actor(actor="bob", how="GITHUB_ACTOR")), done,
        RunEnded(**AT, outcomes={}, last=""), InvitationResent(at=START, run="", login="ann", status="sent"),
    ]  # fmt: skip
    records = verify(Path("stats.jsonl"), recorded(entries), None).records
    found = events_of(
        Path("stats.jsonl"), [(entry, False) for entry in entries], records, "stats", load("umami").widest
    )
    assert [(event.kind, event.ran and (event.ran.actor, event.ran.run)) for event in found] == [
        ("created", ("alice", AT["run"])), ("created", ("bob", AT["run"])), ("invited", (None, "")),
    ]  # fmt: skip


# The live state


def live_of(*resources: Any, complete: bool = True) -> Live:
    listing = Listing(name="users", rows=1, complete=complete, proof="count")
    return Live(access=Access(resources), listings=(listing,))


def states(path: Path) -> list[Access]:
    """Return the live states that a journal tells, in order."""
    return [Access.of(dict(state)) for _, state in rebuild(path, verify(path, path.read_bytes(), None).records)]


FACTS: RunFacts = {
    "platform": "small", "origin": "https://stats.test", "users": {}, "accounts": (), "sites": 1, "grants": 1,
}  # fmt: skip


def ended(folder: Path, before: Live, after: Live, *ours: Any) -> list[dict[str, Any]]:
    """Let a run begin and end, and return the parts of its end."""
    clock = Clock()
    plan = Plan(tool="", created=clock(), as_of=clock(), digest="sha256:0")
    with opened(folder, "stats", key=None, clock=clock) as journal:
        journal.begin(plan, live=before, **FACTS)
        journal.end({}, Memory(last=after.access), after, lambda key, _: key in {resource.key for resource in ours})
    path = path_of(folder, "stats")
    return list(verify(path, path.read_bytes(), None).records[-1].read_parts())


def test_the_end_says_what_changed_by_us_and_by_others(tmp_path: Path) -> None:
    """By account, as what went and what came; the state at each end can be rebuilt from the file alone."""
    eve = Account("eve")
    first = ended(tmp_path, live_of(ROBOT, VIEW), live_of(ROBOT, EDIT, eve), EDIT)
    assert {part["part"]: sorted(part.keys() - {"part"}) for part in first} == {"ann": ["ours"], "eve": ["others"]}
    assert [sign for sign, _ in first[0]["ours"]] == ["-", "+"]
    second = ended(tmp_path, live_of(ROBOT, EDIT, eve), live_of(ROBOT, EDIT))
    assert [(part["part"], part["others"][0][0]) for part in second] == [("eve", "-")]
    assert states(path_of(tmp_path, "stats")) == [
        Access([ROBOT, VIEW]),
        Access([ROBOT, EDIT, eve]),
        Access([ROBOT, EDIT]),
    ]


def test_what_was_not_read_is_as_it_was(tmp_path: Path) -> None:
    """A reading that is not whole proves no absence: nothing is said to have gone, and what was not read is named."""
    ended(tmp_path, live_of(ROBOT, VIEW), live_of(ROBOT, VIEW))
    parts = ended(tmp_path, live_of(ROBOT, VIEW), live_of(VIEW, Account("eve"), complete=False))
    assert [part["part"] for part in parts] == ["eve"]
    end = read(path_of(tmp_path, "stats"), None).entries[-1]
    assert isinstance(end, RunEnded)
    assert (end.complete, end.unread) == (False, ("users",))
    assert states(path_of(tmp_path, "stats"))[-1] == Access([ROBOT, VIEW, Account("eve")])


def test_what_others_did_is_told_once(tmp_path: Path) -> None:
    """Before the next run, which may take it back, and not again after that, also where that run left no end."""
    eve = live_of(ROBOT, VIEW, Account("eve"))
    ended(tmp_path, live_of(ROBOT, VIEW), live_of(ROBOT, VIEW))
    clock = Clock()
    with opened(tmp_path, "stats", key=None, clock=clock) as journal:
        journal.begin(Plan(tool="", created=clock(), as_of=clock(), digest="sha256:1"), live=eve, **FACTS)
    assert ended(tmp_path, eve, eve) == []
    assert ended(tmp_path, eve, eve) == []
    path = path_of(tmp_path, "stats")
    told = [
        (record.header["kind"], part["part"])
        for record in follow(path, None).records
        for part in record.read_parts()
        if "others" in part
    ]
    assert told == [("record", "eve")]


def test_a_rename_is_ours_and_what_others_gave_before_it_is_not(tmp_path: Path) -> None:
    """Everything goes with the account to its new login; the admin right that somebody gave it stays somebody else's."""
    rig, server, file = one_instance(tmp_path, [VIEW], [VIEW])
    rig.apply()
    server.set(admin("ann"))
    file.previously = {"anna": "ann"}
    file.wanted = world(ROBOT, grant("anna", "a.test", "view"))
    file.declared_users["anna"] = DeclaredUser(handle="ann", at=HERE)
    rig.apply(only=lambda _, step: step.change.key == account_key("ann"))
    records = follow(rig.journal(), None).records
    told = [
        (record.header["kind"], part["part"], side)
        for record in records
        for part in record.read_parts()
        for side in ("ours", "others")
        if side in part
    ]
    assert told == [("record", "ann", "others"), ("end", "ann", "ours"), ("end", "anna", "ours")]
    assert states(rig.journal())[-1] == server.access


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["grant", "revoke", "meddle", "nothing"]), max_size=6))
def test_the_state_is_rebuilt_at_every_end(doings: list[str]) -> None:
    """Law: after each run that ended, the last state that the journal tells is the live one."""
    with tempfile.TemporaryDirectory() as name:
        rig, server, file = one_instance(Path(name), [VIEW], [VIEW])
        for number, doing in enumerate(doings):
            if doing == "meddle":
                server.set(Account(f"eve{number}"))
            elif doing in {"grant", "revoke"}:
                file.wanted = world(ROBOT, EDIT if doing == "grant" else VIEW)
            rig.apply()
            assert states(rig.journal())[-1] == server.access


def test_a_journal_grows_by_what_changed(tmp_path: Path) -> None:
    """A run over a thousand grants that changes one of them is small beside the state itself, and as small as any."""
    grants = [Grant(Subject("account", f"u{number}"), Scope("site", "shop"), "view") for number in range(1000)]
    state = [*(Account(f"u{number}") for number in range(1000)), *grants]
    ended(tmp_path, live_of(*state), live_of(*state))
    path = path_of(tmp_path, "stats")
    whole = len(path.read_bytes())
    for number in range(10):
        before = live_of(*state)
        state[1000 + number] = replace(grants[number], role="edit")
        ended(tmp_path, before, live_of(*state), state[1000 + number])
    grown = (len(path.read_bytes()) - whole) / 10
    assert grown < 2000 < whole / 100, f"{grown} bytes a run; the whole state has {whole}"


@pytest.mark.parametrize("member", ["state", "ours"])
def test_a_state_that_no_release_writes_is_named(tmp_path: Path, member: str) -> None:
    """With the line and the member, as everything else that cannot be read."""
    from siteward.reconcile.journal.chain import JournalBrokenError

    data = recorded([StateRecorded(**AT)])
    header, _ = split(RunEnded(**AT, outcomes={}, last="ab") if member == "ours" else StateRecorded(**AT), Known())
    head = json.loads(data)["sum"]
    lines, _ = link(header, [{"part": "ann", member: [["?", {}]]}], number=2, head=head, key=None)
    path = tmp_path / "stats.jsonl"
    chain = verify(path, data + lines, None)
    with pytest.raises(JournalBrokenError, match=f"/{member}/0") as found:
        list(rebuild(path, chain.records))
    assert found.value.line == 3
