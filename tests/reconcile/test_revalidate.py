"""Revalidation judges by what is handed in; it looks at no file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from msgspec.structs import replace

from reconcile.small_world import NOW, TRAITS, Instance, grant, one_instance, statuses
from siteward.access.model import Account, account_key
from siteward.reconcile.apply.passwords import Obstacles, obstacles_to_delivery
from siteward.reconcile.apply.revalidate import Allowance, History, revalidate

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import pytest

    from siteward.access.state import Memory
    from siteward.reconcile.apply.target import Fresh, Judge, Progress
    from siteward.transport.http import Reader

ANN = account_key("ann")


def test_the_file_for_passwords_is_looked_at_by_the_caller(tmp_path: Path) -> None:
    """An unsafe file blocks where the obstacles that were handed in say so, and not because revalidation opened it."""
    rig, _, file = one_instance(tmp_path, [], [Account("ann")])
    file.traits = replace(TRAITS, onboarding=frozenset({"password"}))
    (reviewed,) = rig.plan().instances
    (target,) = rig.instances
    fresh = target.plan(target.open().reader, as_of=NOW, memory=None)
    out = tmp_path / "passwords.txt"
    out.touch(mode=0o644)
    out.chmod(0o644)
    allowance = Allowance(accept={}, allow_delete=False, passwords=replace(rig.passwords, out=out))
    free = revalidate(reviewed, fresh, allowance, History(), Obstacles(as_allowed={}, without_file={}))
    assert [step.change.key for step in free.go if step.change.key == ANN] == [ANN]
    obstacles = obstacles_to_delivery(reviewed, fresh, allowance.passwords)
    assert obstacles.as_allowed[ANN].code == "passwords-out-unsafe"
    assert obstacles.without_file[ANN].code == "no-password-destination"
    blocked = revalidate(reviewed, fresh, allowance, History(), obstacles)
    assert [outcome.message.partition(":")[0] for outcome in blocked.outcomes.values()] == [
        "blocked since it was reviewed, passwords-out-unsafe"
    ]


def test_what_judged_the_steps_is_let_go_before_the_first_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is most of the memory of a large first plan, and the steps of that plan are held once."""
    rig, server, _ = one_instance(tmp_path, [], [Account("ann"), grant("ann", "a.test", "view")])
    judges: list[ref[Judge]] = []
    plan_once, seen = Instance.plan, list[list[bool]]()

    def plan(self: Instance, reader: Reader, *, as_of: datetime, memory: Memory | None) -> Fresh:
        fresh = plan_once(self, reader, as_of=as_of, memory=memory)
        judges.append(ref(fresh.judge))
        return fresh

    def tell(_progress: Progress) -> None:
        seen.append([judge() is not None for judge in judges])

    reviewed = rig.plan()
    monkeypatch.setattr(Instance, "plan", plan)
    assert set(statuses(rig.apply(reviewed, tell=tell))) == {"done"}
    assert server.told
    assert seen[0] == [False]
