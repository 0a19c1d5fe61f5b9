"""What a code forge tells a job: the branch a change is meant for, who asks, and who may read what is printed.

GitHub Actions and GitLab CI say it in variables, GitHub also in the event's file. Everything else is told by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Env = Mapping[str, str]
NONE = "none"
_NO_COMMIT = "0" * 40


def base_of(env: Env) -> str | None:
    """Return the revision that a change is judged against; `None` where this is no job about a change.

    In a job before a merge that is the target branch, in one after it the commit before.
    """
    if given := env.get("SITEWARD_BASE"):
        return given
    if branch := env.get("GITHUB_BASE_REF") or env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        return f"origin/{branch}"
    before = _text(event(env), "before") if env.get("GITHUB_EVENT_NAME") == "push" else None
    if env.get("CI_PIPELINE_SOURCE") == "push":
        before = env.get("CI_COMMIT_BEFORE_SHA")
    return before if before and before != _NO_COMMIT else None


def actors_of(env: Env) -> frozenset[tuple[str, str]]:
    """Return who asks for a change: forge and login, the forge empty where it was told by hand."""
    asked = event(env).get("pull_request")
    author = _text(asked.get("user"), "login") if isinstance(asked, dict) else None
    known = (
        ("", env.get("SITEWARD_ACTOR")),
        ("github", env.get("GITHUB_ACTOR")),
        ("github", env.get("GITHUB_TRIGGERING_ACTOR")),
        ("github", author),
        ("gitlab", env.get("GITLAB_USER_LOGIN")),
    )
    return frozenset((forge, login) for forge, login in known if login)


def is_public(env: Env) -> bool:
    """Tell whether the forge calls the repository public, so that everybody reads its logs and comments."""
    told = env.get("GITHUB_REPOSITORY_VISIBILITY") or env.get("CI_PROJECT_VISIBILITY")
    repository = event(env).get("repository")
    told = told or _text(repository, "visibility")
    if told is None and isinstance(repository, dict):
        return repository.get("private") is False
    return told == "public"


def event(env: Env) -> Mapping[str, object]:
    """Return what GitHub says of the event that started this job; empty elsewhere."""
    path = env.get("GITHUB_EVENT_PATH")
    if not path or not env.get("GITHUB_ACTIONS"):
        return {}
    import json  # most runs are no job of a forge

    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(table: object, name: str) -> str | None:
    found = table.get(name) if isinstance(table, Mapping) else None
    return found if isinstance(found, str) and found else None
