"""Who runs this, as the environment says: the forge's words in CI, the user and the host at a terminal.

None of it is proven, and the journal says where it is from. Approvals come from a file that the job itself has fetched
from the forge (`SITEWARD_APPROVALS`), never from the checkout, where a branch could have written them.
"""

from __future__ import annotations

import getpass
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from siteward.access.documents import Approvals, read_document
from siteward.access.serialize import CodecError
from siteward.reconcile.journal.entries import Actor
from siteward.reconcile.revisions.git import repository_of

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "SITEWARD_APPROVALS"
_LARGEST: Final = 1024 * 1024


class BadApprovalsError(Exception):
    """The approvals that `SITEWARD_APPROVALS` names cannot be taken; the message says why."""

    code = "bad-approvals"
    hint = "the job writes them to a file of mode 600 outside the checkout; see docs/ci.md"


def actor_of(env: Mapping[str, str], checkout: Path) -> Actor:
    """Return who runs this, with the approvals of the change. Raises `BadApprovalsError`."""
    named = env.get(VARIABLE)
    approvals = _read_approvals(Path(named), checkout) if named else None
    if env.get("GITHUB_ACTIONS") == "true":
        actor, again = env.get("GITHUB_ACTOR", ""), env.get("GITHUB_TRIGGERING_ACTOR")
        return Actor(
            actor=actor, how="GITHUB_ACTOR", triggered_by=again if again != actor else None, run_url=_github_run(env),
            approvals=approvals,
        )  # fmt: skip
    if env.get("GITLAB_CI") == "true":
        return Actor(
            actor=env.get("GITLAB_USER_LOGIN", ""), how="GITLAB_USER_LOGIN", run_url=env.get("CI_JOB_URL"),
            approvals=approvals,
        )  # fmt: skip
    return Actor(actor=f"{_find_user()}@{os.uname().nodename}", how="user and host", approvals=approvals)


def _github_run(env: Mapping[str, str]) -> str | None:
    server, repository, run = (env.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if not (server and repository and run):
        return None
    return f"{server}/{repository}/actions/runs/{run}/attempts/{env.get('GITHUB_RUN_ATTEMPT', '1')}"


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return str(os.getuid())


def _read_approvals(path: Path, checkout: Path) -> Approvals:
    """Return the approvals in a file of the job. Raises `BadApprovalsError`."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise BadApprovalsError(f"{path} is no regular file")
        if status.st_mode & 0o077:
            raise BadApprovalsError(f"{path} may be read or written by others (mode {status.st_mode & 0o777:04o})")
        if _is_inside(path, checkout):
            raise BadApprovalsError(f"{path} is inside the checkout, where a branch can bring it along")
        if status.st_size > _LARGEST:
            raise BadApprovalsError(f"{path} is larger than {_LARGEST} bytes")
        return read_document(path.read_bytes(), Approvals)
    except OSError as problem:
        raise BadApprovalsError(f"{path} cannot be read: {problem.strerror}") from None
    except CodecError as problem:
        raise BadApprovalsError(f"{path}: {problem}") from None


def _is_inside(path: Path, checkout: Path) -> bool:
    """Return whether a file is below the checkout: the repository around the declaration, or its folder."""
    repository = repository_of(checkout)
    top = repository.top if repository is not None else checkout
    return path.resolve().is_relative_to(top.resolve())
