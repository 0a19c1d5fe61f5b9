"""Snapshots: the sites of an instance in a file, so that selectors can be resolved without asking the server.

A snapshot holds no account, and no owner of a site, so it may be kept beside the declaration.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.codec import CodecError, canonical, decode_live, encode_live
from siteward.access.model import Access
from siteward.access.state import Live
from siteward.reconcile.outputs import make_output_folder, write_output

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from siteward.reconcile.survey import Survey

FORMAT = "siteward.sites/1"


class BadSnapshotError(Exception):
    """The file is not a valid snapshot; the message says why."""


def save(folder: Path, surveys: Iterable[Survey]) -> tuple[Path, ...]:
    """Write the sites of each instance to `INSTANCE.json` in a folder; return the paths. Raises `OSError`."""
    make_output_folder(folder)
    written = []
    for survey in surveys:
        sites = {scope: replace(site, owner=None) for scope, site in survey.live.sites.items()}
        data = encode_live(Live(access=Access(), sites=sites))
        path = folder / f"{survey.name}.json"
        write_output(path, canonical({"format": FORMAT, "instance": survey.name, "live": data}) + b"\n")
        written.append(path)
    return tuple(written)


def read(path: Path) -> tuple[str, Live]:
    """Return the name of the instance of a snapshot, and its sites. Raises `OSError` and `BadSnapshotError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise BadSnapshotError(f"{path} is not valid JSON") from problem
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("instance"), str):
        raise BadSnapshotError(f"{path} is no {FORMAT}; make one with `siteward plan --save-snapshot DIR`")
    try:
        return data["instance"], decode_live(data.get("live"))
    except CodecError as problem:
        raise BadSnapshotError(f"{path}: {problem}") from problem
