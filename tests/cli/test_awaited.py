"""Deletions that wait for consent: they count towards the budgets in a plan, its comment and an apply alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program

NAMES = ("former-1", "former-2", "former-3")
FILE = """version: 1
instances:
  stats: {platform: umami, url: 'URL', self: siteward, layout: existing, accept_blind: [board-links]}
users:
  anna: {}
  ben: {}
  former-1: {state: absent}
  former-2: {state: absent}
  former-3: {state: absent}
grants:
  - {to: [anna, ben], role: admin, on: stats}
policy: {limits: {removals: {count: 2}}}
"""


@pytest.fixture
def company(program: Program, umami: Any, admin: httpx.Client) -> Program:
    """Three accounts that hold nothing and are to be deleted, where two may go at once."""
    for name in NAMES:
        made = {"username": name, "password": "a password of theirs", "role": "view-only"}
        admin.post("/api/users", json=made).raise_for_status()
    program.write(FILE.replace("URL", umami.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    return program


def there(admin: httpx.Client) -> int:
    users = admin.get("/api/admin/users", params={"pageSize": 100}).json()["data"]
    return sum(user["username"] in NAMES for user in users)


@pytest.mark.parametrize("consent", [(), ("--allow-delete",)], ids=["before", "after"])
def test_the_budget_is_charged_before_consent_and_after_it(
    company: Program, admin: httpx.Client, consent: tuple[str, ...]
) -> None:
    """What a reviewer sees is what an apply judges by: not first a plan within limits, then one beyond them."""
    for form in ("text", "markdown"):
        shown = company("plan", *consent, "-f", form, "--out", "plan.json")
        assert shown.code == 3
        assert "3 accounts would lose all access, and 2 are allowed" in shown.out
        if form == "markdown":
            assert "consent to delete 3 accounts" in shown.out
    refused = company("apply", "plan.json", *consent, "--yes")
    assert refused.code == 3
    assert "limit-removals" in refused.out
    assert there(admin) == 3
    digest = company("show", "plan.json", "-f", "json").json()["plan"]["digest"]
    accept = ("--accept", f"removals={digest}", "--reason", "media sold")
    done = company("apply", "plan.json", *consent, *accept, "--yes")
    assert (done.code, there(admin)) == ((0, 0) if consent else (3, 3))
