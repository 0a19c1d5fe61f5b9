"""The plans of runs, stored beside the journals so that a run can be resumed, shown and explained."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from siteward.access.codec import canonical, copied, decode, encode
from siteward.access.serialize import CodecError
from siteward.reconcile.journal.files import make_private, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from siteward.access.plan import Plan

_PIECE: Final = 2**20
"""The bytes of a document that are read at a time."""


def keep_plan(folder: Path, plan: Plan, document: Path | None = None) -> None:
    """Store a plan; of the `document` that it was read from the bytes are taken, as long as they are the same."""
    make_private(folder)
    path = path_of_plan(folder, plan.digest)
    if document is not None and document.is_file():  # a pipe has been read to its end
        with contextlib.suppress(OSError, CodecError):
            return replace_file(path, copied(_read_pieces(document), plan.digest))
    return replace_file(path, encode(plan))


def _read_pieces(document: Path) -> Iterator[bytes]:
    with document.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


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
