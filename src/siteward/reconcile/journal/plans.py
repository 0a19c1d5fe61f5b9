"""The plans of runs, stored beside the journals so that a run can be resumed, shown and explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.codec import canonical, decode, encode
from siteward.reconcile.journal.files import make_private, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from siteward.access.plan import Plan


def keep_plan(folder: Path, plan: Plan) -> None:
    """Store a plan."""
    make_private(folder)
    replace_file(path_of_plan(folder, plan.digest), encode(plan))


def kept_plan(folder: Path, digest: str) -> Plan:
    """Return a stored plan. Raises `OSError` where there is none, and `ValueError` for a damaged or another one."""
    plan = decode(path_of_plan(folder, digest).read_bytes())
    if plan.digest != digest:
        raise ValueError(f"what is stored is the plan {plan.digest}, not {digest}")
    return plan


def plans_naming(folder: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """Return the paths of the stored plans that have one of these names in them."""
    texts = [canonical(name).lower() for name in names]
    paths = sorted(folder.glob("*.plan.json"))
    return tuple(path for path in paths if _has_any(path.read_bytes().lower(), texts))


def _has_any(content: bytes, texts: Iterable[bytes]) -> bool:
    return any(text in content for text in texts)


def path_of_plan(folder: Path, digest: str) -> Path:
    """Return the path at which a plan is stored."""
    return folder / f"{digest.rpartition(':')[2][:16]}.plan.json"
