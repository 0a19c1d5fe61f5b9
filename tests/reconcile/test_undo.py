"""Which run an undo means, and the merge of texts by which a commit is reverted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.small_world import Crash, grant, one_instance
from siteward.access.model import Account
from siteward.reconcile.undo.revert import merge
from siteward.reconcile.undo.runs import NoRunError, UnfitRunError, find_runs
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.lists(st.sampled_from("abcd"), max_size=8).map(lambda letters: "".join(f"{letter}\n" for letter in letters))


@given(TEXT, TEXT)
def test_a_merge_with_an_unchanged_side_is_the_other(base: str, changed: str) -> None:
    """Whichever side it is; and equal changes are one change."""
    assert merge(base, base, changed) == changed
    assert merge(base, changed, base) == changed
    assert merge(base, changed, changed) == changed


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        ("1\n2\n3\nx\n", "y\n2\n3\n4\n", "y\n2\n3\nx\n"),
        ("1\nx\n3\n4\n", "1\ny\n3\n4\n", None),
        ("1\nx\n3\n4\n", "1\n2\ny\n4\n", None),
        ("2\n3\n4\n", "1\n2\n3\n4\n5\n", "2\n3\n4\n5\n"),
        ("1\n2\n3\n4", "y\n2\n3\n4\n", "y\n2\n3\n4"),
    ],
)
def test_changes_of_other_lines_are_both_made(ours: str, theirs: str, merged: str | None) -> None:
    """Those of the same lines, or of neighbours, are none that a program may decide."""
    assert merge("1\n2\n3\n4\n", ours, theirs) == merged


def asked(rig: Any, run: str, instances: Any = None) -> Any:
    """Ask for a run on the instances of a rig."""
    targets = list(rig.targets.values())
    return find_runs(rig.journals, targets if instances is None else instances, ["stats"], run)


def test_a_run_without_an_end_is_finished_first(tmp_path: Path) -> None:
    """What it did is not known yet; once it is resumed, it is a run as any other."""
    rig, server, _ = one_instance(tmp_path, [Account("ann")], [Account("ann"), grant("ann", "a.test", "view")])
    server.faults = {0: "crash-after"}
    with pytest.raises(Crash):
        rig.apply(rig.plan())
    server.faults = {}
    with pytest.raises(UnfitRunError, match="has no end") as refused:
        asked(rig, "2")
    assert refused.value.hint == "siteward apply --resume, then undo it"
    rig.resume()
    (found,) = asked(rig, "2")
    assert [change.key[0] for change in found.run.done.values()] == ["grant"]


def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    """In any letter case; none without a letter of it."""
    rig, _, _ = one_instance(tmp_path, [Account("ann")], [Account("ann"), grant("ann", "a.test", "view")])
    rig.apply(rig.plan())
    (found,) = asked(rig, "2")
    assert asked(rig, found.id.lower()[:-1]) == (found,)
    for wrong in ("", "x", "*", found.id + "0"):
        with pytest.raises(NoRunError):
            asked(rig, wrong)
    with pytest.raises(NoRunError, match="leaves out"):
        asked(rig, found.id, [])


def test_a_run_that_nothing_proves_is_not_undone_with_a_key(tmp_path: Path) -> None:
    """A sealed one is, with the same key."""
    key = Secret("a key that is long enough")
    rig, _, _ = one_instance(tmp_path, [Account("ann")], [Account("ann"), grant("ann", "a.test", "view")], key=key)
    rig.apply(rig.plan())
    assert len(asked(rig, "2")) == 1
    plain, _, _ = one_instance(tmp_path / "plain", [Account("ann")], [Account("ann"), grant("ann", "a.test", "view")])
    plain.apply(plain.plan())
    assert len(asked(plain, "2")) == 1


def test_a_key_takes_sealed_runs_alone(tmp_path: Path) -> None:
    """Lines from before the key prove nothing, and are not undone by whoever has it."""
    rig, _, _ = one_instance(tmp_path, [Account("ann")], [Account("ann"), grant("ann", "a.test", "view")])
    rig.apply(rig.plan())
    rig.key = Secret("a key that is long enough")
    with pytest.raises(UnfitRunError, match="nothing proves what it did"):
        asked(rig, "2")
