"""The place of this run on a forge, as its environment says: where files and the run are shown, and the repository's top."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.render.links import Forge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.render import Options

FOR_FORGES = frozenset({"github", "gitlab", "sarif", "junit"})
"""The formats in which a place is a path from the top of the repository."""
LINKED = frozenset({"markdown", "html"})
"""The formats in which a place links to its line on the forge."""
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[\w.~-]+)+", re.ASCII)


def in_repository(form: str, options: Options) -> Options:
    """Return options with the place of the working directory in its repository, for the formats that show places by it."""
    forge = forge_of(os.environ) if form in LINKED else None
    if form not in FOR_FORGES and forge is None:
        return options
    from siteward.reconcile.revisions.git import repository_of

    here = Path.cwd().resolve()
    repository = repository_of(here)
    if repository is None:
        return options
    top = repository.top.resolve()
    return replace(options, top=top.as_posix(), below=here.relative_to(top).as_posix(), forge=forge)


def forge_of(env: Mapping[str, str]) -> Forge | None:
    """Return the forge that the environment of a job names; `None` outside of one, and for an address that is none."""
    if env.get("GITHUB_ACTIONS"):
        project = f"{env.get('GITHUB_SERVER_URL', '')}/{env.get('GITHUB_REPOSITORY', '')}"
        run = f"{project}/actions/runs/{env.get('GITHUB_RUN_ID', '')}"
        known = Forge(files=f"{project}/blob", revision=env.get("GITHUB_SHA", ""), run=run)
    elif env.get("GITLAB_CI"):
        project = env.get("CI_PROJECT_URL", "")
        known = Forge(files=f"{project}/-/blob", revision=env.get("CI_COMMIT_SHA", ""), run=env.get("CI_JOB_URL", ""))
    else:
        return None
    if not _ADDRESS.fullmatch(known.files):
        return None
    return known if _ADDRESS.fullmatch(known.run) else replace(known, run="")
