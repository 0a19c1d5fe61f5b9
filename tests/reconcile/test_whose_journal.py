"""Whose journal it is, and how well it is sealed: told before anybody believes what stands in it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from reconcile.small_world import EDIT, ROBOT, SMALL, VIEW, Crash, File, Instance, Server, SmallRig, codes, world
from rig import reseal
from siteward.reconcile.apply.admission import remarks_on
from siteward.reconcile.journal import reading
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.journal.reading import Standing
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = Secret("a key that is long enough")


def pair(folder: Path, key: Secret | None = None) -> SmallRig:
    """Return a rig with two instances of one platform, both applied to."""
    instances = []
    for name in ("tags", "web"):
        server = Server()
        server.hold(world(ROBOT))
        origin = f"https://{name}.test"
        instances.append(Instance(server, File(world(ROBOT, VIEW)), name=name, origin=origin, declared=("tags", "web")))
    rig = SmallRig(folder, tuple(instances), key=key)
    rig.apply()
    return rig


def swap(rig: SmallRig) -> None:
    """Let each journal stand under the other's name, with what its last run left."""
    for suffix in (".jsonl", ".last.json"):
        own, other = (rig.journals.folder / f"{name}{suffix}" for name in ("tags", "web"))
        first, second = own.read_bytes(), other.read_bytes()
        own.write_bytes(second)
        other.write_bytes(first)


def without(member: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return an edit of journal lines: as they were before that member was written down."""
    return lambda entry: {name: value for name, value in entry.items() if name != member}


def test_swapped_journals_are_found(tmp_path: Path) -> None:
    """The journal says whose it is; under another's name nothing of it is believed, and nothing is sent."""
    rig = pair(tmp_path)
    swap(rig)
    with pytest.raises(JournalBrokenError, match="the journal of web, not of tags"):
        reading.recall(rig.journal("tags"))
    sent = [len(instance.server.told) for instance in rig.instances]
    report = rig.apply()
    assert codes(report) == {"journal-broken"}
    assert [len(instance.server.told) for instance in rig.instances] == sent


def test_a_journal_of_before_names_still_knows_its_server(tmp_path: Path) -> None:
    """Where no name was written down, another origin is told, and another platform is an error."""
    rig = pair(tmp_path)
    reseal(rig.journal("tags"), without("instance"))
    standing = reading.recall(rig.journal("tags")).standing
    assert remarks_on(standing, "small", "https://tags.test", None) == ()
    (told,) = remarks_on(standing, "small", "https://moved.test", None)
    assert (told.code, told.blocks) == ("journal-other-origin", False)
    with pytest.raises(JournalBrokenError, match="of a small, and here is a large"):
        remarks_on(standing, "large", "https://tags.test", None)


def test_apply_says_that_the_server_is_another(tmp_path: Path) -> None:
    """A moved server goes on with its journal, and that is told; another platform does not."""
    rig = pair(tmp_path)
    rig.instances[0].origin = "https://moved.test"
    assert codes(rig.apply()) == {"journal-other-origin"}
    rig.instances[1].platform = replace(SMALL, name="large")
    assert codes(rig.apply()) == {"journal-broken"}


def test_a_journal_that_lost_its_seals_is_told(tmp_path: Path) -> None:
    """Whoever rewrites all of a keyed journal without the key is told while nothing has been written after it."""
    rig = pair(tmp_path, KEY)
    standing = reading.recall(rig.journal("tags"), KEY).standing
    assert standing.sealed_since == 1
    assert remarks_on(standing, "small", "https://tags.test", KEY) == ()
    reseal(rig.journal("tags"))
    standing = reading.recall(rig.journal("tags"), KEY).standing
    assert standing.sealed_since == 0
    assert [diagnostic.code for diagnostic in remarks_on(standing, "small", "https://tags.test", KEY)] == [
        "journal-not-sealed"
    ]
    assert "journal-not-sealed" in codes(rig.apply())


def test_a_key_that_came_later_is_told_from_where_on(tmp_path: Path) -> None:
    """A journal that goes on with a key is sealed from that line on, also where the last line feed is missing."""
    rig = pair(tmp_path)
    path = rig.journal("tags")
    before = reading.recall(path).standing.entries
    dataclasses.replace(rig, key=KEY).apply()
    assert reading.recall(path, KEY).standing.sealed_since == before + 1
    path.write_bytes(path.read_bytes()[:-1])
    assert reading.recall(path, KEY).standing.sealed_since == before + 1


def test_no_journal_has_nothing_odd(tmp_path: Path) -> None:
    """Before the first run nothing could be sealed, nor be anybody else's."""
    nothing = Standing(path=tmp_path / "tags.jsonl")
    assert remarks_on(nothing, "small", "https://tags.test", KEY) == ()


def test_resume_goes_on_beside_a_broken_journal(tmp_path: Path) -> None:
    """One journal that cannot be believed does not keep another run from being finished."""
    rig = pair(tmp_path)
    tags, web = rig.instances
    tags.file.wanted = web.file.wanted = world(ROBOT, EDIT)
    tags.server.faults = {len(tags.server.told): "crash-after"}
    with pytest.raises(Crash):
        rig.apply()
    path = rig.journal("web")
    path.write_bytes(path.read_bytes().replace(b"small", b"smell", 1))
    report = rig.resume()
    assert "journal-broken" in codes(report)
    assert {outcome.status for outcome in report.outcomes if outcome.instance == "tags"} == {"done"}


def test_the_account_in_use_is_remembered(tmp_path: Path) -> None:
    """Each run writes down whom it worked as, where that is another account than the run before had."""
    rig = pair(tmp_path)
    memory = reading.recall(rig.journal("tags")).memory
    assert memory is not None
    assert memory.me == "robot"
    rig.apply()
    assert rig.journal("tags").read_text().count('"self":true') == 1
