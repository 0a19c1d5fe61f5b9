"""The addresses that a forge gives a job: of the files at the commit that is checked, and of the job itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/%@+-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def links_of(env: Mapping[str, str]) -> tuple[str, str]:
    """Return the address below which the files stand, and that of the run; each empty where the forge does not say it.

    `SITEWARD_COMMIT` names the commit where the job is about another one than its own: the head of a proposal.
    """
    if env.get("GITHUB_ACTIONS") == "true":
        repository = f"{env.get('GITHUB_SERVER_URL', '')}/{env.get('GITHUB_REPOSITORY', '')}"
        blob, commit = f"{repository}/blob", env.get("GITHUB_SHA", "")
        run = f"{repository}/actions/runs/{env['GITHUB_RUN_ID']}" if env.get("GITHUB_RUN_ID") else ""
    elif env.get("GITLAB_CI") == "true":
        blob, commit = f"{env.get('CI_PROJECT_URL', '')}/-/blob", env.get("CI_COMMIT_SHA", "")
        run = env.get("CI_JOB_URL", "")
    else:
        return "", ""
    commit = env.get("SITEWARD_COMMIT") or commit
    known = _COMMIT.fullmatch(commit) is not None and _ADDRESS.fullmatch(blob) is not None
    return f"{blob}/{commit}" if known else "", run if _ADDRESS.fullmatch(run) else ""
