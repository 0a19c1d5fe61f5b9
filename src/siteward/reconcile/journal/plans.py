"""The plans of runs, stored beside the journals so that a run can be resumed, shown and explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.codec import canonical, decode, encode
from siteward.reconcile.journal.files import make_private, replace_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from siteward.access.plan import Plan


def keep_plan(folder: Path, plan: Plan) -> None:
    """Store a plan."""
    make_private(folder)
    replace_file(_path_of(folder, plan.digest), b"".join(encode(plan)))


def kept_plan(folder: Path, digest: str) -> Plan:
    """Return a stored plan. Raises `OSError` where there is none, and `ValueError` for a damaged or another one."""
    plan = decode(_path_of(folder, digest).read_bytes())
    if plan.digest != digest:
        raise ValueError(f"what is stored is the plan {plan.digest}, not {digest}")
    return plan


def delete_plans(folder: Path, names: Iterable[str], needed: Collection[str]) -> int:
    """Delete the stored plans that have one of these names in them, but the `needed` ones (digests); return how many."""
    kept = {_path_of(folder, digest) for digest in needed}
    texts = [canonical(name).lower() for name in names]
    deleted = 0
    for path in sorted(folder.glob("*.plan.json")):
        content = path.read_bytes().lower()
        if path not in kept and any(text in content for text in texts):
            path.unlink()
            deleted += 1
    return deleted


def _path_of(folder: Path, digest: str) -> Path:
    return folder / f"{digest.rpartition(':')[2][:16]}.plan.json"
