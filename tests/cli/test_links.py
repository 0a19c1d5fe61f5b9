"""A comment leads to the lines it names and to the run that made it, where a forge says what their addresses are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.repo import commit

if TYPE_CHECKING:
    from cli.conftest import Program

GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.test", "GITHUB_REPOSITORY": "example/access",
    "GITHUB_RUN_ID": "77", "GITHUB_REPOSITORY_VISIBILITY": "private",
}  # fmt: skip
GITLAB = {
    "GITLAB_CI": "true", "CI_PROJECT_URL": "https://gitlab.test/group/access", "CI_PROJECT_VISIBILITY": "private",
    "CI_JOB_URL": "https://gitlab.test/group/access/-/jobs/9",
}  # fmt: skip


def base(checkout: Program) -> str:
    """Commit the declaration in a folder of its own, as a larger repository has it."""
    (checkout.folder / "infra eu").mkdir()
    for path in (checkout.folder / "access.yaml", checkout.folder / "examples"):
        path.rename(checkout.folder / "infra eu" / path.name)
    return commit(checkout)


@pytest.mark.parametrize("forge", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_places_are_links_from_the_top_of_the_repository(forge: dict[str, str], checkout: Program) -> None:
    """At the commit of the job, or of the proposal that it is about."""
    made = base(checkout)
    blob = "https://github.test/example/access/blob" if forge is GITHUB else "https://gitlab.test/group/access/-/blob"
    own = {"GITHUB_SHA": made, "CI_COMMIT_SHA": made}
    told = checkout("-C", "infra eu", "plan", "--as-of", "2026-12-01", "-f", "markdown", **forge, **own)
    assert "[`infra eu/access.yaml:" in told.out
    assert f"](<{blob}/{made}/infra%20eu/access.yaml#L" in told.out
    assert "run and artifacts" in told.out.splitlines()[-1]
    proposed = checkout("-C", "infra eu", "plan", "-f", "markdown", SITEWARD_COMMIT="b" * 40, **forge, **own)
    assert f"{blob}/{'b' * 40}/infra%20eu/access.yaml#L" in proposed.out
    assert made not in proposed.out.replace(f"for `{made}`", "")
    elsewhere = checkout("-C", "infra eu", "plan", "--as-of", "2026-12-01", "-f", "markdown")
    assert "](<" not in elsewhere.out
    assert "`access.yaml:" in elsewhere.out


def test_a_diff_leads_to_its_lines(checkout: Program) -> None:
    """What is there at the head; a line that is gone stands at the base, and is text."""
    made = base(checkout)
    path = checkout.folder / "infra eu" / "access.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("role: edit", "role: manage", 1), encoding="utf-8")
    commit(checkout)
    told = checkout("-C", "infra eu", "diff", made, "-f", "markdown", GITHUB_SHA="c" * 40, **GITHUB)
    assert f"](<https://github.test/example/access/blob/{'c' * 40}/infra%20eu/access.yaml#L" in told.out
    assert "[run and artifacts](<https://github.test/example/access/actions/runs/77>)" in told.out


@pytest.mark.parametrize(
    "wrong",
    [
        {"GITHUB_SHA": "main"},
        {"GITHUB_SHA": "a" * 40, "GITHUB_SERVER_URL": "javascript:alert(1)//"},
        {"GITHUB_SHA": "a" * 40, "GITHUB_REPOSITORY": "x>) <b>"},
    ],
)
def test_what_is_no_address_makes_no_link(wrong: dict[str, str], checkout: Program) -> None:
    """An environment that is made up by hand gives places as text."""
    base(checkout)
    told = checkout("-C", "infra eu", "plan", "--as-of", "2026-12-01", "-f", "markdown", **(GITHUB | wrong))
    assert "/blob/" not in told.out
    assert "javascript" not in told.out
    assert "<b>" not in told.out
