"""Revalidation judges by what is handed in; it looks at no file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconcile.small_world import NOW, TRAITS, one_instance
from siteward.access.model import Account, account_key
from siteward.reconcile.apply.passwords import Obstacles, obstacles_to_delivery
from siteward.reconcile.apply.revalidate import Allowance, History, revalidate

if TYPE_CHECKING:
    from pathlib import Path

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
